"""Clients that send slowly, for ever, or too much, and those that do not take their answers."""

from __future__ import annotations

import asyncio
import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ops import http as limits
from ops import problems
from ops.errors import install_problems
from ops.problems import receive_body
from tests.running import ROOT
from tests.serving import served

LIMIT = 100_000  # bytes of the body of /take
LARGE = 64 * 2**20  # more than any pair of sockets buffers
TCP_CLOSE = b"\x07"  # a state in linux/tcp.h


async def take(request: Request) -> Response:
    body = await receive_body(request.receive, LIMIT)
    return PlainTextResponse(f"{len(body)}")


async def early(_: Request) -> Response:
    return PlainTextResponse("early")


async def large(_: Request) -> Response:
    return Response(bytes(LARGE))


async def view(viewer: WebSocket) -> None:
    await viewer.accept()
    await viewer.receive()


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    app = FastAPI()
    install_problems(app)
    app.router.routes += [
        Route("/take", take, methods=["POST"]),
        Route("/early", early, methods=["GET", "POST"]),
        Route("/large", large),
        WebSocketRoute("/ws", view),
    ]
    with served(app) as place:
        yield place


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all deadlines short."""
    monkeypatch.setattr(limits, "CHECK_S", 0.05)
    for name in ("HEAD_S", "BODY_S", "REST_S", "STALLED_S"):
        monkeypatch.setattr(limits, name, 0.4)
    monkeypatch.setattr(limits, "BODY_BYTES_PER_S", 10_000)


class Raw:
    """A connection on which anything can be sent."""

    def __init__(self, place: str) -> None:
        host, _, port = place.partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=15)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def answer(self) -> tuple[int, bytes]:
        """Return status and body of all that comes until the other end closes; 0 for nothing."""
        received = bytearray()
        try:
            while chunk := self.socket.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass  # it had not read all that was sent
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        return int(head.split()[1]) if head else 0, body

    def flood(self, data: bytes) -> None:
        """Send this again and again, until the other end closes."""
        deadline = time.monotonic() + 15
        try:
            while time.monotonic() < deadline:
                self.socket.sendall(data)
        except OSError:
            return
        raise AssertionError("it was never cut off")

    def trickle(self, data: bytes, pause_s: float = 0.02) -> None:
        """Send byte after byte, until the other end closes."""
        try:
            for _ in range(1000):
                for k in range(len(data)):
                    self.socket.sendall(data[k : k + 1])
                    time.sleep(pause_s)
        except OSError:
            return
        raise AssertionError("it was never cut off")


HEAD = b"POST /take HTTP/1.1\r\nHost: localhost\r\n"


def problem(answer: tuple[int, bytes]) -> str:
    status, body = answer
    fields = json.loads(body)
    assert fields["status"] == status
    detail: str = fields["detail"]
    return detail


# --- slow senders ---------------------------------------------------------------------------
@pytest.mark.usefixtures("hurry")
def test_a_connection_that_says_nothing_is_closed(place: str) -> None:
    with Raw(place) as silent:
        assert silent.answer() == (0, b"")


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("sent", "what"),
    [(b"POST /ta", "head"), (HEAD, "head"), (HEAD + b"Content-Le", "head"),
     (HEAD + b"Content-Length: 5\r\n\r\n", "body"),
     (HEAD + b"Content-Length: 5\r\n\r\n1234", "body"),
     (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", "body"),
     (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12", "body"),
     (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n", "body")],
)  # fmt: skip
def test_a_request_that_does_not_end_is_answered_408(place: str, sent: bytes, what: str) -> None:
    with Raw(place) as slow:
        slow.send(sent)
        answer = slow.answer()
        assert answer[0] == 408
        assert f"the {what} of the request did not come within 0 s" in problem(answer)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("sent", "more"),
    [(HEAD, b"X-A: b\r\n"), (HEAD + b"X-A: ", b"b"), (b"", b"\r\n"), (b"GET /", b"a"),
     (HEAD + b"Content-Length: 99999\r\n\r\n", b"x"),
     (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")],
)  # fmt: skip
def test_bytes_now_and_then_gain_no_time(place: str, sent: bytes, more: bytes) -> None:
    with Raw(place) as slow:
        slow.send(sent)
        slow.trickle(more)


@pytest.mark.usefixtures("hurry")
def test_blank_lines_do_not_keep_a_connection(place: str) -> None:
    with Raw(place) as idle:
        idle.send(b"GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.socket.recv(65_536).endswith(b"early")
        idle.trickle(b"\r\n")


@pytest.mark.usefixtures("hurry")
def test_a_body_that_is_slow_but_comes_is_taken(place: str) -> None:
    with Raw(place) as slow:
        slow.send(HEAD, b"Connection: close\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(40):
            slow.send(bytes(1000))
            time.sleep(0.025)  # 40,000 bytes a second for a second, which is more than BODY_S
        assert slow.answer() == (200, b"40000")


def test_an_idle_connection_is_closed_after_a_while(place: str) -> None:
    with Raw(place) as idle:
        idle.send(b"GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.socket.recv(65_536).endswith(b"early")
        began = time.monotonic()
        assert idle.answer() == (0, b"")
        assert limits.KEEP_ALIVE_S - 1 < time.monotonic() - began < limits.KEEP_ALIVE_S + 5


def test_slow_senders_slow_nobody(place: str) -> None:
    with ExitStack() as stack:
        for k in range(300):
            slow = stack.enter_context(Raw(place))
            slow.send(HEAD, b"Content-Length: 5\r\n\r\n" if k % 2 else b"X-A:")
        with httpx.Client(base_url=f"http://{place}") as client:
            times = []
            for _ in range(50):
                began = time.monotonic()
                assert client.post("/take", content=b"12345").text == "5"
                times.append(time.monotonic() - began)
    assert sorted(times)[25] < 0.2


@pytest.mark.usefixtures("hurry")
def test_an_application_that_takes_its_time_is_waited_for() -> None:
    async def slowly(_: Request) -> Response:
        await asyncio.sleep(1.0)
        return PlainTextResponse("done")

    with served(Starlette(routes=[Route("/slowly", slowly)])) as place:
        assert httpx.get(f"http://{place}/slowly").text == "done"


def test_whoever_goes_away_within_a_body_leaves_no_error_in_the_log(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (b"", b"123"):
        with Raw(place) as leaving:
            leaving.send(HEAD, b"Content-Length: 5\r\n\r\n", sent)
    assert httpx.post(f"http://{place}/take", content=b"12345").text == "5"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_edge_of_the_containers_has_the_same_limits() -> None:
    caddyfile = (ROOT / "frontend" / "Caddyfile").read_text()
    for line in (
        f"max_header_size {limits.MAX_HEAD_BYTES // 1024}KiB",
        f"read_header {limits.HEAD_S:.0f}s",
        "read_body 2m",
        "idle 1m",
        "response_header_timeout 30s",
    ):
        assert re.search(rf"^\t+{line}$", caddyfile, re.MULTILINE), line


# --- slow readers ---------------------------------------------------------------------------
def is_reset(connection: socket.socket) -> bool:
    """Return whether the other end has dropped the connection; reads nothing."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == TCP_CLOSE


