"""Bytes to messages and back: whatever is encoded comes back, whatever is malformed is refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from nn.model import INPUTS, Weights, init_weights
from tests.examples import ticket_of, whole_images
from wire.codec import (
    MAX_PARAMETERS,
    MalformedError,
    chained,
    checked_array,
    decode,
    decode_batch,
    decode_checkpoint,
    decode_snapshot,
    decode_weights,
    encode,
    encode_batch,
    encode_checkpoint,
    encode_snapshot,
    encode_weights,
)
from wire.messages import (
    Batch,
    Checkpoint,
    Frame,
    History,
    ResponseSignal,
    Snapshot,
    Ticket,
    WeightsInfo,
)

Array = NDArray[Any]
COUNTS = st.integers(0, 2**60)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ORIGINS = st.sampled_from(["upload", "reset", "restore", "save", "checkpoint", "tune"])


@st.composite
def networks(draw: st.DrawFn) -> Weights:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    weights = init_weights(np.random.default_rng(0), sizes, biases=draw(st.booleans()))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    for array in weights.arrays:
        flat = draw(st.lists(numbers, min_size=array.size, max_size=array.size))
        array[...] = np.array(flat, np.float32).reshape(array.shape)
    return weights


def assert_same(before: Weights, after: Weights) -> None:
    assert [a.shape for a in before.arrays] == [a.shape for a in after.arrays]
    assert [a.tobytes() for a in before.arrays] == [a.tobytes() for a in after.arrays]


def small() -> Weights:
    return init_weights(np.random.default_rng(0), (2, 3, 2))


# --- messages as JSON ---------------------------------------------------------------------------
TICKETS = st.builds(
    Ticket,
    stream=COUNTS, number=COUNTS, dataset=st.text(), split=st.sampled_from(["train", "test"]),
    seed=COUNTS, epoch=COUNTS, position=COUNTS, batch_size=st.integers(1, 4096),
    augmentation=st.just("none"),
)  # fmt: skip
LOSSES = st.none() | FINITE
SIGNALS = st.builds(
    ResponseSignal,
    loss=LOSSES, acc=LOSSES, batch_size=COUNTS, lrate=FINITE, data_len=COUNTS,
    data_futures_len=COUNTS, iteration=COUNTS, cache_size=COUNTS, problem=st.none() | st.text(),
    history=st.builds(History, st.lists(COUNTS), st.lists(LOSSES), st.lists(FINITE)),
)  # fmt: skip
FRAMES = st.builds(Frame, COUNTS, COUNTS, SIGNALS)


@given(TICKETS | FRAMES)
def test_a_message_comes_back(message: Ticket | Frame) -> None:
    kind: type[Ticket | Frame] = type(message)
    assert decode(kind, encode(message)) == message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"batch_size": 0}, "Expected `int` >= 1 - at `$.batch_size`"),
        ({"batch_size": 4097}, "Expected `int` <= 4096 - at `$.batch_size`"),
        ({"batch_size": 1.5}, "Expected `int`, got `float` - at `$.batch_size`"),
        ({"batch_size": True}, "Expected `int`, got `bool` - at `$.batch_size`"),
        ({"split": "validation"}, "Invalid enum value 'validation' - at `$.split`"),
        ({"epoch": -1}, "Expected `int` >= 0 - at `$.epoch`"),
        ({"colour": 1}, "Object contains unknown field `colour`"),
        ({"dataset": None}, "Expected `str`, got `null` - at `$.dataset`"),
    ],
)
def test_a_ticket_that_is_wrong_in_one_place(change: dict[str, Any], reason: str) -> None:
    ticket = json.loads(encode(Ticket(1, 2, "mnist", "train", 0, 0, 0, 128)))
    with pytest.raises(MalformedError, match=r"^no Ticket: ") as caught:
        decode(Ticket, json.dumps({**ticket, **change}).encode())
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff", b'{"\x80": 1}', b"[" * 9000, b'{"a":' * 9000]
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(MalformedError, match=r"^no Ticket: "):
        decode(Ticket, data)
    with pytest.raises(MalformedError, match=r"^no Frame: "):
        decode(Frame, data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(Ticket, data)


# --- batches ------------------------------------------------------------------------------------
def batch_of(count: int, pixels: int = INPUTS, stream: int = 1, number: int = 2) -> Batch:
    """Return a batch of `count` images in which so many pixels, anywhere, are inked."""
    rng = np.random.default_rng([count, number])
    images = np.zeros((count, INPUTS), np.uint8)
    inked = rng.permutation(INPUTS)[:pixels]
    images[:, inked] = rng.integers(0, 256, (count, pixels), dtype=np.uint8)
    images[-1, inked] = 1
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    ticket = ticket_of(number, stream=stream, batch_size=count)
    batch = Batch.answering(ticket, images, labels)
    np.testing.assert_array_equal(whole_images(batch), images)
    return batch


@settings(deadline=None)
@given(
    st.integers(1, 300),
    st.integers(0, INPUTS),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)
def test_a_batch_comes_back(count: int, pixels: int, stream: int, number: int) -> None:
    batch = batch_of(count, pixels, stream, number)
    data = encode_batch(batch)
    assert len(data) == 24 + INPUTS // 8 + (1 + pixels) * count
    back = decode_batch(data)
    assert (back.stream, back.number) == (stream, number)
    np.testing.assert_array_equal(back.ink, batch.ink)
    np.testing.assert_array_equal(back.images, batch.images)
    np.testing.assert_array_equal(back.labels, batch.labels)


HEADER = struct.Struct("<4sQQI")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_batch(batch_of(2, 0))[:121], "a batch of 121 bytes is shorter than its header"),
        (encode_batch(batch_of(2, 9))[:-1], "2 examples of 9 pixels has 142 bytes, not 141"),
        (encode_batch(batch_of(2, 9)) + b"\0", "2 examples of 9 pixels has 142 bytes, not 143"),
        (b"IKB1" + encode_batch(batch_of(1))[4:], "a batch starts with b'IKB2', not b'IKB1'"),
        (encode_batch(batch_of(4097)), "a batch has 1 to 4096 examples, not 4097"),
        (HEADER.pack(b"IKB2", 1, 1, 0) + bytes(98), "a batch has 1 to 4096 examples, not 0"),
        (
            HEADER.pack(b"IKB2", 1, 1, 2**32 - 1) + bytes(98),
            "a batch has 1 to 4096 examples, not 4294967295",
        ),
        (encode_batch(batch_of(1, 0))[:122] + b"\x0a", "a label of 10 is not among"),
    ],
)
def test_what_is_no_batch(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_batch(data)
    assert reason in str(caught.value)


# --- weights ------------------------------------------------------------------------------------
@settings(deadline=None)
@given(networks(), st.dictionaries(st.text(), st.text(), max_size=4))
def test_weights_come_back_with_their_metadata(weights: Weights, metadata: dict[str, str]) -> None:
    back, found = decode_weights(encode_weights(weights, metadata))
    assert_same(weights, back)
    assert found == metadata


@settings(deadline=None)
@given(networks(), COUNTS, COUNTS, ORIGINS, st.none() | FINITE)
def test_a_snapshot_comes_back(
    weights: Weights, version: int, iteration: int, origin: Any, loss: float | None
) -> None:
    info = WeightsInfo(version, iteration, origin, loss)
    back = decode_snapshot(encode_snapshot(Snapshot(weights, info)))
    assert back.info == info
    assert_same(weights, back.weights)


@settings(deadline=None)
@given(networks(), st.lists(COUNTS, min_size=5, max_size=5), st.none() | COUNTS, st.none() | FINITE)
def test_a_checkpoint_comes_back(
    weights: Weights, counts: list[int], target: int | None, loss: float | None
) -> None:
    iteration, epoch, position, generation, started = counts
    checkpoint = Checkpoint(
        weights, iteration, epoch, position, generation, started, "mnist", loss, 0.5, target
    )
    back = decode_checkpoint(encode_checkpoint(checkpoint))
    assert_same(weights, back.weights)
    for name in checkpoint.__struct_fields__[1:]:
        assert getattr(back, name) == getattr(checkpoint, name)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.uint16])
def test_other_numbers_become_float32(dtype: Any) -> None:
    weights, _ = decode_weights(save({"w1": np.array([[1, 2], [3, 4]], dtype)}))
    assert weights.matrices[0].dtype == np.float32
    np.testing.assert_array_equal(weights.matrices[0], [[1, 2], [3, 4]])


def raw(header: Any, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def tensor(shape: list[int], end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


ONES = np.ones((2, 2), np.float32)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no safetensors: "),
        (b"{}", "no safetensors: "),
        (struct.pack("<Q", 2**63) + b"{}", "no safetensors: "),
        (raw(b"\xff" * 16), "no safetensors: "),
        (raw(b"[" * 5000), "no safetensors: "),
        (raw({"w1": tensor([9, 9], 4)}, bytes(4)), "no safetensors: "),
        (raw({"w1": tensor([2**40, 2**40], 4)}, bytes(4)), "no safetensors: "),
        (raw({"w1": tensor([1, 1], 2, "BF16")}, bytes(2)), "no safetensors: "),
        (raw({"w1": tensor([1, 1], 1, "BOOL")}, bytes(1)), "type bool, not float32"),
        (raw({"__metadata__": {"a": "b"}}), "tensors [] are not w1, w2"),
        (save({"w1": ONES, "w3": ONES}), "tensors ['w1', 'w3'] are not w1, w2"),
        (save({"w1": ONES, "extra": ONES}), "tensors ['extra', 'w1'] are not w1, w2"),
        (save({"w1": ONES, "w2": ONES, "b1": ONES[0]}), "are not w1, w2, ... with or without b1"),
        (save({"w1": ONES, "b1": np.ones(3)}), "biases of shapes [(3,)] do not fit"),
        (save({"w1": ONES, "w2": np.ones((3, 2))}), "shapes (2, 2) and (3, 2) do not chain"),
        (save({"w1": ONES[0]}), "a matrix has two dimensions, not shape (2,)"),
        (save({"w1": np.array([[1, np.nan]])}), "w1[0, 1] is nan: only finite numbers"),
        (save({"w1": np.array([[1e300]])}), "w1[0, 0] is inf: only finite numbers"),
        (save({"w1": np.array([[1j]], np.complex64)}), "type complex64, not float32"),
    ],
)
def test_what_is_no_weights(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_weights(data)
    assert reason in str(caught.value)


def test_a_refusal_is_short_however_many_tensors_there_are() -> None:
    crowd = {f"{k:05}" + "x" * 200: np.zeros(0, np.float32) for k in range(2000)}
    with pytest.raises(MalformedError) as caught:
        decode_weights(save(crowd))
    assert len(str(caught.value)) < 1000


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_weights_that_were_tampered_with_never_crash(data: st.DataObject) -> None:
    body = bytearray(encode_snapshot(Snapshot(small(), WeightsInfo(1, 2, "upload", 0.5))))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        snapshot = decode_snapshot(bytes(body))
    except MalformedError:
        return
    assert all(np.isfinite(array).all() for array in snapshot.weights.arrays)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "missing required field"),
        ({"version": "-1", "iteration": "0", "origin": "upload"}, "`int` >= 0 - at `$.version`"),
        ({"version": "x", "iteration": "0", "origin": "upload"}, "at `$.version`"),
        ({"version": "1", "iteration": "0", "origin": "theft"}, "'theft' - at `$.origin`"),
        ({"version": "1", "iteration": "0", "origin": "upload", "a": "b"}, "unknown field `a`"),
    ],
)
def test_weights_with_metadata_that_are_no_info(metadata: dict[str, str], reason: str) -> None:
    with pytest.raises(MalformedError, match=r"^metadata of weights: ") as caught:
        decode_snapshot(encode_weights(small(), metadata))
    assert reason in str(caught.value)


@pytest.mark.parametrize("metadata", [{}, {"iteration": "x"}])
def test_weights_that_are_no_checkpoint(metadata: dict[str, str]) -> None:
    with pytest.raises(MalformedError, match=r"^metadata of a checkpoint: "):
        decode_checkpoint(encode_weights(small(), metadata))


def test_arrays_are_bounded() -> None:
    huge = np.broadcast_to(np.float32(0), (MAX_PARAMETERS + 1,))
    with pytest.raises(MalformedError, match="w1 has 16000001 items of type float32"):
        checked_array("w1", huge)


def test_arrays_that_do_not_chain() -> None:
    with pytest.raises(MalformedError, match="at least one matrix"):
        chained(())
    with pytest.raises(MalformedError, match="do not chain"):
        chained((np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)))
