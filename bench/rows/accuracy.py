"""Seconds from Start until 97.5 % of the test digits are read rightly.

Ours: the stack of `make run`, its weights reset before; the test accuracy is that which the
running system measures and tells its viewers. PyTorch: the same network, batch and learning rate
(0.1), its DataLoader with as many workers as are fastest; the test set is evaluated each quarter
of an epoch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import Figures, Goal, Group, Row, Side
from bench.peers import torch_training
from bench.rows.train import TORCH, idx_folder
from bench.training import Viewer
from tests.running import Stack, running_stack

ACCURACY = 0.975
LIMIT_S = 120.0


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    folder = idx_folder()
    with torch_training(folder) as torch, running_stack(INKLING_DATASET="mnist") as stack:
        torch.ask(do="train", seconds=0.1)  # tries the numbers of workers, once

        def ours() -> Figures:
            return {"accuracy": _seconds(stack)}

        def peer() -> Figures:
            return {"accuracy": torch.ask(do="until", accuracy=ACCURACY)["seconds"]}

        yield ours, peer


def _seconds(stack: Stack) -> float:
    stack.client.delete("/weights").raise_for_status()
    with Viewer(stack) as viewer:
        began = time.perf_counter()
        stack.control(type="Start")
        while (viewer.latest["test_acc"] or 0) < ACCURACY or viewer.latest["iteration"] == 0:
            if time.perf_counter() - began > LIMIT_S:
                raise RuntimeError(f"{ACCURACY:.1%} were not reached in {LIMIT_S:g} s")
            time.sleep(0.002)
        took = time.perf_counter() - began
        stack.control(type="Stop")
    return took


GROUP = Group("accuracy", (Row("accuracy", "s", TORCH, Goal(ratio_most=1 / 3, most=5)),), _sides)
