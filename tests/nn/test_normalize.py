"""Drawings are scaled and centred as MNIST's digits are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.model import IMAGE_SIDE as SIDE
from nn.normalize import BOX_SIDE, CENTRE, Array, normalize, normalize_pictures


def bar(top: int, left: int, height: int, width: int, ink: float = 1.0) -> Array:
    """Return one blank image (1, 28, 28) with a rectangle of ink."""
    picture = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    picture[0, top : top + height, left : left + width] = ink
    return picture


def box(image: Array) -> tuple[int, int]:
    """Return how many rows and columns of image (784,) have ink."""
    inked = image.reshape(SIDE, SIDE) > 0.05
    return int(inked.any(axis=1).sum()), int(inked.any(axis=0).sum())


def centre_of_mass(image: Array) -> tuple[float, float]:
    """Return the row and column, from the corner of image (784,), where its ink balances."""
    picture = image.reshape(SIDE, SIDE)
    middles = np.arange(SIDE) + 0.5
    mass = float(picture.sum())
    return float(middles @ picture.sum(axis=1)) / mass, float(picture.sum(axis=0) @ middles) / mass


def test_blank_images_stay_blank() -> None:
    result = normalize(np.zeros((3, 784), dtype=np.float32))
    assert result.shape == (3, 784)
    assert result.dtype == np.float32
    assert not result.any()


def test_no_images_give_no_images() -> None:
    assert normalize(np.zeros((0, 784), dtype=np.float32)).shape == (0, 784)


@given(
    top=st.integers(0, 20),
    left=st.integers(0, 20),
    height=st.integers(1, 8),
    width=st.integers(1, 8),
    ink=st.floats(0.125, 1.0, width=32),
)
def test_a_small_bar_fills_the_box_keeps_its_shape_and_is_centred(
    top: int, left: int, height: int, width: int, ink: float
) -> None:
    result = normalize(bar(top, left, height, width, ink).reshape(1, 784))[0]
    rows, columns = box(result)
    assert max(rows, columns) == BOX_SIDE
    assert rows / columns == pytest.approx(height / width, rel=0.3)
    row, column = centre_of_mass(result)
    assert row == pytest.approx(CENTRE, abs=0.51)
    assert column == pytest.approx(CENTRE, abs=0.51)
    assert result.min() >= 0
    assert result.max() <= ink * 1.0001


def test_where_it_was_drawn_does_not_matter() -> None:
    rng = np.random.default_rng([1])
    digit = rng.random((9, 6)).astype(np.float32)
    images = np.zeros((2, SIDE, SIDE), dtype=np.float32)
    images[0, 1:10, 2:8] = digit
    images[1, 17:26, 20:26] = digit
    first, second = normalize(images.reshape(2, 784))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_one_image_and_many_agree() -> None:
    images = np.concatenate([bar(2, 3, 9, 4), bar(0, 0, 28, 28), bar(12, 5, 1, 1)]).reshape(3, 784)
    together = normalize(images)
    alone = np.concatenate([normalize(image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@given(seed=st.integers(0, 1000))
def test_a_normalised_drawing_is_left_alone(seed: int) -> None:
    """What already fills the box is moved by a pixel at most, never resampled again."""
    rng = np.random.default_rng([seed])
    picture = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    picture[0, 4:24, 6:20] = rng.random((20, 14))
    picture[0, 4, 6] = picture[0, 23, 19] = 1.0
    once = normalize(picture.reshape(1, 784))
    np.testing.assert_allclose(normalize(once), once, atol=1e-6)


def test_no_ink_is_lost_when_the_weight_is_at_one_end() -> None:
    """Centring by mass would push a light tail out of the image; the tail stays inside."""
    picture = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    picture[0, 4:24, 14] = 0.2
    picture[0, 22:24, 8:21] = 1.0
    result = normalize(picture.reshape(1, 784))[0]
    assert box(result) == (20, 13)
    assert result.sum() == pytest.approx(picture.sum(), rel=1e-4)


def test_faint_noise_does_not_count_as_ink() -> None:
    clean = bar(10, 10, 8, 4).reshape(1, 784)
    noise = np.random.default_rng([2]).random((1, 784)).astype(np.float32) * 0.04
    assert box(normalize(np.maximum(clean, noise))[0]) == box(normalize(clean)[0])


def test_a_large_picture_is_averaged_not_sampled() -> None:
    """A checkerboard of single pixels turns grey: no pixel of the picture is skipped."""
    picture = np.zeros((1, 400, 300), dtype=np.float32)
    picture[0, ::2, ::2] = picture[0, 1::2, 1::2] = 1.0
    result = normalize_pictures(picture)[0]
    assert box(result) == (20, 15)
    inner = result.reshape(SIDE, SIDE)[8:18, 10:18]
    np.testing.assert_allclose(inner, 0.5, atol=0.02)
