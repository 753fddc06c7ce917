"""The head and the body of an answer travel together, and nothing is held for long."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ops.http import MOST_HELD_BYTES, JoinedWrites
from tests.serving import served

CHUNKS = [b"a" * 1000, b"b" * (MOST_HELD_BYTES + 1), b"c", b"d" * 500_000]


class Wire(asyncio.Transport):
    """A transport that keeps a list of what it was told to do."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def writelines(self, parts: Any) -> None:
        self.told.append(b"".join(parts))

    def close(self) -> None:
        self.told.append("closed")


def told(steps: Callable[[JoinedWrites], None]) -> tuple[list[Any], list[Any]]:
    """Return what the transport was told by the end of `steps`, and a turn of the loop later."""

    async def play() -> tuple[list[Any], list[Any]]:
        wire = Wire()
        steps(JoinedWrites(wire, asyncio.get_running_loop()))
        soon = list(wire.told)
        await asyncio.sleep(0)
        return soon, wire.told

    with ThreadPoolExecutor(1) as other:  # in this thread a browser's loop may be running
        return other.submit(asyncio.run, play()).result()


def test_writes_go_out_together_in_the_next_turn() -> None:
    def steps(joined: JoinedWrites) -> None:
        joined.write(b"head ")
        joined.write(b"body")

    assert told(steps) == ([], [b"head body"])


def test_much_goes_out_at_once() -> None:
    def steps(joined: JoinedWrites) -> None:
        joined.write(b"head ")
        joined.write(b"x" * MOST_HELD_BYTES)
        joined.write(b"rest")

    much = b"head " + b"x" * MOST_HELD_BYTES
    assert told(steps) == ([much], [much, b"rest"])


def test_closing_sends_first() -> None:
    def steps(joined: JoinedWrites) -> None:
        joined.write(b"last words")
        joined.close()

    assert told(steps)[1] == [b"last words", "closed"]


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """A server with answers of several kinds."""

    async def text(_: Request) -> Response:
        return PlainTextResponse("hello")

    async def closing(_: Request) -> Response:
        return PlainTextResponse("bye", headers={"Connection": "close"})

    async def stream(_: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for chunk in CHUNKS:
                yield chunk

        return StreamingResponse(chunks())

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    async def none(_: Request) -> Response:
        return Response(status_code=204)

    async def names(request: Request) -> Response:
        await request.body()
        return PlainTextResponse(" ".join(request.headers))

    endpoints = {"text": text, "closing": closing, "stream": stream, "none": none}
    routes = [Route(f"/{name}", endpoint) for name, endpoint in endpoints.items()]
    posts = [Route("/echo", echo, methods=["POST"]), Route("/names", names, methods=["POST"])]
    with served(Starlette(routes=[*routes, *posts])) as place:
        yield place


def test_answers_of_every_kind_arrive_over_one_connection(place: str) -> None:
    connection = http.client.HTTPConnection(place, timeout=10)

    def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    for _ in range(2):
        assert ask("GET", "/text") == (200, b"hello")
        assert ask("HEAD", "/text") == (200, b"")
        assert ask("GET", "/none") == (204, b"")
        assert ask("GET", "/stream") == (200, b"".join(CHUNKS))
        assert ask("POST", "/echo", b"z" * 300_000) == (200, b"z" * 300_000)
    assert ask("GET", "/closing") == (200, b"bye")
    assert cast("Any", connection).sock is None  # closed, as the answer said


@pytest.mark.parametrize("upgrade", [b"", b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"])
def test_trailers_are_no_headers(place: str, upgrade: bytes) -> None:
    host, _, port = place.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /names HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            + (upgrade or b"Connection: close\r\n")
            + b"\r\n2\r\nhi\r\n0\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
        )
        body = connection.makefile("rb").read().partition(b"\r\n\r\n")[2]
    assert b"transfer-encoding" in body
    assert b"authorization" not in body
    assert b"x-forwarded-for" not in body
