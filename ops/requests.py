"""The outermost layer of every HTTP service: a request id for each call, and how long it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wire.request_id import REQUEST_ID, request_id_of

HEADER = b"x-request-id"
# In the scope: the route of a request that is answered without looking for one.
ROUTE = "inkling.route"
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
    stands in `REQUEST_ID` while the call is answered.
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
        request_id = request_id_of(_given(scope))
        REQUEST_ID.set(request_id)  # of the task that the server makes for each call
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (HEADER, request_id.encode("ascii")),
                ]
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
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


def _given(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return bytes(value)
    return None


def _route_of(scope: Scope) -> str:
    """Return the route as it is declared, with its parameters' names: there is a bounded number."""
    route: str = getattr(scope.get("route"), "path", "")
    return route or "other"
