"""The flow of data: tickets one way, batches the other, and the workers between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import redis

from wire.codec import (
    MalformedError,
    checked_count,
    decode,
    decode_batch,
    encode,
    encode_batch,
)
from wire.connection import reaches_redis
from wire.intake import Intake
from wire.keys import Keys
from wire.messages import Batch, DataSetInfo, Ticket
from wire.wanted import push_wake

WORKER_GONE_AFTER_S = 4.0
HEARTBEAT_S = 1.0
MAX_NAME_LENGTH = 100  # of a worker: as much as is told of it
WORKER_FORGOTTEN_AFTER_S = 60.0  # the entry of one that died is then swept out

# Batches are the bulk of all traffic and worth nothing after a restart: they are kept out of the
# append-only file. (Before Redis 7, replicate_commands() must come first.)
_PUSH_BATCH: Final = """
redis.replicate_commands()
redis.set_repl(redis.REPL_NONE)
return redis.call('RPUSH', KEYS[1], ARGV[1])
"""


# Times are those of Redis, so that the clocks of the machines need not agree.
# ARGV: worker, batches, seconds until it counts as gone, seconds after which the dead are forgotten
_HEARTBEAT: Final = """
redis.replicate_commands()
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])) do
  redis.call('ZREM', KEYS[1], dead)
  redis.call('HDEL', KEYS[2], dead)
