"""The feed: tickets out, batches in, in the order of the tickets whatever the workers do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import structlog

from services.trainer.metrics import DUPLICATES, REISSUED
from wire.codec import MalformedError
from wire.flow import DataFlow, Woken
from wire.messages import Batch, DataSetInfo, Ticket

LOST_AFTER_S = 2.0  # a ticket that is neither waiting nor answered for so long is issued again
WAIT_S = 0.5
MAX_CACHE_BYTES = 512 * 2**20  # of all batches ready or on their way, in Redis and here

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the data: the next example is number `position` in the order of `epoch`."""

    epoch: int
    position: int

    def after(self, batch_size: int, count: int) -> Place:
        """Return the place behind the batch that begins here, in a data set of `count` examples.

        The last batch of an epoch is short, so that an epoch holds each example once.
        """
        end = self.position + batch_size
        return Place(self.epoch + 1, 0) if end >= count else Place(self.epoch, end)


START = Place(0, 0)


@dataclass(slots=True)
class Waiting:
    """A ticket without its batch. `missing_since` is when it was first seen in no list."""

    ticket: Ticket
    issued_at: float = field(default_factory=time.monotonic)
    missing_since: float | None = None


@dataclass
class Feed:
    """One stream of tickets and the batches that answer them."""

    flow: DataFlow
    dataset: DataSetInfo
    seed: int
    batch_size: int
    stream: int
    place: Place  # of the next batch to be trained
    woken: bool = False  # something else is wanted of the trainer
    reissued: int = 0
    duplicates: int = 0
    _issue_place: Place = field(init=False)
    _next_number: int = 0  # of the ticket whose batch is trained next
    _issue_number: int = 0
    _waiting: dict[int, Waiting] = field(default_factory=dict)
    _ready: dict[int, Batch] = field(default_factory=dict)
    _looked_at: float = field(default_factory=time.monotonic)
    _waited_s: float = 0.0
    _waiting_since: float | None = None

    def __post_init__(self) -> None:
        self._issue_place = self.place
        self.woken, _ = self.flow.intake.take()  # the batch belongs to the stream before
        self.flow.clear()

    @property
    def waiting_count(self) -> int:
        """Tickets whose batches have not been taken from Redis."""
        return len(self._waiting)

    @property
    def ready_count(self) -> int:
        """Batches taken from Redis and not yet trained."""
        return len(self._ready)

    @property
    def waited_s(self) -> float:
        """Seconds spent waiting for data so far, the present wait included."""
        since = self._waiting_since
        return self._waited_s + (time.monotonic() - since if since is not None else 0.0)

    @property
    def ticket_age_s(self) -> float:
        """How long ago the ticket of the next batch was issued; 0 if the batch is here."""
        due = self._waiting.get(self._next_number)
        return time.monotonic() - due.issued_at if due is not None else 0.0

    def next_batch(self, cache_size: int) -> Batch | None:
        """Return the next batch in the order of the tickets.

        Returns None when the trainer was woken or the batch did not come within WAIT_S. Keeps
        `cache_size` batches ready or on their way.
        """
        if self._next_number not in self._ready:
            self._ask(cache_size)
            self._take()
        if self._next_number not in self._ready and not self.woken:
            self._wait_for_batch()
        if self._next_number not in self._ready:
            # However often the trainer is woken, and whatever other batches come meanwhile.
            if time.monotonic() - self._looked_at >= WAIT_S:
                self._recover()
            return None
        self.place = self.place.after(self.batch_size, self.dataset.train_count)
        batch = self._ready.pop(self._next_number)
        self._next_number += 1
        self._ask(cache_size)  # so that the next is on its way while this one is trained
        return batch

    def rest(self, cache_size: int) -> None:
        """Fill the cache, then sleep until the trainer is woken, WAIT_S at most."""
        self._take()
        tickets = self._issue(cache_size)
        if tickets:
            self.flow.push_tickets(tickets)
        if not self.woken:
            self.woken = isinstance(self.flow.wait(WAIT_S, for_batch=False), Woken)
        self._recover()

    def _ask(self, cache_size: int) -> None:
        """Ask for a batch, and for what the cache lacks, unless that is under way already."""
        if self.flow.intake.is_idle:
            self.flow.intake.ask(self._issue(cache_size))

    def _take(self) -> None:
        """Take the batch that was asked for."""
        woken, batch = self.flow.intake.take()
        self.woken = self.woken or woken
        if batch is not None:
            self._accept(batch)

    def _wait_for_batch(self) -> None:
        self._waiting_since = time.monotonic()
        try:
            item = self.flow.wait(WAIT_S, for_batch=True)
        finally:
            self._waited_s, self._waiting_since = self.waited_s, None
        if isinstance(item, Woken):
            self.woken = True
        elif item is None:
            self._recover()
        else:
            self._accept(item)

    def _accept(self, batch: Batch | MalformedError) -> None:
        """Keep a batch that was waited for; one that comes twice is used once."""
        if isinstance(batch, MalformedError):
            log.warning("dropped what is no batch", error=str(batch))
            return
        waiting = self._waiting.get(batch.number) if batch.stream == self.stream else None
        if waiting is None:
            is_duplicate = batch.stream == self.stream
            self.duplicates += is_duplicate
            DUPLICATES.inc(is_duplicate)
            return
        if len(batch.labels) != waiting.ticket.batch_size:
            log.warning("dropped a batch of the wrong size", number=batch.number)
            return
        del self._waiting[batch.number]
        self._ready[batch.number] = batch

    def _issue(self, cache_size: int) -> list[Ticket]:
        """Return the tickets that are missing for a full cache, and count them as waiting."""
        most = max(1, MAX_CACHE_BYTES // (self.batch_size * 785))
        missing = min(cache_size, most) - len(self._waiting) - len(self._ready)
        return [self._next_ticket() for _ in range(missing)]

    def _next_ticket(self) -> Ticket:
        place, count = self._issue_place, self.dataset.train_count
        ticket = Ticket(
            stream=self.stream,
            number=self._issue_number,
            dataset=self.dataset.name,
            split="train",
            seed=self.seed,
            epoch=place.epoch,
            position=place.position,
            batch_size=min(self.batch_size, count - place.position),
        )
        self._waiting[self._issue_number] = Waiting(ticket)
        self._issue_number += 1
        self._issue_place = place.after(self.batch_size, count)
        return ticket

    def _recover(self) -> None:
        """Issue again, before all others, the tickets that a worker took and did not answer."""
        self._looked_at = time.monotonic()
        tickets, batches = self.flow.lengths()
        if not tickets and batches >= len(self._waiting):
            return
        present = self.flow.sweep_tickets(waiting.ticket for waiting in self._waiting.values())
        for batch in self.flow.pop_batches(batches):
            self._accept(batch)
        now = time.monotonic()
        lost: list[Ticket] = []
        for number, waiting in self._waiting.items():
            if number in present:
                waiting.missing_since = None
            elif waiting.missing_since is None:
                waiting.missing_since = now
            elif now - waiting.missing_since >= LOST_AFTER_S:
                waiting.missing_since = None
                lost.append(waiting.ticket)
        if lost:
            self.flow.push_tickets(lost, first=True)
            self.reissued += len(lost)
            REISSUED.inc(len(lost))
            log.info("issued lost tickets again", tickets=len(lost), first=lost[0].number)
