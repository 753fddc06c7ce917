"""Pictures of what was measured, drawn by the peers' Python, which has matplotlib.

bench/.venv/bin/python bench/plot.py bench/results.json        # bench/results.png
bench/.venv/bin/python bench/plot.py bench/curves.json docs    # docs/performance-*.png
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")  # no screen is needed

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

OURS, PEER, MISSED, GOAL, FAINT = "#1f5f99", "#8a8a8a", "#b5422c", "#111111", "#dddddd"
WIDTH_IN = 9.0
DOTS_PER_INCH = 160
BAR = 0.55  # of the height of a row

pyplot.rcParams.update(
    {
        "font.size": 9,
        "axes.edgecolor": "#777777",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "savefig.facecolor": "white",
    }
)


# --- results.json: each row beside its peer, or beside its goal ------------------------------


@dataclass(frozen=True)
class Bar:
    """One row as a bar, from 1 (the peer, or the goal) to `factor`."""

    name: str
    factor: float | None  # None: it could not be measured
    goal: float
    least: bool  # the goal is what is least wanted, else what is most
    spread: Sequence[float]
    holds: bool
    words: str


def draw_results(results: Mapping[str, Any], target: Path) -> None:
    """Draw the rows with a goal against their peer, and under them those with one of their own."""
    beside_peers = [bar for one in results["rows"] if (bar := _peer_bar(one))]
    alone = [bar for one in results["rows"] if (bar := _own_bar(one))]
    panels = [
        (beside_peers, "times the peer, log scale; strokes are goals"),
        (alone, "share of the goal, log scale"),
    ]
    panels = [(bars, label) for bars, label in panels if bars]
    heights = [len(bars) for bars, _ in panels]
    figure, axes = pyplot.subplots(
        len(panels), 1, squeeze=False, layout="constrained",
        figsize=(WIDTH_IN, 0.36 * sum(heights) + 0.9 * len(panels)), height_ratios=heights,
    )  # fmt: skip
    for (bars, label), ax in zip(panels, axes[:, 0], strict=True):
        _draw_bars(ax, bars, label)
    figure.legend(
        handles=[Patch(color=OURS, label="goal reached"), Patch(color=MISSED, label="not reached")],
        loc="outside upper right", ncols=2,
    )  # fmt: skip
    figure.supxlabel(_machine_words(results["machine"]), fontsize=7, color="#777777")
    figure.savefig(target, dpi=DOTS_PER_INCH)
    pyplot.close(figure)


def _peer_bar(one: Mapping[str, Any]) -> Bar | None:
    goal = re.search(r"([≥≤]) ([\d.,]+) x", one["goal"])
    if goal is None:
        return None
    words = _missing(one) or (
        f"{short(one['ours'])} {one['unit']}; {one['against']}: {short(one['peer'])}"
    )
    return Bar(
        one["name"], one["ratio"], _number(goal[2]), goal[1] == "≥", one["ratio_spread"],
        one["holds"], words,
    )  # fmt: skip


def _own_bar(one: Mapping[str, Any]) -> Bar | None:
    goal = re.search(r"([≥≤]) ([\d.,e+-]+) (?!x(,|$))", one["goal"])
    if goal is None:
        return None
    bound = _number(goal[2])
    return Bar(
        one["name"], None if one["ours"] is None else one["ours"] / bound, 1, goal[1] == "≥",
        [figure / bound for figure in one["ours_spread"]], one["holds"],
        _missing(one) or f"{short(one['ours'])} {one['unit']}; goal {goal[1]} {short(bound)}",
    )  # fmt: skip


def _missing(one: Mapping[str, Any]) -> str:
    if not one["trouble"]:
        return ""
    trouble: str = one["trouble"]
    return "could not be measured: " + (trouble if len(trouble) <= 45 else f"{trouble[:45]}…")


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _draw_bars(ax: Axes, bars: Sequence[Bar], label: str) -> None:
    """Draw one panel: a bar for each row, its spread, its goal, and its figures in words."""
    for y, bar in enumerate(bars):
        if bar.factor is not None:
            colour = OURS if bar.holds else MISSED
            ax.barh(y, bar.factor - 1, left=1, height=BAR, color=colour)
            ax.plot(bar.factor, y, "o", color=colour, markersize=6)  # seen where the bar is short
        if len(bar.spread) == 2:
            ax.plot(bar.spread, [y, y], color=GOAL, linewidth=0.8)
        ax.plot([bar.goal, bar.goal], [y - 0.42, y + 0.42], color=GOAL, linewidth=1.6)
        marker = 9 if bar.least else 8  # a triangle towards where the goal is reached: right, left
        ax.plot(bar.goal, y - 0.38, marker=marker, color=GOAL, markersize=5)
        ax.text(1.02, y, bar.words, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.axvline(1, color="#777777", linewidth=0.8)
    ax.set_xscale("log")
    shown = [figure for bar in bars for figure in (bar.factor, bar.goal, 1) if figure]
    ax.set_xlim(min(0.5, min(shown) / 1.4), max(2, max(shown) * 1.4))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(bars)), [bar.name for bar in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.grid(axis="x", color=FAINT)
    ax.set_axisbelow(True)
    ax.set_xlabel(label)


# --- curves.json: cost as work grows ---------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of a panel: which figures, and what they are called."""

    figures: str
    label: str
    colour: str = OURS


