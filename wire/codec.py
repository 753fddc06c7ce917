"""Bytes to messages and back, refusing whatever is malformed."""

from __future__ import annotations

import json
import operator
import struct
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from nn.model import CLASSES, INPUTS, Floats, Weights
from wire.messages import MAX_BATCH_SIZE, Batch, Checkpoint, Count, Frame, Snapshot, WeightsInfo

T = TypeVar("T")

_BATCH_HEADER = struct.Struct("<4sQQI")  # magic, stream, number, examples
_BATCH_MAGIC = b"IKB2"
_INK_BYTES = INPUTS // 8  # a bit for each pixel
MAX_SHOWN = 200  # characters of foreign names that an error repeats
MAX_PARAMETERS = 16_000_000  # 64 MB as float32: more is an attack or a mistake


class MalformedError(ValueError):
    """Bytes that are not what they should be; the message says what is wrong with them."""


class UnusableError(MalformedError):
    """What Redis holds is not what it should be: not the fault of whoever asks for it."""


def encode(message: msgspec.Struct) -> bytes:
    """Return `message` as JSON."""
    return msgspec.json.encode(message)


def decode(kind: type[T], data: bytes) -> T:
    """Return the message of type `kind` in the JSON `data`; raise MalformedError if it is none."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # a field's name may be no UTF-8
        raise MalformedError(f"no {kind.__name__}: {error}") from error


def decode_frame(data: bytes) -> Frame:
    """Return the frame in the JSON `data`; raise MalformedError if it is none.

    Its history has as many losses and accuracies as iterations, which grow from `history_from` on.
    """
    frame = decode(Frame, data)
    history, after = frame.signal.history, frame.signal.history_from
    iteration = history.iteration
    if not len(iteration) == len(history.loss) == len(history.acc):
        raise MalformedError(
            f"a history of {len(iteration)} iterations, {len(history.loss)} losses and "
            f"{len(history.acc)} accuracies"
        )
    if any(map(operator.ge, (after, *iteration), iteration)):
        raise MalformedError(f"the iterations of a history do not grow from {after} on")
    return frame


def checked_network(weights: Weights) -> Weights:
    """Return `weights`; raise MalformedError unless they are of a network that reads digits."""
    if (weights.sizes[0], weights.sizes[-1]) != (INPUTS, CLASSES):
        sizes = " to ".join(map(str, weights.sizes))
        raise MalformedError(f"a network from {sizes}; allowed is {INPUTS} to ... to {CLASSES}")
    return weights


def checked_count(name: str, data: bytes | None) -> int:
    """Return the number that Redis holds as `name`, 0 for none; raise MalformedError if it is none.

    Redis itself counts in 64 bits.
    """
    try:
        return msgspec.convert((b"0" if data is None else data).decode(), Count, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedError(f"{name} = {data!r:.60} is no number: {error}") from error


def encode_batch(batch: Batch) -> bytes:
    """Return a header, which pixels are inked, the labels, and of the images the inked pixels."""
    header = _BATCH_HEADER.pack(_BATCH_MAGIC, batch.stream, batch.number, len(batch.labels))
    ink = np.packbits(batch.ink).tobytes()
    return b"".join((header, ink, batch.labels.tobytes(), batch.images.tobytes()))


def decode_batch(data: bytes | memoryview) -> Batch:
    """Return the batch in `data`; its arrays look into `data`.

    Raises MalformedError for anything else than one batch.
    """
    start = _BATCH_HEADER.size + _INK_BYTES
    if len(data) < start:
        raise MalformedError(f"a batch of {len(data)} bytes is shorter than its header")
    magic, stream, number, count = _BATCH_HEADER.unpack_from(data)
    if magic != _BATCH_MAGIC:
        raise MalformedError(f"a batch starts with {_BATCH_MAGIC!r}, not {magic!r}")
    if not 1 <= count <= MAX_BATCH_SIZE:
        raise MalformedError(f"a batch has 1 to {MAX_BATCH_SIZE} examples, not {count}")
    bits = np.frombuffer(data, np.uint8, _INK_BYTES, _BATCH_HEADER.size)
    ink = np.unpackbits(bits).view(np.bool_)
    pixels = np.count_nonzero(ink)
    expected = start + count * (1 + pixels)
    if len(data) != expected:
        raise MalformedError(
            f"a batch of {count} examples of {pixels} pixels has {expected} bytes, not {len(data)}"
        )
    labels = np.frombuffer(data, np.uint8, count, start)
    images = np.frombuffer(data, np.uint8, offset=start + count)
    if labels.max() >= CLASSES:
        raise MalformedError(f"a label of {labels.max()} is not among the {CLASSES} classes")
    return Batch(stream, number, ink, images.reshape(count, pixels), labels)


def encode_weights(weights: Weights, metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors byte string with tensors w1, w2, ... and, if any, b1, b2, ..."""
    tensors = {f"w{k}": np.ascontiguousarray(m) for k, m in enumerate(weights.matrices, 1)}
    tensors |= {f"b{k}": np.ascontiguousarray(b) for k, b in enumerate(weights.biases, 1)}
    return save_tensors(tensors, dict(metadata))


