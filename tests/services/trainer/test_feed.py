"""The feed against a real Redis; the test is the data worker."""

from __future__ import annotations

import time

import numpy as np
import pytest
from msgspec.structs import replace

from services.data.order import epoch_order
from services.trainer import feed as feed_module
from services.trainer.feed import START, Feed, Place
from tests.examples import whole_images
from wire.bus import Bus
from wire.messages import Batch, Ticket


@pytest.fixture
def make_feed(bus: Bus, small):
    def make(place: Place = START, batch_size: int = 64, stream: int = 7) -> Feed:
        return Feed(bus.flow, small.info, 5, batch_size, stream, place)

    return make


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "WAIT_S", 0.02)


def next_of(feed: Feed, cache_size: int) -> Batch:
    """Return the next batch, however many tries it takes."""
    return next(b for b in (feed.next_batch(cache_size) for _ in range(50)) if b is not None)


def take_all(bus: Bus) -> list[Ticket]:
    tickets = []
    while isinstance(ticket := bus.flow.pop_ticket(0.05), Ticket):
        tickets.append(ticket)
    return tickets


def test_an_epoch_holds_each_example_once_and_then_the_next_begins(make_feed, bus, small) -> None:
    feed = make_feed(batch_size=300)
    seen, sizes = [], []
    while feed.place.epoch == 0:
        feed.rest(2)
        for ticket in take_all(bus):
            bus.flow.push_batch(small.batch(ticket))
        batch = next_of(feed, 2)
        sizes.append(len(batch.labels))
        seen.append(whole_images(batch))
    assert sizes == [300, 300, 300, 100]
    assert feed.place == Place(1, 0)
    expected = small.images[epoch_order(5, 0, 1000)]
    np.testing.assert_array_equal(np.concatenate(seen), expected)


def test_the_cache_is_filled_and_never_over_filled(make_feed, bus, small) -> None:
    feed = make_feed()
    feed.rest(6)
    feed.rest(6)
    assert bus.flow.lengths() == (6, 0)
    assert feed.waiting_count == 6
    for ticket in take_all(bus):
        bus.flow.push_batch(small.batch(ticket))
    for _ in range(20):
        next_of(feed, 6)
        tickets, batches = bus.flow.lengths()
        assert tickets + batches + feed.ready_count <= 6
        for ticket in take_all(bus):
            bus.flow.push_batch(small.batch(ticket))


def test_batches_come_in_the_order_of_their_tickets(make_feed, bus, small) -> None:
    feed = make_feed()
    feed.rest(8)
    for ticket in reversed(take_all(bus)):
        bus.flow.push_batch(small.batch(ticket))
    numbers = [next_of(feed, 8).number for _ in range(8)]
    assert numbers == list(range(8))


def test_a_batch_that_comes_twice_is_used_once(make_feed, bus, small) -> None:
    feed = make_feed()
    feed.rest(2)
    first, second = take_all(bus)
    for ticket in (first, first, second, first):
        bus.flow.push_batch(small.batch(ticket))
    assert [next_of(feed, 2).number for _ in range(2)] == [0, 1]
    third = take_all(bus)[0]
    bus.flow.push_batch(small.batch(third))
    assert next_of(feed, 2).number == 2
    assert feed.duplicates == 2


def test_a_lost_ticket_is_issued_again_before_all_others(
    make_feed, bus, small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOST_AFTER_S", 0.0)
    feed = make_feed()
    feed.rest(4)
    lost, *others = take_all(bus)
    for ticket in others[:1]:
        bus.flow.push_batch(small.batch(ticket))
    bus.flow.push_tickets(others[1:])  # these still wait
    for _ in range(4):  # seen missing, then issued again
        assert feed.next_batch(4) is None
    assert feed.reissued >= 1
    again = bus.flow.pop_ticket(1)
    assert again == lost
    bus.flow.push_batch(small.batch(again))
    assert next_of(feed, 4).number == 0


def test_a_lost_ticket_is_issued_again_however_often_the_trainer_is_woken(
    make_feed, bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOST_AFTER_S", 0.05)
    feed = make_feed()
    feed.rest(4)
    lost, *_ = take_all(bus)
    deadline = time.monotonic() + 10
    while not feed.reissued:
        assert time.monotonic() < deadline
        bus.wanted.wake()
        feed.woken = False  # as when the trainer has looked at what is wanted
        assert feed.next_batch(4) is None
    assert bus.flow.pop_ticket(1) == lost


def test_tickets_that_are_not_its_own_hide_no_lost_one(
    make_feed, bus, small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOST_AFTER_S", 0.0)
    feed = make_feed()
    feed.rest(2)
    first, second = take_all(bus)
    # As many as are missing: no worker can ever cut these, so they stay where they are.
    bus.flow.push_tickets([replace(first, position=10**9), replace(second, dataset="none")])
    for _ in range(2):
        assert feed.next_batch(2) is None
    assert take_all(bus) == [first, second]


def test_batches_of_another_stream_or_size_are_dropped(make_feed, bus, small) -> None:
    feed = make_feed()
    feed.rest(1)
    (ticket,) = take_all(bus)
    good = small.batch(ticket)
    short = {"images": good.images[:3], "labels": good.labels[:3]}
    for other in ({"stream": 8}, short, {"number": 99}):
        bus.flow.push_batch(replace(good, **other))
    bus.flow.push_batch(good)
    batch = next_of(feed, 1)
    assert (batch.stream, batch.number, len(batch.labels)) == (7, 0, 64)


def test_a_wake_up_is_noticed_while_there_is_no_data(make_feed, bus) -> None:
    feed = make_feed()
    bus.wanted.wake()
    assert feed.next_batch(2) is None
    assert feed.woken


def test_waiting_is_counted(make_feed, bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "WAIT_S", 0.2)
    feed = make_feed()
    assert feed.next_batch(2) is None
    assert feed.waited_s >= 0.19


def test_huge_batches_are_bounded_in_bytes(bus, small) -> None:
    feed = Feed(bus.flow, small.info, 0, 1000, 1, START)
    feed.rest(1024)
    assert feed.waiting_count == feed_module.MAX_CACHE_BYTES // (1000 * 785)