@pytest.mark.usefixtures("hurry")
def test_an_answer_that_nobody_takes_is_dropped(place: str, wait_until: Callable[..., Any]) -> None:
    with Raw(place) as lazy:
        lazy.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: is_reset(lazy.socket), timeout_s=15)


@pytest.mark.usefixtures("hurry")
def test_an_answer_that_is_taken_slowly_is_sent_to_its_end(place: str) -> None:
    with Raw(place) as slow:
        slow.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = 0
        for _ in range(20):
            received += len(slow.socket.recv(4 * 2**20, socket.MSG_WAITALL))
            time.sleep(0.1)
        while chunk := slow.socket.recv(2**20):
            received += len(chunk)
        assert received > LARGE


# --- too much -------------------------------------------------------------------------------
def head_of(count: int, size: int = 1) -> bytes:
    return HEAD + b"".join(b"x-%d: %s\r\n" % (k, b"v" * size) for k in range(count))


@pytest.mark.parametrize("upgrade", [b"", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"])
@pytest.mark.parametrize(
    "head",
    [head_of(10_000), head_of(limits.MAX_HEADERS), head_of(1, 1_000_000), head_of(50, 1000),
     b"POST /take?" + b"q" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n"],
    ids=["10,000 headers", "one too many", "one of 1 MB", "many large ones", "a long query"],
)  # fmt: skip
def test_a_head_that_is_too_large_is_refused(place: str, head: bytes, upgrade: bytes) -> None:
    with Raw(place) as client:
        threading.Thread(target=_send_all, args=(client, head + upgrade + b"\r\n")).start()
        answer = client.answer()
        assert answer[0] in (431, 0)  # 0: the connection was reset before that was read
        if answer[0]:
            assert "allowed are 32,768 bytes and 100 headers" in problem(answer)


def test_a_head_that_is_too_large_is_refused_in_pieces_too(place: str) -> None:
    with Raw(place) as client:
        for piece in (b"POST /take?" + b"q" * 20_000, b"q" * 20_000):
            client.send(piece)
            time.sleep(0.1)  # so that they are likely to be read one by one
        client.send(b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = client.answer()
        assert answer[0] == 431
        assert "allowed are 32,768 bytes and 100 headers" in problem(answer)


def _send_all(client: Raw, data: bytes) -> None:
    try:
        client.send(data)
    except OSError:
        return


@pytest.mark.parametrize("more", [b"X-A: b\r\n", b"b"], ids=["headers", "a value"])
@pytest.mark.parametrize(
    "start",
    [HEAD + b"X-A: ", HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: "],
    ids=["head", "trailer"],
)
def test_a_head_or_trailer_that_never_ends_is_cut_off(
    place: str, start: bytes, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REQUEST_BYTES", 2**20)
    with Raw(place) as client:
        client.send(start)
        client.flood(more * (65_536 // len(more)))


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("path", [b"/take", b"/early"])
def test_a_chunked_body_that_never_ends_is_cut_off(place: str, path: bytes) -> None:
    with Raw(place) as client:
        client.send(
            b"POST ", path, b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.flood(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        status, body = client.answer()
        assert (status, body[:5]) in ((0, b""), (413, b'{"typ'), (200, b"early"))


def test_a_body_over_the_limit_is_told_so_though_it_goes_on(place: str) -> None:
    with Raw(place) as client:
        client.send(HEAD, b"Content-Length: 400000\r\n\r\n", bytes(400_000))
        assert b" 413 " in client.socket.recv(65_536)
        client.send(b"GET /early HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.answer()[1].endswith(b"early")  # the connection is as good as before


def test_bodies_on_their_way_are_bounded_together(
    place: str, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    monkeypatch.setattr(problems, "MAX_UNDERWAY_BYTES", 300_000)
    head = HEAD + b"Content-Length: 99999\r\n\r\n"
    with ExitStack() as stack, httpx.Client(base_url=f"http://{place}") as client:
        slow = [stack.enter_context(Raw(place)) for _ in range(4)]
        for one in slow:
            one.send(head, bytes(90_000))
        sockets = [one.socket for one in slow]
        (refused,) = wait_until(lambda: select.select(sockets, [], [], 0)[0])
        answer = refused.recv(65_536)
        assert b" 503 " in answer
        assert b"retry-after: 5" in answer
        assert b"too many large bodies" in answer
        for one in slow:
            one.send(bytes(9_999))
        assert client.post("/take", content=bytes(99_999)).text == "99999"
    wait_until(lambda: problems._underway.bytes_held == 0)


def test_many_requests_at_once_are_all_answered(place: str) -> None:
    one = HEAD + b"Content-Length: 50000\r\n\r\n" + bytes(50_000)
    with Raw(place) as client:
        last = b"GET /early HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        threading.Thread(target=_send_all, args=(client, one * 20 + last)).start()
        received = bytearray()
        while chunk := client.socket.recv(65_536):
            received += chunk
    assert received.count(b"HTTP/1.1 200 OK") == 21
    assert received.count(b"\r\n\r\n50000") == 20


def test_what_is_no_http_is_told_so(place: str) -> None:
    with Raw(place) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00")
        answer = client.answer()
        assert answer[0] == 400
        assert problem(answer) == "Invalid HTTP request received."


@pytest.mark.parametrize(
    "lines",
    [b"Cookie: " + b"c" * 9000 + b"\r\n", b""],
    ids=["a line of 9 kB", "no key"],
)
def test_a_websocket_that_cannot_begin_is_refused(place: str, lines: bytes) -> None:
    with Raw(place) as client:
        client.send(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            b"Sec-WebSocket-Version: 13\r\n",
            lines,
            b"\r\n",
        )
        assert client.answer()[0] in (400, 426, 431)
