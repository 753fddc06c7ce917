"""uvicorn's WebSocket, which also takes frames that are ready to go: the same bytes for many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

EXTENSION = "inkling.frame"  # of the ASGI scope
WriteFrame = Callable[[bytes], bool]


def text_frame(text: bytes) -> bytes:
    """Return the WebSocket frame that carries `text`, UTF-8, to a client."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def frame_writer(scope: Mapping[str, Any]) -> WriteFrame:
    """Return what writes a frame to this connection if that takes no waiting, and says whether.

    It writes nothing to a connection that is not open, or whose other end does not read as fast
    as it is written to. Under another server it never writes: `send` is always right.
    """
    write: WriteFrame = scope.get("extensions", {}).get(EXTENSION, lambda _: False)
    return write


class FrameProtocol(WebSocketsSansIOProtocol):
    """A connection whose ASGI scope holds a `frame_writer`."""

    def handle_connect(self, event: Request) -> None:
        """Begin the application with a scope that has the extension."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][EXTENSION] = self.write_frame  # type: ignore[assignment]

    def write_frame(self, frame: bytes) -> bool:
        """Write a whole frame, unless the connection is not open or has to be waited for."""
        is_open = self.conn.state is State.OPEN and not self.transport.is_closing()
        if not is_open or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True
