"""Starlette's WebSocket and nothing else: each text that it is given goes to all connections.

    python -m bench.peers.bare_websocket PORT

GET /healthz answers when it serves. A text that comes over /texts goes to all connections of /ws,
and to each that comes later at once.
"""

from __future__ import annotations

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ops.health import serve
from ops.settings import Settings


class Broadcast:
    """The connections, and the last text that they were sent."""

    def __init__(self) -> None:
        self._sockets: set[WebSocket] = set()
        self._last = ""

    async def ws(self, socket: WebSocket) -> None:
        """Keep a connection among those that are sent to until it ends."""
        await socket.accept()
        await socket.send_text(self._last)
        self._sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self._sockets.discard(socket)

    async def texts(self, source: WebSocket) -> None:
        """Send each text that comes to all."""
        await source.accept()
        async for text in source.iter_text():
            self._last = text
            for socket in tuple(self._sockets):
                await socket.send_text(text)


async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return Response()


if __name__ == "__main__":
    broadcast = Broadcast()
    routes = [
        WebSocketRoute("/ws", broadcast.ws),
        WebSocketRoute("/texts", broadcast.texts),
        Route("/healthz", healthz),
    ]
    serve(Starlette(routes=routes), Settings(host="127.0.0.1", port=int(sys.argv[1])))
