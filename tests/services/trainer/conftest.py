"""A small data set, workers in threads, and a trainer in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from ops.settings import Settings
from services.data.order import epoch_order
from services.trainer.loop import Trainer
from wire.bus import Bus
from wire.messages import Batch, DataSetInfo, Ticket

COUNT = 1000


@dataclass
class SmallData:
    """1000 images in which one row of pixels, by label, is bright."""

    images: np.ndarray
    labels: np.ndarray
    info: DataSetInfo = field(default=DataSetInfo("small", "made by a test", COUNT, 10))

    def batch(self, ticket: Ticket) -> Batch:
        """Answer a ticket as a data worker does."""
        order = epoch_order(ticket.seed, ticket.epoch, COUNT)
        rows = order[ticket.position : ticket.position + ticket.batch_size]
        return Batch.answering(ticket, self.images[rows], self.labels[rows])


@pytest.fixture(scope="session")
def small() -> SmallData:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, COUNT).astype(np.uint8)
    images = rng.integers(0, 60, (COUNT, 28, 28)).astype(np.uint8)
    images[np.arange(COUNT), 2 * labels + 3] += 150
    return SmallData(images.reshape(COUNT, 784), labels)


class Helpers:
    """Threads that answer tickets; `loses` says which tickets are taken and never answered."""

    def __init__(self, url: str, small: SmallData) -> None:
        self._url, self._small = url, small
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, loses: Callable[[Ticket], bool] = lambda _: False) -> None:
        """Start one more."""
        thread = threading.Thread(target=self._run, args=(loses,))
        thread.start()
        self._threads.append(thread)

    def _run(self, loses: Callable[[Ticket], bool]) -> None:
        bus = Bus(self._url)
        while not self._stop.is_set():
            ticket = bus.flow.pop_ticket(0.2)
            if isinstance(ticket, Ticket) and not loses(ticket):
                bus.flow.push_batch(self._small.batch(ticket))
        bus.close()

    def stop(self) -> None:
        """End all threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def workers(redis_url: str, small: SmallData) -> Iterator[Helpers]:
    helpers = Helpers(redis_url, small)
    yield helpers
    helpers.stop()


class RunningTrainer:
    """A trainer in a thread."""

    def __init__(self, url: str, **settings: object) -> None:
        self.bus = Bus(url)
        self.trainer = Trainer(self.bus, Settings(hidden_units=16, **settings))  # type: ignore[arg-type]
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.trainer.run, args=(self.stopping,))
        self.thread.start()

    def stop(self) -> None:
        """Stop it in order, as SIGTERM does."""
        self.stopping.set()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.bus.close()


@pytest.fixture
def start_trainer(
    redis_url: str, bus: Bus, small: SmallData
) -> Iterator[Callable[..., RunningTrainer]]:
    bus.flow.announce(small.info)
    running: list[RunningTrainer] = []

    def start(**settings: object) -> RunningTrainer:
        running.append(RunningTrainer(redis_url, **settings))
        return running[-1]

    yield start
    for one in running:
        if one.thread.is_alive():
            one.stop()
