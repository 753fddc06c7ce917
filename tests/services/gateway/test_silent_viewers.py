"""Viewers that do not read: they cost a bounded amount of memory, and nobody else any time."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from websockets.frames import Frame, Opcode

from ops.websocket import FrameProtocol
from tests.examples import snapshot_of
from tests.services.gateway.people import Page, PlayedTrainer
from wire.bus import Bus

SILENT = 40
FRAMES, EACH = 400, 400  # about 8 MB of JSON to each viewer
HIGH_WATER_BYTES = 65_536  # of uvloop's transports
SUBSCRIBE = {"type": "Subscribe", "weights": "f32", "weights_hz": 20}


def silent_viewer(place: str) -> socket.socket:
    """Return a viewer who wants everything, and never reads any of it."""
    host, _, port = place.partition(":")
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect((host, int(port)))
    viewer.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    viewer.sendall(Frame(Opcode.TEXT, json.dumps(SUBSCRIBE).encode()).serialize(mask=True))
    return viewer


def held_up() -> list[FrameProtocol]:
    """Return the connections of this process whose other end does not read."""
    found = [one for one in gc.get_objects() if type(one) is FrameProtocol]
    return [one for one in found if not one.writable.is_set() and not one.disconnected]


def test_silent_viewers_cost_a_bounded_amount_of_memory_and_slow_nobody(
    bus: Bus, gateway: str, wait_until: Callable[..., Any]
) -> None:
    trainer = PlayedTrainer(bus)
    with ExitStack() as stack, Page(gateway) as page:
        for _ in range(SILENT):
            stack.enter_context(silent_viewer(gateway))
        for start in range(1, FRAMES * EACH, EACH):
            trainer.tell(*range(start, start + EACH))
        page.read_until(lambda: page.told[-1:] == [FRAMES * EACH])
        assert page.told == list(range(1, FRAMES * EACH + 1))
        wait_until(lambda: len(held_up()) == SILENT)
        trainer.keep_lease()
        for version in range(1, 20):
            bus.live.publish(snapshot_of(version), token=trainer.token, generation=0, keep=False)
        trainer.tell(FRAMES * EACH + 1)
        page.read_until(lambda: page.told[-1:] == [FRAMES * EACH + 1])
        unsent = [one.transport.get_write_buffer_size() for one in held_up()]
        queued = [one.queue.qsize() for one in held_up()]
    largest = max(len(json.dumps(frame)) for frame in page.frames)
    whole_curve = 4_000 * 60  # points, as JSON
    assert len(unsent) == SILENT
    assert max(unsent) <= HIGH_WATER_BYTES + max(largest, whole_curve)
    assert queued == [0] * SILENT
