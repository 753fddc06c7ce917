"""uvicorn's HTTP/1.1, which hands the kernel the head of an answer along with its body."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HELD_BYTES = 64 * 2**10  # what uvloop lets wait, too, before it holds up the writer


class JoinedWrites:
    """A transport whose writes go out together, once the event loop has run what was ready.

    uvicorn writes an answer's head and body one after the other. Each write is a call of the
    kernel and a packet, and may wake the other end twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        """Send `data` soon; at once if much is held, so that a slow reader is noticed."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MOST_HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            held, self._held, self._held_bytes = self._held, [], 0
            self.transport.writelines(held)

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        """Return what is as the transport has it."""
        return getattr(self.transport, name)


class JoinedProtocol(HttpToolsProtocol):
    """A connection with JoinedWrites."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        joined = JoinedWrites(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", joined))

    def handle_websocket_upgrade(self) -> None:
        """Hand the WebSocket the transport itself, which says when its reader is slow."""
        self.transport = cast("JoinedWrites", self.transport).transport
        super().handle_websocket_upgrade()
