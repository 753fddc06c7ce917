"""What the run must be: a bare loop in this process, without Redis, workers or faults."""

from __future__ import annotations

import threading

import numpy as np

from nn.model import Weights, fresh_weights
from nn.training import Descent
from services.data.datasets import DataSet
from services.data.order import cut
from wire.messages import Batch, Ticket

KEPT_EVERY = 50  # iterations


class Oracle:
    """The losses and the weights of a run from a reset on, for one seed and fixed settings."""

    def __init__(
        self, dataset: DataSet, seed: int, hidden_units: int, batch_size: int, learning_rate: float
    ) -> None:
        self._dataset = dataset
        self._seed = seed
        self._batch_size = batch_size
        self._learning_rate = learning_rate
        self._descent = Descent()
        self._lock = threading.Lock()
        self._kept = {0: (fresh_weights(seed, hidden_units, False), 0, 0)}  # weights, place
        self._losses: list[float] = []

    def losses(self, iterations: int) -> list[float]:
        """Return the losses of iterations 1 to `iterations`."""
        self.weights(iterations)
        return self._losses[:iterations]

    def weights(self, iteration: int) -> Weights:
        """Return the weights after `iteration`."""
        with self._lock:
            start = max(k for k in self._kept if k <= iteration)
            weights, epoch, position = self._kept[start]
            weights = weights.copy()
            for done in range(start + 1, iteration + 1):
                batch = self._batch(epoch, position)
                loss, _, _ = self._descent.step(
                    weights, batch.images, batch.labels, batch.ink, self._learning_rate
                )
                if done > len(self._losses):
                    self._losses.append(loss)
                end = position + self._batch_size
                ended = end >= len(self._dataset.train.labels)
                epoch, position = (epoch + 1, 0) if ended else (epoch, end)
                if done % KEPT_EVERY == 0:
                    self._kept.setdefault(done, (weights.copy(), epoch, position))
            return weights

    def _batch(self, epoch: int, position: int) -> Batch:
        train = self._dataset.train
        size = min(self._batch_size, len(train.labels) - position)
        images, labels = cut(train, self._seed, epoch, position, size)
        ticket = Ticket(0, 0, self._dataset.name, "train", self._seed, epoch, position, size)
        return Batch.answering(ticket, images, labels)


def same_weights(one: Weights, other: Weights) -> bool:
    """Return whether both are the same to the last bit."""
    return all(np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))
