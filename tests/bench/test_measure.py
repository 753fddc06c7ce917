"""What the bench makes of figures: medians, spreads, goals, and rows that could not be measured."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import Goal, Group, Row, Samples, Side, measure, table

SPEED = Row("speed", "steps/s", "a tortoise", Goal(ratio_least=2))
DELAY = Row("delay", "ms", "", Goal(most=20))


def group_of(rows, ours, peer, log=None):
    """Return a group whose sides give these figures, turn by turn; each call goes to `log`."""
    log = [] if log is None else log

    @contextmanager
    def sides() -> Iterator[tuple[Side, Side]]:
        log.append("start")
        turns_of_ours, turns_of_peer = iter(ours), iter(peer)

        def side(name, turns):
            log.append(name)
            figures = next(turns)
            if isinstance(figures, Exception):
                raise figures
            return figures

        try:
            yield lambda: side("ours", turns_of_ours), lambda: side("peer", turns_of_peer)
        finally:
            log.append("end")

    return Group("race", rows, sides)


def measured(group, repeats=3):
    return {one["name"]: one for one in measure(group, repeats, lambda words: None)}


def test_sides_take_turns_and_end():
    log: list[str] = []
    group = group_of((SPEED,), [{"speed": 4}] * 3, [{"speed": 1}] * 3, log)
    measured(group)
    assert log == ["start", *["ours", "peer"] * 3, "end"]


def test_a_row_holds_medians_and_spreads():
    ours = [{"speed": 400}, {"speed": 380}, {"speed": 1000}]
    peer = [{"speed": 100}, {"speed": 190}, {"speed": 125}]
    row = measured(group_of((SPEED,), ours, peer))["speed"]
    assert (row["ours"], row["peer"]) == (400, 125)
    assert (row["ours_spread"], row["peer_spread"]) == ([380, 1000], [100, 190])
    # of the ratios 4, 2 and 8, not the ratio of the medians, which is 3.2
    assert (row["ratio"], row["ratio_spread"]) == (4, [2, 8])
    assert row["holds"] is True
    assert row["trouble"] == ""


def test_a_machine_that_slows_down_leaves_the_ratio():
    ours = [{"speed": 300 / slower} for slower in (1, 2, 4)]
    peer = [{"speed": 100 / slower} for slower in (1, 2, 4)]
    assert measured(group_of((SPEED,), ours, peer))["speed"]["ratio_spread"] == [3, 3]


def test_a_row_without_a_peer_has_no_ratio():
    row = measured(group_of((DELAY,), [{"delay": 7}] * 3, [{}] * 3))["delay"]
    assert (row["ours"], row["peer"], row["ratio"], row["holds"]) == (7, None, None, True)


def test_what_fails_is_told_and_fails_its_rows_alone():
    log: list[str] = []
    ours = [{"speed": 400, "delay": 7}, RuntimeError("the cable is out")]
    failing = group_of((SPEED, DELAY), ours, [{"speed": 1}] * 2, log)
    rows = measured(failing)
    assert {row["trouble"] for row in rows.values()} == {"RuntimeError: the cable is out"}
    assert not any(row["holds"] for row in rows.values())
    assert log[-1] == "end"
    assert "`delay` could not be measured: RuntimeError: the cable is out" in "\n".join(
        table(list(rows.values()))
    )


def test_a_row_that_nobody_measured_fails():
    rows = measured(group_of((SPEED, DELAY), [{"speed": 4}] * 3, [{"speed": 1}] * 3))
    assert (rows["delay"]["holds"], rows["delay"]["trouble"]) == (False, "nothing was measured")
    assert rows["speed"]["holds"] is True


def test_a_row_whose_peer_was_not_measured_fails():
    row = measured(group_of((SPEED,), [{"speed": 4}] * 3, [{}] * 3))["speed"]
    assert (row["ratio"], row["holds"]) == (None, False)


@pytest.mark.parametrize(
    ("goal", "ours", "ratio", "holds"),
    [
        (Goal(ratio_least=4), 1, 4, True),
        (Goal(ratio_least=4), 1, 3.99, False),
        (Goal(ratio_most=1 / 3), 1, 0.3, True),
        (Goal(ratio_most=1 / 3), 1, 0.34, False),
        (Goal(ratio_most=1 / 3), 1, None, False),
        (Goal(least=300), 300, None, True),
        (Goal(least=300), 299, None, False),
        (Goal(most=20), 20, None, True),
        (Goal(most=20), 21, None, False),
        (Goal(ratio_most=1 / 3, most=5), 6, 0.1, False),  # both bounds count
        (Goal(ratio_most=1 / 3, most=5), 5, 0.4, False),
        (Goal(ratio_most=1 / 3, most=5), 5, 0.3, True),
    ],
)
def test_a_goal_holds_at_its_bounds_and_not_past_them(goal, ours, ratio, holds):
    assert goal.holds(ours, ratio) is holds


def test_a_goal_in_words():
    assert Goal(ratio_most=0.333, most=5).words("s") == "≤ 0.333 x, ≤ 5 s"
    assert Goal(ratio_least=0.95).words("steps/s") == "≥ 0.95 x"
    assert Goal(least=3000).words("MB/s") == "≥ 3,000 MB/s"


def test_the_table():
    rows = measured(
        group_of(
            (SPEED, DELAY),
            [{"speed": 4000, "delay": 30.0}, {"speed": 4200, "delay": 30.5}],
            [{"speed": 1000}, {"speed": 1050}],
        ),
        repeats=2,
    )
    assert list(table(list(rows.values()))) == [
        "| row | ours | peer | ratio | goal | holds |",
        "|---|---:|---:|---:|---|---|",
        "| `speed` | 4,100 steps/s (4,000 to 4,200) | 1,025 steps/s (1,000 to 1,050) "
        "| 4 x (4 to 4) | ≥ 2 x | yes |",
        "| `delay` | 30.2 ms (30 to 30.5) |  |  | ≤ 20 ms | **no** |",
    ]


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(1, 1e6)), min_size=1, max_size=9))
def test_a_median_lies_within_its_spread(pairs):
    samples = Samples(SPEED, [ours for ours, _ in pairs], [peer for _, peer in pairs])
    row = samples.result()
    for side in ("ours", "peer", "ratio"):
        least, most = row[f"{side}_spread"]
        assert least <= row[side] <= most
