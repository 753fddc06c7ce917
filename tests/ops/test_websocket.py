"""Frames that are written as they are: only where that takes no waiting."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from ops.websocket import frame_writer, text_frame
from tests.running import wait_until
from tests.serving import served

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
