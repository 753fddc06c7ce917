"""Batches a second with more data workers, each of which takes 50 ms to fetch a batch.

The stack of `make run`, scaled while it runs, as `make scale` does. The trainer is faster than
eight such workers, so that what it trains is what they cut. Each row is against one worker.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import Figures, Goal, Group, Row, Side
from bench.training import Viewer, stack_rate
from tests.running import ROOT, Stack, running_stack, wait_until

LATENCY_MS = 50
SECONDS = 4.0
COUNTS = (2, 4, 8)


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with running_stack(INKLING_DATA_LATENCY_MS=str(LATENCY_MS)) as stack:

        def ours() -> Figures:
            return {_name(count): _rate(stack, count) for count in COUNTS}

        def one() -> Figures:
            return dict.fromkeys(map(_name, COUNTS), _rate(stack, 1))

        yield ours, one


def _name(count: int) -> str:
    return "workers" if count == max(COUNTS) else f"workers-{count}"


def _rate(stack: Stack, count: int) -> float:
    subprocess.run(
        [sys.executable, "-m", "services.local.scale", str(count)],
        cwd=ROOT, env={**os.environ, **stack.environment}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: stack.status()["data_workers"] == count, what=f"{count} data workers")
    with Viewer(stack) as viewer:
        return stack_rate(stack, viewer, SECONDS)


GROUP = Group(
    "workers",
    tuple(
        Row(_name(count), "batches/s", "one data worker", Goal(ratio_least=count * 7.5 / 8))
        for count in COUNTS
    ),
    _sides,
)
