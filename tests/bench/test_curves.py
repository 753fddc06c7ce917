"""Which points of a curve are measured."""

import pytest

from bench.curves import CURVES, chosen


@pytest.mark.parametrize(
    ("count", "picked"),
    [(None, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5]), (3, [1, 3, 5]), (2, [1, 5]), (1, [1])],
)
def test_a_few_points_reach_from_end_to_end(count, picked):
    assert chosen([1, 2, 3, 4, 5], count) == picked


def test_curves_span_what_is_promised():
    ends = {name: (curve.points[0], curve.points[-1]) for name, curve in CURVES.items()}
    assert ends == {
        "batch-size": (1, 4096),
        "hidden-units": (16, 2048),
        "viewers": (1, 2000),
        "connections": (1, 256),
    }
