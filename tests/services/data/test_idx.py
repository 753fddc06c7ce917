"""IDX files: each fault is told, with the file and what to do."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from services.data import idx
from services.data.idx import DataSetError

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"
TWO_IMAGES = struct.pack(">IIII", 0x0803, 2, 28, 28) + bytes(range(196)) * 8
THREE_LABELS = struct.pack(">II", 0x0801, 3) + bytes([0, 9, 4])
IMAGES_GZ = gzip.compress(TWO_IMAGES, mtime=0)  # without the time, tests keep their names
LABELS_GZ = gzip.compress(THREE_LABELS, mtime=0)


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    source = put(tmp_path, f"{IMAGES}.gz", gzip.compress(TWO_IMAGES))
    unpacked = idx.unpack(source, tmp_path / "out")
    assert unpacked.count == 2
    assert (tmp_path / "out").read_bytes() == TWO_IMAGES
    assert unpacked.sha256 == idx.file_sha256(tmp_path / "out")


def test_an_unpacked_file_is_copied(tmp_path: Path) -> None:
    assert idx.unpack(put(tmp_path, LABELS, THREE_LABELS), tmp_path / "out").count == 3
    assert (tmp_path / "out").read_bytes() == THREE_LABELS


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        (IMAGES, b"", "ends after 0 bytes, within its header"),
        (IMAGES, TWO_IMAGES[:11], "ends after 11 bytes, within its header"),
        (IMAGES, THREE_LABELS * 3, "starts with 0x00000801, where an IDX file has 0x00000803"),
        (LABELS, TWO_IMAGES, "starts with 0x00000803, where an IDX file has 0x00000801"),
        (IMAGES, struct.pack(">IIII", 0x0803, 1, 32, 24), "has images of 32 x 24, not 28 x 28"),
        (IMAGES, struct.pack(">IIII", 0x0803, 0, 28, 28), "announces 0 examples"),
        (LABELS, struct.pack(">II", 0x0801, 2**32 - 1), "announces 4294967295 examples, where 1 "),
        (IMAGES, TWO_IMAGES[:-1], "is cut off: 1567 of 1568 bytes after its header"),
        (IMAGES, TWO_IMAGES + b"x", "is longer than the 1568 bytes that its header announces"),
        (LABELS, THREE_LABELS[:-1] + b"\x0a", "has the label 10, where labels are 0 to 9"),
        (f"{IMAGES}.gz", IMAGES_GZ[:-9], "is not a whole gzip file"),
        (f"{IMAGES}.gz", TWO_IMAGES, "is not a whole gzip file (Not a gzipped file"),
        (f"{LABELS}.gz", LABELS_GZ[:-8] + b"abcdabcd", "CRC check failed"),
        (f"{LABELS}.gz", LABELS_GZ[:10] + b"\xff" * 9, "invalid block type"),
    ],
)
def test_a_fault_names_the_file_and_a_remedy(
    tmp_path: Path, name: str, data: bytes, fault: str
) -> None:
    source = put(tmp_path, name, data)
    with pytest.raises(DataSetError) as caught:
        idx.unpack(source, tmp_path / "out")
    assert str(caught.value).startswith(str(source))
    assert fault in str(caught.value)
    assert "Get the file again, or take it away." in str(caught.value)


def test_a_bomb_is_stopped_where_its_header_says_that_it_ends(tmp_path: Path) -> None:
    bomb = gzip.compress(TWO_IMAGES + bytes(50 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(DataSetError, match="is longer than the 1568 bytes"):
        idx.unpack(put(tmp_path, f"{IMAGES}.gz", bomb), tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= len(TWO_IMAGES)


def test_images_without_labels_are_told() -> None:
    counts = dict.fromkeys(idx.FILE_NAMES, 10) | {LABELS: 9}
    with pytest.raises(
        DataSetError, match=rf"/d: {IMAGES} has 10 images but {LABELS} has 9 labels"
    ):
        idx.check_counts(Path("/d"), counts)


def test_what_is_written_can_be_opened(tmp_path: Path) -> None:
    images = np.random.default_rng([1]).integers(0, 256, (5, 784), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5], dtype=np.uint8)
    idx.write(tmp_path / IMAGES, 5, [images[:2], images[2:]])
    idx.write(tmp_path / LABELS, 5, [labels])
    for name in (IMAGES, LABELS):
        idx.unpack(tmp_path / name, tmp_path / f"checked-{name}")
    split = idx.open_split(tmp_path, "train")
    np.testing.assert_array_equal(split.images, images)
    np.testing.assert_array_equal(split.labels, labels)
    assert not split.images.flags.writeable
    assert not split.labels.flags.writeable


def test_what_is_taken_stays_when_the_file_is_gone(tmp_path: Path) -> None:
    images = np.random.default_rng([2]).integers(0, 256, (40, 784), dtype=np.uint8)
    idx.write(tmp_path / IMAGES, 40, [images])
    idx.write(tmp_path / LABELS, 40, [np.zeros(40, dtype=np.uint8)])
    split = idx.open_split(tmp_path, "train")
    os.remove(tmp_path / IMAGES)
    rows = np.array([7, 0, 39, 7])
    first = split.take(rows)
    second = split.take(rows)
    np.testing.assert_array_equal(first.images, images[rows])
    np.testing.assert_array_equal(second.images, images[rows])