@dataclass(frozen=True)
class Panel:
    """One of the two drawings of a picture."""

    title: str
    lines: tuple[Line, ...]
    log: bool = True


TRAINING = (Line("iterations_per_s", "Inkling"), Line("bare_iterations_per_s", "bare loop", PEER))
PICTURES = {
    "batch-size": ("examples in a batch", (
        Panel("iterations a second", TRAINING),
        Panel("examples a second", (
            Line("samples_per_s", "Inkling"), Line("bare_samples_per_s", "bare loop", PEER),
        )),
    )),
    "hidden-units": ("hidden units", (
        Panel("iterations a second", TRAINING),
        Panel("share of the bare loop's speed", (Line("ratio", "Inkling"),), log=False),
    )),
    "viewers": ("viewers of one gateway", (
        Panel("messages a second, at most", (Line("messages_per_s", "to all viewers"),)),
        Panel("ms from publication to a viewer, 20 frames a second", (Line("p99_ms", "99 %"),)),
    )),
    "connections": ("connections to inference", (
        Panel("requests a second", (Line("requests_per_s", "one image each"),), log=False),
        Panel("ms until the answer", (Line("p99_ms", "99 %"), Line("p50_ms", "median", PEER))),
    )),
}  # fmt: skip


def draw_curves(curves: Mapping[str, Any], folder: Path) -> None:
    """Draw performance-NAME.png for each curve that was measured."""
    for name, curve in curves.items():
        along, panels = PICTURES[name]
        figure, axes = pyplot.subplots(
            1, len(panels), figsize=(WIDTH_IN, 3.3), layout="constrained"
        )
        for panel, ax in zip(panels, axes, strict=True):
            _draw_panel(ax, panel, curve["points"])
            ax.set_xlabel(along)
        figure.supxlabel(_machine_words(curve["machine"]), fontsize=7, color="#777777")
        figure.savefig(folder / f"performance-{name}.png", dpi=DOTS_PER_INCH)
        pyplot.close(figure)


def _draw_panel(ax: Axes, panel: Panel, points: Sequence[Mapping[str, float]]) -> None:
    xs = [point["x"] for point in points]
    for line in panel.lines:
        values = [point[line.figures] for point in points]
        ax.plot(xs, values, "o-", color=line.colour, label=line.label, markersize=4, linewidth=1.5)
    ax.set_xscale("log", base=2)
    ax.set_xticks(xs, [f"{x:,}" for x in xs], rotation=45)
    ax.xaxis.set_minor_locator(NullLocator())
    if panel.log:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    else:
        ax.set_ylim(0, 1.08 * max(point[line.figures] for point in points for line in panel.lines))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.grid(color=FAINT)
    ax.set_axisbelow(True)
    ax.set_title(panel.title)
    if len(panel.lines) > 1:
        ax.legend()


# --- both ------------------------------------------------------------------------------------


def short(figure: float) -> str:
    """Return three significant digits, and all before the point."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def _machine_words(facts: Mapping[str, Any]) -> str:
    return (
        f"{facts['processor']}, {facts['cores']} cores; Python {facts['python']}, "
        f"numpy {facts['numpy']}"
    )


def main(source: Path, folder: Path | None = None) -> None:
    """Draw what `source` holds into `folder`, its own if none is given."""
    measured = json.loads(source.read_text())
    folder = folder or source.parent
    if "rows" in measured:
        draw_results(measured, folder / "results.png")
    else:
        draw_curves(measured["curves"], folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
