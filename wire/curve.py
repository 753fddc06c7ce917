"""What is drawn of a run: its curve, thinned so that its spikes stay, marks, test points."""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from wire.codec import MalformedError, decode, encode
from wire.messages import History, Mark, TestPoint

MAX_VIEWER_POINTS = 4_000  # what a new viewer gets at most
MAX_KEPT_POINTS = 32_000  # 512 kB; thinned to half when full
MAX_MARKS = 200  # the newest
MAX_TEST_POINTS = 1_000  # of a run; thinned to half when full
MAX_VIEWER_TEST_POINTS = 300
_HEADER = struct.Struct("<4sQ")
_MAGIC = b"IKC2"
_MAGIC_WITHOUT_MARKS = b"IKC1"
_POINT = np.dtype([("iteration", "<i8"), ("loss", "<f4"), ("acc", "<f4")])


def thin(points: NDArray[np.void], limit: int) -> NDArray[np.void]:
    """Return at most `limit` (5 or more) of `points`, in order, among them every extreme.

    The newest point stays. The iterations before it are cut into equal spans; of each span the
    points of highest and lowest loss and accuracy stay. A loss that is not finite counts as the
    highest.
    """
    if len(points) <= limit:
        return points
    points, newest = points[:-1], points[-1:]
    spans = (limit - 1) // 4
    iteration = points["iteration"]
    width = (int(iteration[-1]) - int(iteration[0])) // spans + 1
    span = (iteration - iteration[0]) // width
    starts = np.flatnonzero(np.diff(span, prepend=-1))
    sizes = np.diff(starts, append=len(points))
    kept = np.zeros(len(points), np.bool_)
    loss = np.nan_to_num(points["loss"], nan=np.inf, posinf=np.inf)
    for values in (loss, -loss, points["acc"], -points["acc"]):
        highest = np.repeat(np.maximum.reduceat(values, starts), sizes)  # of each point's span
        (places,) = np.nonzero(values == highest)
        is_last = np.diff(span[places], append=spans) > 0  # of several that are as high
        kept[places[is_last]] = True
    return np.concatenate((points[kept], newest))


