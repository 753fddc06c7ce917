"""What the browser is told about security: as in frontend/Caddyfile, where the reasons are."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors {frame_ancestors}"
)
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
PAGE_PATHS = ("/", "/index.html")


class SecurityHeaders:
    """Middleware that puts the headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(
                    {**HEADERS, "Content-Security-Policy": policy_for(scope)}
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)


def policy_for(scope: Scope) -> str:
    """Return the policy: other sites may show the page in a frame only if it is made for that."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    embedded = scope["path"] in PAGE_PATHS and query.get("embed") == ["1"]
    return CONTENT_SECURITY_POLICY.format(frame_ancestors="*" if embedded else "'none'")
