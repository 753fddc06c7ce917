"""The outermost layer of every HTTP service: what each answer carries, and how long it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Iterable

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops.headers import HEADERS, Header, policy_for
from wire.request_id import REQUEST_ID, request_id_of

HEADER = b"x-request-id"
# In the scope: the route of a request that is answered without looking for one.
ROUTE = "inkling.route"
# Those that the server puts on what it sends, which is not what refuses a WebSocket.
_SERVERS_OWN = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

SECONDS = Histogram(
    "inkling_http_request_duration_seconds", "Time to answer a request",
    ["method", "route", "status"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
log = structlog.get_logger()
_root = logging.getLogger()


class Requests:
    """Gives each call an id, which its log lines and its answer carry, and measures it.

    The id is the header X-Request-ID where the caller, such as the edge, sent a sane one. It
    stands in `REQUEST_ID` while the call is answered. The answer also says what browsers are told
    about security.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Looking up a metric by its labels takes three times as long as looking it up here.
        self._seconds: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = request_id_in(scope["headers"])
        REQUEST_ID.set(request_id)  # of the task that the server makes for each call
        own = (policy_for(scope), (HEADER, request_id.encode("ascii")))
        if scope["type"] != "http":
            await self._app(scope, receive, _opening(own, send))
            return
        started, status = time.perf_counter(), 500

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *own]
            return send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            key = (scope["method"], scope.get(ROUTE) or _route_of(scope), status)
            (self._seconds.get(key) or self._histogram(*key)).observe(seconds)
            if _root.isEnabledFor(logging.DEBUG):
                log.debug("answered", method=scope["method"], path=scope["path"], status=status,
                          ms=round(seconds * 1e3, 3))  # fmt: skip

    def _histogram(self, method: str, route: str, status: int) -> Histogram:
        """Return the histogram of these labels, and keep it at hand."""
        if method not in METHODS:  # there is no end of them
            return SECONDS.labels("other", route, str(status))
        child = self._seconds[method, route, status] = SECONDS.labels(method, route, str(status))
        return child


def request_id_in(headers: Iterable[Header]) -> str:
    """Return the id that a caller gave its request, or a new one."""
    for name, value in headers:
        if name == HEADER:
            return request_id_of(bytes(value))
    return request_id_of(None)


def _opening(own: Iterable[Header], send: Send) -> Send:
    """Return what sends the answer to a WebSocket's handshake with these headers, and the rest."""

    def send_with_headers(message: Message) -> Awaitable[None]:
        if message["type"] == "websocket.accept":
            message["headers"] = [*message.get("headers", ()), *own]
        elif message["type"] == "websocket.http.response.start":
            message["headers"] = [*message.get("headers", ()), *_SERVERS_OWN, *own]
        return send(message)

    return send_with_headers


def _route_of(scope: Scope) -> str:
    """Return the route as it is declared, with its parameters' names: there is a bounded number."""
    route: str = getattr(scope.get("route"), "path", "")
    return route or "other"
