"""uvicorn's WebSocket, which also takes frames that are ready to go: the same bytes for many."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from asyncio.transports import BaseTransport
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from ops.headers import Header
from ops.http import last_answer, reset, same_socket

PING_S = 10.0  # between an answer to a ping and the next ping
PONG_S = 14.0  # for the answer, or for taking some of what waits: the gone are found within 28 s
CLOSE_S = 10.0  # for taking the last words, once the application has ended
SOCKET_BYTES = 128 * 2**10  # that the kernel holds each way; Linux doubles it for its own needs
EXTENSION = "inkling.frame"  # of the ASGI scope
_NO_HANDSHAKE = "this is no handshake for a WebSocket (RFC 6455)"
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


class Handshake(ServerProtocol):
    """The protocol as websockets has it, but for what it refuses by itself: that is a problem."""

    default_headers: list[Header]  # of the server

    def reject(self, status: int, text: str) -> Response:
        """Return the answer to a handshake that is none, or that no application takes."""
        detail = " ".join(text.split()) or "there is no such WebSocket: /docs lists what there is"
        headers, body = last_answer(status, detail)
        texts = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.default_headers + headers
        ]
        return Response(status, HTTPStatus(status).phrase, Headers(texts), body)


class FrameProtocol(WebSocketsSansIOProtocol):
    """A connection whose ASGI scope holds a `frame_writer`, and whose memory is bounded.

    uvicorn closes a connection when all has been sent, which for an end that does not read is
    never; and it answers pings whether or not the answers are read.
    """

    conn: Handshake
    _unsent_bytes, _resumed = 0, False  # when it was last looked, and whether it has read since
    _pong = b""  # the answer to the last ping, while it cannot be sent

    def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.conn = Handshake(max_size=config.ws_max_size, logger=self.logger)
        self.conn.default_headers = self.default_headers

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin, with a bound on what the kernel holds."""
        super().connection_made(transport)
        with same_socket(transport) as same:
            if same.family != socket.AF_UNIX:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
                same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; end a handshake that failed, of which uvicorn is not told."""
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            answer = b"".join(self.conn.data_to_send())
            self.transport.write(answer or self.conn.reject(400, _NO_HANDSHAKE).serialize())
            self.transport.close()

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

    def handle_ping(self) -> None:
        """Answer, as soon as the other end reads: the last ping alone (RFC 6455, 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            answers = [answer for answer in self.conn.data_to_send() if answer]
            self._pong = answers[-1] if answers else self._pong

    def resume_writing(self) -> None:
        """Go on: the other end has read."""
        super().resume_writing()
        self._resumed = True
        pong, self._pong = self._pong, b""
        if pong:
            self.transport.write(pong)

    def send_keepalive_ping(self) -> None:
        """Ask whether the other end is there."""
        super().send_keepalive_ping()
        self._note_unsent()

    def keepalive_timeout(self) -> None:
        """End the connection to somebody who is gone, with all that waits for it.

        Whoever reads slowly has not come to the ping yet, but takes some of what is before it.
        """
        unsent_bytes, resumed = self._unsent_bytes, self._resumed
        self._note_unsent()
        has_taken_some = resumed or self._unsent_bytes < unsent_bytes
        if has_taken_some and self.ping_timeout is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        reset(self.transport)

    def _note_unsent(self) -> None:
        """Remember how much waits for the other end, here and in the kernel."""
        self._resumed = False
        self._unsent_bytes = 0
        if not self.transport.is_closing():
            fd = self.transport.get_extra_info("socket").fileno()
            in_kernel = fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4))
            self._unsent_bytes = self.transport.get_write_buffer_size()
            self._unsent_bytes += int.from_bytes(in_kernel, sys.byteorder)

    def handle_close(self, event: Frame) -> None:
        """End the connection, as the other end says: whether or not it reads the answer."""
        super().handle_close(event)
        self._end_soon()

    def handle_parser_exception(self) -> None:
        """End the connection over what is no WebSocket."""
        super().handle_parser_exception()
        self._end_soon()

    async def send(self, message: Any) -> None:
        """Send what the application says; a refusal that is whole ends the handshake, as uvicorn
        forgets: it would log each one as a mistake of the application.
        """
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        """Run the application; then end the connection."""
        try:
            await super().run_asgi()
        finally:
            self._end_soon()

    def _end_soon(self) -> None:
        """End the connection after CLOSE_S seconds, if it has not ended by then."""
        self.loop.call_later(CLOSE_S, self._end)

    def _end(self) -> None:
        if not self.disconnected:
            reset(self.transport)
