"""Who may do what: asked in front of every service, before anything else looks at a request.

Three questions, each with a refusal that names the remedy. Does the request call us by a name of
ours? (If not, another site may have pointed its own name at our address: DNS rebinding.) Does it
come from a page of ours, or from no page at all? Does it carry the token that it needs?
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import time
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ops.limits import DATABLOCK, INFER, READING_METHODS, REFUSED, Buckets, client_rule
from ops.problems import MAX_SHOWN, Problem, problem_response
from ops.settings import Settings

READING_POSTS = frozenset({INFER, DATABLOCK})  # all else that is no GET changes something
# First parts of the paths that INKLING_READ_TOKEN guards. The rest are files of the page.
READ = frozenset(
    {"infer", "weights", "data", "datablock", "evaluation", "status", "control", "ws", "metrics"}
)
OPEN = frozenset({"/healthz", "/readyz"})  # for everybody, by whatever name

# A browser cannot set headers of a WebSocket, but name subprotocols. The server picks the first.
SUBPROTOCOL = "inkling"
TOKEN_SUBPROTOCOL = "inkling.token."  # followed by the token
MAY_CHANGE = "inkling.may_change"  # of the ASGI scope of a WebSocket
HOW_TO_SEND = "send it as `Authorization: Bearer TOKEN`"
HOW_TO_OPEN = (
    "open the WebSocket with `Authorization: Bearer TOKEN` or, in a browser, with the "
    f"subprotocols `{SUBPROTOCOL}` and `{TOKEN_SUBPROTOCOL}TOKEN`"
)
HOSTS_KEPT = 64  # names that need not be looked at again

# What a page of another site, if INKLING_ORIGINS names it, may send and see.
CORS_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
CORS_SENT = ("Authorization", "Content-Type", "If-None-Match")
CORS_SEEN = (
    "ETag", "Content-Disposition", "Inkling-Version", "Inkling-Iteration", "Retry-After",
    "WWW-Authenticate",
)  # fmt: skip

Headers = Mapping[bytes, bytes]
log = structlog.get_logger()


class Right(IntEnum):
    """What somebody may do; each right includes those before it."""

    NOTHING = 0
    READ = 1
    CHANGE = 2


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return `app` behind all that decides who may do what."""
    behind = Access(app, settings)
    if not settings.origins:
        return behind
    return CORSMiddleware(
        behind,
        allow_origins=settings.origins,
        allow_methods=CORS_METHODS,
        allow_headers=CORS_SENT,
        expose_headers=CORS_SEEN,
    )


