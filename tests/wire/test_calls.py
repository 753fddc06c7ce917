"""Calls from one service to another: answered, not taken, taken and not answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.running import RedisServer
from tests.wire.proxy import Proxy, proxy_of
from wire.bus import Bus
from wire.calls import Call, NoAnswerError, NoReplyError, Reply, Restore, Tune, Upload
from wire.codec import MalformedError
from wire.flow import Woken
from wire.keys import Keys
from wire.request_id import working_for

KEYS = Keys()
SHORT_S = 0.4  # a deadline for calls that nobody answers


def serve(bus: Bus, answers: Callable[[Call[Any]], Reply], count: int = 1) -> threading.Thread:
    """Play the weights service for `count` calls."""

    def run() -> None:
        for _ in range(count):
            call = bus.calls.take("weights", Restore | Upload, 5.0)  # type: ignore[arg-type]
            assert isinstance(call, Call)
            bus.calls.answer(call.name, answers(call))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def keys(server: RedisServer) -> list[bytes]:
    return sorted(server.client.keys("*"))  # type: ignore[arg-type]


def test_a_call_is_taken_and_answered(bus: Bus) -> None:
    server = serve(bus, lambda call: Reply(version=call.request.stored + 100))
    assert bus.calls.call("weights", Restore(7)) == Reply(version=107)
    server.join()


def test_each_caller_gets_the_answer_to_its_own_call(bus: Bus) -> None:
    replies: dict[int, Reply] = {}
    server = serve(bus, lambda call: Reply(version=call.request.stored * 2), count=8)

    def ask(k: int) -> None:
        replies[k] = bus.calls.call("weights", Restore(k))

    callers = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for caller in callers:
        caller.start()
    for caller in (*callers, server):
        caller.join()
    assert replies == {k: Reply(version=2 * k) for k in range(8)}


def test_the_request_arrives_whole(bus: Bus) -> None:
    images = np.linspace(0, 1, 2 * 784, dtype="<f4").tobytes()
    request = Tune(images, [3, 4])
    caller = threading.Thread(target=bus.calls.call, args=("trainer", request))
    caller.start()
    call = bus.calls.take("trainer", Tune, 5.0)
    assert isinstance(call, Call)
    assert call.request == request
    bus.calls.answer(call.name, Reply(loss=0.25))
    caller.join()


def test_a_call_wakes_the_trainer(bus: Bus) -> None:
    with pytest.raises(NoAnswerError):
        bus.calls.call("trainer", Tune(b"", []), deadline_s=0.1)
    assert isinstance(bus.flow.wait(0.05, for_batch=False), Woken)


def test_take_finds_nothing(bus: Bus) -> None:
    assert bus.calls.take("trainer", Tune) is None
    assert bus.calls.take("trainer", Tune, 0.05) is None


def test_a_call_that_nobody_takes_leaves_nothing_behind(
    bus: Bus, redis_server: RedisServer
) -> None:
    with pytest.raises(NoAnswerError) as caught:
        bus.calls.call("weights", Restore(7), deadline_s=SHORT_S)
    assert str(caught.value) == "no weights service took the call"
    assert keys(redis_server) == [KEYS.wake.encode()]
    assert bus.calls.take("weights", Restore) is None


def test_a_call_that_is_taken_but_not_answered(bus: Bus) -> None:
    taker = threading.Thread(target=bus.calls.take, args=("weights", Restore, 5.0))
    taker.start()
    with pytest.raises(NoReplyError) as caught:
        bus.calls.call("weights", Restore(7), deadline_s=SHORT_S)
    assert str(caught.value) == "the weights service took the call, but did not answer in time"
    taker.join()


def test_an_answer_that_comes_too_late_is_forgotten_by_redis(
    bus: Bus, redis_server: RedisServer
) -> None:
    bus.calls.answer("late", Reply())
    assert 0 < redis_server.client.ttl(KEYS.reply("late")) <= 60


def test_what_is_no_call_comes_back_as_an_error(bus: Bus, redis_server: RedisServer) -> None:
    redis_server.client.rpush(KEYS.calls("trainer"), b"nonsense")
    with pytest.raises(NoAnswerError):
        bus.calls.call("trainer", Tune(b"", []), deadline_s=0.05)
    error = bus.calls.take("trainer", Tune)
    assert isinstance(error, MalformedError)
    assert str(error).startswith("no Call")


def test_a_call_of_the_wrong_kind_is_refused(bus: Bus) -> None:
    refused: list[Any] = []
    taker = threading.Thread(target=lambda: refused.append(bus.calls.take("weights", Tune, 5.0)))
    taker.start()
    with pytest.raises(NoReplyError):
        bus.calls.call("weights", Restore(1), deadline_s=SHORT_S)
    taker.join()
    assert isinstance(refused[0], MalformedError)
    assert "Restore" in str(refused[0])


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\xa4name\xa1\xff\xa7request\x82\xa4type\xa7Restore\xa6stored\x01",
        msgspec.msgpack.encode(Call("a", Restore(2**63))),
        msgspec.msgpack.encode(Call("a", Restore(-1))),
    ],
)
def test_calls_that_are_wrong_in_one_place(
    bus: Bus, redis_server: RedisServer, data: bytes
) -> None:
    redis_server.client.rpush(KEYS.calls("weights"), data)
    assert isinstance(bus.calls.take("weights", Restore), MalformedError)


ONE_IMAGE = bytes(4 * 784)


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (Tune(b"", []), "0 bytes of images for 0 labels"),
        (Tune(ONE_IMAGE, []), "3136 bytes of images for 0 labels"),
        (Tune(ONE_IMAGE[:-1], [1]), "3135 bytes of images for 1 labels"),
        (Tune(ONE_IMAGE, [10]), "a label is not among the 10 classes"),
        (Tune(ONE_IMAGE, [-1]), "a label is not among the 10 classes"),
        (Tune(ONE_IMAGE, [2**64 - 1]), "a label is not among the 10 classes"),
    ],
)
def test_samples_that_are_none(request_: Tune, fault: str) -> None:
    with pytest.raises(MalformedError) as caught:
        request_.arrays()
    assert str(caught.value) == fault


@pytest.mark.parametrize("status", [0, -1, 299, 1000])
def test_a_reply_of_no_known_status_is_none(status: int) -> None:
    with pytest.raises(ValueError, match="is not a valid HTTPStatus"):
        Reply(status=status)


def test_an_answer_that_is_none_is_refused(bus: Bus, redis_server: RedisServer) -> None:
    def answer() -> None:
        call = bus.calls.take("weights", Restore, 5.0)
        assert isinstance(call, Call)
        redis_server.client.rpush(KEYS.reply(call.name), b"nonsense")

    taker = threading.Thread(target=answer)
    taker.start()
    with pytest.raises(MalformedError, match="no Reply"):
        bus.calls.call("weights", Restore(1))
    taker.join()


def test_a_call_carries_the_request_id_of_its_caller(bus: Bus) -> None:
    ids: list[str] = []

    def note(call: Call[Any]) -> Reply:
        ids.append(call.request_id)
        return Reply()

    server = serve(bus, note, count=2)
    with working_for("outside-1"):
        bus.calls.call("weights", Restore(7))
    bus.calls.call("weights", Restore(7))
    server.join()
    assert ids == ["outside-1", ""]


# --- a connection that breaks, a Redis that forgets ------------------------------------------
@pytest.fixture
def proxy(redis_server: RedisServer, redis_url: str) -> Iterator[Proxy]:
    with proxy_of(redis_server.port) as proxy:
        yield proxy


def waiting(server: RedisServer, count: int) -> bool:
    return server.client.llen(KEYS.calls("trainer")) == count


def test_a_call_that_was_sent_twice_is_taken_once(
    bus: Bus, redis_server: RedisServer, proxy: Proxy, wait_until: Callable[..., Any]
) -> None:
    caller, replies = Bus(proxy.url), []
    proxy.cut(b"RPUSH", lambda: waiting(redis_server, 1))
    thread = threading.Thread(
        target=lambda: replies.append(caller.calls.call("trainer", Tune(ONE_IMAGE, [1])))
    )
    thread.start()
    wait_until(lambda: waiting(redis_server, 2), what="the repetition")
    call = bus.calls.take("trainer", Tune)
    assert isinstance(call, Call)
    assert bus.calls.take("trainer", Tune) is None
    assert waiting(redis_server, 0)
    bus.calls.answer(call.name, Reply(version=7))
    thread.join()
    assert (replies, proxy.cuts) == ([Reply(version=7)], 1)
    caller.close()


def test_a_call_that_was_sent_twice_is_withdrawn_as_one(
    bus: Bus, redis_server: RedisServer, proxy: Proxy
) -> None:
    caller = Bus(proxy.url)
    proxy.cut(b"RPUSH", lambda: waiting(redis_server, 1))
    with pytest.raises(NoAnswerError):
        caller.calls.call("trainer", Tune(ONE_IMAGE, [1]), deadline_s=SHORT_S)
    assert proxy.cuts == 1
    assert waiting(redis_server, 0)
    caller.close()


def test_a_call_that_redis_has_again_is_not_taken_again(
    bus: Bus, redis_server: RedisServer
) -> None:
    first, second = (msgspec.msgpack.encode(Call(name, Restore(1))) for name in ("a", "b"))
    redis_server.client.rpush(KEYS.calls("weights"), first, first, second)
    names = []
    while isinstance(call := bus.calls.take("weights", Restore), Call):
        names.append(call.name)
    assert names == ["a", "b"]
    redis_server.client.rpush(KEYS.calls("weights"), first)  # having lost its last second
    assert bus.calls.take("weights", Restore, 0.05) is None
