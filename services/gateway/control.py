"""Control signals: checked, put where the trainer finds them, and waited for."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic_core import from_json

from ops.problems import Problem
from services.gateway.run import Run
from wire.bus import Bus
from wire.calls import Reply, Restore, Upload
from wire.controls import (
    CONTROL_SIGNAL,
    MAX_SET_WEIGHTS_BYTES,
    MAX_SIGNAL_BYTES,
    ControlSignal,
    GetStatus,
    SetBatchSize,
    SetCacheSize,
    SetLearningRate,
    SetWeights,
    Start,
    Stop,
    Subscribe,
)
from wire.messages import ResponseSignal
from wire.wanted import Changes

SET_WEIGHTS = "SetWeights"  # the one signal that may be large
EFFECT_S = 5.0  # a trainer obeys within milliseconds; after this there is none


def read_signal(data: bytes | str) -> ControlSignal:
    """Return the control signal in `data`.

    Raises pydantic.ValidationError for what is none, Problem for one that is too large.
    """
    size = len(data if isinstance(data, bytes) else data.encode())
    if size > MAX_SIGNAL_BYTES:
        limit = MAX_SET_WEIGHTS_BYTES if name_of(data) == SET_WEIGHTS else MAX_SIGNAL_BYTES
        if size > limit:
            raise Problem(413, f"the signal has {size:,} bytes; allowed are {limit:,}")
    return CONTROL_SIGNAL.validate_json(data)


def name_of(data: bytes | str) -> str | None:
    """Return the type that a signal gives itself, however wrong the rest of it is."""
    try:
        fields: Any = from_json(data)
    except ValueError:
        return None
    name = fields.get("type") if isinstance(fields, dict) else None
    return name[:40] if isinstance(name, str) else None


def changes_of(signal: ControlSignal) -> Changes:
    """Return the settings that a signal changes; none for one that changes no settings."""
    match signal:
        case Start(iterations=iterations):
            return {"training": 1, "iterations": iterations}
        case Stop():
            return {"training": 0}
        case SetBatchSize(value=value):
            return {"batch_size": value}
        case SetLearningRate(value=value):
            return {"learning_rate": value}
        case SetCacheSize(value=value):
            return {"cache_size": value}
    return {}


class Control:
    """Obeys control signals for one run."""

    def __init__(self, bus: Bus, run: Run) -> None:
        self._bus = bus
        self._run = run

    def obey(self, signal: ControlSignal) -> ResponseSignal:
        """Do what `signal` says; return the state of the run after it took effect.

        Blocks until then. Raises Problem if it cannot be obeyed, RedisAwayError, NoAnswerError or
        NoReplyError.
        """
        changes = changes_of(signal)
        if changes:
            revision = self._bus.wanted.change(changes)
            self._wait_for(lambda: self._run.revision >= revision)
        elif isinstance(signal, SetWeights):
            version = self._set_weights(signal).version
            if self._bus.training.is_led():
                self._wait_for(lambda: self._run.generation >= version)
        elif isinstance(signal, Subscribe):
            raise Problem(422, "type = 'Subscribe' is not allowed here: only over the WebSocket")
        elif isinstance(signal, GetStatus):
            self._bus.ping()
        return self._run.status()

    def _set_weights(self, signal: SetWeights) -> Reply:
        if signal.version is not None:
            request: Restore | Upload = Restore(signal.version)
        else:
            request = Upload(_as_json(signal.weights))
        reply = self._bus.calls.call("weights", request)
        if reply.status >= 400:
            raise Problem(reply.status, reply.detail)
        return reply

    def _wait_for(self, effect: Any) -> None:
        if not self._run.wait_until(effect, EFFECT_S):
            raise Problem(
                503,
                "No trainer is running. The change is kept, and takes effect when one starts.",
                {"Retry-After": "2"},
            )


def _as_json(weights: Any) -> bytes:
    """Return `weights` as JSON; raise Problem 422 for whole numbers of more than 64 bits."""
    try:
        return orjson.dumps(weights)
    except TypeError as error:
        raise Problem(422, f"SetWeights.weights is not allowed: {error}") from error
