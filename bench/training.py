"""Training, ours and bare: what the running stack does, and a loop over arrays in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from websockets.sync.client import connect

from nn.model import PIXEL, Weights, fresh_weights
from nn.training import Descent, descend, loss_and_gradients, without_blank
from services.data.idx import Split
from tests.running import Stack, wait_until

LEARNING_RATE = 0.01  # with which batches of one image learn, too
WARM_UP_S = 1.0
LEAST_STEPS = 3  # of the bare loop, however long they take
Step = Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]  # images and labels of a batch


class Viewer:
    """A viewer in a thread, who keeps count: each iteration has to come once, with its loss."""

    def __init__(self, stack: Stack) -> None:
        self._socket = connect(f"ws://127.0.0.1:{stack.port}/ws", max_size=None)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.latest: dict[str, Any] = {}
        self.told_at = 0.0  # the latest, on the clock of time.perf_counter
        self._next: int | None = None  # the iteration that has to come next
        self._trouble = ""

    def __enter__(self) -> Viewer:
        """Begin to watch."""
        self._thread.start()
        wait_until(lambda: self.latest, what="the first news")
        return self

    def __exit__(self, *_: object) -> None:
        """Go away."""
        self._socket.close()
        self._thread.join(10)

    def place(self) -> tuple[int, float]:
        """Return the latest iteration, and when it was told; RuntimeError if one was missed."""
        if self._trouble:
            raise RuntimeError(self._trouble)
        return self.latest["iteration"], self.told_at

    def _watch(self) -> None:
        for text in self._socket:
            news = json.loads(text)
            history = news["history"]
            if self._next is not None and news["history_from"] < self._next - 1:
                self._next = None  # the run went back
            told = history["iteration"]
            expected = list(range(self._next, self._next + len(told))) if self._next else told
            if told != expected or None in history["loss"]:
                self._trouble = f"told {told[:3]} ... where {self._next} was due"
            if told:
                self._next = told[-1] + 1
            self.told_at = time.perf_counter()
            self.latest = news


def stack_rate(stack: Stack, viewer: Viewer, seconds: float) -> float:
    """Train for so long with a viewer connected; return iterations a second."""
    stack.control(type="Start")
    time.sleep(WARM_UP_S)
    first, began = viewer.place()
    time.sleep(seconds)
    last, ended = viewer.place()
    status = stack.control(type="Stop")
    if status["problem"] or last == first:
        raise RuntimeError(f"training stopped by itself: {status['problem']}")
    return (last - first) / (ended - began)


def bare_rate(
    split: Split,
    units: int,
    size: int,
    seconds: float,
    *,
    threads: int = 1,
    leaves_out_blank: bool = False,
) -> float:
    """Train in a loop over arrays in memory, on so many BLAS threads; return iterations a second.

    The batches are gathered at random from the whole training set, and normalised. The step is the
    plain one, into memory that is used again, or our own, which leaves out what is blank.
    """
    rng = np.random.default_rng([0])
    weights = fresh_weights(0, units, biases=False)
    step = _inked_step(weights) if leaves_out_blank else _plain_step(weights, size)
    with threadpool_limits(threads, user_api="blas"):
        _bare_steps(step, split, size, rng, WARM_UP_S / 2)
        return _bare_steps(step, split, size, rng, seconds)


def _plain_step(weights: Weights, size: int) -> Step:
    gradients = weights.copy()
    scaled = np.empty((size, weights.sizes[0]), np.float32)

    def step(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        np.multiply(images, PIXEL, out=scaled)  # (B, 784), 0..1
        loss_and_gradients(weights, scaled, labels, gradients)
        descend(weights, gradients, LEARNING_RATE)

    return step


def _inked_step(weights: Weights) -> Step:
    descent = Descent()

    def step(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        ink, pixels = without_blank(images)
        descent.step(weights, pixels, labels, ink, LEARNING_RATE)

    return step


def _bare_steps(
    step: Step, split: Split, size: int, rng: np.random.Generator, seconds: float
) -> float:
    order = rng.permutation(len(split.labels))
    steps = place = 0
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds or steps < LEAST_STEPS:
        rows = order[place : place + size]
        step(split.images[rows], split.labels[rows])
        steps += 1
        place += size
        if place + size > len(order):
            order, place = rng.permutation(len(order)), 0
    return steps / took
