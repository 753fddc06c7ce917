"""The order of the data depends on the seed and the place, and on nothing else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.data import idx
from services.data.idx import Split
from services.data.order import cut, epoch_order

COUNT = 300
NUMBERED = (np.arange(COUNT) % 251).astype(np.uint8)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Return examples whose pixels and labels tell which one it is."""
    folder: Path = tmp_path_factory.mktemp("numbered")
    images = np.zeros((COUNT, 784), dtype=np.uint8)
    images[:, 0] = NUMBERED
    images[:, 1] = np.arange(COUNT) // 251
    idx.write(folder / "train-images-idx3-ubyte", COUNT, [images])
    idx.write(folder / "train-labels-idx1-ubyte", COUNT, [(NUMBERED % 10).astype(np.uint8)])
    return idx.open_split(folder, "train")


@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 10_000), count=st.integers(1, 500))
def test_an_epoch_has_each_example_once(seed: int, epoch: int, count: int) -> None:
    order = epoch_order(seed, epoch, count)
    assert order.dtype == np.uint32
    assert sorted(order.tolist()) == list(range(count))


def test_seed_and_epoch_each_change_the_order() -> None:
    orders = {
        epoch_order(seed, epoch, 60).tobytes() for seed in range(8) for epoch in range(8)
    }  # also (0, 1) and (1, 0)
    assert len(orders) == 64


def test_the_order_is_the_same_for_everybody() -> None:
    """Weights are the same to the bit from machine to machine only while this holds."""
    assert epoch_order(7, 3, 12).tolist() == [5, 0, 9, 2, 4, 10, 1, 7, 6, 8, 11, 3]


def test_nobody_can_disturb_the_order_of_others() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(0, 0, 10)[0] = 3


@given(batch_size=st.integers(1, 400), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_the_batches_of_an_epoch_cover_each_example_once(
    split: Split, batch_size: int, seed: int, epoch: int
) -> None:
    seen = []
    for position in range(0, COUNT, batch_size):
        images, labels = cut(split, seed, epoch, position, batch_size)
        assert len(images) == len(labels) == min(batch_size, COUNT - position)
        numbers = images[:, 1].astype(int) * 251 + images[:, 0]
        assert (labels == images[:, 0] % 10).all()
        seen += numbers.tolist()
    assert sorted(seen) == list(range(COUNT))


@given(position=st.integers(0, COUNT - 1), batch_size=st.integers(1, 64))
def test_a_batch_is_a_pure_function_of_its_place(
    split: Split, position: int, batch_size: int
) -> None:
    whole = cut(split, 4, 2, 0, COUNT)
    images, labels = cut(split, 4, 2, position, batch_size)
    np.testing.assert_array_equal(images, whole.images[position : position + batch_size])
    np.testing.assert_array_equal(labels, whole.labels[position : position + batch_size])


@pytest.mark.parametrize("position", [-1, COUNT])
def test_a_place_outside_the_epoch_is_refused(split: Split, position: int) -> None:
    with pytest.raises(ValueError, match=f"position {position} is not in an epoch of 300"):
        cut(split, 0, 0, position, 8)
