"""Weights as people send and fetch them: JSON, safetensors, npz, ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import orjson

from nn.model import Floats, Weights
from ops.problems import Problem
from services.weights.npz import decode_npz, encode_npz
from wire.codec import MalformedError, chained, checked_array, decode_weights, encode_snapshot
from wire.messages import Snapshot


class Format(StrEnum):
    """The formats; each name is also the ending of its files."""

    JSON = "json"
    SAFETENSORS = "safetensors"
    NPZ = "npz"
    ONNX = "onnx"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.JSON: "application/json",
    Format.SAFETENSORS: "application/vnd.safetensors",
    Format.NPZ: "application/x-npz",
    Format.ONNX: "application/vnd.onnx",
}
ANY_BYTES = "application/octet-stream"  # its beginning says which format it is

# What JSON becomes in memory, about 32 bytes a number and 100 a list, is bounded before decoding.
MAX_JSON_NUMBERS = 1_000_000
MAX_JSON_LISTS = 20_000

_SAFETENSORS_HEADER_AT = 8  # after the header's length
_ZIP_MAGIC = b"PK\x03\x04"
_ONNX_IR_VERSION = b"\x08"  # protobuf's tag of the first field that every ONNX file has


class _JsonWeights(msgspec.Struct, forbid_unknown_fields=True):
    weights: list[list[list[float]]]
    biases: list[list[float]] = []


def encode(snapshot: Snapshot, kind: Format) -> bytes:
    """Return the weights of `snapshot` as the bytes of a file of this kind."""
    return _ENCODERS[kind](snapshot)


def decode(body: bytes, kind: Format) -> Weights:
    """Return the float32 weights in `body`.

    Raises MalformedError for whatever is not a network of finite numbers, and Problem 400 for a
    body that should be JSON and is not.
    """
    return _DECODERS[kind](body)


def format_of(content_type: str | None, body: bytes) -> Format:
    """Return the format of an upload; raise Problem 415 if it is none that is taken."""
    named = (content_type or ANY_BYTES).partition(";")[0].strip().lower()
    for kind, media_type in MEDIA_TYPES.items():
        if named == media_type:
            return kind
    kind_seen = _sniff(body) if named == ANY_BYTES else None
    if kind_seen is None:
        allowed = ", ".join(MEDIA_TYPES.values())
        raise Problem(
            415, f"a body of type {named!r} cannot be read as weights; allowed are {allowed}"
        )
    return kind_seen


def _sniff(body: bytes) -> Format | None:
    if body.startswith(_ZIP_MAGIC):
        return Format.NPZ
    if body[_SAFETENSORS_HEADER_AT : _SAFETENSORS_HEADER_AT + 1] == b"{":
        return Format.SAFETENSORS
    if body.lstrip()[:1] in (b"{", b"["):
        return Format.JSON
    return Format.ONNX if body.startswith(_ONNX_IR_VERSION) else None


# --- JSON -------------------------------------------------------------------------------------
def json_fields(weights: Weights) -> dict[str, list[Floats]]:
    """Return the fields of the JSON form; only a network that has biases has that field."""
    fields = {"weights": [np.ascontiguousarray(matrix) for matrix in weights.matrices]}
    if weights.biases:
        fields["biases"] = [np.ascontiguousarray(bias) for bias in weights.biases]
    return fields


def dump_json(fields: Mapping[str, Any]) -> bytes:
    """Return `fields`, in which arrays may stand, as JSON."""
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)


def _decode_json(body: bytes) -> Weights:
    """Return the weights in {"weights": [...]} or in a bare list of matrices."""
    for what, mark, most in (("numbers", b",", MAX_JSON_NUMBERS), ("lists", b"[", MAX_JSON_LISTS)):
        if (count := body.count(mark)) > most:
            raise MalformedError(
                f"JSON with {count:,} {what}; allowed are {most:,}: send safetensors instead"
            )
    try:
        fields = msgspec.json.decode(body, type=_JsonWeights | list[list[list[float]]])
    except msgspec.ValidationError as error:
        raise MalformedError(f"weights as JSON are a list of matrices: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    given = fields if isinstance(fields, _JsonWeights) else _JsonWeights(fields)
    matrices = tuple(_matrix(f"w{k}", rows) for k, rows in enumerate(given.weights, 1))
    biases = tuple(
        checked_array(f"b{k}", np.array(bias, np.float64)) for k, bias in enumerate(given.biases, 1)
    )
    return chained(matrices, biases)


def _matrix(name: str, rows: list[list[float]]) -> Floats:
    for k, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise MalformedError(
                f"row {k} of {name} has {len(row)} numbers, but row 0 has {len(rows[0])}: "
                "all rows of a matrix are equally long"
            )
    return checked_array(name, np.array(rows, np.float64))


# --- what fits the run --------------------------------------------------------------------------
def check_fit(weights: Weights, wanted: Weights) -> None:
    """Raise MalformedError unless `weights` has the shapes of `wanted`; it names the first wrong.

    Of `wanted`, only the shapes count.
    """
    given = shapes_of(weights)
    allowed = shapes_of(wanted)
    for name, shape in given.items():
        if name in allowed and shape != allowed[name]:
            raise MalformedError(f"{name} is {shape}; allowed is {allowed[name]}")
    if set(given) != set(allowed):
        raise MalformedError(f"given are {', '.join(given)}; allowed are {', '.join(allowed)}")


def shapes_of(weights: Weights) -> dict[str, str]:
    """Return the shape of each array in words: {"w1": "784 x 128", ...}."""
    named = {f"w{k}": matrix for k, matrix in enumerate(weights.matrices, 1)}
    named |= {f"b{k}": bias for k, bias in enumerate(weights.biases, 1)}
    return {name: " x ".join(map(str, array.shape)) for name, array in named.items()}


# --- ONNX ---------------------------------------------------------------------------------------
def _encode_onnx(snapshot: Snapshot) -> bytes:
    from services.weights.onnx_model import encode_onnx  # 7 MB that few people ask for

    return encode_onnx(snapshot)


def _decode_onnx(body: bytes) -> Weights:
    from services.weights.onnx_model import decode_onnx

    return decode_onnx(body)


_ENCODERS: Mapping[Format, Callable[[Snapshot], bytes]] = {
    Format.JSON: lambda snapshot: dump_json(json_fields(snapshot.weights)),
    Format.SAFETENSORS: encode_snapshot,
    Format.NPZ: lambda snapshot: encode_npz(snapshot.weights),
    Format.ONNX: _encode_onnx,
}
_DECODERS: Mapping[Format, Callable[[bytes], Weights]] = {
    Format.JSON: _decode_json,
    Format.SAFETENSORS: lambda body: decode_weights(body)[0],
    Format.NPZ: decode_npz,
    Format.ONNX: _decode_onnx,
}
