"""The live weights: published by the trainer, replaced by people, followed by everybody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import redis
from prometheus_client import Histogram

from wire.codec import (
    MalformedError,
    checked_count,
    checked_network,
    decode,
    decode_snapshot,
    encode,
    encode_snapshot,
)
from wire.connection import RedisAwayError, follow, reaches_redis
from wire.curve import MAX_TEST_POINTS
from wire.keys import Keys
from wire.messages import Evaluation, Snapshot, TestPoint
from wire.request_id import MAX_LENGTH, REQUEST_ID

MAX_TO_EVALUATE = 64

SWAP_SECONDS = Histogram(
    "inkling_weights_swap_seconds", "From the news of new weights until they are taken into use",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)  # fmt: skip

# The trainer publishes only while it holds the lease, and only successors of the weights that it
# knows of: whoever replaced them in the meantime wins. (A generation that is older than its own is
# one that Redis fell back to, having lost the newer one.) Returns 1, or 0 if it must look again.
# What comes twice, since the connection broke before the answer, is done once and answered twice.
# ARGV: token, generation, version, bytes, whether Redis shall keep them across a restart.
_PUBLISH: Final = """
redis.replicate_commands()
local live = redis.call('HMGET', KEYS[2], 'generation', 'version')
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if live[2] == ARGV[3] and redis.call('HGET', KEYS[2], 'bytes') == ARGV[4] then return 1 end
if tonumber(live[1] or '0') > tonumber(ARGV[2]) then return 0 end
if tonumber(live[2] or '0') >= tonumber(ARGV[3]) then return 0 end
if ARGV[5] == '0' then redis.set_repl(redis.REPL_NONE) end
redis.call('HSET', KEYS[2], 'generation', ARGV[2], 'version', ARGV[3], 'bytes', ARGV[4])
redis.call('PUBLISH', KEYS[3], ARGV[3])
return 1
"""

# People's weights replace whatever is live, as long as their version is the newest. In the same
# moment, the trainer may be asked for some iterations (as wire.wanted spells a Start). What comes
# twice is done once.
# ARGV: version, bytes, iterations or 0, request id
_REPLACE: Final = """
local live = redis.call('HGET', KEYS[1], 'version')
if live == ARGV[1] and redis.call('HGET', KEYS[1], 'bytes') == ARGV[2] then return 1 end
if tonumber(live or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'version', ARGV[1], 'bytes', ARGV[2],
  'request_id', ARGV[4])
redis.call('PUBLISH', KEYS[2], ARGV[1])
if ARGV[3] ~= '0' then
  redis.call('HSET', KEYS[3], 'training', 1, 'iterations', ARGV[3], 'request_id', ARGV[4])
  redis.call('HINCRBY', KEYS[3], 'started', 1)
  redis.call('HINCRBY', KEYS[3], 'revision', 1)
end
redis.call('LPUSH', KEYS[4], 1)
redis.call('LTRIM', KEYS[4], 0, 0)
return 1
"""

# Version numbers never go back, not even where Redis lost its memory.
_RAISE: Final = """
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
"""

# A test point of weights that were replaced meanwhile comes too late. One that is not after those
# before it says that the run went back. When there are too many, every other goes.
# ARGV: version, iteration, the test point, how many are kept
_ADD_TEST_POINT: Final = """
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
if tonumber(ARGV[1]) < generation then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[2], '+inf')
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[4]) then
  local points = redis.call('ZRANGE', KEYS[2], 0, -1)
  for k = #points - 1, 1, -2 do redis.call('ZREM', KEYS[2], points[k]) end
