"""What the trainer asked for, straight from the socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.examples import batch_of, same, ticket_of
from tests.running import RedisServer
from wire.bus import Bus
from wire.codec import MalformedError, encode_batch
from wire.connection import RedisAwayError, connect
from wire.intake import Intake
from wire.keys import Keys

KEYS = Keys()
NOTHING = (False, None)


@pytest.fixture
def client(redis_server: RedisServer) -> redis.Redis:
    return redis_server.client


def test_what_was_asked_for_is_there_to_be_taken(bus: Bus) -> None:
    intake = bus.flow.intake
    bus.flow.push_batch(batch_of(1, 128))
    assert intake.is_idle
    intake.ask([ticket_of(5), ticket_of(6)])
    assert not intake.is_idle
    woken, batch = intake.take()
    assert not woken
    assert same(batch, batch_of(1, 128))
    assert intake.is_idle
    assert bus.flow.lengths() == (2, 0)
    assert [bus.flow.pop_ticket(0.05) for _ in range(2)] == [ticket_of(5), ticket_of(6)]


def test_a_batch_is_taken_when_it_is_asked_for_not_when_it_is_read(bus: Bus) -> None:
    intake = bus.flow.intake
    bus.flow.push_batch(batch_of(1, 128))
    intake.ask([])
    assert bus.flow.pop_batches(1) == []  # it is on its way, or there already
    assert same(intake.take()[1], batch_of(1, 128))


def test_nothing_ready_and_nothing_asked_for_is_none(bus: Bus) -> None:
    intake = bus.flow.intake
    assert intake.take() == NOTHING
    intake.ask([])
    assert intake.take() == NOTHING
    assert intake.take() == NOTHING


def test_a_wake_up_comes_with_the_batch_and_once(bus: Bus) -> None:
    intake = bus.flow.intake
    for _ in range(3):
        bus.wanted.wake()
    bus.flow.push_batch(batch_of(2, 128))
    intake.ask([])
    woken, batch = intake.take()
    assert woken
    assert same(batch, batch_of(2, 128))
    intake.ask([])
    assert intake.take() == NOTHING


@pytest.mark.parametrize("sizes", [(1, 4096, 1, 2000, 3), (128, 128, 96)])
def test_batches_of_every_size_follow_each_other(bus: Bus, sizes: tuple[int, ...]) -> None:
    for number, examples in enumerate(sizes):
        bus.flow.push_batch(batch_of(number, examples))
        bus.flow.intake.ask([ticket_of(number)])
        assert same(bus.flow.intake.take()[1], batch_of(number, examples))


def test_what_is_no_batch_comes_back_as_an_error(bus: Bus, client: redis.Redis) -> None:
    for data in (b"", b"short", encode_batch(batch_of(1, 128))[:-1]):
        client.rpush(KEYS.batches, data)
        bus.flow.intake.ask([])
        assert isinstance(bus.flow.intake.take()[1], MalformedError)
    bus.flow.push_batch(batch_of(1, 128))
    bus.flow.intake.ask([])
    assert same(bus.flow.intake.take()[1], batch_of(1, 128))


def test_an_error_of_redis_is_told_and_the_next_ask_connects_anew(
    bus: Bus, client: redis.Redis
) -> None:
    client.set(KEYS.batches, "not a list")
    bus.flow.intake.ask([ticket_of()])
    with pytest.raises(RedisAwayError, match=r"while taking a batch: .*WRONGTYPE"):
        bus.flow.intake.take()
    assert bus.flow.intake.is_idle
    client.delete(KEYS.batches)
    bus.flow.push_batch(batch_of(1, 128))
    bus.flow.intake.ask([])
    assert same(bus.flow.intake.take()[1], batch_of(1, 128))


@pytest.mark.parametrize("item", [b"", b"2", b"\n", b"1\r\n$3\r\nabc", b"x" * 500])
def test_a_wake_up_that_is_none_is_told_and_the_next_ask_connects_anew(
    bus: Bus, client: redis.Redis, item: bytes
) -> None:
    client.rpush(KEYS.wake, item)
    bus.flow.intake.ask([])
    with pytest.raises(RedisAwayError, match="a wake-up that is no 1"):
        bus.flow.intake.take()
    bus.flow.push_batch(batch_of(1, 128))
    bus.flow.intake.ask([])
    assert same(bus.flow.intake.take()[1], batch_of(1, 128))


def test_a_redis_that_goes_away_is_told_and_found_again(own_redis: RedisServer) -> None:
    bus = Bus(own_redis.url)
    bus.flow.intake.ask([])
    assert bus.flow.intake.take() == NOTHING
    own_redis.stop()

    def ask_and_take() -> None:
        bus.flow.intake.ask([])  # which may look as if it had arrived
        bus.flow.intake.take()

    with pytest.raises(RedisAwayError):
        ask_and_take()
    own_redis.start()
    bus.flow.push_batch(batch_of(1, 128))
    bus.flow.intake.ask([])
    assert same(bus.flow.intake.take()[1], batch_of(1, 128))
    bus.close()


@pytest.fixture
def piecemeal() -> Iterator[Callable[[bytes, int], Intake]]:
    """Make an intake whose Redis is a socket that answers in pieces of so many bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def answer(reply: bytes, size: int) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            greeted = b""
            while b"LPOP" not in (heard := connection.recv(4096)):
                greeted = b"+OK\r\n" * heard.count(b"*")
                connection.sendall(greeted)
            for start in range(0, len(reply), size):
                connection.sendall(reply[start : start + size])
            connection.recv(1)  # until the other side closes

    def make(reply: bytes, size: int) -> Intake:
        threads.append(threading.Thread(target=answer, args=(reply, size)))
        threads[-1].start()
        port = listener.getsockname()[1]
        return Intake(connect(f"redis://127.0.0.1:{port}/0"), KEYS)

    yield make
    for thread in threads:
        thread.join(10)
    listener.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_a_reply_may_come_in_pieces(piecemeal: Callable[[bytes, int], Intake], size: int) -> None:
    data = encode_batch(batch_of(3, 2))
    intake = piecemeal(b"+PONG\r\n$1\r\n1\r\n$%d\r\n%b\r\n" % (len(data), data), size)
    intake.ask([])
    woken, batch = intake.take()
    assert woken
    assert same(batch, batch_of(3, 2))
    intake.close()
