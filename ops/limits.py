"""How much one client may ask for: requests a second, changes a second, and viewers at a time.

In front of an application, and in memory: each replica of a service counts for itself.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final

import prometheus_client
from starlette.types import ASGIApp, Receive, Scope, Send

from ops.problems import problem_response
from ops.settings import Settings

BURST_S: Final = 2.0  # so many seconds' worth may come at once
ROUNDING_S: Final = 1e-9  # what is lost in adding up intervals
MAX_CLIENTS: Final = 10_000  # that are remembered, of each kind of request: about 2 MB
ALLOWANCE = "inkling.allowance"  # of the ASGI scope of a WebSocket
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
INFER, DATABLOCK = "/infer", "/datablock"  # POST, but they change nothing

REFUSED = prometheus_client.Counter(
    "inkling_limited", "Requests, signals and viewers refused for being too many", ["what"]
)
Allowance = Callable[[], str | None]


class Buckets:
    """A token bucket for each client: `per_second` tokens come in, BURST_S seconds' worth fit.

    Of a bucket, only the time is kept at which it will be full again, as the "generic cell rate
    algorithm" of ATM does (ITU-T I.371). A bucket that is full is as good as none, so that memory
    is bounded: of more than MAX_CLIENTS clients, the full ones are forgotten, then the oldest.
    """

    def __init__(self, per_second: float) -> None:
        self._interval_s = 1 / per_second
        self._depth_s = max(BURST_S, self._interval_s)  # one token fits at least
        self._full_at: dict[str, float] = {}

    def take(self, client: str, now: float) -> float:
        """Take a token; return 0, or without one in how many seconds there will be one."""
        full_at = self._full_at_then(client, now)
        wait_s = full_at - now - self._depth_s
        if wait_s > ROUNDING_S:
            return wait_s
        if len(self._full_at) >= MAX_CLIENTS and client not in self._full_at:
            self._forget(now)
        self._full_at[client] = full_at
        return 0.0

    def wait_s(self, client: str, now: float) -> float:
        """Return in how many seconds there will be a token; 0 if there is one. Take none."""
        wait_s = self._full_at_then(client, now) - now - self._depth_s
        return wait_s if wait_s > ROUNDING_S else 0.0

    def _full_at_then(self, client: str, now: float) -> float:
        """Return when the bucket would be full after a token was taken."""
        full_at = self._full_at.get(client, now)
        return (full_at if full_at > now else now) + self._interval_s

    def _forget(self, now: float) -> None:
        """Make room for at least half of MAX_CLIENTS."""
        lately = [(client, at) for client, at in self._full_at.items() if at > now]
        self._full_at = dict(lately[-(MAX_CLIENTS // 2) :])


def client_rule(settings: Settings) -> Callable[[Scope], str]:
    """Return what says who asks: "" for somebody to whom no rate applies."""
    return client_behind_edge if settings.behind_edge else client_elsewhere


def client_elsewhere(scope: Scope) -> str:
    """Return who asks from another machine; "" for this machine, and Unix sockets."""
    return _elsewhere(scope["client"][0]) if scope["client"] else ""


def client_behind_edge(scope: Scope) -> str:
    """Return who asks, as the edge says; past the edge, the address of the connection.

    The edge adds the address that it sees to the end of X-Forwarded-For; what stands before that
    is only what the client says. A network of IPv6 (/64), which one client has to itself, counts
    as one.
    """
    address = scope["client"][0] if scope["client"] else ""
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            address = value.decode("latin-1").rpartition(",")[2].strip()
    return _network_of(address)


@lru_cache(maxsize=1024)
def _network_of(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if known.version == 4 or known.is_loopback:
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False).network_address)


@lru_cache(maxsize=1024)
def _elsewhere(address: str) -> str:
    """Return the client at an address on another machine; "" for this machine."""
    client = _network_of(address)
    try:
        return "" if ipaddress.ip_address(client).is_loopback else client
    except ValueError:
        return client


def allowance(scope: Mapping[str, Any]) -> Allowance:
    """Return what a WebSocket's signals ask: None for "go on", else why a signal comes too soon."""
    found: Allowance = scope.get(ALLOWANCE, lambda: None)
    return found


class Limited:
    """An application behind the limits that the settings name; 0 is no limit.

    Rates do not hold for whoever is on this machine, unless there is an edge in front, behind
    which everybody has an address of their own. The number of viewers in all holds for everybody.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._client_of = client_rule(settings)
        self._rates = {"infer_rate": settings.infer_rate, "change_rate": settings.change_rate}
        self._buckets = {name: Buckets(rate) for name, rate in self._rates.items() if rate}
        self._most_viewers = settings.max_viewers
        self._most_client_viewers = settings.max_client_viewers
        self._viewers: Counter[str] = Counter()
        self._all_viewers = 0

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Return the awaitable that answers: the application's own, unless it is too much."""
        if scope["type"] == "http" and scope["method"] not in READING_METHODS:
            why = self._too_soon(_kind_of(scope["path"]), self._client_of(scope))
            if why is not None:
                return _refuse(why, scope, receive, send)
        if scope["type"] == "websocket":
            return self._view(scope, receive, send)
        return self._app(scope, receive, send)

    def _too_soon(self, kind: str, client: str) -> tuple[str, int] | None:
        """Take a token; without one, return what to say, and after how many seconds to come."""
        buckets = self._buckets.get(kind)
        if buckets is None or not client:
            return None
        wait_s = buckets.take(client, time.monotonic())
        if not wait_s:
            return None
        REFUSED.labels(kind).inc()
        after_s = math.ceil(wait_s)
        what = f"requests to {INFER} a second" if kind == "infer_rate" else "changes a second"
        return (
            f"{client} asks for too much: allowed are {self._rates[kind]:g} {what} for each "
            f"client (INKLING_{kind.upper()}). Nothing was changed. Try again in {after_s} s.",
            after_s,
        )

    def _signal_too_soon(self, client: str) -> str | None:
        why = self._too_soon("change_rate", client)
        return None if why is None else why[0]

    async def _view(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a viewer in, unless there are too many already."""
        client = self._client_of(scope)
        why = self._too_many(client)
        if why is not None:
            REFUSED.labels("viewers").inc()
            await _refuse((why, 5), scope, receive, send)
            return
        scope[ALLOWANCE] = partial(self._signal_too_soon, client)
        self._all_viewers += 1
        self._viewers[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._all_viewers -= 1
            self._viewers[client] -= 1
            if not self._viewers[client]:
                del self._viewers[client]

    def _too_many(self, client: str) -> str | None:
        most = self._most_viewers
        if most and self._all_viewers >= most:
            return f"there are {most} viewers, as many as INKLING_MAX_VIEWERS allows"
        most = self._most_client_viewers
        if client and most and self._viewers[client] >= most:
            return (
                f"{client} has {most} viewers, as many as INKLING_MAX_CLIENT_VIEWERS allows for "
                "each client"
            )
        return None


def _kind_of(path: str) -> str:
    """Return the setting that bounds how often a path is asked with a method that may change."""
    if path == INFER:
        return "infer_rate"
    return "" if path == DATABLOCK else "change_rate"


async def _refuse(why: tuple[str, int], scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 429; to a WebSocket that is not open yet, too (as Starlette does for it)."""
    detail, after_s = why
    await problem_response(429, detail, {"Retry-After": str(after_s)})(scope, receive, send)
