"""Measurements side by side: ours and a peer's in turn, medians with their spread, one table."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

Figures = Mapping[str, float]  # by the name of the row
Side = Callable[[], Figures]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Goal:
    """What a row should reach: bounds on the ratio ours / peer, and on ours alone."""

    ratio_least: float | None = None
    ratio_most: float | None = None
    least: float | None = None
    most: float | None = None

    def words(self, unit: str) -> str:
        """Return the goal as the table shows it."""
        bounds = [
            (self.ratio_least, "≥ {:.3g} x"),
            (self.ratio_most, "≤ {:.3g} x"),
            (self.least, "≥ {:,g} " + unit),
            (self.most, "≤ {:,g} " + unit),
        ]
        return ", ".join(text.format(bound) for bound, text in bounds if bound is not None)

    def holds(self, ours: float, ratio: float | None) -> bool:
        """Return whether these figures reach it."""
        ratio_bounded = self.ratio_least is not None or self.ratio_most is not None
        if ratio_bounded and ratio is None:
            return False
        return (
            (self.ratio_least is None or (ratio or 0) >= self.ratio_least)
            and (self.ratio_most is None or (ratio or 0) <= self.ratio_most)
            and (self.least is None or ours >= self.least)
            and (self.most is None or ours <= self.most)
        )


@dataclass(frozen=True)
class Row:
    """One line of the table: what is measured, in which unit, against whom, and the goal."""

    name: str
    unit: str
    peer: str  # what it is, in words; "" for a row that has none
    goal: Goal


@dataclass(frozen=True)
class Group:
    """Rows that are measured together.

    `sides()` starts what they need, gives what measures once for ours and what does for the
    peers, and ends what it started. Each returns the figures of the rows it has something for.
    """

    name: str
    rows: tuple[Row, ...]
    sides: Callable[[], AbstractContextManager[tuple[Side, Side]]]


@dataclass
class Samples:
    """What was measured for one row: a figure of each side for each repeat."""

    row: Row
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    trouble: str = ""  # why it could not be measured

    def result(self) -> dict[str, Any]:
        """Return the row as results.json holds it: medians, and the least and the most of each.

        The ratio is the median of those within a repeat, so that a machine whose speed drifts
        does not move it.
        """
        row = self.row
        ratios = [a / b for a, b in zip(self.ours, self.peer, strict=False)] if row.peer else []
        ours = statistics.median(self.ours) if self.ours else None
        ratio = statistics.median(ratios) if ratios else None
        trouble = self.trouble or ("" if ours is not None else "nothing was measured")
        return {
            "name": row.name,
            "ours": ours,
            "peer": statistics.median(self.peer) if self.peer else None,
            "unit": row.unit,
            "ratio": ratio,
            "goal": row.goal.words(row.unit),
            "holds": not trouble and ours is not None and row.goal.holds(ours, ratio),
            "against": row.peer,
            "ours_spread": _spread(self.ours),
            "peer_spread": _spread(self.peer),
            "ratio_spread": _spread(ratios),
            "trouble": trouble,
        }


def _spread(figures: Sequence[float]) -> list[float]:
    return [min(figures), max(figures)] if figures else []


def measure(group: Group, repeats: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure a group's rows: ours, peer, ours, peer ...; return their results.

    Whatever goes wrong is told and makes its rows fail: the other groups are measured all the same.
    """
    samples = {row.name: Samples(row) for row in group.rows}
    try:
        with group.sides() as (ours, peer):
            for turn in range(repeats):
                tell(f"{group.name}: {turn + 1} of {repeats}")
                for name, figure in ours().items():
                    samples[name].ours.append(figure)
                for name, figure in peer().items():
                    samples[name].peer.append(figure)
    except Exception as error:
        log.exception("%s could not be measured", group.name)
        for sample in samples.values():
            sample.trouble = f"{type(error).__name__}: {error}"
    return [sample.result() for sample in samples.values()]


def table(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table, in Markdown."""
    yield "| row | ours | peer | ratio | goal | holds |"
    yield "|---|---:|---:|---:|---|---|"
    for one in results:
        unit = one["unit"]
        cells = [
            f"`{one['name']}`",
            _cell(one["ours"], one["ours_spread"], unit),
            _cell(one["peer"], one["peer_spread"], unit),
            _cell(one["ratio"], one["ratio_spread"], "x"),
            one["goal"],
            "yes" if one["holds"] else "**no**",
        ]
        yield "| " + " | ".join(cells) + " |"
    for one in results:
        if one["trouble"]:
            yield f"\n`{one['name']}` could not be measured: {one['trouble']}"


def _cell(median: float | None, spread: Sequence[float], unit: str) -> str:
    if median is None:
        return ""
    text = f"{_short(median)} {unit}"
    return f"{text} ({_short(spread[0])} to {_short(spread[1])})" if len(spread) == 2 else text


def _short(figure: float) -> str:
    """Return three significant digits, and all before the point."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"
