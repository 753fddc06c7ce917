"""What people send to tune the network, and to name what they save."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from nn.model import CLASSES, IMAGE_SIDE, INPUTS, Floats

MAX_SAMPLES = 1024
MAX_NAME_LENGTH = 80
IMAGE_WORDS = f"{INPUTS} numbers in 0..1, or {IMAGE_SIDE} rows of {IMAGE_SIDE}"


def read_image(value: Any) -> Floats:
    """Return the image (784,) float32 in a list of numbers or of rows; raise ValueError."""
    if not isinstance(value, list):
        raise ValueError(f"an image is {IMAGE_WORDS}")
    if value and all(isinstance(row, list) for row in value):
        lengths = {len(row) for row in value}
        if len(value) != IMAGE_SIDE or lengths != {IMAGE_SIDE}:
            raise ValueError(
                f"{len(value)} rows of {sorted(lengths)[:3]}; allowed are {IMAGE_WORDS}"
            )
        value = [number for row in value for number in row]
    if len(value) != INPUTS:
        raise ValueError(f"{len(value)} numbers; allowed are {IMAGE_WORDS}")
    for place, number in enumerate(value):
        # A bool is no number here; the comparison also refuses NaN.
        if type(number) not in (int, float) or not 0 <= number <= 1:
            raise ValueError(f"number {place} is {number!r:.40}; allowed are {IMAGE_WORDS}")
    return np.array(value, np.float32)


Image = Annotated[
    Any,
    PlainValidator(read_image),
    WithJsonSchema({"type": "array", "items": {}, "description": IMAGE_WORDS}),
]


class Sample(BaseModel):
    """A drawing and the digit that it shall be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Annotated[int, Field(ge=0, lt=CLASSES, strict=True)]
    image: Image


class TuneBody(BaseModel):
    """Samples for one training step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The first fault is told; a list of thousands helps nobody.
    data: Annotated[list[Sample], Field(min_length=1, max_length=MAX_SAMPLES), FailFast()]

    @property
    def images(self) -> Floats:
        """All images (B, 784)."""
        return np.stack([sample.image for sample in self.data])

    @property
    def targets(self) -> list[int]:
        """All targets, 0..9."""
        return [sample.target for sample in self.data]


# Written out for OpenAPI, where a reference from one model to the other would lead nowhere.
TUNE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "additionalProperties": False,
    "properties": {
        "data": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_SAMPLES,
            "items": Sample.model_json_schema(),
        }
    },
}


Name = (
    Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LENGTH),
    ]
    | None
)


class SaveBody(BaseModel):
    """A name for the live weights; without one they are kept all the same."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"name": "before the test"}}
    )

    name: Name = None


class NameBody(BaseModel):
    """The name that a version shall have; null for none."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"name": "before the test"}}
    )

    name: Name
