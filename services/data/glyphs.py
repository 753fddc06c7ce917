"""How people write the ten digits: the strokes of a pen, several ways for each digit.

A stroke is a curve through its points, x to the right and y down, the digit about 1 high. A point
written twice is a corner. Points with equal coordinates are one point, so that strokes which meet
there still meet after the hand has wobbled.
"""

import itertools
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Point: TypeAlias = tuple[float, float]
Stroke: TypeAlias = tuple[Point, ...]

SAMPLES = 96  # places of the pen for one digit; at 20 pixels height they lie under 0.7 apart
NEIGHBOURS = 4  # control points that pull at one place of the pen


@dataclass(frozen=True)
class Way:
    """One way to write a digit, and how common it is beside the digit's other ways."""

    digit: int
    share: float
    strokes: tuple[Stroke, ...]


def _way(digit: int, share: float, *strokes: str) -> Way:
    return Way(digit, share, tuple(_stroke(stroke) for stroke in strokes))


def _stroke(text: str) -> Stroke:
    """Return the points of "12,30 40,5": hundredths of the digit's height."""
    pairs = (pair.split(",") for pair in text.split())
    return tuple((int(x) / 100, int(y) / 100) for x, y in pairs)


WAYS = (
    # An oval: closed, with its ends apart, overlapping, or curling in; drawn either way round.
    _way(0, 4, "52,1 24,10 6,45 13,82 42,100 73,85 84,48 74,14 50,0"),
    _way(0, 2, "42,4 16,20 4,55 16,88 45,100 75,82 84,45 72,12 60,3"),
    _way(0, 2, "62,4 30,3 8,38 10,75 36,99 66,92 82,55 74,18 50,2 34,10"),
    _way(0, 1, "70,10 45,0 18,20 6,55 18,90 48,100 76,80 82,42 66,10 48,8 42,20"),
    _way(0, 1, "40,3 68,10 83,45 78,80 50,100 18,88 5,52 16,14 44,2"),
    # A line, a bent line, with a flag, with flag and foot.
    _way(1, 5, "50,0 50,50 50,100"),
    _way(1, 2, "52,0 46,50 50,100"),
    _way(1, 3, "26,24 42,12 52,0 52,0 50,50 50,100"),
    _way(1, 1, "24,26 50,0 50,0 50,50 50,100", "22,100 50,99 80,100"),
    # A corner, a wave or a loop at the foot; a round or a flat head.
    _way(2, 3, "8,25 22,5 52,0 76,17 68,44 38,74 5,98 5,98 45,97 90,97"),
    _way(2, 3, "10,20 32,2 62,4 74,26 58,55 30,82 8,93 4,84 18,76 44,86 66,97 92,88"),
    _way(2, 2, "6,30 20,6 50,0 74,20 64,50 36,78 8,97 8,97 32,88 62,99 94,90"),
    _way(2, 1, "10,10 44,2 76,8 72,30 40,66 8,99 8,99 50,100 86,98"),
    _way(2, 1, "20,34 12,16 34,0 64,4 76,26 60,56 34,84 12,99 2,92 14,82 42,90 84,100"),
    # Two bows with a sharp, a soft or a looped waist; a flat head with a corner.
    _way(3, 4, "10,14 36,0 68,8 70,30 34,46 34,46 70,56 80,78 52,99 18,97 2,85"),
    _way(3, 2, "6,8 40,0 66,14 58,36 40,46 66,54 78,74 56,97 24,99 2,90"),
    _way(3, 2, "8,16 34,0 66,8 66,32 44,48 30,48 38,42 68,54 80,76 54,99 14,95"),
    _way(3, 1, "8,3 40,2 76,2 76,2 56,22 38,41 38,41 70,48 80,72 56,98 22,99 2,88"),
    # Open, closed, with a round bowl, with a short stem, in one go.
    _way(4, 4, "18,2 14,28 6,56 6,56 46,57 90,52", "70,6 66,50 60,100"),
    _way(4, 2, "60,0 34,32 4,66 4,66 48,66 92,64", "60,0 60,50 58,100"),
    _way(4, 3, "12,4 8,32 22,52 50,52 74,36", "80,2 74,36 66,70 60,100"),
    _way(4, 1, "24,0 12,30 8,54 8,54 40,56 82,50", "60,26 60,60 56,100"),
    _way(4, 1, "66,4 36,26 8,58 8,58 44,58 88,50", "72,14 64,56 56,100"),
    # A head joined by a corner, a head apart from the body, a soft S.
    _way(5, 3, "84,2 54,3 26,3 26,3 22,22 16,43 16,43 44,34 76,48 78,78 48,100 6,92"),
    _way(5, 2, "26,8 22,24 16,44 16,44 46,36 76,50 76,80 46,100 6,94", "28,4 56,3 90,-2"),
    _way(5, 2, "80,2 46,3 24,16 28,40 58,50 74,72 54,97 10,93"),
    _way(5, 1, "30,6 20,46 20,46 50,42 74,62 60,92 30,100 6,94", "30,6 60,6 86,4"),
    # A bowed or a straight back, a curl at the top, a wide or a narrow bowl.
    _way(6, 4, "68,0 38,16 14,48 8,80 32,100 66,92 74,68 52,54 24,64 10,82"),
    _way(6, 2, "50,0 30,28 10,66 20,98 54,98 70,76 52,58 26,66 12,80"),
    _way(6, 2, "82,12 64,0 36,10 14,42 10,78 34,100 66,90 72,66 48,52 22,62 12,74"),
    _way(6, 1, "40,0 20,36 10,76 34,100 60,86 54,64 30,64 14,84"),
    # Plain, with a bar, with a hook at the left, with a wavy head, with a round shoulder.
    _way(7, 4, "6,6 40,5 80,3 80,3 56,44 36,100"),
    _way(7, 2, "6,6 42,4 82,4 82,4 56,48 36,100", "26,52 50,50 76,47"),
    _way(7, 2, "8,24 12,5 12,5 46,7 84,4 84,4 58,48 42,100"),
    _way(7, 1, "4,14 26,3 54,9 84,2 84,2 56,48 42,100"),
    _way(7, 2, "4,12 34,2 66,2 76,16 60,52 42,100"),
    _way(7, 1, "8,20 14,4 14,4 48,6 82,4 82,4 56,50 40,100", "28,54 52,50 74,50"),
    # One stroke that crosses itself, with its ends meeting or apart, or two rings.
    _way(8, 4, "72,14 46,0 20,12 26,34 54,50 76,72 64,96 34,100 14,84 26,62 54,44 74,24 68,8"),
    _way(8, 2, "78,8 46,2 20,16 30,38 58,54 72,78 48,100 20,90 20,68 46,48 74,24 82,4"),
    _way(8, 2, "46,47 20,32 24,8 50,0 72,14 68,36 46,47 18,62 12,86 42,100 74,88 72,62 46,47"),
    _way(8, 1, "24,20 46,2 70,14 60,38 34,56 14,80 36,100 68,92 66,66 40,46 20,28 30,8"),
    # A bowl with a straight, a slanting, a bowed or a curled tail.
    _way(9, 3, "74,16 48,0 16,14 10,38 34,52 62,40 74,16 74,16 70,58 66,100"),
    _way(9, 2, "70,12 40,0 12,22 18,46 46,46 72,20 72,20 60,60 44,100"),
    _way(9, 2, "74,18 50,0 16,14 16,42 46,50 74,24 78,44 72,78 48,100 14,92"),
    _way(9, 2, "78,6 44,2 14,24 20,48 50,46 76,14 76,14 74,54 58,84 36,100"),
    _way(9, 1, "62,10 36,4 20,24 32,44 58,36 66,14 66,14 64,60 64,100"),
)


