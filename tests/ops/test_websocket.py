"""Frames that are written as they are: only where that takes no waiting."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from ops import health
from ops import websocket as limits
from ops.http import same_socket
from ops.settings import Settings
from ops.websocket import FrameProtocol, frame_writer, text_frame
from tests.running import ROOT, wait_until
from tests.serving import served

protocols: list[FrameProtocol] = []  # of the clients that said "say" or "watch"
written: list[bool] = []  # whether frames were, after the end
MAX_FRAMES = 10_000  # of 64 KiB: more than any pair of sockets buffers


async def converse(client: WebSocket) -> None:
    """Obey the text that the client sends first."""
    write = frame_writer(client.scope)
    before = write(text_frame(b"too early"))
    await client.accept()
    match await client.receive_text():
        case "write":
            for text in ("", "ä" * 50, "b" * 70_000):
                assert write(text_frame(text.encode()))
            await client.send_text(f"before: {before}")
        case "fill":
            frame = text_frame(b"x" * 65_536)
            count = 0
            while count < MAX_FRAMES and write(frame):
                count += 1
            await client.send_text(f"{count}")  # waits until the client has read
            await client.send_text(f"then: {write(text_frame(b'room again'))}")
        case "say":
            protocols.append(cast("Any", write).__self__)
            for _ in range(MAX_FRAMES):
                await client.send_text("x" * 65_536)
        case "watch":
            protocols.append(cast("Any", write).__self__)
            await client.receive()
            return
        case "leave":
            while (await client.receive())["type"] != "websocket.disconnect":
                continue
            written.append(write(text_frame(b"too late")))
            return
    await asyncio.Event().wait()


@pytest.fixture
def place() -> Iterator[str]:
    with served(Starlette(routes=[WebSocketRoute("/ws", converse)])) as place:
        yield place


def test_a_written_frame_arrives_as_a_text_in_order(place: str) -> None:
    with connect(f"ws://{place}/ws") as client:
        client.send("write")
        assert [client.recv(5) for _ in range(3)] == ["", "ä" * 50, "b" * 70_000]
        assert client.recv(5) == "before: False"


def test_nothing_is_written_to_whoever_does_not_read(place: str) -> None:
    host, _, port = place.partition(":")
    slow = socket.create_connection((host, int(port)))
    with connect(f"ws://{place}/ws", sock=slow, max_size=None, max_queue=1) as client:
        client.send("fill")
        count = 0
        while (text := client.recv(5)) == "x" * 65_536:
            count += 1
        assert 0 < count < MAX_FRAMES
        assert text == str(count)  # all that was said to be written came, and nothing else
        assert client.recv(5) == "room again"
        assert client.recv(5) == "then: True"


def test_nothing_is_written_after_the_end(place: str) -> None:
    written.clear()
    with connect(f"ws://{place}/ws") as client:
        client.send("leave")
    wait_until(lambda: written)
    assert written == [False]


def test_nothing_is_written_to_a_connection_that_broke(place: str) -> None:
    written.clear()
    host, _, port = place.partition(":")
    broken = socket.create_connection((host, int(port)))
    client = connect(f"ws://{place}/ws", sock=broken).__enter__()
    client.send("leave")
    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    broken.shutdown(socket.SHUT_RD)
    broken.close()  # a reset: no closing handshake
    wait_until(lambda: written)
    assert written == [False]


def test_without_the_extension_nothing_is_written() -> None:
    assert frame_writer({})(b"") is False
    assert frame_writer({"extensions": {"other": {}}})(b"") is False


def test_frames_are_not_compressed_for_each_connection(place: str) -> None:
    with connect(f"ws://{place}/ws") as client:
        assert client.request is not None
        assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]
        assert client.protocol.extensions == []


# --- bounds on what an end costs that is slow, silent or gone -------------------------------
HIGH_WATER_BYTES = 65_536  # of uvloop's transports
FEW_S = 0.6


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that finds out soon who is gone."""
    monkeypatch.setattr(health, "PING_S", FEW_S)
    monkeypatch.setattr(health, "PONG_S", FEW_S)
    monkeypatch.setattr(limits, "CLOSE_S", FEW_S)
    protocols.clear()
    with served(Starlette(routes=[WebSocketRoute("/ws", converse)])) as place:
        yield place


