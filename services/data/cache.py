"""The folder of data sets made ready: whole and checked, or not there at all.

A data set is put together in a staging folder and then moved into place in one step, under a lock
that all processes of the machine share; its manifest tells how each file must be.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from services.data.idx import FILE_NAMES, DataSetError, file_sha256

MANIFEST = "manifest.json"
STAGING = "staging"
LOCK = "lock"


@dataclass(frozen=True)
class Manifest:
    """What a data set in the cache is: the SHA-256 of its files, and what they were made from."""

    files: dict[str, str]
    sources: dict[str, str]


@contextlib.contextmanager
def locked(cache_dir: Path, progress: Callable[[str], None], *, alone: bool) -> Iterator[None]:
    """Hold the cache: `alone` to change it, else beside other readers; say so before waiting."""
    with _open_lock(cache_dir) as file:
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Waiting for another process that makes the data set ready")
            fcntl.flock(file, kind)
        yield


def holds(
    cache_dir: Path,
    key: str,
    progress: Callable[[str], None],
    sources: Mapping[str, str] | None = None,
) -> bool:
    """Tell whether the data set `key` is there, made from `sources` if given, and undamaged."""
    folder = cache_dir / key
    if not folder.is_dir():
        return False
    try:
        fields = json.loads((folder / MANIFEST).read_text())
        manifest = Manifest(dict(fields["files"]), dict(fields["sources"]))
        if sources is not None and manifest.sources != sources:
            return False
        damaged = [name for name in FILE_NAMES if _differs(folder / name, manifest.files[name])]
    except (OSError, ValueError, KeyError, TypeError):
        damaged = [MANIFEST]
    if damaged:
        progress(f"{folder} is damaged ({', '.join(damaged)}); it is made again")
    return not damaged


@contextlib.contextmanager
def staging(cache_dir: Path) -> Iterator[Path]:
    """Give an empty folder to put a data set together in; needs the lock for itself."""
    folder = cache_dir / STAGING
    shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def store(staged: Path, key: str, manifest: Manifest) -> None:
    """Move the files of a staged data set, each already on the disk, into place as `key`."""
    with (staged / MANIFEST).open("x") as file:
        json.dump(asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    target = staged.parent / key
    shutil.rmtree(target, ignore_errors=True)  # readers keep the files that they have mapped
    staged.rename(target)
    _sync_folder(target)
    _sync_folder(target.parent)


@contextlib.contextmanager
def _open_lock(cache_dir: Path) -> Iterator[int]:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(cache_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataSetError(
            f"INKLING_CACHE_DIR={cache_dir} cannot be written to ({error.strerror}). "
            "Name a folder that can."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # gives the lock back, as a process that dies does


def _differs(path: Path, sha256: str) -> bool:
    return not path.is_file() or file_sha256(path) != sha256


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
