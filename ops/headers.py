"""What browsers are told about security: as in frontend/Caddyfile, where the reasons are."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors {frame_ancestors}"
)
# The same with every answer: the server itself adds them, also where no application answers.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_PATHS = ("/", "/index.html")

Header = tuple[bytes, bytes]


def _policy(frame_ancestors: str) -> Header:
    text = CONTENT_SECURITY_POLICY.format(frame_ancestors=frame_ancestors)
    return b"content-security-policy", text.encode()


UNFRAMED, FRAMED = _policy("'none'"), _policy("*")


class SecurityPolicy:
    """Middleware that puts the Content-Security-Policy on every answer to a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the header."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = policy_for(scope)

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), policy]
            await send(message)

        await self._app(scope, receive, send_with_policy)


def policy_for(scope: Scope) -> Header:
    """Return the policy: other sites may show the page in a frame only if it is made for that."""
    if scope["path"] not in PAGE_PATHS:
        return UNFRAMED
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return FRAMED if query.get("embed") == ["1"] else UNFRAMED