class Curve:
    """All points and marks of a run, exact while they are few, then thinned. Bounded memory."""

    def __init__(self, points: NDArray[np.void] | None = None, marks: Iterable[Mark] = ()) -> None:
        self._points = np.empty(MAX_KEPT_POINTS, _POINT)
        self._count = 0
        if points is not None:
            self._count = min(len(points), MAX_KEPT_POINTS)
            self._points[: self._count] = points[-self._count :] if self._count else points
        self._marks = _with_marks((), marks)

    def __len__(self) -> int:
        return self._count

    @property
    def last_iteration(self) -> int:
        """The iteration of the newest point; 0 when there is none."""
        return int(self._points["iteration"][self._count - 1]) if self._count else 0

    def cut(self, iteration: int) -> None:
        """Forget what is after `iteration`: the run went back."""
        kept = self._points["iteration"][: self._count]
        self._count = int(np.searchsorted(kept, iteration, side="right"))
        self._marks = _up_to(iteration, self._marks)

    def extend(self, history: History, after: int) -> None:
        """Replace the points and marks after iteration `after` by those of `history`."""
        self.cut(after)
        if history.marks:
            self._marks = _with_marks(self._marks, history.marks)
        new = _points_of(history)
        while self._count + len(new) > MAX_KEPT_POINTS:
            both = np.concatenate((self._points[: self._count], new))
            both = thin(both, MAX_KEPT_POINTS // 2)
            self._count, new = 0, both
        self._points[self._count : self._count + len(new)] = new
        self._count += len(new)

    def history(self, limit: int = MAX_VIEWER_POINTS) -> History:
        """Return at most `limit` points, spikes kept, and all marks."""
        return _history_of(thin(self._points[: self._count], limit), self._marks)

    def since(self, known: Curve) -> tuple[History, int]:
        """Return what somebody lacks who has `known`, as a frame's (history, history_from).

        What both have is left out, as far as the two agree. They do not from where a point differs,
        or a mark of `known` is here no more: the run went back to before that.
        """
        ours, theirs = self._points[: self._count], known._points[: known._count]
        both = min(len(ours), len(theirs))
        same = (ours[:both].view("u8") == theirs[:both].view("u8")).reshape(both, 2).all(axis=1)
        if same.all():
            agreed = min(self.last_iteration, known.last_iteration)
        else:
            first = int(np.argmin(same))
            agreed = min(int(ours["iteration"][first]), int(theirs["iteration"][first])) - 1
        if len(self._marks) < MAX_MARKS:  # else the oldest were dropped, which takes nothing back
            gone = [mark.iteration - 1 for mark in known._marks if mark not in self._marks]
            agreed = min([agreed, *gone])
        kept = _up_to(agreed, known._marks)
        marks = [mark for mark in self._marks if mark not in kept]
        new = thin(ours[ours["iteration"] > agreed], MAX_VIEWER_POINTS)
        return _history_of(new, marks), agreed

    def encode(self) -> bytes:
        """Return bytes: header, 16 bytes for each point, the marks as a History in JSON."""
        points = self._points[: self._count].tobytes()
        marks = encode(History(marks=self._marks))
        return b"".join((_HEADER.pack(_MAGIC, self._count), points, marks))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the curve in `data`; raise MalformedError if it is none."""
        if len(data) < _HEADER.size or data[:4] not in (_MAGIC, _MAGIC_WITHOUT_MARKS):
            raise MalformedError("no curve")
        (magic, count) = _HEADER.unpack_from(data)
        end = _HEADER.size + count * _POINT.itemsize
        if count > MAX_KEPT_POINTS or len(data) < end:
            raise MalformedError(f"a curve of {count} points does not have {len(data)} bytes")
        points = np.frombuffer(data, _POINT, count, _HEADER.size)
        # Two below 0 may be so far from others that their difference has no place in 64 bits.
        if (points["iteration"] < 0).any() or (np.diff(points["iteration"]) <= 0).any():
            raise MalformedError("the iterations of a curve do not grow from 0 on")
        if not np.isfinite(points["acc"]).all():
            raise MalformedError("an accuracy of a curve is not finite")
        return cls(points, decode(History, data[end:]).marks if magic == _MAGIC else ())


class PackedHistory(NamedTuple):
    """A frame's history and history_from, in 24 bytes a point; as lists it takes some 100."""

    after: int
    iteration: array[int]
    loss: array[float]  # NaN where it was not finite
    acc: array[float]
    marks: list[Mark]
    tests: list[TestPoint]


def pack(history: History, after: int) -> PackedHistory:
    """Return `history`, which goes after iteration `after`, packed."""
    loss = (math.nan if loss is None else loss for loss in history.loss)
    return PackedHistory(
        after,
        array("q", history.iteration),
        array("d", loss),
        array("d", history.acc),
        history.marks,
        history.tests,
    )


def merge(frames: Iterable[PackedHistory]) -> tuple[History, int]:
    """Return several frames' histories as the (history, history_from) of one frame.

    As in every frame, a history replaces what is after its history_from: where the run went back,
    what this took back is left out.
    """
    iteration, loss, acc = array("q"), array("d"), array("d")
    marks: list[Mark] = []
    tests: list[TestPoint] = []
    start: int | None = None
    for frame in frames:
        start = frame.after if start is None else min(start, frame.after)
        kept = bisect_right(iteration, frame.after)
        iteration[kept:] = frame.iteration
        loss[kept:] = frame.loss
        acc[kept:] = frame.acc
        marks = _with_marks(_up_to(frame.after, marks), frame.marks)
        tests = with_tests(_up_to(frame.after, tests), frame.tests)
    finite = [None if math.isnan(value) else value for value in loss]
    return History(iteration.tolist(), finite, acc.tolist(), marks, tests), start or 0


def with_tests(tests: Sequence[TestPoint], new: Iterable[TestPoint]) -> list[TestPoint]:
    """Return `tests` and then `new`, whose iterations grow, at most MAX_TEST_POINTS.

    One that is not after those before it says that the run went back: it takes their place.
    """
    kept = list(tests)
    for point in new:
        while kept and kept[-1].iteration >= point.iteration:
            kept.pop()
        kept.append(point)
    return kept[::-2][::-1] if len(kept) > MAX_TEST_POINTS else kept


def spread(tests: Sequence[TestPoint], limit: int = MAX_VIEWER_TEST_POINTS) -> list[TestPoint]:
    """Return at most `limit` of `tests`, evenly spread, the newest among them."""
    step = -(-len(tests) // limit) or 1
    return list(tests[::-step][::-1])


T = TypeVar("T", Mark, TestPoint)


def _up_to(iteration: int, entries: Iterable[T]) -> list[T]:
    return [entry for entry in entries if entry.iteration <= iteration]


def _with_marks(marks: Iterable[Mark], new: Iterable[Mark]) -> list[Mark]:
    """Return both, each mark once, as time went; the newest MAX_MARKS."""
    once = {(mark.kind, mark.at): mark for mark in (*marks, *new)}
    return sorted(once.values(), key=lambda mark: mark.at)[-MAX_MARKS:]


def _points_of(history: History) -> NDArray[np.void]:
    points = np.empty(len(history.iteration), _POINT)
    points["iteration"] = history.iteration
    points["loss"] = [np.nan if loss is None else loss for loss in history.loss]
    points["acc"] = history.acc
    return points


def _history_of(points: NDArray[np.void], marks: Sequence[Mark]) -> History:
    loss = points["loss"].astype(object)
    loss[~np.isfinite(points["loss"])] = None
    return History(points["iteration"].tolist(), loss.tolist(), points["acc"].tolist(), list(marks))
