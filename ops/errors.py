"""Which error is which problem; apart from problems.py, so that workers can do without FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ops.problems import Problem, describe, problem_response
from wire.calls import NoAnswerError, NoReplyError
from wire.codec import MalformedError, UnusableError
from wire.connection import RedisAwayError, RedisFullError, RedisSilentError

log = structlog.get_logger()


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