def decode_weights(data: bytes) -> tuple[Weights, dict[str, str]]:
    """Return the float32 weights in the safetensors bytes `data`, and their metadata.

    float16 and float64 tensors are converted. Raises MalformedError for bytes that are no
    safetensors, other tensors than w1, w2, ... (b1, b2, ...), shapes that do not chain, too many
    parameters, and numbers that are not finite.
    """
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise MalformedError(f"no safetensors: {error}") from error
    layers = sum(name.startswith("w") for name in tensors)
    names = [f"{kind}{k}" for kind in "wb" for k in range(1, layers + 1)]
    if not layers or set(tensors) not in (set(names), set(names[:layers])):
        found = str(sorted(tensors))[:MAX_SHOWN]
        raise MalformedError(f"tensors {found} are not w1, w2, ... with or without b1, b2, ...")
    arrays = tuple(checked_array(name, tensors[name]) for name in names if name in tensors)
    return chained(arrays[:layers], arrays[layers:]), metadata_of(data)


def metadata_of(data: bytes) -> dict[str, str]:
    """Return the metadata of safetensors bytes that were found to be valid."""
    (length,) = struct.unpack_from("<Q", data)
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return metadata


def checked_array(name: str, array: NDArray[Any]) -> Floats:
    """Return `array` as float32; raise MalformedError if a number in it is not finite."""
    if array.dtype.kind not in "fiu" or array.size > MAX_PARAMETERS:
        raise MalformedError(f"{name} has {array.size} items of type {array.dtype}, not float32")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes inf, caught below
        result = array.astype(np.float32)
    if not np.isfinite(result).all():
        place = [int(k) for k in np.argwhere(~np.isfinite(result))[0]]
        raise MalformedError(
            f"{name}{place} is {result[tuple(place)]}: only finite numbers are allowed"
        )
    return result


def chained(matrices: tuple[Floats, ...], biases: tuple[Floats, ...] = ()) -> Weights:
    """Return the weights of these arrays; raise MalformedError if their shapes are no network's."""
    try:
        return Weights(matrices, biases)
    except ValueError as error:
        raise MalformedError(str(error)) from error


def _to_strings(message: Any) -> dict[str, str]:
    """Return the fields of a message that are not None, as safetensors metadata."""
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return {
        name: str(value)
        for name, value in fields.items()
        if value is not None and not isinstance(value, Weights)
    }


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the one format for weights everywhere: safetensors with the info as metadata."""
    return encode_weights(snapshot.weights, _to_strings(snapshot.info))


def decode_snapshot(data: bytes) -> Snapshot:
    """Return the snapshot in `data`; raise MalformedError if it is none."""
    weights, metadata = decode_weights(data)
    try:
        return Snapshot(weights, msgspec.convert(metadata, WeightsInfo, strict=False))
    except msgspec.MsgspecError as error:
        raise MalformedError(f"metadata of weights: {error}") from error


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return safetensors with everything but the weights as metadata."""
    return encode_weights(checkpoint.weights, _to_strings(checkpoint))


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Return the checkpoint in `data`; raise MalformedError if it is none."""
    weights, metadata = decode_weights(data)
    try:
        return msgspec.convert({**metadata, "weights": weights}, Checkpoint, strict=False)
    except msgspec.MsgspecError as error:
        raise MalformedError(f"metadata of a checkpoint: {error}") from error
