"""Who trains, what the trainer tells, and whence the next one goes on."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import redis

from wire.codec import (
    MalformedError,
    checked_network,
    decode_checkpoint,
    decode_frame,
    encode,
    encode_checkpoint,
)
from wire.connection import RedisAwayError, follow, reaches_redis
from wire.curve import Curve
from wire.keys import Keys
from wire.messages import Checkpoint, Frame, History

LEASE_S = 3.0

# Each taking of the lease gets a token of its own; whatever is written under an older one is
# refused (a fencing token, as in Gray and Cheriton, "Leases", 1989, and later practice). It is the
# time in milliseconds, so that it grows also where Redis forgot the last ones that it gave.
# Whoever has the lease and does not know, having had no answer, is told so when it asks again: else
# nobody would lead until that lease is over.
# ARGV: milliseconds, name of whoever asks
_ACQUIRE: Final = """
redis.replicate_commands()
local held = redis.call('GET', KEYS[1])
if held then
  local taking = redis.call('GET', KEYS[3]) or ''
  local token, previous, name = string.match(taking, '^(%d+) (%d+) (%w+)$')
  if token ~= held or name ~= ARGV[2] then return {0, 0} end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return {tonumber(token), tonumber(previous)}
end
local previous = tonumber(redis.call('GET', KEYS[2]) or '0')
local time = redis.call('TIME')
local token = math.max(previous + 1, time[1] * 1000 + math.floor(time[2] / 1000))
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], text, 'PX', ARGV[1])
redis.call('SET', KEYS[3], string.format('%.0f %.0f %s', token, previous, ARGV[2]))
return {token, previous}
"""
_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# ARGV: token, frame without history, frame, whether it has a history
_PUBLISH_FRAME: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[4] == '1' then redis.call('RPUSH', KEYS[3], ARGV[3]) end
redis.call('PUBLISH', KEYS[4], ARGV[3])
return 1
"""
# A run that went back has no test points after the place where it is now. Frames whose points are
# in the curve are told in the same moment, so that nobody gets them twice or never.
# ARGV: token, checkpoint or nothing, its iteration, curve, last frame without history, frames
_SAVE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '(' .. ARGV[3], '+inf')
end
redis.call('SET', KEYS[3], ARGV[4])
redis.call('DEL', KEYS[4])
if ARGV[5] ~= '' then redis.call('SET', KEYS[6], ARGV[5]) end
for k = 6, #ARGV do redis.call('PUBLISH', KEYS[7], ARGV[k]) end
return 1
"""


class Lease(NamedTuple):
    """What whoever takes the lease gets: its token, and that of the taking before, 0 if none."""

    token: int
    previous: int


class Training:
    """The lease, the frames and the checkpoint of one run."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self._acquire = client.register_script(_ACQUIRE)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)
        self._publish_frame = client.register_script(_PUBLISH_FRAME)
        self._save = client.register_script(_SAVE)

    # --- the lease --------------------------------------------------------------------------
    @reaches_redis
    def take(self, name: str) -> Lease | None:
        """Take the lease for the trainer `name`; return None while another one holds it.

        A name has letters and digits, and is that of one process.
        """
        keys = [self._keys.lease, self._keys.tokens, self._keys.taking]
        token, previous = self._acquire(keys=keys, args=[int(LEASE_S * 1000), name])
        return Lease(token, previous) if token else None

    def acquire(self) -> int | None:
        """Take the lease for nobody in particular; return its token, or None while it is held."""
        lease = self.take(uuid.uuid4().hex)
        return None if lease is None else lease.token

    @reaches_redis
    def renew(self, token: int) -> bool:
        """Hold the lease for another LEASE_S seconds; return False if it is lost."""
        return bool(self._renew(keys=[self._keys.lease], args=[token, int(LEASE_S * 1000)]))

    @reaches_redis
    def release(self, token: int) -> None:
        """Let the next trainer take over at once."""
        self._release(keys=[self._keys.lease], args=[token])

    @reaches_redis
    def is_led(self) -> bool:
        """Return whether some trainer holds the lease."""
        return bool(self._client.exists(self._keys.lease))

    # --- what the trainer tells -------------------------------------------------------------
    @reaches_redis
    def publish_frame(self, frame: Frame, *, token: int) -> bool:
        """Tell everybody; return False if the lease is lost."""
        keys = [self._keys.lease, self._keys.frame, self._keys.recent, self._keys.frames]
        has_history = int(frame.signal.history != History())
        args: list[bytes | int] = [token, encode(_bare(frame)), encode(frame), has_history]
        return bool(self._publish_frame(keys=keys, args=args))

    @reaches_redis
    def save(
        self,
        checkpoint: Checkpoint | None,
        curve: Curve,
        *,
        token: int,
        frames: Sequence[Frame] = (),
    ) -> bool:
        """Keep a checkpoint and the curve up to it, or the curve alone, and tell `frames`.

        The curve holds all that the frames tell. Returns False if the lease is lost.
        """
        keys = self._keys
        names = [keys.lease, keys.checkpoint, keys.curve, keys.recent, keys.tests]
        args: list[bytes | int] = [
            token,
            encode_checkpoint(checkpoint) if checkpoint else b"",
            checkpoint.iteration if checkpoint else 0,
            curve.encode(),
            encode(_bare(frames[-1])) if frames else b"",
            *map(encode, frames),
        ]
        return bool(self._save(keys=[*names, keys.frame, keys.frames], args=args))

    @reaches_redis
    def checkpoint(self) -> Checkpoint | None:
        """Return the last checkpoint, or None if there is none."""
        data = self._client.get(self._keys.checkpoint)
        if data is None:
            return None
        checkpoint = decode_checkpoint(data)
        checked_network(checkpoint.weights)
        return checkpoint

    # --- the viewers' side ------------------------------------------------------------------
    @reaches_redis
    def frame(self) -> Frame | None:
        """Return the latest frame, its history left out."""
        data = self._client.get(self._keys.frame)
        return None if data is None else decode_frame(data)

    def curve(self) -> Curve:
        """Return the curve of the run up to its latest frame."""
        return self.latest()[1]

    @reaches_redis
    def latest(self) -> tuple[Frame | None, Curve]:
        """Return the latest frame, its history left out, and the curve of the run up to it."""
        pipe = self._client.pipeline(transaction=True)
        pipe.get(self._keys.frame)
        pipe.get(self._keys.curve)
        pipe.lrange(self._keys.recent, 0, -1)
        frame, data, recent = pipe.execute()
        curve = Curve() if data is None else Curve.decode(data)
        for item in recent:
            signal = decode_frame(item).signal
            curve.extend(signal.history, signal.history_from)
        return None if frame is None else decode_frame(frame), curve

    def follow_frames(self, stop: threading.Event) -> Iterator[Frame | RedisAwayError | None]:
        """Yield None after each (re)connection ("fetch the latest"), then each frame.

        The error is yielded while Redis is away. Frames that cannot be read are skipped.
        """
        for news in follow(self._client, self._keys.frames, stop):
            if news is None or isinstance(news, RedisAwayError):
                yield news
            elif news:
                try:
                    yield decode_frame(news)
                except MalformedError:
                    continue


def _bare(frame: Frame) -> Frame:
    """Return a frame without its history."""
    signal = msgspec.structs.replace(frame.signal, history=History())
    return msgspec.structs.replace(frame, signal=signal)
