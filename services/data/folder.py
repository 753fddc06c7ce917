"""Data sets from a folder of the user's, which is read and never written."""

from collections.abc import Callable, Iterable
from pathlib import Path

from services.data import cache, idx
from services.data.idx import FILE_NAMES, DataSetError
from services.data.published import Published

OWN = "own"  # in the cache: files of somebody's own in MNIST's format


def find_folder(data_dir: Path | None, names: Iterable[str]) -> Path | None:
    """Return `data_dir` or the folder in it named as a data set, the first that has IDX files.

    The first name goes before `data_dir` itself, further ones after it.
    """
    if data_dir is None:
        return None
    if not data_dir.is_dir():
        raise DataSetError(
            f"INKLING_DATA_DIR={data_dir} is not a folder. Name one that is, or none."
        )
    first, *others = (data_dir / name for name in names)
    for folder in (first, data_dir, *others):
        if any(_find_file(folder, name) for name in FILE_NAMES):
            return folder
    return None


def _find_file(folder: Path, name: str) -> Path | None:
    """Return the file, unpacked or packed, if the folder has it."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def _files(folder: Path) -> dict[str, Path]:
    found = {name: _find_file(folder, name) for name in FILE_NAMES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise DataSetError(
            f"{folder} lacks {', '.join(missing)} (or the same with .gz). Add what is missing, "
            "or take the others away."
        )
    return {name: path for name, path in found.items() if path is not None}


def sources_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the folder's files as they lie there."""
    found = {}
    for name, path in _files(folder).items():
        try:
            found[name] = idx.file_sha256(path)
        except OSError as error:
            raise DataSetError(f"{path} cannot be read ({error.strerror}).") from error
    return found


def unpack_folder(
    folder: Path, cache_dir: Path, known: Iterable[Published], progress: Callable[[str], None]
) -> None:
    """Check the folder's files and put them in the cache as the data set that they are."""
    progress(f"Unpacking the files in {folder}")
    sources = sources_of(folder)
    with cache.staging(cache_dir) as staged:
        unpacked = {name: idx.unpack(path, staged / name) for name, path in _files(folder).items()}
        idx.check_counts(folder, {name: file.count for name, file in unpacked.items()})
        files = {name: file.sha256 for name, file in unpacked.items()}
        names = (published.name for published in known if published.is_this(files, sources))
        cache.store(staged, next(names, OWN), cache.Manifest(files, sources))
