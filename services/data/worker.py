"""A data worker: pop a ticket, cut the batch, push it. As many of them as one likes.

Run as `python -m services.data.worker`.
"""

from __future__ import annotations

import os
import socket
import threading
import time

import structlog
from prometheus_client import Counter

from ops.priority import give_way
from ops.run import run_loop
from ops.settings import Settings
from services.data.datasets import DataSet, Places, prepare
from services.data.idx import DataSetError
from services.data.order import cut
from wire.bus import Bus
from wire.connection import RedisAwayError
from wire.flow import HEARTBEAT_S
from wire.messages import Batch, Ticket

WAIT_S = 1.0
RECONNECT_S = 0.5
RETRY_S = 2.0  # without the data set, which may be on its way

BATCHES = Counter("inkling_data_batches", "Batches cut by this worker")
log = structlog.get_logger()


class Worker:
    """Answers tickets until it is stopped; keeps nothing but an open data set between them."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._places = Places(settings.data_dir, settings.cache_dir, settings.mirrors)
        self._latency_s = settings.data_latency_ms / 1000
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._dataset: DataSet | None = None
        self._trouble = ""
        self._seen_at = 0.0
        self._batches = 0  # cut since it started

    def reasons(self) -> list[str]:
        """Return why this worker cannot answer tickets."""
        return [self._trouble] if self._trouble else []

    def run(self, stop: threading.Event) -> None:
        """Answer tickets until `stop` is set; the ticket in hand is answered first."""
        while not stop.is_set():
            try:
                self._answer_tickets(stop)
            except RedisAwayError as error:
                self._wait_out(str(error), RECONNECT_S, stop)
            except DataSetError as error:
                self._wait_out(str(error), RETRY_S, stop)
        try:
            self._bus.flow.sign_off(self._name)
        except RedisAwayError as error:
            log.info("left without signing off", error=str(error))

    def _answer_tickets(self, stop: threading.Event) -> None:
        """Answer one ticket after the other, until none comes for WAIT_S seconds."""
        self._heartbeat()
        ticket = self._bus.flow.pop_ticket(WAIT_S)
        while isinstance(ticket, Ticket):
            batch = self._cut(ticket, stop)
            if stop.is_set():
                self._bus.flow.push_batch(batch)
                return
            ticket = self._bus.flow.hand_over(batch, WAIT_S)
            self._heartbeat()
        if ticket is not None:
            log.warning("dropped what is no ticket", error=str(ticket))
        self._trouble = ""

    def _cut(self, ticket: Ticket, stop: threading.Event) -> Batch:
        """Return the batch that a ticket asks for; raise DataSetError if it cannot be cut here."""
        try:
            dataset = self._open(ticket)
        except DataSetError:
            self._bus.flow.push_tickets([ticket], first=True)  # another worker may have the data
            raise
        if self._latency_s:
            stop.wait(self._latency_s)  # stands for a fetch over a network, hence for its wait
        images, labels = cut(
            dataset.train if ticket.split == "train" else dataset.test,
            ticket.seed,
            ticket.epoch,
            ticket.position,
            ticket.batch_size,
        )
        self._trouble = ""
        self._batches += 1
        BATCHES.inc()
        return Batch.answering(ticket, images, labels)

    def _open(self, ticket: Ticket) -> DataSet:
        """Return the data set that the ticket names; raise DataSetError if it cannot be had."""
        if self._dataset is None or self._dataset.name != ticket.dataset:
            self._dataset = prepare(ticket.dataset, self._places, log.info)
            log.info("data set", name=self._dataset.name, reason=self._dataset.reason)
        count = len(self._dataset.train.labels if ticket.split == "train" else
                    self._dataset.test.labels)  # fmt: skip
        if ticket.position + ticket.batch_size > count:
            raise DataSetError(
                f"the {ticket.split} split of {ticket.dataset} has {count} examples here: too few "
                f"for a ticket of {ticket.batch_size} at {ticket.position}"
            )
        return self._dataset

    def _heartbeat(self) -> None:
        if time.monotonic() - self._seen_at >= HEARTBEAT_S:
            self._bus.flow.heartbeat(self._name, self._batches)
            self._seen_at = time.monotonic()

    def _wait_out(self, trouble: str, wait_s: float, stop: threading.Event) -> None:
        if trouble != self._trouble:
            log.warning("cannot answer tickets", reason=trouble)
        self._trouble = trouble
        stop.wait(wait_s)


if __name__ == "__main__":
    give_way()
    run_loop("data-worker", Worker)
