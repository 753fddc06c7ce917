"""The trainer's way in: batches straight from the socket into memory, asked for ahead of need.

A batch that was asked for lies in the socket by the time it is needed: Redis puts it there while
the trainer learns from the one before. redis-py would wait for Redis at each call, and copy each
byte three times more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from wire.codec import MalformedError, decode_batch, encode
from wire.connection import reaches_redis
from wire.keys import Keys
from wire.messages import Batch, Ticket

REPLY_BYTES = 128  # of all that comes before the batch


class Intake:
    """Asks for batches over a connection of its own, one at a time, and takes them later."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        pool: Any = client.connection_pool
        # redis-py connects it, with address, password and TLS; the replies are read here.
        self._connection = pool.connection_class(**{**pool.connection_kwargs, "protocol": 2})
        self._keys = keys
        self._pops = _command("LPOP", keys.wake) + _command("LPOP", keys.batches)
        self._expected = 0  # bytes of the next batch: an eighth more than the last one had
        self.is_idle = True  # nothing was asked for that is not taken yet

    @reaches_redis
    def ask(self, tickets: Sequence[Ticket]) -> None:
        """Push `tickets`, ask for a wake-up and for a batch: without waiting for either.

        Call it only when idle.
        """
        push = _command("RPUSH", self._keys.tickets, *map(encode, tickets)) if tickets else _PING
        self._connection.send_packed_command([push + self._pops], check_health=False)
        self.is_idle = False

    @reaches_redis
    def take(self) -> tuple[bool, Batch | MalformedError | None]:
        """Return whether the trainer was woken, and the batch that was asked for, if there is one.

        None where no batch was ready, or nothing was asked for.
        """
        if self.is_idle:
            return False, None
        try:
            woken, data = self._read()
        except TimeoutError as error:
            self.close()
            raise redis.TimeoutError("it did not answer in time") from error
        except (OSError, redis.RedisError) as error:
            self.close()
            raise redis.ConnectionError(f"while taking a batch: {error}") from error
        finally:
            self.is_idle = True
        if data is None:
            return woken, None
        self._expected = len(data) * 9 // 8
        try:
            return woken, decode_batch(data.data)
        except MalformedError as error:
            return woken, error

    def close(self) -> None:
        """End the connection, and forget what was asked for."""
        self._connection.disconnect()
        self.is_idle = True

    def _read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Read the three replies: to the push, the wake-up, the batch; return the last two."""
        memory = np.empty(REPLY_BYTES + self._expected, np.uint8)
        known = self._receive(memory.data)
        place = 0

        def line() -> bytes:
            nonlocal known, place
            while b"\n" not in (start := memory[place : min(known, place + REPLY_BYTES)].tobytes()):
                known += self._receive(memory.data[known:])
            length = start.index(b"\n") + 1
            place += length
            if start.startswith(b"-"):
                raise redis.ResponseError(start[1:length].decode(errors="replace").strip())
            return start[: length - 2]

        line()
        wake_up = line()
        woken = wake_up != b"$-1"
        if woken and (wake_up != b"$1" or line() != b"1"):  # it might hold what looks like replies
            raise redis.ResponseError("a wake-up that is no 1")
        length = int(line()[1:])
        if length < 0:
            return woken, None
        end = place + length + 2  # and the end of its line
        if end > len(memory):
            longer = np.empty(end, np.uint8)
            longer[:known] = memory[:known]
            memory = longer
        while known < end:
            known += self._receive(memory.data[known:end])
        return woken, memory[place : place + length]

    def _receive(self, memory: memoryview) -> int:
        count: int = self._connection._sock.recv_into(memory)
        if not count:
            raise ConnectionError("Redis closed the connection")
        return count


def _command(*words: str | bytes) -> bytes:
    """Return a command as Redis reads it."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


_PING = _command("PING")  # in place of a push, so that there are always three replies
