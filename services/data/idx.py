"""IDX files, the format of MNIST: checked while they are unpacked, then mapped into memory."""

import contextlib
import gzip
import hashlib
import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nn.model import CLASSES
from nn.model import IMAGE_SIDE as SIDE
from nn.model import INPUTS as PIXELS

IMAGES_MAGIC = 0x0803  # unsigned bytes, three dimensions
LABELS_MAGIC = 0x0801  # unsigned bytes, one dimension
IMAGES_HEADER = struct.Struct(">IIII")  # magic, count, rows, columns
LABELS_HEADER = struct.Struct(">II")  # magic, count
MAX_EXAMPLES = 300_000  # five times MNIST; bounds what a broken or hostile file can unpack to
PIECE_BYTES = 1 << 20

Bytes: TypeAlias = npt.NDArray[np.uint8]

# The four files of MNIST, and of what is published in its format.
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
FILE_NAMES = tuple(name for names in FILES.values() for name in names)


class DataSetError(Exception):
    """A data set cannot be had; the message names what is wrong, where, and a remedy."""


class Examples(NamedTuple):
    """Images (B, 784) and labels (B,), uint8."""

    images: Bytes
    labels: Bytes


@dataclass(frozen=True)
class Split:
    """Examples on disk: images (N, 784) and labels (N,), uint8, read-only."""

    images: Bytes
    labels: Bytes

    def take(self, rows: npt.NDArray[np.integer]) -> Examples:
        """Return copies of the images (B, 784) and labels (B,) in `rows` (B,)."""
        return Examples(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Unpacked:
    """What went through `unpack`."""

    count: int
    sha256: str


def unpack(source: Path, target: Path) -> Unpacked:
    """Copy an IDX file, unpacked if it ends in .gz, to the new file `target`, checking each byte.

    Raises DataSetError where it is not what its name says; `target` is then incomplete.
    """
    with _readable(source) as stream, target.open("xb") as sink:
        images = _holds_images(source)
        header = stream.read(IMAGES_HEADER.size if images else LABELS_HEADER.size)
        count = _count(source, header)
        digest = hashlib.sha256(header)
        sink.write(header)
        for piece in _body(source, stream, count * (PIXELS if images else 1)):
            if not images and max(piece) >= CLASSES:
                raise _fault(source, f"has the label {max(piece)}, where labels are 0 to 9")
            digest.update(piece)
            sink.write(piece)
        _sync(sink)
    return Unpacked(count, digest.hexdigest())


def write(target: Path, count: int, pieces: Iterable[Bytes]) -> str:
    """Write the new IDX file `target` of `count` examples and return its SHA-256."""
    if _holds_images(target):
        header = IMAGES_HEADER.pack(IMAGES_MAGIC, count, SIDE, SIDE)
    else:
        header = LABELS_HEADER.pack(LABELS_MAGIC, count)
    digest = hashlib.sha256(header)
    with target.open("xb") as sink:
        sink.write(header)
        for piece in pieces:
            data = piece.tobytes()
            digest.update(data)
            sink.write(data)
        _sync(sink)
    return digest.hexdigest()


def check_counts(source: Path, counts: dict[str, int]) -> None:
    """Raise DataSetError unless each image in the folder `source` has a label; counts by file."""
    for images, labels in FILES.values():
        if counts[images] != counts[labels]:
            raise DataSetError(
                f"{source}: {images} has {counts[images]} images but {labels} has "
                f"{counts[labels]} labels. Use files that belong together."
            )


def open_split(folder: Path, split: str) -> Split:
    """Return the split "train" or "test" of a folder with unpacked, checked files."""
    images, labels = (folder / name for name in FILES[split])
    with images.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    pixels = np.frombuffer(mapping, dtype=np.uint8, offset=IMAGES_HEADER.size)
    classes = np.frombuffer(labels.read_bytes(), dtype=np.uint8, offset=LABELS_HEADER.size)
    return Split(pixels.reshape(-1, PIXELS), classes)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds_images(path: Path) -> bool:
    return "-images-" in path.name


@contextlib.contextmanager
def _readable(source: Path) -> Iterator[BinaryIO]:
    """Give the unpacked bytes of a file, its faults and a bad gzip's as DataSetError."""
    try:
        with source.open("rb") as file:
            if source.suffix != ".gz":
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield unzipped  # type: ignore[misc]  # a BinaryIO in all but name
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _fault(source, f"is not a whole gzip file ({error})") from error


def _count(source: Path, header: bytes) -> int:
    """Return the number of examples that the header of an IDX file announces."""
    if _holds_images(source):
        layout, magic, shape = IMAGES_HEADER, IMAGES_MAGIC, [SIDE, SIDE]
    else:
        layout, magic, shape = LABELS_HEADER, LABELS_MAGIC, []
    if len(header) < layout.size:
        raise _fault(source, f"ends after {len(header)} bytes, within its header")
    found, count, *dimensions = layout.unpack(header)
    if found != magic:
        raise _fault(source, f"starts with 0x{found:08x}, where an IDX file has 0x{magic:08x}")
    if dimensions != shape:
        raise _fault(
            source, f"has images of {dimensions[0]} x {dimensions[1]}, not {SIDE} x {SIDE}"
        )
    if not 1 <= count <= MAX_EXAMPLES:
        raise _fault(source, f"announces {count} examples, where 1 to {MAX_EXAMPLES} are allowed")
    return int(count)


def _body(source: Path, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the `size` bytes after the header in pieces; neither fewer nor more may be there."""
    left = size
    while left:
        piece = stream.read(min(left, PIECE_BYTES))
        if not piece:
            raise _fault(source, f"is cut off: {size - left} of {size} bytes after its header")
        left -= len(piece)
        yield piece
    if stream.read(1):
        raise _fault(source, f"is longer than the {size} bytes that its header announces")


def _fault(source: Path, fault: str) -> DataSetError:
    return DataSetError(f"{source} {fault}. Get the file again, or take it away.")


def _sync(sink: BinaryIO) -> None:
    sink.flush()
    os.fsync(sink.fileno())
