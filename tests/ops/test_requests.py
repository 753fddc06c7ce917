"""Each call has an id, in its answer, its problem and its thread; and is measured by its route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query, WebSocket
from prometheus_client import REGISTRY
from websockets.sync.client import connect

from ops.errors import install_problems
from tests.serving import served
from wire.connection import RedisAwayError
from wire.request_id import REQUEST_ID

HEADER = "X-Request-ID"


def small_app() -> FastAPI:
    app = FastAPI()
    install_problems(app)

    @app.get("/things/{name}")
    def in_a_thread(name: str, most: Annotated[int, Query(le=9)] = 1) -> str:
        if name == "away":
            raise RedisAwayError("refused")
        if name == "broken":
            raise ZeroDivisionError
        return REQUEST_ID.get()

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(REQUEST_ID.get())
        await socket.close()

    return app


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with served(small_app()) as place:
        yield place


@pytest.fixture(scope="module")
def client(place: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{place}", timeout=20) as client:
        yield client


def count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("inkling_http_request_duration_seconds_count", labels) or 0


def test_a_callers_id_is_taken_over_by_the_answer_and_by_the_thread(client: httpx.Client) -> None:
    answer = client.get("/things/seven", headers={HEADER: "from-the-edge_1.2:3"})
    assert answer.headers[HEADER] == "from-the-edge_1.2:3"
    assert answer.json() == "from-the-edge_1.2:3"


def test_a_call_without_an_id_gets_one_of_its_own(client: httpx.Client) -> None:
    answers = [client.get("/things/seven") for _ in range(20)]
    made = {answer.headers[HEADER] for answer in answers}
    assert len(made) == 20
    assert made == {answer.json() for answer in answers}


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 65, b'"}', b"\xc3\xa4", b"a,b"])
def test_an_id_that_may_not_be_logged_is_not_taken_over(client: httpx.Client, given: bytes) -> None:
    answer = client.get("/things/seven", headers={HEADER.encode(): given})
    assert len(answer.headers.get_list(HEADER)) == 1
    assert answer.headers[HEADER].encode("latin-1") != given
    assert len(answer.headers[HEADER]) == 32


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/things/away", 503), ("/things/broken", 500), ("/things/seven?most=10", 422),
        ("/nothing", 404),
    ],
)  # fmt: skip
def test_a_problem_names_the_id(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path, headers={HEADER: "look-for-me"})
    assert answer.status_code == status
    assert answer.json()["request_id"] == answer.headers[HEADER] == "look-for-me"


def test_a_websocket_has_an_id_too(place: str) -> None:
    with connect(f"ws://{place}/ws", additional_headers={HEADER: "viewer-1"}) as socket:
        assert socket.recv(10) == "viewer-1"
        assert socket.response is not None
        assert socket.response.headers.get_all(HEADER) == ["viewer-1"]
    with connect(f"ws://{place}/ws") as socket:
        assert socket.response is not None
        assert socket.response.headers.get_all(HEADER) == [socket.recv(10)]


def test_requests_are_counted_by_route_and_status(client: httpx.Client, wait_until) -> None:
    route = "/things/{name}"
    before = [count("GET", route, status) for status in (200, 503, 500)]
    for name in ("a", "b", "away", "broken"):
        client.get(f"/things/{name}")
    wait_until(
        lambda: (
            [count("GET", route, status) for status in (200, 503, 500)]
            == [before[0] + 2, before[1] + 1, before[2] + 1]
        ),
        what="the counts",
    )


def test_whatever_is_asked_for_there_are_few_series(client: httpx.Client, wait_until) -> None:
    others = count("GET", "other", 404), count("other", "other", 404)
    for method in ("PROPFIND", "REPORT", "LOCK"):
        client.get(f"/no/such/{method}")
        client.request(method, f"/no/such/{method}")
    wait_until(
        lambda: (
            (count("GET", "other", 404), count("other", "other", 404))
            == (others[0] + 3, others[1] + 3)
        ),
        what="the counts",
    )
