"""Every codec: what is encoded comes back; any bytes are a message or a MalformedError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.model import Weights, fresh_weights
from tests.examples import (
    accuracy_at,
    batch_of,
    checkpoint_of,
    frame_of,
    history_of,
    mark_of,
    ticket_of,
)
from tests.fuzz.mutation import Mutation
from wire import messages
from wire.calls import Call, Fetch, Reply, Restore, Tune, Upload
from wire.calls import _decoded as decode_call
from wire.codec import (
    MalformedError,
    decode,
    decode_batch,
    decode_checkpoint,
    decode_frame,
    decode_snapshot,
    encode,
    encode_batch,
    encode_checkpoint,
    encode_snapshot,
)
from wire.curve import Curve
from wire.messages import (
    MAX_COUNT,
    Batch,
    Checkpoint,
    DataSetInfo,
    Evaluation,
    Mark,
    Snapshot,
    Ticket,
    WeightsInfo,
)

COUNTS = st.integers(0, MAX_COUNT)
SHARES = st.floats(0, 1)
BYTES = st.binary(max_size=40)

# --- there and back ----------------------------------------------------------------------------
MESSAGES = st.one_of(
    st.builds(DataSetInfo, st.text(), st.text(), st.integers(1, 2**32 - 1), st.just(1)),
    st.builds(Mark, COUNTS, st.sampled_from(["lrate", "tune", "reset"]), st.floats(0, 1e9), COUNTS),
    st.builds(messages.TestPoint, COUNTS, COUNTS, SHARES),
    st.builds(Evaluation, COUNTS, COUNTS, SHARES, st.booleans()),
)
REQUESTS = st.one_of(
    st.builds(Tune, BYTES, st.lists(st.integers(0, 9))),
    st.builds(Restore, COUNTS),
    st.builds(Upload, BYTES),
    st.builds(Fetch, COUNTS),
)
REPLIES = st.builds(Reply, st.sampled_from([200, 404, 422, 503, 507]), st.text(), COUNTS,
                    st.none() | SHARES, BYTES)  # fmt: skip


@given(MESSAGES)
def test_a_message_comes_back(message: msgspec.Struct) -> None:
    assert decode(type(message), encode(message)) == message


@given(st.text(max_size=64), REQUESTS)
def test_a_call_comes_back(name: str, request_: Any) -> None:
    call = Call(name, request_)
    assert decode_call(Call[type(request_)], msgspec.msgpack.encode(call)) == call  # type: ignore[misc]


@given(REPLIES)
def test_a_reply_comes_back(reply: Reply) -> None:
    assert decode_call(Reply, msgspec.msgpack.encode(reply)) == reply


# --- any bytes ---------------------------------------------------------------------------------
class Codec(NamedTuple):
    """How bytes become a message, and back."""

    valid: bytes
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def curve_of(*iterations: int) -> Curve:
    curve = Curve()
    history = msgspec.structs.replace(history_of(*iterations), marks=[mark_of(2)])
    curve.extend(history, 0)
    return curve


def json_codec(message: Any) -> Codec:
    return Codec(encode(message), lambda data: decode(type(message), data), encode)


def call_codec(kind: Any, message: Any) -> Codec:
    pack = msgspec.msgpack.encode
    return Codec(pack(message), lambda data: decode_call(kind, data), pack)


WEIGHTS = fresh_weights(0, 1, True)
SNAPSHOT = Snapshot(WEIGHTS, WeightsInfo(3, 4, "tune", 0.5))
CODECS = {
    "ticket": json_codec(ticket_of(7)),
    "data set": json_codec(DataSetInfo("mnist", "because", 60_000, 10_000)),
    "mark": json_codec(mark_of(3)),
    "test point": json_codec(accuracy_at(3)),
    "evaluation": json_codec(Evaluation(3, 4, 0.5, live=True)),
    "frame": Codec(encode(frame_of(1, 2, problem="none")), decode_frame, encode),
    "batch": Codec(encode_batch(batch_of(3)), decode_batch, encode_batch),
    "snapshot": Codec(encode_snapshot(SNAPSHOT), decode_snapshot, encode_snapshot),
    "checkpoint": Codec(
        encode_checkpoint(checkpoint_of(5, weights=WEIGHTS, acc=0.5)),
        decode_checkpoint,
        encode_checkpoint,
    ),
    "curve": Codec(curve_of(1, 2, 9).encode(), Curve.decode, lambda curve: curve.encode()),
    "tune": call_codec(Call[Tune], Call("a", Tune(bytes(8), [1, 2]))),
    "restore or upload": call_codec(Call[Restore | Upload], Call("a", Restore(7))),
    "reply": call_codec(Reply, Reply(404, "there is none", 3, 0.5, b"abc")),
}


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), first=st.sampled_from([None, 10, 60, 300]))
def test_bytes_that_were_tampered_with_are_a_message_or_refused(
    name: str, seed: int, first: int | None
) -> None:
    check(CODECS[name], Mutation(seed).data(CODECS[name].valid, first=first))


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=200), cut=st.integers(0, 24))
def test_any_bytes_are_a_message_or_refused(name: str, data: bytes, cut: int) -> None:
    check(CODECS[name], data)
    check(CODECS[name], CODECS[name].valid[:cut] + data)


def check(codec: Codec, data: bytes) -> None:
    """Fail unless `data` is refused, or is a message which comes back."""
    try:
        message = codec.decode(data)
    except MalformedError:
        return
    assert told(codec.decode(codec.encode(message))) == told(message)


def told(message: Any) -> str:
    """Return a message as text; what is no number is equal to itself there."""
    match message:
        case Curve():
            return told(message.history())
        case Weights():
            return f"{[array.tobytes() for array in message.arrays]}"
        case np.ndarray():
            return f"{message.tobytes()!r}"
        case Batch() | Snapshot() | Checkpoint():
            return f"{[told(getattr(message, name)) for name in message.__struct_fields__]}"
    return repr(message)


def test_the_examples_are_valid() -> None:
    for codec in CODECS.values():
        check(codec, codec.valid)
        codec.decode(codec.valid)
    assert np.isfinite(WEIGHTS.matrices[0]).all()
    assert decode(Ticket, CODECS["ticket"].valid) == ticket_of(7)
