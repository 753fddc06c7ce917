"""What browsers are told about security: as in frontend/Caddyfile, where the reasons are."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.types import Scope

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


def policy_for(scope: Scope) -> Header:
    """Return the policy: other sites may show the page in a frame only if it is made for that."""
    if scope["path"] not in PAGE_PATHS:
        return UNFRAMED
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return FRAMED if query.get("embed") == ["1"] else UNFRAMED
