"""Cost as work grows: batch size, hidden units, viewers, connections to inference.

    make bench-curves                                    # all curves: docs/performance-*.png
    .venv/bin/python -m bench.curves viewers --points 3  # one, at its least, middle and most

Writes bench/curves.json, in which curves that are not measured this time stay as they are, and
draws all that it holds. Wants a quiet machine, and MNIST in INKLING_DATA_DIR.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import machine
from bench.load import Load, run_load
from bench.peers import peer_python
from bench.rows import fanout
from bench.training import LEARNING_RATE, Viewer, bare_rate, stack_rate
from nn.model import INPUTS
from services.data.idx import Split, open_split
from tests.running import ROOT, Stack, running_stack, wait_until

RESULTS = Path(__file__).parent / "curves.json"
PLOT = Path(__file__).parent / "plot.py"
PICTURES = ROOT / "docs"

BATCH_SIZES = (1, 4, 16, 64, 128, 256, 1024, 4096)
HIDDEN_UNITS = (16, 32, 64, 128, 256, 512, 1024, 2048)
VIEWERS = (1, 10, 100, 300, 1000, 2000)
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

BATCH_SIZE, HIDDEN = 128, 128  # where they are not what grows

Figures = Mapping[str, float]
Point = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How long and how often each point is measured, and where data sets are unpacked."""

    seconds: float
    repeats: int
    datasets: Path


@dataclass(frozen=True)
class Curve:
    """What grows, and what measures each of the points asked for."""

    points: tuple[int, ...]
    measure: Callable[[Sequence[int], Plan], Iterator[Point]]


def _median(x: int, repeats: int, once: Callable[[], Figures]) -> Point:
    """Return the medians of what `once` measures so many times, at `x`."""
    measured = [once() for _ in range(repeats)]
    return {"x": x} | {
        name: statistics.median(one[name] for one in measured) for name in measured[0]
    }


# --- training: the running stack, and the bare loop of nn, in turn ---------------------------


def batch_size(points: Sequence[int], plan: Plan) -> Iterator[Point]:
    """Yield what training does at each batch size."""
    with _stack(plan) as stack:
        split = _training_split(stack, plan)
        for size in points:
            stack.control(type="SetBatchSize", value=size)
            yield _median(size, plan.repeats, partial(_both, stack, split, HIDDEN, size, plan))


def hidden_units(points: Sequence[int], plan: Plan) -> Iterator[Point]:
    """Yield what training does with each number of hidden units."""
    for units in points:
        with _stack(plan, INKLING_HIDDEN_UNITS=str(units)) as stack:
            split = _training_split(stack, plan)
            both = partial(_both, stack, split, units, BATCH_SIZE, plan)
            yield _median(units, plan.repeats, both)


def _both(stack: Stack, split: Split, units: int, size: int, plan: Plan) -> Figures:
    with Viewer(stack) as viewer:
        rate = stack_rate(stack, viewer, plan.seconds)
    bare = bare_rate(split, units, size, plan.seconds)
    return {
        "iterations_per_s": rate,
        "samples_per_s": rate * size,
        "bare_iterations_per_s": bare,
        "bare_samples_per_s": bare * size,
        "ratio": rate / bare,
    }


def _stack(plan: Plan, **environment: str) -> AbstractContextManager[Stack]:
    """Give a running stack of its own, one BLAS thread in its trainer."""
    return running_stack(
        plan.datasets,
        INKLING_BLAS_THREADS="1",
        INKLING_LEARNING_RATE=str(LEARNING_RATE),
        **environment,
    )


def _training_split(stack: Stack, plan: Plan) -> Split:
    """Return the examples on which the stack trains."""
    name = wait_until(lambda: stack.status()["dataset"], what="the name of the data set")
    return open_split(plan.datasets / name, "train")


# --- viewers, and connections to inference ---------------------------------------------------


def viewers(points: Sequence[int], plan: Plan) -> Iterator[Point]:
    """Yield what one gateway sends to each number of viewers, and how late news come to them."""
    with fanout.gateway() as (port, publish):
        story = fanout.Story()
        publish(story.next())  # so that whoever comes is told something

        def once(count: int) -> Figures:
            return {
                "messages_per_s": fanout.sent_per_second(port, story, publish, count),
                "p99_ms": fanout.paced_p99_ms(port, story, publish, count),
            }

        for count in points:
            yield _median(count, plan.repeats, partial(once, count))


def connections(points: Sequence[int], plan: Plan) -> Iterator[Point]:
    """Yield what inference answers over each number of connections, while nobody trains."""
    image = json.dumps({"image": np.random.default_rng([0]).random(INPUTS).round(4).tolist()})

    def once(port: int, count: int) -> Figures:
        load = Load(port, "/infer", plan.seconds, count, mark='"digit"', marks=1)
        outcome = run_load(load, [image.encode()])
        return {
            "requests_per_s": outcome.requests_per_s,
            "p50_ms": outcome.p50_ms,
            "p99_ms": outcome.p99_ms,
        }

    with _stack(plan) as stack:
        for count in points:
            yield _median(count, plan.repeats, partial(once, stack.port, count))


CURVES = {
    "batch-size": Curve(BATCH_SIZES, batch_size),
    "hidden-units": Curve(HIDDEN_UNITS, hidden_units),
    "viewers": Curve(VIEWERS, viewers),
    "connections": Curve(CONNECTIONS, connections),
}


def main() -> None:
    """Measure, write, draw."""
    options = _options()
    facts = machine.machine()
    print(machine.words(facts), flush=True)
    with tempfile.TemporaryDirectory() as datasets:
        plan = Plan(options.seconds, options.repeats, Path(datasets))
        for name in options.curves or CURVES:
            curve = CURVES[name]
            points = []
            for point in curve.measure(chosen(curve.points, options.points), plan):
                points.append(point)
                print(f"{name} {_words(point)}", flush=True)
            _keep(name, {"points": points, "machine": facts})
    subprocess.run([peer_python(), PLOT, RESULTS, PICTURES], check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.curves", description="Cost as work grows")
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=f"of {', '.join(CURVES)}")
    parser.add_argument("--points", type=int, help="on each curve, at most; all of them")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each point")
    options = parser.parse_args()
    unknown = [name for name in options.curves if name not in CURVES]
    if unknown:
        parser.error(f"there are no curves {', '.join(unknown)}; there are {', '.join(CURVES)}")
    for name in ("points", "seconds", "repeats"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} {value:g} must be over 0")
    return options


def chosen(points: Sequence[int], count: int | None) -> list[int]:
    """Return at most `count` of the points, the first and the last among them."""
    if count is None or count >= len(points):
        return list(points)
    picked = np.linspace(0, len(points) - 1, count).round().astype(int)
    return [points[k] for k in picked]


def _words(point: Point) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {figure:,.4g}" if name != "x" else f"{figure:,}"
        for name, figure in point.items()
    )


def _keep(name: str, curve: dict[str, Any]) -> None:
    """Put one curve into the file, beside the others in it."""
    kept = json.loads(RESULTS.read_text())["curves"] if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({"curves": kept | {name: curve}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