end
return 1
"""


class SignOfLife(NamedTuple):
    """The last that a data worker told: how many batches it has cut, and when, in seconds."""

    batches: int
    at: float


class Woken:
    """Instead of batches: something else is wanted of the trainer."""


class DataFlow:
    """Tickets and batches of one run."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self.intake = Intake(client, keys)
        self._push_batch = client.register_script(_PUSH_BATCH)
        self._heartbeat = client.register_script(_HEARTBEAT)

    # --- the trainer's side -----------------------------------------------------------------
    @reaches_redis
    def push_tickets(self, tickets: Sequence[Ticket], *, first: bool = False) -> None:
        """Ask for batches; with `first`, before all that were asked for already."""
        push = self._client.lpush if first else self._client.rpush
        push(self._keys.tickets, *map(encode, reversed(tickets) if first else tickets))

    @reaches_redis
    def pop_batches(self, count: int) -> list[Batch | MalformedError]:
        """Take up to `count` ready batches, without waiting."""
        return [
            _batch_or_error(data) for data in self._client.lpop(self._keys.batches, count) or ()
        ]

    @reaches_redis
    def wait(self, timeout_s: float, *, for_batch: bool) -> Batch | MalformedError | Woken | None:
        """Block until the trainer is woken or, with `for_batch`, a batch is ready.

        Returns None after `timeout_s` (at most connection.MAX_BLOCK_S) seconds.
        """
        keys = [self._keys.wake] + [self._keys.batches] * for_batch
        popped = self._client.blpop(keys, timeout_s)
        if popped is None:
            return None
        key, data = popped
        return Woken() if key == self._keys.wake.encode() else _batch_or_error(data)

    @reaches_redis
    def lengths(self) -> tuple[int, int]:
        """Return how many tickets wait for a worker, and how many batches for the trainer."""
        pipe = self._client.pipeline(transaction=False)
        pipe.llen(self._keys.tickets)
        pipe.llen(self._keys.batches)
        tickets, batches = pipe.execute()
        return int(tickets), int(batches)

    @reaches_redis
    def sweep_tickets(self, own: Iterable[Ticket]) -> set[int]:
        """Return the numbers of those `own` tickets that no worker has taken.

        Whatever else stands among the tickets is taken out: nobody waits for its batch, and a
        worker who cannot cut it would come back to it for ever.
        """
        numbers = {encode(ticket): ticket.number for ticket in own}
        found = set(self._client.lrange(self._keys.tickets, 0, -1))
        if strange := found - numbers.keys():
            pipe = self._client.pipeline(transaction=False)
            for item in strange:
                pipe.lrem(self._keys.tickets, 0, item)
            pipe.execute()
        return {numbers[item] for item in found & numbers.keys()}

    @reaches_redis
    def clear(self) -> None:
        """Forget all tickets and batches: their stream has ended."""
        self._client.delete(self._keys.tickets, self._keys.batches)

    # --- the workers' side ------------------------------------------------------------------
    @reaches_redis
    def pop_ticket(self, timeout_s: float) -> Ticket | MalformedError | None:
        """Take the next ticket; None if none came within `timeout_s` seconds."""
        return _ticket_or_error(self._client.blpop([self._keys.tickets], timeout_s))

    @reaches_redis
    def push_batch(self, batch: Batch) -> None:
        """Hand a batch to the trainer."""
        self._push_batch(keys=[self._keys.batches], args=[encode_batch(batch)])

    @reaches_redis
    def hand_over(self, batch: Batch, timeout_s: float) -> Ticket | MalformedError | None:
        """Do what `push_batch` and then `pop_ticket` do, in one round trip."""
        pipe = self._client.pipeline(transaction=False)
        pipe.evalsha(self._push_batch.sha, 1, self._keys.batches, encode_batch(batch))
        pipe.blpop([self._keys.tickets], timeout_s)
        pushed, popped = pipe.execute(raise_on_error=False)
        if isinstance(pushed, redis.exceptions.NoScriptError):  # a Redis that does not know it yet
            self.push_batch(batch)
        elif isinstance(pushed, redis.RedisError):
            raise pushed
        if isinstance(popped, redis.RedisError):
            raise popped
        return _ticket_or_error(popped)

    @reaches_redis
    def heartbeat(self, worker: str, batches: int) -> None:
        """Say that `worker` lives, and how many batches it has cut since it started.

        It counts as gone WORKER_GONE_AFTER_S seconds later.
        """
        self._heartbeat(
            keys=[self._keys.workers, self._keys.worker_batches],
            args=[worker, batches, WORKER_GONE_AFTER_S, WORKER_FORGOTTEN_AFTER_S],
        )

    @reaches_redis
    def sign_off(self, worker: str) -> None:
        """Say that `worker` has gone."""
        pipe = self._client.pipeline(transaction=True)
        pipe.zrem(self._keys.workers, worker)
        pipe.hdel(self._keys.worker_batches, worker)
        pipe.execute()

    @reaches_redis
    def workers(self) -> dict[str, SignOfLife]:
        """Return the last sign of life of each data worker that lives, by its name."""
        pipe = self._client.pipeline(transaction=True)
        pipe.zrangebyscore(self._keys.workers, self._now(), "+inf", withscores=True)
        pipe.hgetall(self._keys.worker_batches)
        living, batches = pipe.execute()
        return {
            name.decode(errors="replace")[:MAX_NAME_LENGTH]: SignOfLife(
                _count_or_zero(batches.get(name)), gone_at - WORKER_GONE_AFTER_S
            )
            for name, gone_at in living
        }

    def _now(self) -> float:
        seconds, microseconds = self._client.time()
        return float(seconds + microseconds / 1e6)

    # --- the data set -----------------------------------------------------------------------
    @reaches_redis
    def announce(self, dataset: DataSetInfo) -> None:
        """Say which data set is in use."""
        pipe = self._client.pipeline(transaction=True)
        pipe.set(self._keys.dataset, encode(dataset))
        push_wake(pipe, self._keys)
        pipe.execute()

    @reaches_redis
    def dataset(self) -> DataSetInfo | None:
        """Return the data set in use, or None as long as none is ready."""
        data = self._client.get(self._keys.dataset)
        return None if data is None else decode(DataSetInfo, data)


def _batch_or_error(data: bytes) -> Batch | MalformedError:
    try:
        return decode_batch(data)
    except MalformedError as error:
        return error


def _ticket_or_error(popped: tuple[bytes, bytes] | None) -> Ticket | MalformedError | None:
    if popped is None:
        return None
    try:
        return decode(Ticket, popped[1])
    except MalformedError as error:
        return error


def _count_or_zero(data: bytes | None) -> int:
    try:
        return checked_count("a worker's batches", data)
    except MalformedError:
        return 0
