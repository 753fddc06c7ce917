"""A Redis that does not answer, or can keep no more."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.examples import snapshot_of
from tests.running import RedisServer
from wire import connection
from wire.bus import Bus
from wire.calls import Fetch
from wire.connection import (
    CALL_TIMEOUT_S,
    MAX_BLOCK_S,
    RECONNECT_S,
    RedisAwayError,
    RedisFullError,
    RedisSilentError,
    connect,
    follow,
)
from wire.keys import Keys


@contextmanager
def standing_still(server: RedisServer) -> Iterator[None]:
    """Stop the process of Redis, which keeps its connections, and let it go on at the end."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@pytest.fixture
def bus_of_own(own_redis: RedisServer) -> Iterator[Bus]:
    bus = Bus(own_redis.url)
    bus.ping()
    yield bus
    bus.close()


def answers(bus: Bus) -> bool:
    try:
        bus.ping()
    except RedisAwayError:
        return False
    return True


def test_a_redis_that_does_not_answer_is_given_up_once_and_not_asked_again(
    own_redis: RedisServer, bus_of_own: Bus, wait_until: Callable[..., Any]
) -> None:
    with standing_still(own_redis):
        began = time.monotonic()
        with pytest.raises(RedisSilentError):
            bus_of_own.wanted.change({"cache_size": 3})
        assert CALL_TIMEOUT_S - 0.1 < time.monotonic() - began < CALL_TIMEOUT_S + 2
    wait_until(lambda: answers(bus_of_own), timeout_s=5)


def test_during_an_outage_one_waits_and_all_others_are_told_at_once(
    own_redis: RedisServer, bus_of_own: Bus, wait_until: Callable[..., Any]
) -> None:
    def ask(times: list[float]) -> None:
        began = time.monotonic()
        with pytest.raises(RedisAwayError):
            bus_of_own.live.latest()
        times.append(time.monotonic() - began)

    with standing_still(own_redis):
        ask([])
        times: list[float] = []
        for _ in range(10):
            ask(times)
        assert max(times) < CALL_TIMEOUT_S / 2  # nobody asks again so soon
        due = time.monotonic() + RECONNECT_S
        wait_until(lambda: time.monotonic() > due)
        times.clear()
        threads = [threading.Thread(target=ask, args=(times,)) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    times.sort()
    assert times[48] < CALL_TIMEOUT_S - 1  # all but one, which found out
    assert CALL_TIMEOUT_S - 0.1 < times[49] < CALL_TIMEOUT_S + 2
    wait_until(lambda: answers(bus_of_own), timeout_s=5)


def test_what_a_redis_that_stood_still_was_told_it_may_do_later(
    own_redis: RedisServer, bus_of_own: Bus, wait_until: Callable[..., Any]
) -> None:
    with standing_still(own_redis), pytest.raises(RedisSilentError):
        bus_of_own.wanted.change({"cache_size": 3})
    wait_until(lambda: own_redis.client.hget(Keys().settings, "cache_size") == b"3")


def test_blocking_calls_are_no_outage(bus: Bus) -> None:
    assert MAX_BLOCK_S <= CALL_TIMEOUT_S - 1
    assert bus.flow.wait(MAX_BLOCK_S, for_batch=True) is None
    bus.ping()


def test_a_follower_notices_a_redis_that_stands_still(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.2)
    monkeypatch.setattr(connection, "CALL_TIMEOUT_S", 1.0)
    stop, client = threading.Event(), connect(own_redis.url)
    news = follow(client, "channel", stop)
    assert next(news) is None
    for _ in range(5):
        assert next(news) == b""  # silence, with pings between
    with standing_still(own_redis):
        began = time.monotonic()
        while not isinstance(next(news), RedisAwayError):
            assert time.monotonic() - began < 10
    while next(news) is not None:
        continue  # subscribed again: fetch the latest
    own_redis.client.publish("channel", b"news")
    while (one := next(news)) == b"":
        continue
    assert one == b"news"
    stop.set()
    client.close()


# --- a Redis that can keep no more ----------------------------------------------------------
WRITES: list[Callable[[Bus], Any]] = [
    lambda bus: bus.wanted.change({"cache_size": 3}),
    lambda bus: bus.live.next_version(),
    lambda bus: bus.live.replace(snapshot_of(7)),
    lambda bus: bus.live.ask_evaluation(snapshot_of(7)),
    lambda bus: bus.calls.call("weights", Fetch(1), 1.0),
    lambda bus: bus.check_writes(),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_redis_out_of_memory_is_full_and_keeps_nothing_of_it(
    own_redis: RedisServer, bus_of_own: Bus, write: Callable[[Bus], Any]
) -> None:
    before = own_redis.client.dbsize()
    with own_redis.full_memory():
        with pytest.raises(RedisFullError, match="Redis takes no writes: its memory is full"):
            write(bus_of_own)
        assert own_redis.client.dbsize() == before
        assert bus_of_own.live.latest() is None  # reading goes on
    bus_of_own.wanted.change({"cache_size": 3})


def test_a_redis_whose_disk_is_full_keeps_what_it_has_and_goes_on_when_there_is_room(
    own_redis: RedisServer, bus_of_own: Bus, wait_until: Callable[..., Any]
) -> None:
    def refused() -> str:
        try:
            bus_of_own.wanted.change({"cache_size": 4})
        except RedisFullError as error:
            return str(error)
        return ""

    assert bus_of_own.wanted.change({"cache_size": 3}) == 1
    with own_redis.full_disk():
        assert refused().endswith("it cannot write its files, as where its disk is full")
        kept = own_redis.client.hgetall(Keys().settings)
        for write in WRITES:
            with pytest.raises(RedisFullError):
                write(bus_of_own)
        assert own_redis.client.hgetall(Keys().settings) == kept
    wait_until(lambda: not refused())  # it tries again by itself
    kept = own_redis.client.hgetall(Keys().settings)
    own_redis.stop()
    own_redis.start()
    assert own_redis.client.hgetall(Keys().settings) == kept


def test_asking_whether_redis_takes_writes_changes_nothing(
    own_redis: RedisServer, bus_of_own: Bus
) -> None:
    bus_of_own.check_writes()
    assert own_redis.client.dbsize() == 0


def test_a_redis_whose_disk_is_full_is_there_for_whoever_asks_or_follows(
    own_redis: RedisServer, bus_of_own: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.1)
    stop, client = threading.Event(), connect(own_redis.url)
    news = follow(client, "channel", stop)
    assert next(news) is None
    with own_redis.full_disk():
        bus_of_own.ping()
        assert [next(news) for _ in range(6)] == [b""] * 6  # silence, with pings between
    own_redis.client.publish("channel", b"news")
    while (one := next(news)) == b"":
        continue
    assert one == b"news"
    stop.set()
    client.close()
