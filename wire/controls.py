"""The control signals: what anybody may send to a run, over the WebSocket or POST /control."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from wire.messages import (
    MAX_BATCH_SIZE,
    MAX_CACHE_SIZE,
    MAX_COUNT,
    MAX_ITERATIONS,
    MAX_LEARNING_RATE,
)

MAX_SIGNAL_BYTES = 64 * 2**10
MAX_SET_WEIGHTS_BYTES = 8 * 2**20
MAX_WEIGHTS_HZ = 20.0


class _Signal(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Start(_Signal):
    """Train until Stop, or for so many iterations."""

    type: Literal["Start"]
    iterations: Annotated[int, Field(ge=1, le=MAX_ITERATIONS)] | None = None


class Stop(_Signal):
    """Stop training after the iteration under way."""

    type: Literal["Stop"]


class GetStatus(_Signal):
    """Send the current ResponseSignal."""

    type: Literal["GetStatus"]


class SetWeights(_Signal):
    """Replace the weights by a stored version, or by a list of matrices."""

    type: Literal["SetWeights"]
    version: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
    weights: Annotated[list[Any], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> SetWeights:
        if (self.version is None) == (self.weights is None):
            raise ValueError("give either version or weights")
        return self


class SetBatchSize(_Signal):
    """Train with batches of so many examples."""

    type: Literal["SetBatchSize"]
    value: Annotated[int, Field(ge=1, le=MAX_BATCH_SIZE)]


class SetLearningRate(_Signal):
    """Take steps of this size."""

    type: Literal["SetLearningRate"]
    value: Annotated[float, Field(gt=0, le=MAX_LEARNING_RATE)]


class SetCacheSize(_Signal):
    """Keep so many batches ready or on their way."""

    type: Literal["SetCacheSize"]
    value: Annotated[int, Field(ge=1, le=MAX_CACHE_SIZE)]


class Subscribe(_Signal):
    """Send the weights as binary frames, so often at most; over the WebSocket only."""

    type: Literal["Subscribe"]
    weights: Literal["none", "f32", "f16"]
    weights_hz: Annotated[float, Field(ge=0, le=MAX_WEIGHTS_HZ)] = 10.0


SIGNALS = (
    Start,
    Stop,
    GetStatus,
    SetWeights,
    SetBatchSize,
    SetLearningRate,
    SetCacheSize,
    Subscribe,
)
ControlSignal = Annotated[
    Start
    | Stop
    | GetStatus
    | SetWeights
    | SetBatchSize
    | SetLearningRate
    | SetCacheSize
    | Subscribe,
    Field(discriminator="type"),
]
CONTROL_SIGNAL: TypeAdapter[ControlSignal] = TypeAdapter(ControlSignal)
