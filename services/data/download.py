"""Download a published data set into the cache, each file from the first mirror that gives it."""

from collections.abc import Sequence
from pathlib import Path

from services.data import cache, idx
from services.data.fetch import DownloadError, Progress, fetch, host
from services.data.idx import FILE_NAMES, DataSetError
from services.data.published import Published


def download(wanted: Published, mirrors: Sequence[str], cache_dir: Path, progress: Progress) -> str:
    """Put a published data set in the cache and return the host that the last file came from.

    Raises DownloadError with what was the matter with each mirror.
    """
    if not mirrors:
        raise DownloadError
    files, sources = {}, {}
    with cache.staging(cache_dir) as staged:
        for name in FILE_NAMES:
            used, files[name], sources[name] = _download_file(
                wanted, name, mirrors, staged, progress
            )
        cache.store(staged, wanted.name, cache.Manifest(files, sources))
    return used


def _download_file(
    wanted: Published, name: str, mirrors: Sequence[str], staged: Path, progress: Progress
) -> tuple[str, str, str]:
    """Return the host that gave the file, and the SHA-256 of the file unpacked and packed."""
    packed, target = staged / f"{name}.gz", staged / name
    faults = []
    for mirror in mirrors:
        try:
            source = fetch(f"{mirror.rstrip('/')}/{packed.name}", packed, progress)
            unpacked = idx.unpack(packed, target)
            if wanted.has(name, unpacked.sha256, source):
                packed.unlink()
                return host(mirror), unpacked.sha256, source
            faults.append(
                f"{host(mirror)}: {packed.name} has another SHA-256 than {wanted.title}'s"
            )
        except DownloadError as error:
            faults.append(str(error))
        except DataSetError as error:
            faults.append(f"{host(mirror)}: {error}")
        progress(faults[-1])
        packed.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
    raise DownloadError(*faults)
