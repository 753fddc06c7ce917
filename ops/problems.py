"""Error answers as RFC 9457 says: application/problem+json with a `detail` that helps."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive

from wire.request_id import REQUEST_ID

MAX_UNDERWAY_BYTES = 256 * 2**20  # of bodies whose end is not here yet, in one process
MAX_SHOWN = 80  # characters of a wrong value that an answer repeats


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """An answer other than success: an HTTP status, and a sentence that says what to do."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def describe(errors: Sequence[Any]) -> str:
    """Return one sentence for each of pydantic's errors: which value, what it was, what is allowed.

    `errors` is what ValidationError.errors() returns.
    """
    return "; ".join(_describe_one(fault) for fault in errors)


def _describe_one(fault: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
    message = str(fault["msg"]).removeprefix("Value error, ")
    context = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return f"{place} is missing"
        case "json_invalid":
            return f"the body is not JSON: {context.get('error', message)}"
        case "extra_forbidden":
            message = "there is no such field"
        case "union_tag_not_found":
            return f"{context['discriminator']} is missing".replace("'", "")
        case "union_tag_invalid":
            shown, field = reprlib.repr(context["tag"]), context["discriminator"].strip("'")
            return f"{field} = {shown} is not allowed: it is one of {context['expected_tags']}"
    shown = reprlib.repr(fault.get("input"))
    shown = shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 3] + "..."
    return f"{place or 'the body'} = {shown} is not allowed: {message}"


def problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer for an error, with the id by which the logs can be searched.

    503 always says when to try again.
    """
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": "2", **(headers or {})}
    request_id = REQUEST_ID.get()
    return JSONResponse(
        {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status,
         "detail": detail, **({"request_id": request_id} if request_id else {})},
        status,
        headers,
        media_type="application/problem+json",
    )  # fmt: skip


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of `request`; raise Problem 413 as soon as it is over `limit` bytes."""
    return await receive_body(request.receive, limit)


@dataclass
class Underway:
    """How much this process holds of bodies whose end is not here yet."""

    bytes_held: int = 0


_underway = Underway()


async def receive_body(receive: Receive, limit: int) -> bytes:
    """Return the body of an ASGI request; raise Problem 413 or 503, or ClientDisconnect."""
    chunks: list[bytes] = []
    length, more = 0, True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            chunks.append(chunk)
            length += len(chunk)
            _underway.bytes_held += len(chunk)
            if length > limit:
                raise Problem(413, f"the body is over the limit of {limit:,} bytes")
            if more and _underway.bytes_held > MAX_UNDERWAY_BYTES:
                detail = "too many large bodies are on their way at once; nothing was changed."
                raise Problem(503, detail, {"Retry-After": "5"})
    finally:
        _underway.bytes_held -= length
    return b"".join(chunks)  # one chunk, as mostly, is not copied
