"""Error answers as RFC 9457 says: application/problem+json with a `detail` that helps."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from wire.calls import NoAnswerError, NoReplyError
from wire.codec import MalformedError, UnusableError
from wire.connection import RedisAwayError, RedisFullError, RedisSilentError
from wire.request_id import REQUEST_ID

MAX_UNDERWAY_BYTES = 256 * 2**20  # of bodies whose end is not here yet, in one process
MAX_SHOWN = 80  # characters of a wrong value that an answer repeats
log = structlog.get_logger()


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


def _redis_away(error: RedisAwayError) -> Problem:
    log.warning("redis is away", error=str(error))
    detail = "Redis is away; nothing was changed. Try again in a few seconds."
    return Problem(503, detail)


def _redis_silent(error: RedisSilentError) -> Problem:
    log.warning("redis does not answer", error=str(error))
    detail = (
        "Redis does not answer. A change may take effect when it goes on: look at /status before "
        "you try again."
    )
    return Problem(503, detail)


def _redis_full(error: RedisFullError) -> Problem:
    log.warning("redis is full", error=str(error))
    detail = (
        f"{error}; nothing was changed. Free space on the disk of Redis, or raise its maxmemory, "
        "then try again."
    )
    return Problem(507, detail)


def _no_answer(error: NoAnswerError) -> Problem:
    log.warning("nobody took a call", error=str(error))
    detail = f"{error}: is one running? Nothing was changed."
    return Problem(503, detail)


def _no_reply(error: NoReplyError) -> Problem:
    log.warning("a call was not answered", error=str(error))
    return Problem(504, f"{error}; look at /status before you try again.")


def _unusable(error: UnusableError) -> Problem:
    log.warning("what redis holds is not usable", error=str(error))
    return Problem(503, f"What Redis holds is not usable: {error}.")


_PROBLEMS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    RequestValidationError: lambda error: Problem(422, describe(error.errors())),
    ValidationError: lambda error: Problem(422, describe(error.errors())),
    ClientDisconnect: lambda _: Problem(400, "the body ended before it was whole"),  # to nobody
    MalformedError: lambda error: Problem(422, str(error)),
    UnusableError: _unusable,
    RedisAwayError: _redis_away,
    RedisSilentError: _redis_silent,
    RedisFullError: _redis_full,
    NoAnswerError: _no_answer,
    NoReplyError: _no_reply,
}
EXPECTED = tuple(_PROBLEMS)  # the errors for which as_problem has an answer


def as_problem(error: Exception) -> Problem:
    """Return what to tell the caller about an error of one of the kinds in EXPECTED."""
    kind = next(kind for kind in type(error).__mro__ if kind in _PROBLEMS)
    return _PROBLEMS[kind](error)


def _http_error(request: Request, error: Any) -> JSONResponse:
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is no {request.url.path}: /docs lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed for {request.url.path}: see /docs"
    return problem_response(error.status_code, detail, dict(error.headers or {}))


def _expected(_: Request, error: Exception) -> JSONResponse:
    problem = as_problem(error)
    return problem_response(problem.status, problem.detail, problem.headers)


def mistake_response() -> JSONResponse:
    """Return the answer for a mistake of ours, an exception that nobody expected."""
    detail = "The service failed at this request; its log says why. Whatever it did may stand."
    return problem_response(500, detail, {"Connection": "close"})  # as the server does now


def _failed(_: Request, error: Exception) -> JSONResponse:
    return mistake_response()


def install_problems(app: FastAPI) -> None:
    """Make every error of `app` answer as a problem."""
    for kind in EXPECTED:
        app.add_exception_handler(kind, _expected)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)  # our own mistakes; the server logs them


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
