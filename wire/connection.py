"""The way to Redis: one client, one error for "it is away", one loop for following channels."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast
from weakref import WeakSet

import redis
from prometheus_client import Counter
from redis._parsers import Encoder
from redis.backoff import NoBackoff
from redis.connection import PythonRespSerializer
from redis.retry import Retry

from wire.codec import MalformedError, UnusableError

P = ParamSpec("P")
R = TypeVar("R")

PACKED_BYTES = 6000  # arguments of up to so many bytes are sent together
ENCODER: Any = Encoder("utf-8", "strict", False)  # type: ignore[no-untyped-call]
CALL_TIMEOUT_S = 3.0  # Redis answers within milliseconds or is away
MAX_BLOCK_S = 1.0  # the longest blocking pop; well under CALL_TIMEOUT_S
RECONNECT_S = 0.5
SILENCE_S = 2.0  # after so long without news, a follower asks Redis whether it is there
LISTEN_S = 0.5  # so long, at most, a follower takes to notice that it shall stop

RECONNECTS = Counter("inkling_redis_reconnects", "Connections to Redis that were made anew")
ERRORS = Counter("inkling_redis_errors", "Calls that Redis did not answer as it should")
_known: WeakSet[Any] = WeakSet()  # connections that were made before


class RedisAwayError(Exception):
    """Redis cannot be reached, or cannot serve yet. The caller tries again later."""


class RedisSilentError(RedisAwayError):
    """Redis did not answer in time: what it was told, it may do when it goes on."""


class RedisFullError(RedisAwayError):
    """Redis cannot keep what it is told: its memory or its disk is full."""


# What stands in Redis's answer to a write that it refuses, wherever a script or a transaction puts
# it, and what it means.
_CANNOT_WRITE = "MISCONF"
_FULL = {
    "when used memory > 'maxmemory'": "its memory is full, up to maxmemory",
    _CANNOT_WRITE: "it cannot write its files, as where its disk is full",
}


class Outage:
    """What is known of a Redis that did not answer in time: now and then, one caller asks it again.

    All others are told at once that it is away, so that they do not fill the threads of a service
    with waiting, and a caller that asks for several things waits once. Threads share it.
    """

    def __init__(self) -> None:
        self.lasts = False
        self._asked_at = 0.0
        self._asking = threading.Lock()

    def begin(self) -> None:
        """Note that Redis did not answer in time."""
        self.lasts, self._asked_at = True, time.monotonic()

    def ask(self, client: redis.Redis) -> None:
        """Return if the outage is over; raise RedisAwayError if it is not."""
        lately = time.monotonic() - self._asked_at < RECONNECT_S
        if lately or not self._asking.acquire(blocking=False):
            raise RedisAwayError("Redis is away: it does not answer")
        try:
            ping(client)
            self.lasts = False
        except redis.RedisError as error:
            raise RedisAwayError(f"Redis is away: {error}") from error
        finally:
            self._asked_at = time.monotonic()
            self._asking.release()


class Client(redis.Redis):
    """A client of Redis, and what it knows of an outage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outage = Outage()


def checked_url(url: str) -> str:
    """Return `url` if it can name a Redis; raise ValueError with what is wrong if it cannot."""
    connect(url).close()
    return url


def connect(url: str) -> redis.Redis:
    """Return a client for `url` (redis://, rediss:// or unix://); it connects at its first call.

    A connection that broke while idle, as when Redis restarted, is made anew once without notice;
    what was not answered in time is not asked again.
    """
    return Client.from_url(
        url,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CALL_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        health_check_interval=0,
        # hiredis packs a command into one string: for weights, half a millisecond of copying under
        # the interpreter's lock. This one sends what is large as it is.
        command_packer=PythonRespSerializer(PACKED_BYTES, ENCODER.encode),
        redis_connect_func=_greet,
    )


def _greet(connection: Any) -> None:
    """Begin to talk over a connection that was just made, and count it if it broke before."""
    if connection in _known:
        RECONNECTS.inc()
    _known.add(connection)
    connection.on_connect()


def ping(client: redis.Redis) -> None:
    """Return if Redis answers, be it that it cannot write its files: it says so to a ping, too."""
    try:
        client.ping()
    except redis.ResponseError as error:
        if _CANNOT_WRITE not in str(error):
            raise


def reaches_redis(method: Callable[P, R]) -> Callable[P, R]:
    """Decorate a method that calls Redis: whatever keeps Redis from answering is RedisAwayError.

    What it answers and cannot be read is UnusableError. The method's object has the client as
    `_client`.
    """

    @functools.wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        client: Client = cast("Any", args[0])._client
        try:
            if client.outage.lasts:
                client.outage.ask(client)
            return method(*args, **kwargs)
        except redis.TimeoutError as error:
            ERRORS.inc()
            client.outage.begin()
            raise RedisSilentError(f"Redis is away: {error}") from error
        except redis.RedisError as error:
            ERRORS.inc()
            for words, meaning in _FULL.items():
                if words in str(error):
                    raise RedisFullError(f"Redis takes no writes: {meaning}") from error
            raise RedisAwayError(f"Redis is away: {error}") from error
        except MalformedError as error:
            raise UnusableError(str(error)) from error

    return translated


def follow(
    client: Any, channel: str, stop: threading.Event
) -> Iterator[bytes | RedisAwayError | None]:
    """Yield None once subscribed, then each message of `channel`, until `stop` is set.

    None says: fetch the latest now, since what was sent before is lost. It comes again after each
    reconnection. After LISTEN_S seconds without a message, b"" is yielded. While Redis is away, the
    error is yielded at each failed try: also where its end of the connection has gone unseen.
    """
    while not stop.is_set():
        try:
            with client.pubsub() as subscription:
                subscription.subscribe(channel)
                heard_at = asked_at = time.monotonic()
                while not stop.is_set():
                    message = _next_message(subscription)
                    now = time.monotonic()
                    if message is not None:
                        heard_at = asked_at = now
                    elif now - heard_at > SILENCE_S + CALL_TIMEOUT_S:
                        raise redis.TimeoutError("it answers no ping")
                    elif now - asked_at > SILENCE_S:
                        subscription.ping()
                        asked_at = now
                    # The client mends a broken connection in silence: only the confirmation of
                    # its new subscription tells that messages may have been lost.
                    if message is not None and message["type"] == "subscribe":
                        yield None
                    else:
                        is_news = message is not None and message["type"] == "message"
                        yield bytes(message["data"]) if message and is_news else b""
        except redis.RedisError as error:
            ERRORS.inc()
            yield RedisAwayError(f"Redis is away: {error}")
            stop.wait(RECONNECT_S)


def _next_message(subscription: Any) -> dict[str, Any] | None:
    """Return what comes next, if it comes within LISTEN_S seconds."""
    try:
        message: dict[str, Any] | None = subscription.get_message(timeout=LISTEN_S)
    except redis.ResponseError as error:  # in place of a pong
        if _CANNOT_WRITE not in str(error):
            raise
        return {"type": "pong"}
    return message