class Access:
    """Middleware that lets a request through to the application, or refuses it as a problem."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = _bytes_of(settings.token)
        self._read_token = _bytes_of(settings.read_token)
        self._open_right = Right.READ if self._read_token is None else Right.NOTHING
        self._client_of = client_rule(settings)
        self._guesses = Buckets(settings.change_rate) if settings.change_rate else None
        self._origins = frozenset(settings.origins)
        self._names = frozenset(urlsplit(origin).hostname for origin in settings.origins)
        self._is_private = is_loopback(published_on(settings))
        self._is_our_name = lru_cache(HOSTS_KEPT)(self._look_at_name)
        # An edge does not hand /metrics out; Prometheus asks behind it, where names are other.
        self._open = OPEN | {"/metrics"} if settings.bind else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or leave it to the application."""
        if scope["type"] != "lifespan" and scope["path"] not in self._open:
            try:
                self._check(scope)
            except Problem as problem:
                answer = problem_response(problem.status, problem.detail, problem.headers)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Ask the three questions; raise Problem."""
        headers: Headers = dict(scope["headers"])
        if self._is_private and not self._is_our_name(headers.get(b"host")):
            raise _unknown_name(headers[b"host"])
        needed = right_needed(scope)
        is_socket = scope["type"] == "websocket"
        if (is_socket or needed is Right.CHANGE) and not self._is_our_page(headers):
            raise _other_site(headers)
        if self._token is None:
            held = Right.CHANGE
        elif self._open_right >= needed and not is_socket:
            return  # whatever token it carries makes no difference, so that nobody learns by it
        else:
            held = self._check_token(scope, presented(scope, headers), needed)
        if is_socket:
            scope[MAY_CHANGE] = held is Right.CHANGE

    def _look_at_name(self, host: bytes | None) -> bool:
        """Return whether a Host header has a name of this machine's own, or of INKLING_ORIGINS.

        Programs that send none are no browsers.
        """
        if host is None:
            return True
        name = name_in(host.decode("latin-1"))
        return is_loopback(name) or name in self._names

    def _is_our_page(self, headers: Headers) -> bool:
        """Return whether a request comes from a page of ours, or from what is no browser."""
        origin = headers.get(b"origin")
        if origin is None:  # some browsers, some requests
            return headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")
        text = origin.decode("latin-1")
        return text in self._origins or is_served_as(text, headers.get(b"host", b""))

    def _check_token(self, scope: Scope, token: bytes | None, needed: Right) -> Right:
        """Return the right that comes with a token; raise Problem if it is less than needed."""
        held = self._open_right if token is None else self._right_of(token, scope)
        if held >= needed:
            return held
        what = _words_for(scope)
        how = HOW_TO_OPEN if scope["type"] == "websocket" else HOW_TO_SEND
        if token is None:
            detail, challenge = f"{what} needs a token: {how}.", "Bearer"
        elif held is Right.READ and self._read_token is not None:
            detail = f"{what} needs the token of INKLING_TOKEN; the one sent is for reading."
            raise Problem(403, detail, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
        else:
            detail = f"The token sent is not the right one. {what} needs one: {how}."
            challenge = 'Bearer error="invalid_token"'
        raise Problem(401, detail, {"WWW-Authenticate": challenge})

    def _right_of(self, token: bytes, scope: Scope) -> Right:
        """Return what somebody with this token may do; raise Problem if they guess too often.

        Who has guessed too often learns nothing, not even by the right one.
        """
        client, now = self._client_of(scope), time.monotonic()
        guesses = self._guesses if client else None
        if guesses is not None and (wait_s := guesses.wait_s(client, now)):
            raise _guessed_too_often(client, math.ceil(wait_s))
        if _are_the_same(token, self._token):
            return Right.CHANGE
        if _are_the_same(token, self._read_token):
            return Right.READ
        if guesses is not None:
            guesses.take(client, now)
        return self._open_right


def right_needed(scope: Scope) -> Right:
    """Return what a request needs. A signal over a WebSocket may need more than opening it."""
    path = scope["path"]
    if scope["type"] == "http" and scope["method"] not in READING_METHODS:
        return Right.READ if path in READING_POSTS and scope["method"] == "POST" else Right.CHANGE
    return Right.READ if path.lstrip("/").partition("/")[0] in READ else Right.NOTHING


def presented(scope: Scope, headers: Headers) -> bytes | None:
    """Return the token that comes with a request, in either of the two ways."""
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() == b"bearer":
        return token.strip()
    for name in scope.get("subprotocols", ()):
        if name.startswith(TOKEN_SUBPROTOCOL):
            return str(name).removeprefix(TOKEN_SUBPROTOCOL).encode()
    return None


def may_change(scope: Scope) -> bool:
    """Return whether signals of this WebSocket may change something."""
    return bool(scope.get(MAY_CHANGE, False))


def subprotocol_for(scope: Scope) -> str | None:
    """Return what to accept a WebSocket with: a browser that names subprotocols insists on one."""
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None


def published_on(settings: Settings) -> str:
    """Return the address at which people reach a service: that of its edge, if it has one."""
    return settings.bind or settings.host


def is_loopback(address: str) -> bool:
    """Return whether a name or an IP address means the machine itself, and nothing else can."""
    name = address.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def name_in(host: str) -> str:
    """Return a Host header without its port, in lower case: of `[::1]:8080`, `::1`."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_served_as(origin: str, host: bytes) -> bool:
    """Return whether pages of `origin` are what is served under the Host header `host`.

    The scheme may differ: something in front may end the TLS.
    """
    scheme, _, place = origin.lower().partition("://")
    port = {"http": ":80", "https": ":443"}.get(scheme)
    if not place or port is None:  # `null`, for one
        return False
    return host.decode("latin-1").lower() in (place, place + port, place.removesuffix(port))


def warn_if_exposed(settings: Settings) -> None:
    """Log a warning if others than this machine's users can change things, without a token."""
    address = published_on(settings)
    if settings.token is None and not is_loopback(address):
        variable = "INKLING_BIND" if settings.bind else "INKLING_HOST"
        log.warning(
            "whoever can reach this address can train and replace the weights: set INKLING_TOKEN, "
            f"or {variable}=127.0.0.1 for this machine alone",
            address=address,
        )


def _bytes_of(secret: SecretStr | None) -> bytes | None:
    return None if secret is None else secret.get_secret_value().encode()


def _are_the_same(token: bytes, secret: bytes | None) -> bool:
    """Return whether a token is the secret, in a time that does not tell how much of it is."""
    return secret is not None and hmac.compare_digest(token, secret)


def _words_for(scope: Scope) -> str:
    """Return what a request wants, as the subject of a sentence."""
    if scope["type"] == "websocket":
        return f"The WebSocket {_short(scope['path'])}"
    return f"{scope['method']} {_short(scope['path'])}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _shown(value: bytes) -> str:
    return repr(_short(value.decode("latin-1")))


def _unknown_name(host: bytes) -> Problem:
    return Problem(
        403,
        f"Host = {_shown(host)} is not allowed: this address is for this machine alone, as "
        "localhost. Where something in front serves it by that name, set INKLING_ORIGINS to what "
        "the browser shows, as in https://inkling.example",
    )


def _other_site(headers: Headers) -> Problem:
    origin = headers.get(b"origin")
    which = "Sec-Fetch-Site" if origin is None else "Origin"
    value = headers[b"sec-fetch-site"] if origin is None else origin
    return Problem(
        403,
        f"{which} = {_shown(value)} is not allowed: a page of another site may not do this, unless "
        "INKLING_ORIGINS names it",
    )


def _guessed_too_often(client: str, after_s: int) -> Problem:
    REFUSED.labels("wrong_tokens").inc()
    return Problem(
        429,
        f"{client} has sent too many wrong tokens (INKLING_CHANGE_RATE). Nothing was changed. "
        f"Try again in {after_s} s.",
        {"Retry-After": str(after_s), "WWW-Authenticate": "Bearer"},
    )
