"""uvicorn's HTTP/1.1 with joined writes, and with bounds on what a client sends and takes its time.

uvicorn itself bounds only how long a connection may lie idle between two requests.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any, Literal, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ops.headers import UNFRAMED, Header
from ops.problems import problem_response
from ops.requests import HEADER, Requests, request_id_in
from wire.request_id import working_for

MAX_HEAD_BYTES = 32 * 2**10  # request line and headers
MAX_HEADERS = 100
MAX_REQUEST_BYTES = 64 * 2**20  # with all that is neither head nor body: services limit bodies
KEEP_ALIVE_S = 5  # idle between two requests
HEAD_S = 10.0  # for a head, from its first byte or the beginning of the connection
BODY_S = 20.0  # for a body, and a second more for each so many bytes:
BODY_BYTES_PER_S = 8 * 2**10
REST_S = 5.0  # for the rest of a body that is answered already, and not wanted
STALLED_S = 60.0  # for taking any of an answer that waits
CHECK_S = 1.0  # so much later, at most, it is noticed
Awaited = Literal["head", "body", "rest"] | None
MOST_HELD_BYTES = 64 * 2**10  # what uvloop lets wait, too, before it holds up the writer


def same_socket(transport: asyncio.BaseTransport) -> socket.socket:
    """Return the socket of a transport anew, for options that its own one does not take: close it.

    uvloop's transports give a look at their socket, no more.
    """
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))


def reset(transport: Any) -> None:
    """End a connection whose other end does not read, with all that waits for it.

    Without SO_LINGER, the kernel would keep its own buffer, and try for minutes to get rid of it.
    """
    if not transport.is_closing() or transport.get_write_buffer_size():
        with same_socket(transport) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


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
    """A connection with JoinedWrites, which ends when its other end takes too long.

    A request that comes whole, as nearly all do, costs no timer: each connection looks once in
    CHECK_S seconds what it waits for.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        joined = JoinedWrites(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", joined))
        self._before: Any = None  # the scope of the last request that began before this chunk
        self._whole: Any = joined  # the scope of the last request that came in to its end; none yet
        self._chunk_bytes = self._later_bytes = 0  # later: in chunks after that of its beginning
        self._awaited: Awaited = "head"
        self._request: Any = None  # the scope of the request that this is of
        self._since = self.loop.time()
        self._unsent_bytes, self._stalled_s = 0, 0.0
        self._check_timer = self.loop.call_later(CHECK_S, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._check_timer.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the WebSocket the transport itself, which says when its reader is slow."""
        if self.app is _head_too_large:
            self._refuse(431, _HEAD_LIMITS)
            return
        self._check_timer.cancel()
        self.transport = cast("JoinedWrites", self.transport).transport
        super().handle_websocket_upgrade()

    # --- the size of a head -----------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        """Take in a chunk; refuse a request that has not ended when it should have."""
        self._before = self.scope
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self._whole is self.scope:
            return
        self._later_bytes = self._later_bytes + len(data) if self.scope is self._before else 0
        if self._is_endless() and not self.transport.is_closing():
            self._refuse(431, _HEAD_LIMITS)

    def _is_endless(self) -> bool:
        """Return whether a head goes on beyond its limits, or what may follow a body does."""
        if self.scope is not None and "path" not in self.scope:
            return self._later_bytes > MAX_HEAD_BYTES
        too_many = self.headers is not None and len(self.headers) > 2 * MAX_HEADERS  # trailers, too
        return too_many or self._later_bytes > MAX_REQUEST_BYTES

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too large."""
        is_in_pieces = self.scope is self._before  # it began in a chunk before this one
        may_be_large = is_in_pieces or self._chunk_bytes > MAX_HEAD_BYTES
        if len(self.headers) > MAX_HEADERS or (may_be_large and self._head_is_large()):
            self.app = _head_too_large
        # A list of its own, without what comes after the body: else a trailer would count as a
        # header, an Authorization or X-Forwarded-For among them (RFC 9110, 6.5.1).
        self.scope["headers"] = self.headers[:]
        super().on_headers_complete()

    def _head_is_large(self) -> bool:
        lines = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        return len(self.url) + lines > MAX_HEAD_BYTES

    def on_message_complete(self) -> None:
        """Note that a request is here to its end."""
        self._whole = self.scope
        super().on_message_complete()

    # --- the time that a client takes -------------------------------------------------------
    def _check(self) -> None:
        """End the connection if its other end takes too long; else look again later."""
        self._check_timer = self.loop.call_later(CHECK_S, self._check)
        unsent_bytes = self.transport.get_write_buffer_size()
        moves = not unsent_bytes or unsent_bytes < self._unsent_bytes
        self._unsent_bytes = unsent_bytes
        self._stalled_s = 0 if moves else self._stalled_s + CHECK_S
        if self._stalled_s > STALLED_S:
            reset(self.transport)
        elif not self.transport.is_closing():
            self._check_request()

    def _check_request(self) -> None:
        """End the connection if what it waits for should have come."""
        now, awaited, request = self.loop.time(), self._waits_for(), self.scope
        if awaited != self._awaited or request is not self._request:
            self._awaited, self._request, self._since = awaited, request, now
        limit_s = self._limit_s(awaited)
        if now - self._since < limit_s:
            return
        if awaited == "rest" or request is None:
            self.transport.close()  # there is an answer already, or no question
        else:
            took = f"the {awaited} of the request did not come within {limit_s:.0f} s"
            self._refuse(408, f"{took}; nothing was changed. Send it faster, or less of it.")

    def _waits_for(self) -> Awaited:
        """Return what the client owes: the head, the body, or the rest of one that is answered."""
        answered = self.cycle is None or self.cycle.response_complete
        if self.flow.read_paused:
            return None  # it may not send
        if self._whole is self.scope:  # blank lines stop uvicorn's timer, and begin no request
            return "head" if answered and self.timeout_keep_alive_task is None else None
        if self.scope is None or "path" not in self.scope:
            return "head" if answered else None
        return "rest" if answered else "body"

    def _limit_s(self, awaited: Awaited) -> float:
        """Return how long the client may take."""
        match awaited:
            case "head":
                return HEAD_S
            case "body":
                return BODY_S + self._later_bytes / BODY_BYTES_PER_S
            case "rest":
                return REST_S
        return math.inf

    # --- answers without the application ----------------------------------------------------
    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with a problem, unless there is an answer under way, and end the connection."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            headers, body = last_answer(status, detail, self.headers or ())
            headers = self.server_state.default_headers + headers
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self.transport.close()


def last_answer(
    status: int, detail: str, asked: Iterable[Header] = ()
) -> tuple[list[Header], bytes]:
    """Return the headers, but for the server's own, and the body of a problem, after which we end.

    It is for what no application is asked about. `asked`: the headers of the request.
    """
    request_id = request_id_in(asked)
    with working_for(request_id):
        response = problem_response(status, detail, {"Connection": "close"})
    own = [UNFRAMED, (HEADER, request_id.encode("ascii"))]
    return own + response.raw_headers, bytes(response.body)


_HEAD_LIMITS = (
    f"the head of the request is too large: allowed are {MAX_HEAD_BYTES:,} bytes and "
    f"{MAX_HEADERS} headers"
)


async def _refuse_head(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose head is too large."""
    await problem_response(431, _HEAD_LIMITS, {"Connection": "close"})(scope, receive, send)


_head_too_large = Requests(_refuse_head)
