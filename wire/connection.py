"""The way to Redis: one client, one error for "it is away", one loop for following channels."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

import redis
from redis._parsers import Encoder
from redis.backoff import NoBackoff
from redis.connection import PythonRespSerializer
from redis.retry import Retry

from wire.codec import MalformedError, UnusableError

P = ParamSpec("P")
R = TypeVar("R")

PACKED_BYTES = 6000  # arguments of up to so many bytes are sent together
ENCODER: Any = Encoder("utf-8", "strict", False)  # type: ignore[no-untyped-call]
CALL_TIMEOUT_S = 5.0  # Redis answers within milliseconds or is away
MAX_BLOCK_S = 2.0  # the longest blocking pop; well under CALL_TIMEOUT_S
RECONNECT_S = 0.5
LISTEN_S = 0.5  # so long, at most, a follower takes to notice that it shall stop


class RedisAwayError(Exception):
    """Redis cannot be reached, or cannot serve yet. The caller tries again later."""


def checked_url(url: str) -> str:
    """Return `url` if it can name a Redis; raise ValueError with what is wrong if it cannot."""
    connect(url).close()
    return url


def connect(url: str) -> redis.Redis:
    """Return a client for `url` (redis://, rediss:// or unix://); it connects at its first call.

    A connection that broke while idle, as when Redis restarted, is made anew once without notice.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CALL_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=0,
        # hiredis packs a command into one string: for weights, half a millisecond of copying under
        # the interpreter's lock. This one sends what is large as it is.
        command_packer=PythonRespSerializer(PACKED_BYTES, ENCODER.encode),
    )


def reaches_redis(method: Callable[P, R]) -> Callable[P, R]:
    """Decorate a method that calls Redis: whatever keeps Redis from answering is RedisAwayError.

    What it answers and cannot be read is UnusableError.
    """

    @functools.wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except redis.RedisError as error:
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
    error is yielded at each failed try.
    """
    while not stop.is_set():
        try:
            with client.pubsub() as subscription:
                subscription.subscribe(channel)
                while not stop.is_set():
                    message = cast(
                        "dict[str, Any] | None",
                        subscription.get_message(timeout=LISTEN_S),
                    )
                    # The client mends a broken connection in silence: only the confirmation of
                    # its new subscription tells that messages may have been lost.
                    if message is not None and message["type"] == "subscribe":
                        yield None
                    else:
                        yield bytes(message["data"]) if message else b""
        except redis.RedisError as error:
            yield RedisAwayError(f"Redis is away: {error}")
            stop.wait(RECONNECT_S)
