"""Digits drawn by the program: pen strokes with a hand's variety, scaled and centred as MNIST's.

The same seed gives the same bytes on every machine. Only operations whose result IEEE 754 fixes to
the last bit are used: + - * / and square root on whole arrays, comparisons, and sums of integers.
No sine, power, matrix product or sum of floats, whose last bits depend on processor and library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nn.model import IMAGE_SIDE as SIDE
from nn.normalize import BOX_SIDE
from services.data.glyphs import NEIGHBOURS, SAMPLES, Paths, compile_paths

Floats: TypeAlias = npt.NDArray[np.float64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Whole: TypeAlias = npt.NDArray[np.int64]

# Names what this program draws; a change of the drawing changes it, so that caches are redrawn.
STYLE = "1"

CENTRE_PIXEL = 14  # MNIST's digits have their centre of mass on this row and column
CHUNK = 500  # images drawn at once: enough to pay for the calls, small enough for the cache
PATCH = 6  # pixels around the pen that it can colour; its radius stays under PATCH / 2


def draw(seed: int, split: int, count: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Yield images (n, 784) and labels (n,) of 0..9, `count` in all, in chunks of n <= CHUNK.

    A split (0 for training, 1 for test) has its own digits. A shorter split is the beginning of a
    longer one.
    """
    paths = compile_paths()
    for chunk, start in enumerate(range(0, count, CHUNK)):
        images, labels = _draw_chunk(np.random.default_rng([seed, split, chunk]), paths)
        yield images[: count - start], labels[: count - start]


def _draw_chunk(rng: np.random.Generator, paths: Paths) -> tuple[Bytes, Bytes]:
    """Return CHUNK images (CHUNK, 784) and their labels (CHUNK,)."""
    labels = _pick(rng.random(CHUNK), np.arange(1.0, 11.0))
    ways = _choose_ways(rng.random(CHUNK), labels, paths)
    x, y = _bend(rng, *_wobble(rng, paths.points[ways]))  # (CHUNK, K) each
    x = _along(x, paths, ways)  # (CHUNK, SAMPLES)
    y = _along(y, paths, ways)
    pen = _choose_pen(rng)
    x, y = _fit(x, y, pen)
    return _centre(_ink(x, y, pen)).reshape(CHUNK, -1), labels.astype(np.uint8)


def _pick(chance: Floats, limits: Floats) -> Whole:
    """Return for each chance (N,) of 0..1 the first of the rising limits that exceeds it."""
    picked: Whole = np.searchsorted(limits, chance * limits[-1], side="right").astype(np.int64)
    return np.minimum(picked, len(limits) - 1)


def _choose_ways(chance: Floats, labels: Whole, paths: Paths) -> Whole:
    """Return for each label (N,) a row of paths, common ways more often than rare ones."""
    ways = np.zeros_like(labels)
    for digit in range(10):
        rows = np.flatnonzero(paths.digits == digit)
        own = labels == digit
        ways[own] = rows[_pick(chance[own], np.cumsum(paths.shares[rows]))]
    return ways


