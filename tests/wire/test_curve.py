"""The curve keeps its spikes, and is what a plain list of points would be."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import accuracy_at, history_of, mark_of
from wire import messages
from wire.codec import MalformedError
from wire.curve import (
    MAX_KEPT_POINTS,
    MAX_MARKS,
    MAX_TEST_POINTS,
    MAX_VIEWER_POINTS,
    MAX_VIEWER_TEST_POINTS,
    Curve,
    merge,
    pack,
    spread,
    thin,
    with_tests,
)
from wire.messages import History, Mark

Point = tuple[int, float | None, float]
# Numbers that float32 holds exactly, so that a curve gives them back as they were.
LOSS = st.none() | st.floats(0, 1e6, width=32)
ACC = st.floats(0, 1, width=32)


@dataclass
class Naive:
    """What a viewer has, without bounds: lists of points, marks and test points."""

    points: list[Point] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    tests: list[messages.TestPoint] = field(default_factory=list)

    def cut(self, iteration: int) -> None:
        self.points = [point for point in self.points if point[0] <= iteration]
        self.marks = [mark for mark in self.marks if mark.iteration <= iteration]
        self.tests = [point for point in self.tests if point.iteration <= iteration]

    def extend(self, history: History, after: int) -> None:
        self.cut(after)
        self.points += points_of(history)
        new = [mark for mark in history.marks if mark not in self.marks]
        self.marks = sorted(self.marks + new, key=lambda mark: mark.at)
        for point in history.tests:
            self.tests = [t for t in self.tests if t.iteration < point.iteration] + [point]


def points_of(history: History) -> list[Point]:
    return list(zip(history.iteration, history.loss, history.acc, strict=True))


def history_from(points: list[Point]) -> History:
    return History([p[0] for p in points], [p[1] for p in points], [p[2] for p in points])


@st.composite
def histories(draw: st.DrawFn, most: int = 30) -> tuple[History, int]:
    """Return what a frame may tell, and the iteration after which it goes."""
    after = draw(st.integers(0, 60))
    steps = draw(st.lists(st.integers(1, 3), max_size=most))
    iterations = [after + sum(steps[: k + 1]) for k in range(len(steps))]
    points = history_from([(k, draw(LOSS), draw(ACC)) for k in iterations])
    marked = draw(st.sets(st.integers(after, max([after, *iterations])), max_size=3))
    tested = draw(st.sets(st.integers(0, max([after, *iterations])), max_size=3))
    told = History(
        marks=[mark_of(k) for k in sorted(marked)], tests=[accuracy_at(k) for k in sorted(tested)]
    )
    return History(points.iteration, points.loss, points.acc, told.marks, told.tests), after


@given(st.lists(histories(), max_size=8))
def test_a_curve_is_what_a_list_of_points_would_be(frames: list[tuple[History, int]]) -> None:
    curve, naive = Curve(), Naive()
    for history, after in frames:
        curve.extend(history, after)
        naive.extend(history, after)
        assert points_of(curve.history()) == naive.points
        assert curve.history().marks == naive.marks
        assert len(curve) == len(naive.points)
        assert curve.last_iteration == (naive.points[-1][0] if naive.points else 0)


@given(histories(), st.integers(0, 120))
def test_cut_forgets_what_came_after(frame: tuple[History, int], at: int) -> None:
    curve = Curve()
    curve.extend(frame[0], 0)
    curve.cut(at)
    assert points_of(curve.history()) == [p for p in points_of(frame[0]) if p[0] <= at]
    assert curve.history().marks == [mark for mark in frame[0].marks if mark.iteration <= at]


@given(st.lists(histories(), max_size=8))
def test_a_merged_frame_does_what_its_frames_do(frames: list[tuple[History, int]]) -> None:
    one_by_one, at_once = Naive(), Naive()
    start: list[Point] = [(k, 1.0, 0.5) for k in range(1, 80)]
    for viewer in (one_by_one, at_once):
        viewer.points = list(start)
        viewer.marks = [mark_of(k) for k in range(0, 80, 5)]
        viewer.tests = [accuracy_at(k) for k in range(0, 80, 3)]
    for history, after in frames:
        one_by_one.extend(history, after)
    if frames:
        at_once.extend(*merge([pack(*frame) for frame in frames]))
    assert at_once == one_by_one


@given(st.lists(histories(), max_size=6), st.lists(histories(), max_size=4), st.integers(0, 6))
def test_what_was_missed_brings_a_viewer_up_to_date(
    seen: list[tuple[History, int]], missed: list[tuple[History, int]], common: int
) -> None:
    known, curve, viewer, expected = Curve(), Curve(), Naive(), Naive()
    for history, after in seen:
        known.extend(history, after)
        viewer.extend(history, after)
    for history, after in [*seen[:common], *missed]:
        curve.extend(history, after)
        expected.extend(history, after)
    history, after = curve.since(known)
    viewer.extend(history, after)
    assert viewer.points == expected.points
    assert viewer.marks == expected.marks


def test_what_a_viewer_has_is_not_told_again() -> None:
    known, curve = Curve(), Curve()
    known.extend(History([1, 2, 3], [0.5, None, 0.5], [0, 0, 0], [mark_of(2)]), 0)
    assert known.since(known) == (History(), 3)
    curve.extend(History([1, 2, 3, 4], [0.5, None, 0.5, 1], [0, 0, 0, 0], [mark_of(2)]), 0)
    assert curve.since(known) == (History([4], [1.0], [0.0]), 3)
    assert known.since(curve) == (History(), 3)  # the run went back
    curve.extend(History([3], [0.25], [0]), 2)
    assert curve.since(known) == (History([3], [0.25], [0.0]), 2)


def test_merging_nothing_is_nothing() -> None:
    assert merge([]) == (History(), 0)


@given(histories())
def test_a_curve_survives_its_bytes(frame: tuple[History, int]) -> None:
    curve = Curve()
    curve.extend(frame[0], 0)
    again = Curve.decode(curve.encode())
    assert again.history() == curve.history()
    again.extend(history_of(1000), 999)  # it does not look into the bytes, which are read-only
    assert again.last_iteration == 1000


# --- marks and test points ------------------------------------------------------------------
def test_a_mark_at_the_iteration_gone_back_to_stays() -> None:
    curve = Curve()
    curve.extend(History(marks=[mark_of(4), mark_of(5), mark_of(6)]), 6)
    curve.extend(History(marks=[mark_of(5, "restore", 9)]), 5)
    kept = [(mark.kind, mark.iteration) for mark in curve.history().marks]
    assert kept == [("lrate", 4), ("lrate", 5), ("restore", 5)]


def test_only_the_newest_marks_are_kept() -> None:
    curve = Curve()
    for k in range(1, MAX_MARKS + 6):
        curve.extend(History(marks=[mark_of(k)]), k)
    assert curve.history().marks == [mark_of(k) for k in range(6, MAX_MARKS + 6)]


def test_a_curve_from_before_there_were_marks_is_one_without() -> None:
    new = curve_of([(1, 0.5, 0.5), (2, None, 0.25)])
    old = Curve.decode(b"IKC1" + new.encode()[4:44])
    assert old.history() == new.history()


def test_test_points_are_bounded_and_the_newest_stays() -> None:
    kept = with_tests([], [accuracy_at(k) for k in range(MAX_TEST_POINTS)])
    assert len(kept) == MAX_TEST_POINTS
    kept = with_tests(kept, [accuracy_at(MAX_TEST_POINTS)])
    assert kept == [accuracy_at(k) for k in range(0, MAX_TEST_POINTS + 1, 2)]


@given(st.integers(0, 1500))
def test_a_viewer_gets_test_points_evenly_spread(count: int) -> None:
    tests = [accuracy_at(k) for k in range(count)]
    few = spread(tests)
    assert len(few) <= MAX_VIEWER_TEST_POINTS
    assert few[-1:] == tests[-1:]
    assert len({b.iteration - a.iteration for a, b in pairwise(few)}) <= 1
    if count <= MAX_VIEWER_TEST_POINTS:
        assert few == tests


# --- thinning -------------------------------------------------------------------------------
def curve_of(points: list[Point]) -> Curve:
    curve = Curve()
    curve.extend(history_from(points), 0)
    return curve


def extremes(points: list[Point]) -> tuple[float, float, float, float]:
    """Return the highest and lowest loss and accuracy; no loss counts as the highest."""
    losses = [np.inf if p[1] is None else p[1] for p in points]
    accs = [p[2] for p in points]
    return max(losses), min(losses), max(accs), min(accs)


@settings(max_examples=60)
@given(histories(most=200), st.integers(5, 60))
def test_thinning_keeps_every_extreme(frame: tuple[History, int], limit: int) -> None:
    points = points_of(frame[0])
    kept = points_of(curve_of(points).history(limit))
    assert len(kept) <= limit
    assert [p[0] for p in kept] == sorted({p[0] for p in kept})
    assert set(kept) <= set(points)
    if len(points) <= limit:
        assert kept == points
    elif points:
        assert extremes(kept) == extremes(points)


@settings(max_examples=60)
@given(histories(most=200), st.integers(5, 60))
def test_every_span_keeps_its_extremes(frame: tuple[History, int], limit: int) -> None:
    points = points_of(frame[0])
    if len(points) <= limit:
        return
    *kept, newest = points_of(curve_of(points).history(limit))
    assert newest == points.pop()
    first, last = points[0][0], points[-1][0]
    width = (last - first) // ((limit - 1) // 4) + 1
    for start in range(first, last + 1, width):
        span = [p for p in points if start <= p[0] < start + width]
        if span:
            assert extremes([p for p in kept if start <= p[0] < start + width]) == extremes(span)


def test_a_viewer_gets_few_points_and_every_spike() -> None:
    points: list[Point] = [(k, 0.25, 0.5) for k in range(1, 30_001)]
    spikes = {7: 9.0, 12_345: None, 20_000: 0.0, 29_999: 4.0}
    for iteration, loss in spikes.items():
        points[iteration - 1] = (iteration, loss, 0.5)
    kept = curve_of(points).history()
    assert len(kept.iteration) <= MAX_VIEWER_POINTS
    found = dict(zip(kept.iteration, kept.loss, strict=True))
    assert {iteration: found[iteration] for iteration in spikes} == spikes


def test_memory_is_bounded_and_spikes_stay() -> None:
    curve = Curve()
    spike = 1_234
    for start in range(0, 5 * MAX_KEPT_POINTS, 8_000):
        points: list[Point] = [(k, 0.25, 0.5) for k in range(start + 1, start + 8_001)]
        if start == 0:
            points[spike - 1] = (spike, 77.0, 0.5)
        curve.extend(history_from(points), start)
        assert len(curve) <= MAX_KEPT_POINTS
    assert curve.last_iteration > 5 * MAX_KEPT_POINTS - 8_000
    kept = curve.history()
    assert dict(zip(kept.iteration, kept.loss, strict=True))[spike] == 77.0
    assert len(curve.encode()) <= 100 + 16 * MAX_KEPT_POINTS


def test_more_points_at_once_than_a_curve_keeps_are_thinned() -> None:
    curve = curve_of([(k, float(k), 0.5) for k in range(1, 3 * MAX_KEPT_POINTS)])
    assert len(curve) <= MAX_KEPT_POINTS
    assert curve.last_iteration == 3 * MAX_KEPT_POINTS - 1


def test_thin_leaves_short_curves_alone() -> None:
    points = np.zeros(4, [("iteration", "<i8"), ("loss", "<f4"), ("acc", "<f4")])
    assert thin(points, 4) is points


# --- what is refused ------------------------------------------------------------------------
ONE = curve_of([(1, 0.5, 0.5)]).encode()
TWO = curve_of([(1, 0.5, 0.5), (2, 0.5, 0.5)]).encode()


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "no curve"),
        (b"IKC1", "no curve"),
        (b"IKB1" + ONE[4:], "no curve"),
        (ONE[:27], "a curve of 1 points does not have 27 bytes"),
        (b"IKC2" + b"\xff" * 8, "a curve of 18446744073709551615 points does not have 12 bytes"),
        (TWO[:12] + ONE[12:28] * 2, "the iterations of a curve do not grow from 0 on"),
        (ONE[:19] + b"\x80" + ONE[20:], "the iterations of a curve do not grow from 0 on"),
        (ONE[:24] + b"\0\0\xc0\x7f" + ONE[28:], "an accuracy of a curve is not finite"),
        (ONE[:28], "no History: Input data was truncated"),
        (
            ONE[:28] + b'{"marks":[{"iteration":-1}]}',
            "no History: Expected `int` >= 0 - at `$.marks[0].iteration`",
        ),
        (ONE + b"x", "no History: JSON is malformed: trailing characters (byte 58)"),
    ],
)
def test_what_is_no_curve_is_refused(data: bytes, detail: str) -> None:
    with pytest.raises(MalformedError) as caught:
        Curve.decode(data)
    assert str(caught.value) == detail