@dataclass(frozen=True)
class Paths:
    """The ways of WAYS as arrays; place s of way v is the sum of weight times control point."""

    digits: npt.NDArray[np.int64]  # (V,)
    shares: npt.NDArray[np.float64]  # (V,)
    points: npt.NDArray[np.float64]  # (V, K, 2): x, y; rows past a way's own points are 0
    sources: npt.NDArray[np.int64]  # (V, SAMPLES, NEIGHBOURS): rows of `points`
    weights: npt.NDArray[np.float64]  # (V, SAMPLES, NEIGHBOURS)


def compile_paths(ways: tuple[Way, ...] = WAYS) -> Paths:
    """Return the ways as arrays that draw many digits at once."""
    controls = [_controls(way) for way in ways]
    points = np.zeros((len(ways), max(map(len, controls)), 2))
    sources = np.zeros((len(ways), SAMPLES, NEIGHBOURS), dtype=np.int64)
    weights = np.zeros((len(ways), SAMPLES, NEIGHBOURS))
    for index, (way, known) in enumerate(zip(ways, controls, strict=True)):
        points[index, : len(known)] = known
        pieces = _pieces(way, known)
        for sample, (piece, position) in enumerate(_walk(pieces, known)):
            sources[index, sample] = piece
            weights[index, sample] = _pull(position)
    return Paths(
        digits=np.array([way.digit for way in ways]),
        shares=np.array([way.share for way in ways], dtype=np.float64),
        points=points,
        sources=sources,
        weights=weights,
    )


def _controls(way: Way) -> list[Point]:
    return list(dict.fromkeys(point for stroke in way.strokes for point in stroke))


def _pieces(way: Way, known: list[Point]) -> list[tuple[int, int, int, int]]:
    """Return, for each stretch between two points, these and the points before and after them."""
    pieces = []
    for stroke in way.strokes:
        for run in _runs([known.index(point) for point in stroke]):
            padded = [run[0], *run, run[-1]]
            pieces += list(zip(padded, padded[1:], padded[2:], padded[3:], strict=False))
    return pieces


def _runs(indices: list[int]) -> list[list[int]]:
    """Return the smooth parts of a stroke: it is cut where a point comes twice in a row."""
    runs = [[indices[0]]]
    for before, index in itertools.pairwise(indices):
        if index == before:
            runs.append([index])
        else:
            runs[-1].append(index)
    return runs


def _walk(
    pieces: list[tuple[int, int, int, int]], known: list[Point]
) -> list[tuple[tuple[int, int, int, int], float]]:
    """Return SAMPLES places, evenly spaced along the pieces: the piece and how far into it."""
    lengths = [_distance(known[start], known[end]) for _, start, end, _ in pieces]
    places = []
    piece, begun = 0, 0.0
    for sample in range(SAMPLES):
        travelled = sum(lengths) * sample / (SAMPLES - 1)
        while piece < len(pieces) - 1 and travelled > begun + lengths[piece]:
            begun += lengths[piece]
            piece += 1
        places.append((pieces[piece], min((travelled - begun) / lengths[piece], 1.0)))
    return places


def _distance(first: Point, second: Point) -> float:
    across, down = second[0] - first[0], second[1] - first[1]
    return math.sqrt(across * across + down * down)


def _pull(t: float) -> tuple[float, float, float, float]:
    """Return a Catmull-Rom curve's weights of four points, at t of the way from the 2nd to 3rd."""
    return (
        (-t + 2 * t * t - t * t * t) / 2,
        (2 - 5 * t * t + 3 * t * t * t) / 2,
        (t + 4 * t * t - 3 * t * t * t) / 2,
        (-t * t + t * t * t) / 2,
    )
