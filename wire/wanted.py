"""What is wanted of a run: its settings, and the wake-up that tells the trainer to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import redis

from wire.codec import MalformedError, checked_count
from wire.connection import reaches_redis
from wire.keys import Keys
from wire.messages import RunSettings
from wire.request_id import REQUEST_ID

Changes = Mapping[str, int | float | str | None]


def push_wake(pipe: Any, keys: Keys) -> None:
    """Wake the trainer; one wake-up is as good as many."""
    pipe.lpush(keys.wake, 1)
    pipe.ltrim(keys.wake, 0, 0)


def change_settings(pipe: Any, keys: Keys, changes: Changes) -> None:
    """Put the change into the transaction `pipe`; its last reply but the wake-up's is the revision.

    A Start ("training": 1) says so by the field `started`, which then holds the number of Starts.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    absent = [name for name, value in changes.items() if value is None]
    if given:
        pipe.hset(keys.settings, mapping=given)
    if absent:
        pipe.hdel(keys.settings, *absent)
    if given.get("training"):
        pipe.hincrby(keys.settings, "started", 1)
    pipe.hincrby(keys.settings, "revision", 1)


# Ends a training that reached its target, unless somebody wanted something else meanwhile, or
# another trainer leads.
_FINISH = """
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[1], 'started') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'training', 0)
  return redis.call('HINCRBY', KEYS[1], 'revision', 1)
end
return 0
"""


class Wanted:
    """The settings of one run."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self._finish = client.register_script(_FINISH)

    @reaches_redis
    def change(self, changes: Changes) -> int:
        """Change settings (None removes one), wake the trainer, return the new revision."""
        with self._client.pipeline(transaction=True) as pipe:
            caller = {"request_id": REQUEST_ID.get() or None}
            change_settings(pipe, self._keys, {**changes, **caller})
            push_wake(pipe, self._keys)
            *_, revision, _, _ = pipe.execute()
        return int(revision)

    @reaches_redis
    def wake(self) -> None:
        """Make the trainer look."""
        with self._client.pipeline(transaction=True) as pipe:
            push_wake(pipe, self._keys)
            pipe.execute()

    @reaches_redis
    def look(self, defaults: RunSettings) -> tuple[RunSettings, int]:
        """Return the settings and the generation of the weights that the run shall have.

        What nobody has set yet is set to its default first; the seed is always the default. The
        generation is the version of the weights that last replaced the run's, 0 if none did. Both
        are of the same moment. Raises MalformedError if the settings are out of their ranges.
        """
        first = {
            "batch_size": defaults.batch_size,
            "learning_rate": defaults.learning_rate,
            "cache_size": defaults.cache_size,
        }
        pipe = self._client.pipeline(transaction=True)
        for name, value in first.items():
            pipe.hsetnx(self._keys.settings, name, value)
        pipe.hgetall(self._keys.settings)
        pipe.hget(self._keys.weights, "generation")
        *_, fields, generation = pipe.execute()
        # What is no UTF-8 is no setting either: it is refused by its name or its value.
        stored = {
            name.decode(errors="replace"): value.decode(errors="replace")
            for name, value in fields.items()
        }
        try:
            settings = msgspec.convert({**stored, "seed": defaults.seed}, RunSettings, strict=False)
        except msgspec.MsgspecError as error:
            raise MalformedError(f"settings of the run {stored!r:.400}: {error}") from error
        return settings, checked_count("the generation of the weights", generation)

    @reaches_redis
    def finish(self, started: int, *, token: int) -> None:
        """End the training that began with the Start number `started`, if it is still the last.

        `token` is that of the lease under which it was done.
        """
        self._finish(keys=[self._keys.settings, self._keys.lease], args=[started, token])
