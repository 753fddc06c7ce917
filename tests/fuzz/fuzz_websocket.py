"""The WebSocket: texts and bytes that are no signals, frames and handshakes that are none."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from ops.problems import Problem
from services.gateway.control import read_signal
from tests.fuzz.fuzz_rest import SIGNALS
from tests.fuzz.mutation import Mutation
from tests.fuzz.target import Target
from wire.controls import MAX_SIGNAL_BYTES, SetWeights

NO_VERSION = 10**6  # no history comes so far here
AT_ONCE = 50  # signals sent before their Errors are read


def test_signals_that_are_none(target: Target) -> None:
    mutation = Mutation(10)
    with viewer(target) as socket_:
        for round_ in range(110):
            signals = [bad_signal(mutation) for _ in range(AT_ONCE)]
            for signal in signals:
                socket_.send(signal)
            expect_errors(socket_, len(signals), f"mark {round_}")
            target.tally["signals over the WebSocket"] += len(signals)


def viewer(target: Target) -> ClientConnection:
    """Return a connection."""
    return connect(f"ws://127.0.0.1:{target.stack.port}/ws", max_size=None)


def bad_signal(mutation: Mutation) -> str | bytes:
    """Return a text or bytes that are no signal which may be obeyed."""
    while True:
        kind = mutation.rng.randrange(8)
        data = mutation.noise() if kind == 0 else mutation.text(mutation.choice(SIGNALS))
        if may_be_obeyed(data):
            continue
        text = data.decode(errors="replace")
        return text if kind < 6 and not may_be_obeyed(text) else data


def may_be_obeyed(data: bytes | str) -> bool:
    """Return whether this is a signal that leads to anything else than an Error."""
    try:
        signal = read_signal(data)
    except (ValidationError, Problem):
        return False
    if isinstance(signal, SetWeights):  # weights that do not fit, or a version that there is not
        return signal.weights is None and (signal.version or 0) < NO_VERSION
    return True


def expect_errors(socket_: ClientConnection, count: int, mark: str) -> None:
    """Send a signal of the type `mark`; read its Error, and before it `count` others."""
    socket_.send(json.dumps({"type": mark}))
    errors = 0
    while True:
        news: Any = json.loads(socket_.recv(30))
        if news["type"] != "Error":
            continue
        assert set(news) == {"type", "signal", "detail"}
        assert news["detail"]
        if news["signal"] == mark:
            break
        errors += 1
    assert errors == count


def test_signals_that_are_huge(target: Target) -> None:
    for size in (MAX_SIGNAL_BYTES, 2**20, 9 * 2**20):
        for signal in ("x" * (size + 1), '{"type": "SetWeights", "weights": [' + "[" * size):
            with viewer(target) as socket_:
                socket_.send(signal)
                expect_errors(socket_, 1, "mark")
            target.tally["huge signals"] += 1
    data: str | bytes
    for data in ("x" * (17 * 2**20), b"\0" * (17 * 2**20)):
        with viewer(target) as socket_:
            with suppress(ConnectionClosed):
                socket_.send(data)
            assert closed(socket_) in (1009, 1006)  # 1006: its reason was lost in what we sent
        target.tally["huge signals"] += 1


def closed(socket_: ClientConnection) -> int | None:
    """Read until the server closes; return the code."""
    try:
        while True:
            socket_.recv(30)
    except ConnectionClosed:
        return socket_.close_code


# --- below the messages ------------------------------------------------------------------------
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_frames_that_are_none(target: Target) -> None:
    mutation = Mutation(11)
    for _ in range(400):
        frames = b"".join(broken_frame(mutation) for _ in range(mutation.rng.randint(1, 3)))
        converse(target, HANDSHAKE, frames)
        target.tally["broken WebSocket frames"] += 1


def test_handshakes_that_are_none(target: Target) -> None:
    mutation = Mutation(12)
    for _ in range(300):
        converse(target, mutation.data(HANDSHAKE), mutation.noise(40))
        target.tally["broken WebSocket handshakes"] += 1


def broken_frame(mutation: Mutation) -> bytes:
    """Return a frame with a random opcode, flags, length and payload: mostly against RFC 6455."""
    rng = mutation.rng
    payload = mutation.text(mutation.choice(SIGNALS))[:2000]
    length = rng.choice((len(payload), 0, 125, 126, 127, 2**16, 2**31, 2**63, 2**64 - 1))
    masked = rng.choice((0x80, 0x80, 0))
    first = rng.choice(
        (0x81, 0x82, 0x80, 0x01, 0x89, 0x88, 0x8A, 0xC1, 0x8F, 0x09, rng.randrange(256))
    )
    head = bytes([first])
    if length < 126:
        head += bytes([masked | length])
    elif length < 2**16:
        head += bytes([masked | 126]) + struct.pack(">H", length)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", length)
    body: bytes = mutation.choice((payload, mutation.noise()))
    return head + (b"\0\0\0\0" if masked else b"") + body


def converse(target: Target, handshake: bytes, frames: bytes) -> None:
    """Send a handshake and frames, then end; whatever comes must not be a failure of the server."""
    with socket.create_connection(("127.0.0.1", target.stack.port), timeout=15) as connection:
        answer = b""
        with suppress(OSError):  # the server ends it as soon as it has seen enough
            connection.sendall(handshake)
            connection.sendall(frames)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                answer = answer or part
    assert not answer.startswith(b"HTTP/1.1 5"), (handshake, answer[:300])