def raw(place: str, *texts: str) -> socket.socket:
    """Return a connection after its handshake, on which nobody reads or answers pings."""
    host, _, port = place.partition(":")
    client = socket.socket()
    client.settimeout(15)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # soon full
    client.connect((host, int(port)))
    client.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
    for text in texts:
        client.sendall(Frame(Opcode.TEXT, text.encode()).serialize(mask=True))
    return client


def protocol_of_the_last() -> FrameProtocol:
    return cast("FrameProtocol", wait_until(lambda: protocols and protocols[-1]))


def unsent_bytes(protocol: FrameProtocol) -> int:
    return 0 if protocol.disconnected else protocol.transport.get_write_buffer_size()


CLIENT = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], max_size=None) as client:
    client.send(sys.argv[2])
    print("connected", flush=True)
    for message in client:
        pass
"""


@pytest.mark.parametrize("what", ["watch", "say"])
def test_a_client_that_stands_still_is_found_and_dropped(hurried: str, what: str) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, f"ws://{hurried}/ws", what],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert client.stdout is not None
    try:
        assert client.stdout.readline() == b"connected\n"
        protocol = protocol_of_the_last()
        client.send_signal(signal.SIGSTOP)
        wait_until(lambda: protocol.disconnected, timeout_s=15)
    finally:
        client.kill()
        client.wait()
        client.stdout.close()


def test_a_client_that_answers_pings_stays(hurried: str) -> None:
    with connect(f"ws://{hurried}/ws") as client:
        client.send("watch")
        protocol = protocol_of_the_last()
        pings_sent = wait_until(lambda: protocol.ping_sent_at)
        wait_until(lambda: protocol.ping_sent_at > pings_sent + 3 * FEW_S, timeout_s=15)
        assert not protocol.disconnected


def test_a_client_that_reads_slowly_stays(hurried: str) -> None:
    with raw(hurried, "say") as client:
        protocol = protocol_of_the_last()
        wait_until(lambda: not protocol.writable.is_set())
        ends_at = time.monotonic() + 6 * FEW_S

        def has_read_slowly() -> bool:
            client.recv(4096)  # it never comes to a ping
            return time.monotonic() > ends_at

        wait_until(has_read_slowly)
        assert not protocol.disconnected
        wait_until(lambda: protocol.disconnected, timeout_s=15)  # and ends when it stands still


def test_whoever_is_gone_is_found_within_half_a_minute() -> None:
    assert max(limits.PING_S, limits.PONG_S) + limits.PONG_S <= 28
    assert server_pings() == (limits.PING_S, limits.PONG_S)


def server_pings() -> tuple[float | None, float | None]:
    config = health.server_for(Starlette(), Settings()).config
    return config.ws_ping_interval, config.ws_ping_timeout


def test_what_waits_for_a_client_that_does_not_read_is_bounded(place: str) -> None:
    protocols.clear()
    with raw(place, "say") as client:
        protocol = protocol_of_the_last()
        wait_until(lambda: not protocol.writable.is_set())
        most_bytes = HIGH_WATER_BYTES + len(text_frame(b"x" * 65_536))
        assert unsent_bytes(protocol) <= most_bytes
        with same_socket(protocol.transport) as end:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                assert end.getsockopt(socket.SOL_SOCKET, option) <= 2 * limits.SOCKET_BYTES
        ping = Frame(Opcode.PING, b"p" * 125).serialize(mask=True)
        for _ in range(40):  # 5 MB: more than the kernel holds, so that the server has read most
            client.sendall(ping * 1000)
        assert unsent_bytes(protocol) <= most_bytes
        pong = Frame(Opcode.PONG, b"p" * 125).serialize(mask=False)
        assert protocol._pong == pong
        received = bytearray()
        while pong not in received[-400_000:]:
            received += client.recv(2**20)  # it reads again: the last ping is answered


def test_a_client_that_closes_but_does_not_read_is_dropped(hurried: str) -> None:
    with raw(hurried, "say") as client:
        protocol = protocol_of_the_last()
        wait_until(lambda: not protocol.writable.is_set())
        client.sendall(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
        began = time.monotonic()
        wait_until(lambda: protocol.disconnected, timeout_s=15)
        assert time.monotonic() - began < 10