end
return 1
"""


class LiveWeights:
    """The live weights of one run, and what is measured of them."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self._publish = client.register_script(_PUBLISH)
        self._replace = client.register_script(_REPLACE)
        self._raise = client.register_script(_RAISE)
        self._add_test_point = client.register_script(_ADD_TEST_POINT)
        self._highest = 0  # version that this process has heard of

    @reaches_redis
    def next_version(self) -> int:
        """Return a version number that is higher than all before it.

        Where Redis forgot the last numbers, it is higher than those that this process remembers.
        """
        version = int(self._client.incr(self._keys.version))
        if version <= self._highest:
            self.raise_version(self._highest)
            version = int(self._client.incr(self._keys.version))
        self._note(version)
        return version

    def _note(self, version: int) -> None:
        self._highest = max(self._highest, version)

    @reaches_redis
    def raise_version(self, version: int) -> None:
        """Make sure that the next version number is higher than `version`."""
        self._raise(keys=[self._keys.version], args=[version])

    @reaches_redis
    def publish(self, snapshot: Snapshot, *, token: int, generation: int, keep: bool) -> bool:
        """Publish the trainer's weights; return False if it may not, and must look again."""
        return bool(
            self._publish(
                keys=[self._keys.lease, self._keys.weights, self._keys.weights_news],
                args=[
                    token,
                    generation,
                    snapshot.info.version,
                    encode_snapshot(snapshot),
                    int(keep),
                ],
            )
        )

    @reaches_redis
    def replace(self, snapshot: Snapshot, *, train: int | None = None) -> bool:
        """Replace the run's weights and wake the trainer; with `train`, let it take so many steps.

        Returns False, and changes nothing, if newer weights are live: take a new version number.
        """
        keys = self._keys
        return bool(
            self._replace(
                keys=[keys.weights, keys.weights_news, keys.settings, keys.wake],
                args=[
                    snapshot.info.version,
                    encode_snapshot(snapshot),
                    train or 0,
                    REQUEST_ID.get(),
                ],
            )
        )

    @reaches_redis
    def latest(self) -> Snapshot | None:
        """Return the live weights, or None before there are any."""
        data = self._client.hget(self._keys.weights, "bytes")
        if data is None:
            return None
        snapshot = _snapshot(data)
        self._note(snapshot.info.version)
        return snapshot

    @reaches_redis
    def generation(self) -> int:
        """Return the version of the weights that last replaced the run's, 0 if none did."""
        return checked_count("a generation", self._client.hget(self._keys.weights, "generation"))

    @reaches_redis
    def replaced_by(self) -> str:
        """Return the request id of the call that last replaced the run's weights, if any did."""
        data = self._client.hget(self._keys.weights, "request_id") or b""
        return bytes(data[:MAX_LENGTH]).decode(errors="replace")

    @reaches_redis
    def latest_bytes(self) -> tuple[int, bytes] | None:
        """Return the version of the live weights, and their safetensors, which nobody decodes."""
        version, data = self._client.hmget(self._keys.weights, "version", "bytes")
        return None if data is None else (checked_count("the live version", version), data)

    def follow(self, stop: threading.Event) -> Iterator[Snapshot | RedisAwayError]:
        """Yield the live weights, then each newer version that is not overtaken meanwhile.

        After a reconnection, what is live is yielded also if it is older: Redis may have lost its
        last second. An error is yielded while Redis is away, or holds weights that cannot be read.
        """
        seen = 0
        for news in follow(self._client, self._keys.weights_news, stop):
            if isinstance(news, RedisAwayError):
                yield news
                continue
            if news is not None and not _is_newer(news, seen):
                continue
            heard = time.perf_counter()
            try:
                snapshot = self.latest()
            except (RedisAwayError, MalformedError) as error:
                yield RedisAwayError(str(error))
                continue
            if snapshot is None or snapshot.info.version == seen:
                continue
            if news is None or snapshot.info.version > seen:
                seen = snapshot.info.version
                yield snapshot  # whoever follows binds a name to it, and goes on
                SWAP_SECONDS.observe(time.perf_counter() - heard)

    # --- evaluation -------------------------------------------------------------------------
    @reaches_redis
    def ask_evaluation(self, snapshot: Snapshot) -> None:
        """Ask the data service for the test accuracy of these weights."""
        pipe = self._client.pipeline(transaction=True)
        pipe.rpush(self._keys.to_evaluate, encode_snapshot(snapshot))
        pipe.ltrim(self._keys.to_evaluate, -MAX_TO_EVALUATE, -1)
        pipe.execute()

    @reaches_redis
    def pop_to_evaluate(self) -> Snapshot | None:
        """Take one request for an evaluation, if there is any."""
        data = self._client.lpop(self._keys.to_evaluate)
        return None if data is None else _snapshot(data)

    @reaches_redis
    def publish_evaluation(self, evaluation: Evaluation) -> None:
        """Tell a measured test accuracy; if of live weights, keep it as the run's latest."""
        if evaluation.live:
            self._client.set(self._keys.evaluation, encode(evaluation))
            point = TestPoint(evaluation.version, evaluation.iteration, evaluation.test_acc)
            self._add_test_point(
                keys=[self._keys.weights, self._keys.tests],
                args=[point.version, point.iteration, encode(point), MAX_TEST_POINTS],
            )
        self._client.publish(self._keys.evaluations, encode(evaluation))

    @reaches_redis
    def evaluation(self) -> Evaluation | None:
        """Return the latest test accuracy of live weights."""
        data = self._client.get(self._keys.evaluation)
        return None if data is None else decode(Evaluation, data)

    @reaches_redis
    def tests(self) -> list[TestPoint]:
        """Return the run's test points, by iteration; of a long run, some of them."""
        return [decode(TestPoint, data) for data in self._client.zrange(self._keys.tests, 0, -1)]

    def follow_evaluations(self, stop: threading.Event) -> Iterator[Evaluation | None]:
        """Yield None after each (re)connection, and each evaluation."""
        for news in follow(self._client, self._keys.evaluations, stop):
            if news is None:
                yield None
            elif isinstance(news, bytes) and news:
                try:
                    yield decode(Evaluation, news)
                except MalformedError:
                    continue


def _snapshot(data: bytes) -> Snapshot:
    """Return the snapshot of a network that reads digits; raise MalformedError if it is none."""
    snapshot = decode_snapshot(data)
    checked_network(snapshot.weights)
    return snapshot


def _is_newer(news: bytes, seen: int) -> bool:
    """Return whether `news` is a version after `seen`; what is no version is not."""
    try:
        return checked_count("a version", news) > seen
    except MalformedError:
        return False
