"""Scale and centre drawings the way MNIST's digits are: in a 20 x 20 box, by centre of mass."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nn.model import IMAGE_SIDE as SIDE

Array: TypeAlias = npt.NDArray[np.float32]
Spans: TypeAlias = npt.NDArray[np.float64]

BOX_SIDE = 20
# MNIST's centre of mass is the middle of pixel 14, half a pixel beyond the image's own middle.
CENTRE = SIDE / 2 + 0.5
# Fainter than this share of the darkest pixel is paper or compression noise, not pen.
INK_SHARE = 0.05


def normalize(images: Array) -> Array:
    """Return images (B, 784) of 0..1 as MNIST would hold them; a blank image stays blank."""
    return normalize_pictures(images.reshape(-1, SIDE, SIDE))


def normalize_pictures(pictures: Array) -> Array:
    """Return pictures (B, H, W), ink 0..1 on paper 0, as images (B, 784)."""
    peak = pictures.max(axis=(1, 2), keepdims=True, initial=0.0)  # (B, 1, 1)
    ink = (pictures > INK_SHARE * peak) & (peak > 0)  # (B, H, W)
    top, height = _extent(ink.any(axis=2))  # (B,), (B,)
    left, width = _extent(ink.any(axis=1))
    scale = BOX_SIDE / np.maximum(height, width)
    rows = _resampling(top, height, scale, pictures.shape[1])  # (B, 20, H)
    columns = _resampling(left, width, scale, pictures.shape[2])  # (B, 20, W)
    boxes = np.matmul(np.matmul(rows, pictures), columns.swapaxes(1, 2))  # (B, 20, 20)
    return _centre(boxes).reshape(-1, SIDE * SIDE)


def _extent(inked: npt.NDArray[np.bool_]) -> tuple[Spans, Spans]:
    """Return the first inked line (B,) and the number of lines (B,) from there to the last."""
    first = inked.argmax(axis=1)
    last = inked.shape[1] - 1 - inked[:, ::-1].argmax(axis=1)
    lines = np.where(inked.any(axis=1), last - first + 1, 1)  # a blank picture counts as one line
    return first.astype(np.float64), lines.astype(np.float64)


def _resampling(start: Spans, length: Spans, scale: Spans, source: int) -> Array:
    """Return weights (B, 20, source) that shrink or stretch `length` lines from `start`.

    A tent filter as wide as the coarser of the two grids: it averages when shrinking,
    interpolates when stretching, and copies at scale 1.
    """
    cells = np.maximum(np.rint(length * scale), 1.0)[:, None]  # (B, 1)
    step = length[:, None] / cells  # source lines to one cell
    index = np.arange(BOX_SIDE)
    middles = start[:, None] + (index + 0.5) * step - 0.5  # (B, 20)
    distance = np.abs(np.arange(source) - middles[:, :, None])  # (B, 20, source)
    weights = np.maximum(0.0, 1.0 - distance / np.maximum(step, 1.0)[:, :, None])
    total = weights.sum(axis=2, keepdims=True)
    weights /= np.where(total > 0, total, 1.0)
    weights[index >= cells] = 0.0  # the shorter side fills only part of the box
    return weights.astype(np.float32)


def _centre(boxes: Array) -> Array:
    """Return boxes (B, 20, 20) placed, by whole pixels, in images (B, 28, 28)."""
    index = np.arange(SIDE)
    down = _offset(boxes.sum(axis=2))  # (B,)
    right = _offset(boxes.sum(axis=1))
    padded = np.pad(boxes, ((0, 0), (0, SIDE - BOX_SIDE), (0, SIDE - BOX_SIDE)))
    rows = (index - down[:, None]) % SIDE  # what wraps around is padding
    columns = (index - right[:, None]) % SIDE
    batch = np.arange(len(boxes))[:, None, None]
    placed: Array = padded[batch, rows[:, :, None], columns[:, None, :]]
    return placed


def _offset(profile: Array) -> npt.NDArray[np.int64]:
    """Return how far to move lines whose ink is `profile` (B, 20), losing none of it."""
    mass = profile.sum(axis=1)
    moment = profile @ (np.arange(BOX_SIDE, dtype=np.float32) + 0.5)
    used = BOX_SIDE - (profile[:, ::-1] > 0).argmax(axis=1)
    offset = np.rint(CENTRE - moment / np.where(mass > 0, mass, 1.0)).astype(np.int64)
    return np.clip(offset, 0, SIDE - used)
