"""Requests from one service to another that need an answer, over Redis."""

from __future__ import annotations

import time
import uuid
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import numpy as np
import redis
from numpy.typing import NDArray

from nn.model import CLASSES, INPUTS, Floats
from wire.codec import MalformedError
from wire.connection import MAX_BLOCK_S, reaches_redis
from wire.keys import Keys
from wire.messages import Count
from wire.request_id import REQUEST_ID
from wire.wanted import push_wake

T = TypeVar("T")
Service = Literal["trainer", "weights"]  # those that take calls
_NAMES: dict[Service, str] = {"trainer": "trainer", "weights": "weights service"}
REPLY_TTL_S = 60
CALL_DEADLINE_S = 8.0
MAX_REMEMBERED = 1000  # calls: of more than a minute, as long as there are 16 a second at most
MIN_BLOCK_S = 0.01  # Redis before 7.0 takes less than a millisecond for "as long as it takes"


class Tune(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """To the trainer: one training step on these samples.

    `images` holds (B, 784) float32 little-endian numbers, `labels` B of 0..9.
    """

    images: bytes
    labels: list[int]

    def arrays(self) -> tuple[Floats, NDArray[np.intp]]:
        """Return images (B, 784) float32 and labels (B,); raise MalformedError if they are none."""
        count = len(self.labels)
        if not count or len(self.images) != 4 * count * INPUTS:
            raise MalformedError(f"{len(self.images)} bytes of images for {count} labels")
        if not all(0 <= label < CLASSES for label in self.labels):
            raise MalformedError(f"a label is not among the {CLASSES} classes")
        return np.frombuffer(self.images, "<f4").reshape(count, INPUTS), np.array(self.labels)


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """To the weights service: make a stored version the live one."""

    stored: Count


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """To the weights service: replace the live weights. `weights` is JSON, a list of matrices."""

    weights: bytes


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """To the weights service: give the weights of a stored version."""

    stored: Count


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a call: `status` as in HTTP, and `detail` if it is an error.

    `snapshot` is what Fetch asked for, in the one format for weights.
    """

    status: int = 200
    detail: str = ""
    version: Count = 0
    loss: float | None = None
    snapshot: bytes = b""

    def __post_init__(self) -> None:
        HTTPStatus(self.status)  # raises ValueError, which makes what is decoded malformed


class Call(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """One call, as it waits in the list of its service.

    `request_id` is that of the call from outside to which it belongs.
    """

    name: Annotated[str, msgspec.Meta(max_length=64)]
    request: T
    request_id: str = ""


class NoAnswerError(Exception):
    """Nobody took the call in time: nothing was changed."""


class NoReplyError(Exception):
    """Somebody took the call but did not answer in time: it may have taken effect."""


class Calls:
    """Calls of one run."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self._taken: dict[str, None] = {}  # the names of the last calls, in their order

    @reaches_redis
    def call(
        self,
        service: Service,
        request: Tune | Restore | Upload | Fetch,
        deadline_s: float = CALL_DEADLINE_S,
    ) -> Reply:
        """Hand `request` to one process of `service` and return its reply.

        Raises NoAnswerError when no process took it within half of `deadline_s`, NoReplyError
        when one did, but sent no reply within the whole of it, MalformedError for what is none.
        """
        name = uuid.uuid4().hex
        data = msgspec.msgpack.encode(Call(name, request, REQUEST_ID.get()))
        with self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(self._keys.calls(service), data)
            push_wake(pipe, self._keys)
            pipe.execute()
        reply = self._reply(name, deadline_s / 2)
        if reply is None and self._client.lrem(self._keys.calls(service), 0, data):
            raise NoAnswerError(f"no {_NAMES[service]} took the call")
        reply = reply or self._reply(name, deadline_s / 2)
        if reply is None:
            raise NoReplyError(f"the {_NAMES[service]} took the call, but did not answer in time")
        answer: Reply = _decoded(Reply, reply)
        return answer

    def _reply(self, name: str, within_s: float) -> bytes | None:
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            block_s = min(max(left, MIN_BLOCK_S), MAX_BLOCK_S)
            popped = self._client.blpop([self._keys.reply(name)], block_s)
            if popped:
                return bytes(popped[1])
        return None

    @reaches_redis
    def take(
        self, service: Service, kind: type[T], timeout_s: float | None = None
    ) -> Call[T] | MalformedError | None:
        """Take the next call to `service`: None if there is none, or none within `timeout_s`.

        A call is taken once, though it may stand in the list twice: a caller whose connection broke
        repeats what it sent, and a Redis that lost its last second has a call again that was taken.
        """
        while (data := self._pop(service, timeout_s)) is not None:
            try:
                call: Call[T] = _decoded(Call[kind], data)  # type: ignore[valid-type]
            except MalformedError as error:
                return error
            if self._is_new(call.name):
                return call
        return None

    def _pop(self, service: Service, timeout_s: float | None) -> bytes | None:
        if timeout_s is None:
            data: bytes | None = self._client.lpop(self._keys.calls(service))
            return data
        popped = self._client.blpop([self._keys.calls(service)], timeout_s)
        return popped[1] if popped else None

    def _is_new(self, name: str) -> bool:
        """Return whether no call of this name was taken before, and remember it."""
        if name in self._taken:
            return False
        self._taken[name] = None
        if len(self._taken) > MAX_REMEMBERED:
            del self._taken[next(iter(self._taken))]
        return True

    @reaches_redis
    def answer(self, name: str, reply: Reply) -> None:
        """Send the reply to the call of this name."""
        pipe = self._client.pipeline(transaction=True)
        pipe.rpush(self._keys.reply(name), msgspec.msgpack.encode(reply))
        pipe.expire(self._keys.reply(name), REPLY_TTL_S)
        pipe.execute()


def _decoded(kind: Any, data: bytes) -> Any:
    """Return the message of type `kind` in the MessagePack `data`; raise MalformedError if none."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # a string may be no UTF-8
        raise MalformedError(f"no {getattr(kind, '__name__', 'Call')}: {error}") from error
