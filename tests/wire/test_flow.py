"""Tickets one way, batches the other, over a real Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis

from tests.examples import batch_of, same, ticket_of
from tests.running import RedisServer
from wire.bus import Bus
from wire.codec import MalformedError, encode, encode_batch
from wire.connection import RedisAwayError
from wire.flow import SignOfLife, Woken
from wire.keys import Keys
from wire.messages import DataSetInfo

KEYS = Keys()
INFO = DataSetInfo("synthetic", "as asked", 600, 50)
AT_ONCE_S = 0.05  # for a pop that finds nothing


@pytest.fixture
def client(redis_server: RedisServer) -> redis.Redis:
    return redis_server.client


# --- tickets --------------------------------------------------------------------------------
def test_tickets_come_in_the_order_in_which_they_went(bus: Bus) -> None:
    tickets = [ticket_of(number) for number in range(3)]
    bus.flow.push_tickets(tickets)
    assert [bus.flow.pop_ticket(AT_ONCE_S) for _ in range(4)] == [*tickets, None]


def test_tickets_that_are_issued_again_go_first_and_in_order(bus: Bus) -> None:
    bus.flow.push_tickets([ticket_of(5), ticket_of(6)])
    bus.flow.push_tickets([ticket_of(1), ticket_of(2)], first=True)
    numbers = [getattr(bus.flow.pop_ticket(AT_ONCE_S), "number", None) for _ in range(4)]
    assert numbers == [1, 2, 5, 6]


def test_a_worker_blocks_until_there_is_a_ticket(bus: Bus) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(bus.flow.pop_ticket(2.0)))
    thread.start()
    bus.flow.push_tickets([ticket_of(3)])
    thread.join()
    assert found == [ticket_of(3)]


def test_a_ticket_that_is_none_comes_back_as_an_error(bus: Bus, client: redis.Redis) -> None:
    client.rpush(KEYS.tickets, b"nonsense", encode(ticket_of()).replace(b"2", b"0"))
    client.rpush(KEYS.tickets, b'{"hold": 1}')
    first, second, third = (bus.flow.pop_ticket(AT_ONCE_S) for _ in range(3))
    assert isinstance(first, MalformedError)
    assert str(first).startswith("no Ticket: JSON is malformed")
    assert isinstance(second, MalformedError)
    assert "Expected `int` >= 1 - at `$.batch_size`" in str(second)
    assert isinstance(third, MalformedError)
    assert "unknown field `hold`" in str(third)
    assert bus.flow.pop_ticket(AT_ONCE_S) is None


def test_own_tickets_are_found_and_all_others_swept_out(bus: Bus, client: redis.Redis) -> None:
    own = [ticket_of(number) for number in range(3)]
    bus.flow.push_tickets(own)
    strange = [ticket_of(1, position=10**9), ticket_of(9), ticket_of(0, stream=2)]
    bus.flow.push_tickets(strange, first=True)
    client.rpush(KEYS.tickets, b"nonsense", b"nonsense")
    client.lrem(KEYS.tickets, 1, encode(own[0]))  # type: ignore[arg-type]
    assert bus.flow.sweep_tickets(own) == {1, 2}
    assert [bus.flow.pop_ticket(AT_ONCE_S) for _ in range(3)] == [own[1], own[2], None]


# --- batches --------------------------------------------------------------------------------
def test_a_batch_comes_as_it_went(bus: Bus) -> None:
    bus.flow.push_batch(batch_of(7))
    assert same(bus.flow.wait(AT_ONCE_S, for_batch=True), batch_of(7))
    assert bus.flow.wait(AT_ONCE_S, for_batch=True) is None


def test_ready_batches_are_popped_in_order_and_without_waiting(bus: Bus) -> None:
    assert bus.flow.pop_batches(4) == []
    for number in range(3):
        bus.flow.push_batch(batch_of(number))
    batches = bus.flow.pop_batches(2)
    assert [same(one, batch_of(k)) for k, one in enumerate(batches)] == [True, True]
    assert bus.flow.lengths() == (0, 1)


@pytest.mark.parametrize("for_batch", [True, False])
def test_a_wake_up_ends_the_wait(bus: Bus, for_batch: bool) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(bus.flow.wait(2.0, for_batch=for_batch)))
    thread.start()
    bus.wanted.wake()
    thread.join()
    assert isinstance(found[0], Woken)


def test_a_wake_up_comes_before_batches_and_many_are_one(bus: Bus) -> None:
    bus.flow.push_batch(batch_of(1))
    for _ in range(5):
        bus.wanted.wake()
    assert isinstance(bus.flow.wait(AT_ONCE_S, for_batch=True), Woken)
    assert same(bus.flow.wait(AT_ONCE_S, for_batch=True), batch_of(1))


def test_whoever_rests_leaves_the_batches_alone(bus: Bus) -> None:
    bus.flow.push_batch(batch_of(1))
    assert bus.flow.wait(AT_ONCE_S, for_batch=False) is None
    assert bus.flow.lengths() == (0, 1)


def test_a_batch_that_is_none_comes_back_as_an_error(bus: Bus, client: redis.Redis) -> None:
    whole = encode_batch(batch_of(1))
    for data in (b"short", b"IKX1" + whole[4:], whole[:-1], whole[:122] + b"\x0a" + whole[123:]):
        client.rpush(KEYS.batches, data)
    bus.flow.push_batch(batch_of(2))
    *errors, good = bus.flow.pop_batches(9)
    assert [str(error) for error in errors] == [
        "a batch of 5 bytes is shorter than its header",
        "a batch starts with b'IKB2', not b'IKX1'",
        "a batch of 2 examples of 784 pixels has 1692 bytes, not 1691",
        "a label of 10 is not among the 10 classes",
    ]
    assert all(isinstance(error, MalformedError) for error in errors)
    assert same(good, batch_of(2))
    client.rpush(KEYS.batches, b"short")
    assert isinstance(bus.flow.wait(AT_ONCE_S, for_batch=True), MalformedError)


def test_a_batch_is_handed_over_for_the_next_ticket(bus: Bus, client: redis.Redis) -> None:
    bus.flow.push_tickets([ticket_of(1), ticket_of(2)])
    assert bus.flow.hand_over(batch_of(1), AT_ONCE_S) == ticket_of(1)
    client.script_flush()  # as a Redis that was started again
    assert bus.flow.hand_over(batch_of(2), AT_ONCE_S) == ticket_of(2)
    assert bus.flow.hand_over(batch_of(3), AT_ONCE_S) is None
    client.rpush(KEYS.tickets, b"nonsense")
    assert isinstance(bus.flow.hand_over(batch_of(4), AT_ONCE_S), MalformedError)
    batches = bus.flow.pop_batches(9)
    assert [same(one, batch_of(k)) for k, one in enumerate(batches, 1)] == [True] * 4


@pytest.mark.parametrize("key", ["tickets", "batches"])
def test_what_cannot_be_handed_over_is_told(bus: Bus, client: redis.Redis, key: str) -> None:
    client.set(getattr(KEYS, key), "not a list")
    with pytest.raises(RedisAwayError, match="WRONGTYPE"):
        bus.flow.hand_over(batch_of(1), AT_ONCE_S)


def test_clear_forgets_tickets_and_batches(bus: Bus) -> None:
    bus.flow.push_tickets([ticket_of()])
    bus.flow.push_batch(batch_of(1))
    assert bus.flow.lengths() == (1, 1)
    bus.flow.clear()
    assert bus.flow.lengths() == (0, 0)


def test_batches_stay_out_of_the_append_only_file(own_redis: RedisServer) -> None:
    bus = Bus(own_redis.url)
    bus.flow.push_tickets([ticket_of(4)])
    written = own_redis.client.info("persistence")["aof_current_size"]
    for number in range(50):
        bus.flow.push_batch(batch_of(number, 64))  # 50 kB each
    grown = own_redis.client.info("persistence")["aof_current_size"] - written
    assert bus.flow.lengths() == (1, 50)
    assert grown < 50_000
    own_redis.stop()
    own_redis.start()
    assert bus.flow.lengths() == (1, 0)
    bus.close()


# --- workers --------------------------------------------------------------------------------
def test_workers_count_while_they_live(bus: Bus, client: redis.Redis) -> None:
    assert len(bus.flow.workers()) == 0
    for worker in ("one", "two", "one"):
        bus.flow.heartbeat(worker, 5)
    assert len(bus.flow.workers()) == 2
    bus.flow.sign_off("one")
    assert len(bus.flow.workers()) == 1


def test_workers_tell_how_many_batches_they_have_cut_and_when(
    bus: Bus, client: redis.Redis
) -> None:
    def now() -> float:
        seconds, microseconds = client.time()
        return float(seconds + microseconds / 1e6)

    before = now()
    bus.flow.heartbeat("one", 7)
    bus.flow.heartbeat("two", 0)
    bus.flow.heartbeat("one", 9)
    after = now()
    workers = bus.flow.workers()
    assert {name: sign.batches for name, sign in workers.items()} == {"one": 9, "two": 0}
    assert all(before - 1e-3 <= sign.at <= after + 1e-3 for sign in workers.values())
    bus.flow.sign_off("one")
    assert client.hkeys(KEYS.worker_batches) == [b"two"]
    client.delete(KEYS.worker_batches)
    assert bus.flow.workers() == {"two": SignOfLife(0, workers["two"].at)}


def test_a_worker_without_a_heartbeat_is_gone_after_its_time(
    bus: Bus, client: redis.Redis, wait_until: Callable[..., Any]
) -> None:
    bus.flow.heartbeat("dead", 5)
    bus.flow.heartbeat("alive", 5)
    client.zincrby(KEYS.workers, -3.7, "dead")  # as if its last heartbeat were 3.7 of the 4 s ago
    assert len(bus.flow.workers()) == 2
    wait_until(lambda: len(bus.flow.workers()) == 1, 2.0)


def test_the_dead_are_swept_out(bus: Bus, client: redis.Redis) -> None:
    bus.flow.heartbeat("dead", 5)
    client.zincrby(KEYS.workers, -120, "dead")
    bus.flow.heartbeat("alive", 5)
    assert client.zrange(KEYS.workers, 0, -1) == [b"alive"]
    assert client.hkeys(KEYS.worker_batches) == [b"alive"]


# --- the data set ---------------------------------------------------------------------------
def test_the_data_set_is_announced_and_wakes_the_trainer(bus: Bus) -> None:
    assert bus.flow.dataset() is None
    bus.flow.announce(INFO)
    assert bus.flow.dataset() == INFO
    assert isinstance(bus.flow.wait(AT_ONCE_S, for_batch=False), Woken)


@pytest.mark.parametrize("fault", [{"train_count": 0}, {"name": 5}])
def test_a_data_set_that_is_none_is_refused(
    bus: Bus, client: redis.Redis, fault: dict[str, Any]
) -> None:
    client.set(KEYS.dataset, msgspec.json.encode({**msgspec.to_builtins(INFO), **fault}))
    with pytest.raises(MalformedError, match=f"no DataSetInfo: .*{next(iter(fault))}"):
        bus.flow.dataset()


def test_runs_do_not_see_each_other(redis_url: str, bus: Bus) -> None:
    other = Bus(redis_url, "second")
    bus.flow.push_tickets([ticket_of()])
    assert other.flow.lengths() == (0, 0)
    assert Keys("second").tickets == "inkling:{second}:tickets"
    other.close()
