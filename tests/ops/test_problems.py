"""Each kind of error is an answer that says what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from ops.errors import install_problems
from ops.problems import Problem, read_body
from tests.serving import detail_of, served
from wire.calls import NoAnswerError, NoReplyError
from wire.codec import MalformedError, UnusableError
from wire.connection import RedisAwayError

LIMIT = 1000


class Thing(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid")
    count: Annotated[int, Field(ge=1, le=5)]
    names: list[str] = []


ERRORS: dict[str, tuple[Exception, int, str]] = {
    "problem": (Problem(418, "no coffee", {"X-Pot": "tea"}), 418, "no coffee"),
    "busy": (Problem(503, "no time"), 503, "no time"),
    "malformed": (MalformedError("w1 is short"), 422, "w1 is short"),
    "unusable": (
        UnusableError("no curve"),
        503,
        "What Redis holds is not usable: no curve.",
    ),
    "cut-short": (ClientDisconnect(), 400, "the body ended before it was whole"),
    "away": (
        RedisAwayError("Redis is away: refused"),
        503,
        "Redis is away; nothing was changed. Try again in a few seconds.",
    ),
    "no-answer": (
        NoAnswerError("no trainer took the call"),
        503,
        "no trainer took the call: is one running? Nothing was changed.",
    ),
    "no-reply": (
        NoReplyError("the trainer took the call, but did not answer in time"),
        504,
        "the trainer took the call, but did not answer in time; "
        "look at /status before you try again.",
    ),
    "mistake": (
        ZeroDivisionError("secret"),
        500,
        "The service failed at this request; its log says why. Whatever it did may stand.",
    ),
}


def small_app() -> FastAPI:
    app = FastAPI()
    install_problems(app)

    @app.get("/raise/{name}")
    def fail(name: str) -> None:
        raise ERRORS[name][0]

    @app.get("/number")
    def number(most: Annotated[int, Query(le=9)] = 1) -> int:
        return most

    @app.post("/thing")
    def thing(thing: Thing) -> Thing:
        return thing

    @app.post("/thing/raw")
    async def raw(request: Request) -> int:
        return Thing.model_validate_json(await read_body(request, LIMIT)).count

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await read_body(request, LIMIT))

    return app


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with served(small_app()) as place, httpx.Client(base_url=f"http://{place}") as client:
        yield client


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_a_problem(client: httpx.Client, name: str) -> None:
    _, status, detail = ERRORS[name]
    assert detail_of(client.get(f"/raise/{name}"), status) == detail


def test_headers_come_along(client: httpx.Client) -> None:
    assert client.get("/raise/problem").headers["x-pot"] == "tea"
    assert client.get("/raise/away").headers["retry-after"] == "2"
    assert client.get("/raise/no-answer").headers["retry-after"] == "2"


def test_whoever_is_told_to_come_again_is_told_when(client: httpx.Client) -> None:
    unavailable = [name for name, (_, status, _) in ERRORS.items() if status == 503]
    for name in unavailable:
        assert int(client.get(f"/raise/{name}").headers["retry-after"]) > 0


def test_the_connection_ends_after_a_mistake_of_ours(client: httpx.Client) -> None:
    assert client.get("/raise/mistake").headers["connection"] == "close"


def test_an_unknown_place_and_method_are_problems(client: httpx.Client) -> None:
    assert detail_of(client.get("/nowhere"), 404) == (
        "there is no /nowhere: /docs lists what there is"
    )
    answer = client.put("/number")
    assert detail_of(answer, 405) == "PUT is not allowed for /number: see /docs"
    assert answer.headers["allow"] == "GET"


def test_a_wrong_parameter_is_named_with_value_and_what_is_allowed(client: httpx.Client) -> None:
    assert detail_of(client.get("/number?most=10"), 422) == (
        "most = '10' is not allowed: Input should be less than or equal to 9"
    )
    assert "most = 'x' is not allowed" in detail_of(client.get("/number?most=x"), 422)


@pytest.mark.parametrize("path", ["/thing", "/thing/raw"])
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("{", "the body is not JSON: "),
        ("{}", "count is missing"),
        ('{"count": 6}', "count = 6 is not allowed: Input should be less than or equal to 5"),
        ('{"count": 1, "colour": 3}', "colour = 3 is not allowed: there is no such field"),
        ('{"count": 1, "names": ["a", 5]}', "names.1 = 5 is not allowed: Input should be a valid"),
        ('{"count": 0, "names": 5}', "; names = 5 is not allowed: "),
        ("[1]", "the body = [1] is not allowed: "),
    ],
)
def test_a_wrong_body_is_told_field_by_field(
    client: httpx.Client, path: str, body: str, detail: str
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert detail in detail_of(answer, 422)


def test_a_long_value_is_told_in_short(client: httpx.Client) -> None:
    body: dict[str, Any] = {"count": ["x" * 200] * 500}
    detail = detail_of(client.post("/thing", json=body), 422)
    assert "count = ['xxx" in detail
    assert "..." in detail
    assert len(detail) < 200


def test_a_body_may_be_as_long_as_its_limit(client: httpx.Client) -> None:
    assert client.post("/length", content=b"x" * LIMIT).json() == LIMIT
    assert client.post("/length", content=b"").json() == 0


def test_a_body_over_its_limit_is_refused(client: httpx.Client) -> None:
    answer = client.post("/length", content=b"x" * (LIMIT + 1))
    assert detail_of(answer, 413) == "the body is over the limit of 1,000 bytes"


def test_a_body_is_refused_as_soon_as_it_is_too_long(client: httpx.Client) -> None:
    address = (client.base_url.host, client.base_url.port or 0)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(
            b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
        )
        connection.sendall(b"x" * (LIMIT + 1))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
