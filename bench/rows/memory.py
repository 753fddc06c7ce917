"""How much memory the processes of `make run` take, and whether that grows while it trains.

Of each process of the stack its proportional set size (Linux: PSS): resident pages, of which those
that n processes share, such as the code of libraries, count one n-th. Without the pages of the data
set's files, which are mapped, and the system's to take back. The whole resident set (RSS), in which
shared pages count in full in each process, is printed beside it; growth is that of the RSS, since a
share changes with whoever else begins and ends. Read when all is ready and idle, after one minute
of training at full speed, and at the end, after BENCH_MINUTES (10); each repeat after the first one
adds a minute. Somebody watches (state and weights) and draws (a guess five times a second).
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.measure import Figures, Goal, Group, Row, Side
from bench.processes import Sizes, sizes
from nn.model import INPUTS
from tests.running import Stack

SETTLE_S = 60.0  # after so much training, what is allocated once has been allocated
GUESS_S = 0.2


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = Stack(folder, folder / "datasets")
        done = threading.Event()
        visitors = [threading.Thread(target=visit, args=(stack, done)) for visit in (watch, draw)]
        try:
            stack.start()
            idle = sizes(stack)
            for visitor in visitors:
                visitor.start()
            stack.control(type="Start")
            time.sleep(SETTLE_S)
            yield Watch(stack, idle).ours, dict
        finally:
            done.set()
            stack.close()


class Watch:
    """Reads the sizes at the end of each repeat."""

    def __init__(self, stack: Stack, idle: Sizes) -> None:
        self._stack = stack
        self._idle = idle
        self._settled = sizes(stack)
        self._rest_s = float(os.environ.get("BENCH_MINUTES", "10")) * 60 - SETTLE_S

    def ours(self) -> Figures:
        """Return the largest size, and the largest growth; print all of them."""
        time.sleep(max(self._rest_s, 0))
        self._rest_s = 60.0
        if not self._stack.status()["training"]:
            raise RuntimeError("training has ended")
        end = sizes(self._stack)
        for process, size in end.items():
            print(
                f"  {process:<12} idle {self._idle[process]}, after a minute "
                f"{self._settled[process]}, at the end {size}",
                flush=True,
            )
        growth = [size.rss - self._settled[process].rss for process, size in end.items()]
        return {
            "memory": max(size.pss for size in end.values()),
            "memory-growth": max(growth),
        }


def watch(stack: Stack, done: threading.Event) -> None:
    """Follow the state and the weights, as a page does."""
    with connect(f"ws://127.0.0.1:{stack.port}/ws", max_size=None) as viewer:
        viewer.send(json.dumps({"type": "Subscribe", "weights": "f16", "weights_hz": 5}))
        while not done.is_set():
            try:
                viewer.recv(1)
            except TimeoutError:
                continue
            except ConnectionClosed:
                return


def draw(stack: Stack, done: threading.Event) -> None:
    """Ask for guesses, as a page does."""
    with httpx.Client(base_url=stack.url, timeout=10) as client:
        while not done.wait(GUESS_S):
            try:
                client.post("/infer", json={"image": [0.25] * INPUTS})
            except httpx.HTTPError:
                return


GROUP = Group(
    "memory",
    (
        Row("memory", "MB", "", Goal(most=90)),
        Row("memory-growth", "MB", "", Goal(most=3)),
    ),
    _sides,
)
