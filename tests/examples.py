"""Small messages that many tests need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.model import CLASSES, INPUTS, Weights, init_weights
from wire.codec import encode_batch
from wire.messages import (
    Batch,
    Checkpoint,
    Frame,
    History,
    Mark,
    MarkKind,
    Origin,
    ResponseSignal,
    Snapshot,
    TestPoint,
    Ticket,
    WeightsInfo,
)


def weights_of(seed: int, hidden: int = 4) -> Weights:
    """Return random weights for 784 inputs, `hidden` units and 10 classes."""
    return init_weights(np.random.default_rng([seed]), (INPUTS, hidden, CLASSES))


def snapshot_of(version: int, iteration: int = 0, origin: Origin = "checkpoint") -> Snapshot:
    """Return weights that only this version has."""
    return Snapshot(weights_of(version), WeightsInfo(version, iteration, origin))


def ticket_of(number: int = 0, **fields: Any) -> Ticket:
    """Return a ticket for two training examples."""
    return Ticket(
        **{
            "stream": 1,
            "number": number,
            "dataset": "synthetic",
            "split": "train",
            "seed": 0,
            "epoch": 0,
            "position": 2 * number,
            "batch_size": 2,
            **fields,
        }
    )


def batch_of(number: int, examples: int = 2) -> Batch:
    """Return a batch of stream 1 that only this number has."""
    rng = np.random.default_rng([number])
    images = rng.integers(0, 256, (examples, INPUTS), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, examples, dtype=np.uint8)
    return Batch.answering(ticket_of(number), images, labels)


def whole_images(batch: Batch) -> NDArray[np.uint8]:
    """Return the images (B, 784) of a batch, its blank pixels included."""
    images = np.zeros((len(batch.labels), INPUTS), np.uint8)
    images[:, batch.ink] = batch.images
    return images


def same(one: Any, other: Batch) -> bool:
    """Return whether `one` is the batch `other`, in every byte."""
    return isinstance(one, Batch) and encode_batch(one) == encode_batch(other)


def checkpoint_of(iteration: int, **fields: Any) -> Checkpoint:
    """Return a checkpoint at this iteration."""
    return Checkpoint(
        **{
            "weights": weights_of(iteration),
            "iteration": iteration,
            "epoch": 0,
            "position": 0,
            "generation": 0,
            "started": 0,
            "dataset": "synthetic",
            **fields,
        }
    )


def history_of(*iterations: int) -> History:
    """Return one point for each iteration: a loss of 1 / iteration, and half of it as accuracy."""
    loss: list[float | None] = [1 / k for k in iterations]
    return History(list(iterations), loss, [0.5 / k for k in iterations])


def mark_of(iteration: int, kind: MarkKind = "lrate", value: float = 0.5) -> Mark:
    """Return a mark; the later its iteration, the later its time."""
    return Mark(iteration, kind, value, 1_700_000_000_000 + iteration)


def accuracy_at(iteration: int, version: int | None = None, test_acc: float = 0.75) -> TestPoint:
    """Return a test point of weights whose version is their iteration, unless it is given."""
    return TestPoint(iteration if version is None else version, iteration, test_acc)


def frame_of(
    *iterations: int, history_from: int | None = None, revision: int = 0, **signal: Any
) -> Frame:
    """Return a frame that tells these iterations."""
    history = history_of(*iterations)
    start = history_from if history_from is not None else (iterations[0] - 1 if iterations else 0)
    generation = signal.pop("generation", 0)
    fields = {
        "loss": history.loss[-1] if iterations else None,
        "acc": history.acc[-1] if iterations else None,
        "batch_size": 128,
        "lrate": 0.1,
        "data_len": 3,
        "data_futures_len": 2,
        "iteration": iterations[-1] if iterations else start,
        "cache_size": 16,
        "training": True,
        "trainer": "training",
        "history": history,
        "history_from": start,
        **signal,
    }
    return Frame(revision, generation, ResponseSignal(**fields))
