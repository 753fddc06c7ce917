"""Find, unpack, download or draw the data set that is asked for, and say why it is this one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.data import cache, idx
from services.data.download import download
from services.data.drawing import FULL_DRAWING, SYNTHETIC, Drawing, store_drawn
from services.data.fetch import DownloadError, Progress, answering
from services.data.folder import OWN, find_folder, sources_of, unpack_folder
from services.data.idx import FILE_NAMES, DataSetError, Split
from services.data.published import MNIST, PUBLISHED, Published

AUTO = "auto"
CHOICES = (AUTO, *PUBLISHED, SYNTHETIC)
REMEDY = (
    f"Put {', '.join(f'{name}.gz' for name in FILE_NAMES)} in a folder and name it in "
    "INKLING_DATA_DIR, or set INKLING_DATASET=synthetic."
)


@dataclass(frozen=True)
class DataSet:
    """Examples to train on and others to test with; `reason` tells people why these."""

    name: str
    reason: str
    train: Split
    test: Split


@dataclass(frozen=True)
class Places:
    """Where data sets may come from: a folder, a cache, mirrors (before the public ones)."""

    data_dir: Path | None
    cache_dir: Path
    mirrors: Sequence[str] = ()
    published: Mapping[str, Published] = field(default_factory=lambda: PUBLISHED)
    drawing: Drawing = FULL_DRAWING


def prepare(choice: str, places: Places, progress: Progress) -> DataSet:
    """Return the data set `choice`, one of CHOICES; made ready on disk if it is not yet.

    Several processes may ask at once: one does the work, the others wait. Raises DataSetError
    if the data set cannot be had, or a file in the folder is broken.
    """
    if choice not in CHOICES:
        raise DataSetError(f"The data set {choice!r} is not one of {', '.join(CHOICES)}.")
    try:
        with cache.locked(places.cache_dir, progress, alone=False):
            ready = _ready(choice, places, progress)
        if ready is not None:
            return ready
        with cache.locked(places.cache_dir, progress, alone=True):
            return _ready(choice, places, progress) or _make(choice, places, progress)
    except OSError as error:
        raise DataSetError(
            f"The data set cannot be kept in INKLING_CACHE_DIR={places.cache_dir}: {error}. "
            "Make room there, or name another folder."
        ) from error


def _ready(choice: str, places: Places, progress: Progress) -> DataSet | None:
    """Return what `choice` stands for if it is ready: from the folder if it is there at all."""
    folder = _folder(choice, places)
    if folder is not None:
        key = _key_of(folder, places, progress)
        if key is None:
            return None  # it is to be unpacked first
        if key == OWN:
            reason = f"IDX files from the folder {folder}, which are not the published ones"
            progress(f"Warning: {reason}")
            return _open(places, OWN, _name(choice), reason)
        title = places.published[key].title
        if choice in (AUTO, key):
            return _open(places, key, key, f"{title} from the folder {folder}")
        progress(f"The folder {folder} has {title}, which is not what is asked for")
    if choice == SYNTHETIC:
        return _ready_drawn(places, progress, "as INKLING_DATASET asks")
    name = _name(choice)
    if not cache.holds(places.cache_dir, name, progress):
        return None
    return _open(places, name, name, f"{places.published[name].title} from the cache")


def _key_of(folder: Path, places: Places, progress: Progress) -> str | None:
    """Return the key under which the cache has this folder's files, if it has them."""
    sources = sources_of(folder)
    for key in (*places.published, OWN):
        if cache.holds(places.cache_dir, key, progress, sources):
            return key
    return None


def _ready_drawn(places: Places, progress: Progress, why: str) -> DataSet | None:
    if not cache.holds(places.cache_dir, SYNTHETIC, progress, places.drawing.sources):
        return None
    return _open(places, SYNTHETIC, SYNTHETIC, f"Digits drawn by the program: {why}")


def _make(choice: str, places: Places, progress: Progress) -> DataSet:
    """Make ready what `choice` stands for; needs the cache for itself."""
    folder = _folder(choice, places)
    if folder is not None:
        unpack_folder(folder, places.cache_dir, places.published.values(), progress)
        ready = _ready(choice, places, progress)
        if ready is not None:
            return ready
    if choice == SYNTHETIC:
        return _draw(places, progress, "as INKLING_DATASET asks")
    wanted = places.published[_name(choice)]
    try:
        source = _download(wanted, places, progress)
    except DownloadError as error:
        return _without(wanted, str(error), choice, places, progress)
    return _open(places, wanted.name, wanted.name, f"{wanted.title}, downloaded from {source}")


def _download(wanted: Published, places: Places, progress: Progress) -> str:
    """Download into the cache from a mirror that answers, and return its name."""
    progress(f"Asking mirrors for {wanted.title}")
    mirrors, silent = answering([*places.mirrors, *wanted.mirrors])
    try:
        return download(wanted, mirrors, places.cache_dir, progress)
    except DownloadError as error:
        raise DownloadError("; ".join([*silent, *error.args]) or "there is none") from error


def _without(
    wanted: Published, faults: str, choice: str, places: Places, progress: Progress
) -> DataSet:
    """Return drawn digits where `auto` leaves that open; else raise DataSetError."""
    missing = (
        f"no {wanted.title} in INKLING_DATA_DIR ({places.data_dir or 'not set'}) or the cache, "
        f"and no mirror gave it ({faults})"
    )
    if choice != AUTO:
        raise DataSetError(f"There is {missing}. {REMEDY}")
    progress(f"Using digits drawn by the program: {missing}")
    return _ready_drawn(places, progress, missing) or _draw(places, progress, missing)


def _draw(places: Places, progress: Progress, why: str) -> DataSet:
    store_drawn(places.drawing, places.cache_dir, progress)
    return _open(places, SYNTHETIC, SYNTHETIC, f"Digits drawn by the program: {why}")


def _folder(choice: str, places: Places) -> Path | None:
    """Return the folder with IDX files that may be what `choice` stands for."""
    if choice == SYNTHETIC:
        return None
    return find_folder(places.data_dir, places.published if choice == AUTO else [choice])


def _name(choice: str) -> str:
    return MNIST.name if choice == AUTO else choice


def _open(places: Places, key: str, name: str, reason: str) -> DataSet:
    folder = places.cache_dir / key
    return DataSet(name, reason, idx.open_split(folder, "train"), idx.open_split(folder, "test"))
