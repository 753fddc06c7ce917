"""The feed against any worker: one that answers late, twice, out of order, wrongly, or never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.data.order import epoch_order
from services.trainer import feed as feed_module
from services.trainer.feed import START, Feed
from tests.examples import whole_images
from wire.bus import Bus
from wire.codec import decode, encode_batch
from wire.keys import Keys
from wire.messages import Ticket

KEYS = Keys()
COUNT = 1000  # examples of the small data set
DEEDS = ("answer", "answer twice", "answer wrongly", "lose", "return", "put nonsense")
Script = list[tuple[str, int]]


class Worker:
    """A worker that does as it is told with the tickets that it finds."""

    def __init__(self, bus: Bus, client: redis.Redis, small: Any) -> None:
        self._bus, self._client, self._small = bus, client, small
        self._held: list[Ticket] = []

    def do(self, deed: str, which: int) -> None:
        """Take all tickets; do this with one of those that are held."""
        found: Any = self._client.lpop(KEYS.tickets, 2000) or []
        self._held += [decode(Ticket, data) for data in found if data != b"nonsense"]
        if deed == "put nonsense":
            self._client.lpush(KEYS.tickets, b"nonsense")
            self._client.lpush(KEYS.batches, b"nonsense")
        if not self._held:
            return
        place = which % len(self._held)
        ticket = self._held[place]
        match deed:
            case "answer all":
                while self._held:
                    self._bus.flow.push_batch(self._small.batch(self._held.pop()))
            case "answer":
                self._bus.flow.push_batch(self._small.batch(self._held.pop(place)))
            case "answer twice":
                self._bus.flow.push_batch(self._small.batch(ticket))
            case "answer wrongly":
                batch = self._small.batch(ticket)
                wrong: Callable[..., Any] = [
                    lambda: encode_batch(replace(batch, stream=batch.stream + 1)),
                    lambda: encode_batch(replace(batch, number=10**6)),
                    lambda: encode_batch(batch)[:-1],
                ][which % 3]
                self._client.rpush(KEYS.batches, wrong())
            case "lose":
                self._held.pop(place)
            case "return":
                self._bus.flow.push_tickets([self._held.pop(place)], first=True)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    script=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 50)), max_size=20),
    batch_size=st.integers(60, 1100),
    cache_size=st.integers(1, 8),
)
def test_each_example_is_trained_once_and_in_order_whatever_the_worker_does(
    bus: Bus, redis_server: Any, small: Any, script: Script, batch_size: int, cache_size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed_module, "WAIT_S", 0.002)
        patch.setattr(feed_module, "LOST_AFTER_S", 0.0)
        redis_server.client.config_set("hz", 500)  # so often it looks whose time is up
        feed = Feed(bus.flow, small.info, 5, batch_size, 7, START)
        worker = Worker(bus, redis_server.client, small)
        seen: list[Any] = []
        while feed.place.epoch == 0:
            deed, which = script.pop(0) if script else ("answer all", 0)
            worker.do(deed, which)
            place = feed.place
            batch = feed.next_batch(cache_size)
            assert feed.waiting_count + feed.ready_count <= cache_size
            if batch is None:
                assert feed.place == place
            else:
                assert batch.number == len(seen)
                seen.append(whole_images(batch))
    expected = small.images[epoch_order(5, 0, COUNT)]
    np.testing.assert_array_equal(np.concatenate(seen), expected)