def _bell(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return numbers near a normal distribution of deviation 1, never beyond 3."""
    return (rng.random(shape) + rng.random(shape) + rng.random(shape) - 1.5) * 2.0


def _wobble(rng: np.random.Generator, points: Floats) -> tuple[Floats, Floats]:
    """Return x and y (N, K), 0 in the digit's middle, each point missed by a little."""
    count = points.shape[:2]
    unsteadiness = 0.015 + 0.04 * rng.random((len(points), 1))
    x = points[:, :, 0] - 0.45 + unsteadiness * _bell(rng, count)
    y = points[:, :, 1] - 0.5 + unsteadiness * _bell(rng, count)
    return x, y


def _bend(rng: np.random.Generator, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return x and y (N, K) bent, narrowed, slanted and turned as one hand would."""
    bow, taper, sag, tilt, waist = (0.22 * _bell(rng, (len(x), 1)) for _ in range(5))
    x, y = (
        x + bow * y * y + taper * x * y,
        y + sag * x * x + tilt * x * y + waist * (y * y - 0.25),
    )
    width = 0.85 + 0.18 * _bell(rng, (len(x), 1))
    slant = 0.15 + 0.23 * _bell(rng, (len(x), 1))
    x = x * width - y * slant
    # A rational point of the unit circle: a rotation without sine and cosine.
    turn = 0.06 * _bell(rng, (len(x), 1))
    cosine, sine = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
    return x * cosine - y * sine, x * sine + y * cosine


def _along(control: Floats, paths: Paths, ways: Whole) -> Floats:
    """Return the pen's places (N, SAMPLES) on curves through control points (N, K)."""
    places = np.zeros((len(ways), SAMPLES))
    for neighbour in range(NEIGHBOURS):  # one after the other: a sum of floats in a fixed order
        source = np.take_along_axis(control, paths.sources[ways, :, neighbour], axis=1)
        places += source * paths.weights[ways, :, neighbour]
    return places


@dataclass(frozen=True)
class Pen:
    """The pens of N digits, in pixels of the finished image."""

    radius: Floats  # (N, SAMPLES): to where the ink is half as dark
    softness: Floats  # (N, 1): from full ink to none


def _choose_pen(rng: np.random.Generator) -> Pen:
    radius = 0.6 + 0.6 * (rng.random((CHUNK, 1)) + rng.random((CHUNK, 1)))
    pressure = 0.12 * _bell(rng, (CHUNK, 1))  # more or less of it towards the end
    progress = (2 * np.arange(SAMPLES) - (SAMPLES - 1)) / (SAMPLES - 1)  # -1 to 1
    softness = 0.9 + 0.6 * rng.random((CHUNK, 1))
    return Pen(radius * (1 + pressure * progress), softness)


def _fit(x: Floats, y: Floats, pen: Pen) -> tuple[Floats, Floats]:
    """Return the places (N, SAMPLES) in pixels, the ink filling the middle 20 x 20."""
    left, top = x.min(axis=1, keepdims=True), y.min(axis=1, keepdims=True)
    right, bottom = x.max(axis=1, keepdims=True), y.max(axis=1, keepdims=True)
    room = BOX_SIDE - 2 * pen.radius.max(axis=1, keepdims=True) - 0.5 * pen.softness
    scale = room / np.maximum(right - left, bottom - top)
    middle = SIDE / 2
    return (
        middle + (x - (left + right) / 2) * scale,
        middle + (y - (top + bottom) / 2) * scale,
    )


def _ink(x: Floats, y: Floats, pen: Pen) -> Bytes:
    """Return images (N, 28, 28): as dark as the nearest of the pen's places (N, SAMPLES) makes."""
    canvas = np.zeros(len(x) * SIDE * SIDE, dtype=np.float32)
    image = np.arange(len(x))[:, None] * (SIDE * SIDE)
    square = (np.arange(PATCH)[:, None] * SIDE + np.arange(PATCH)).reshape(1, -1)
    inside = np.arange(PATCH) + 0.5
    sharpness = (1 / pen.softness).astype(np.float32)
    for sample in range(SAMPLES):
        column = np.floor(x[:, sample, None] + 0.5) - PATCH // 2
        row = np.floor(y[:, sample, None] + 0.5) - PATCH // 2
        across = (column + inside - x[:, sample, None]).astype(np.float32)
        down = (row + inside - y[:, sample, None]).astype(np.float32)
        square_distance = (down * down)[:, :, None] + (across * across)[:, None, :]
        distance = np.sqrt(square_distance).reshape(len(x), -1)
        dark = (pen.radius[:, sample, None].astype(np.float32) - distance) * sharpness
        where = image + (row * SIDE + column).astype(np.int64) + square
        canvas[where] = np.maximum(canvas[where], dark + np.float32(0.5))
    shades = np.floor(np.minimum(canvas, np.float32(1)) * np.float32(255) + np.float32(0.5))
    images: Bytes = shades.astype(np.uint8).reshape(-1, SIDE, SIDE)
    return images


def _centre(images: Bytes) -> Bytes:
    """Return images (N, 28, 28) moved by whole pixels, their centre of mass in the middle."""
    index = np.arange(SIDE)
    down = _offset(images.sum(axis=2, dtype=np.int64))
    right = _offset(images.sum(axis=1, dtype=np.int64))
    rows = (index - down[:, None]) % SIDE  # what wraps around is blank: the margin is 4 wide
    columns = (index - right[:, None]) % SIDE
    batch = np.arange(len(images))[:, None, None]
    centred: Bytes = images[batch, rows[:, :, None], columns[:, None, :]]
    return centred


def _offset(profile: Whole) -> Whole:
    """Return how far to move lines whose ink is `profile` (N, 28), within the margin."""
    mass = profile.sum(axis=1)
    moment = (profile * np.arange(SIDE)).sum(axis=1)
    offset: Whole = (2 * (CENTRE_PIXEL * mass - moment) + mass) // (
        2 * mass
    )  # rounded, in integers
    margin = (SIDE - BOX_SIDE) // 2
    return np.clip(offset, -margin, margin)
