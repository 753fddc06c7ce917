"""What one client may ask for: rates, viewers, and who a client is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ops import limits
from ops.limits import BURST_S, Buckets, Limited, allowance, client_behind_edge
from ops.settings import Settings
from services.gateway.api import create_app
from tests.services.gateway.people import Page
from tests.serving import detail_of, served
from wire.bus import Bus


# --- the bucket -----------------------------------------------------------------------------
def test_a_burst_then_the_rate() -> None:
    buckets = Buckets(10)
    assert [buckets.take("a", 100.0) for _ in range(20)] == [0] * 20
    assert buckets.take("a", 100.0) == pytest.approx(0.1)
    assert buckets.take("a", 100.05) == pytest.approx(0.05)
    assert buckets.take("a", 100.1) == 0
    assert buckets.take("a", 100.1) == pytest.approx(0.1)
    assert [buckets.take("a", 200.0) for _ in range(20)] == [0] * 20  # full again, and no fuller
    assert buckets.take("a", 200.0) > 0


def test_whoever_is_refused_waits_no_longer_for_asking_again() -> None:
    buckets = Buckets(1)
    while not buckets.take("a", 0.0):
        pass
    assert [buckets.take("a", 0.0) for _ in range(100)] == [1.0] * 100


def test_a_slow_rate_allows_one_at_a_time() -> None:
    buckets = Buckets(0.1)
    assert buckets.take("a", 0.0) == 0
    assert buckets.take("a", 1.0) == pytest.approx(9)
    assert buckets.take("a", 10.0) == 0


@given(
    st.floats(0.1, 1000),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
)
def test_never_more_than_burst_and_rate(rate: float, pauses: list[float]) -> None:
    buckets, now, taken = Buckets(rate), 0.0, 0
    for pause in pauses:
        now += pause
        wait_s = buckets.take("a", now)
        taken += not wait_s
        assert taken <= max(1, BURST_S * rate) + rate * now + 1e-3
        if wait_s:
            assert not Buckets.take(buckets, "a", now + wait_s + 1e-6)
            now += wait_s + 1e-6
            taken += 1


def test_memory_is_bounded_and_the_busy_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CLIENTS", 100)
    buckets = Buckets(1)
    for _ in range(2):
        assert not buckets.take("busy", 0.0)
    for k in range(99):
        assert not buckets.take(f"passing {k}", -1000.0)  # full again long since
    assert not buckets.take("one more", 0.0)
    assert len(buckets._full_at) == 2
    assert buckets.take("busy", 0.0) > 0
    for k in range(1000):
        buckets.take(f"flood {k}", 0.0)
        assert len(buckets._full_at) <= 100
    assert buckets.take("flood 999", 0.0) == 0
    assert buckets.take("flood 999", 0.0) > 0  # the newest are remembered


# --- who a client is ------------------------------------------------------------------------
def scope_of(address: str | None, *forwarded: str, kind: str = "http") -> dict[str, Any]:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    client = (address, 1) if address is not None else None
    return {"type": kind, "client": client, "headers": headers, "path": "/infer", "method": "POST"}


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("172.18.0.2", ["203.0.113.9"], "203.0.113.9"),
        ("172.18.0.2", ["10.0.0.1, 203.0.113.9"], "203.0.113.9"),  # the client made it up
        ("172.18.0.2", ["10.0.0.1", "203.0.113.9"], "203.0.113.9"),
        ("172.18.0.2", [], "172.18.0.2"),  # past the edge
        ("172.18.0.2", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
        ("172.18.0.2", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("172.18.0.2", ["nonsense" * 100], ("nonsense" * 100)[:64]),
        (None, [], ""),
    ],
)
def test_who_asks_behind_the_edge(address: str | None, forwarded: list[str], client: str) -> None:
    assert client_behind_edge(scope_of(address, *forwarded)) == client


def refused_of(count: int, scope: dict[str, Any], rate: float) -> int:
    """Return how many of so many guesses at once are refused."""
    limited = Limited(lambda *_: None, Settings(infer_rate=rate))  # type: ignore[arg-type]
    refused = 0
    for _ in range(count):
        answer = limited(scope, None, None)  # type: ignore[arg-type]
        if answer is not None:
            answer.close()
            refused += 1
    return refused


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None])
def test_rates_do_not_hold_for_this_machine(address: str | None) -> None:
    assert refused_of(50, scope_of(address), rate=0.01) == 0


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_rates_hold_for_other_machines_unless_they_are_zero(address: str) -> None:
    assert refused_of(50, scope_of(address), rate=0.01) == 49
    assert refused_of(50, scope_of(address, "203.0.113.9"), rate=0.01) == 49  # whatever it says
    assert refused_of(50, scope_of(address), rate=0) == 0


# --- requests -------------------------------------------------------------------------------
async def _answer(_: Request) -> Response:
    return JSONResponse({})


async def _talk(socket: WebSocket) -> None:
    """Say of each text whether it may be obeyed."""
    may_signal = allowance(socket.scope)
    await socket.accept()
    async for _ in socket.iter_text():
        await socket.send_text(may_signal() or "obeyed")


METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE", "PUT"]
APP = Starlette(
    routes=[
        WebSocketRoute("/ws", _talk),
        Route("/{path:path}", _answer, methods=METHODS),
    ]
)


def by(client: str) -> dict[str, str]:
    return {"X-Forwarded-For": client}


@pytest.fixture
def place() -> Iterator[str]:
    """A server as behind an edge: each test is a client of its own there."""
    with served(
        APP, behind_edge=True, infer_rate=5, change_rate=0.01, max_viewers=4, max_client_viewers=2
    ) as place:
        yield place


def test_too_many_guesses_are_refused_with_the_setting_and_when_to_come_again(place: str) -> None:
    with httpx.Client(base_url=f"http://{place}") as client:
        answers = [client.post("/infer", headers=by("192.0.2.1")) for _ in range(60)]
        refused = next(one for one in answers if one.status_code != 200)
        assert detail_of(refused, 429) == (
            "192.0.2.1 asks for too much: allowed are 5 requests to /infer a second for each "
            "client (INKLING_INFER_RATE). Nothing was changed. Try again in 1 s."
        )
        assert refused.headers["retry-after"] == "1"
        assert [one.status_code for one in answers[:10]] == [200] * 10
        others = [client.post("/infer", headers=by(f"192.0.2.{k}")) for k in range(2, 100)]
        assert {one.status_code for one in others} == {200}
        assert client.post("/control", headers=by("192.0.2.1")).status_code == 200


def test_a_client_may_come_again_when_it_was_told_to(
    place: str, wait_until: Callable[..., Any]
) -> None:
    with httpx.Client(base_url=f"http://{place}") as client:

        def ask() -> int:
            return client.post("/infer", headers=by("198.51.100.1")).status_code

        wait_until(lambda: ask() == 429)
        wait_until(lambda: ask() == 200, timeout_s=5)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/control"), ("POST", "/weights"), ("PATCH", "/weights"), ("DELETE", "/weights"),
     ("POST", "/weights/versions/3/restore"), ("PUT", "/anything")],
)  # fmt: skip
def test_changes_have_one_limit(place: str, method: str, path: str) -> None:
    with httpx.Client(base_url=f"http://{place}", headers=by("203.0.113.1")) as client:
        assert client.request(method, path).status_code == 200
        refused = client.request("POST", "/control")
        detail = detail_of(refused, 429)
        assert "0.01 changes a second for each client (INKLING_CHANGE_RATE)" in detail
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        for reading in ("GET", "HEAD", "OPTIONS"):
            assert client.request(reading, path).status_code == 200
        assert client.post("/datablock").status_code == 200
        assert client.post("/infer").status_code == 200


def test_what_is_refused_is_counted(place: str) -> None:
    before = limits.REFUSED.labels("change_rate")._value.get()
    with httpx.Client(base_url=f"http://{place}", headers=by("203.0.113.2")) as client:
        for _ in range(4):
            client.delete("/weights")
    assert limits.REFUSED.labels("change_rate")._value.get() == before + 3


# --- viewers and their signals --------------------------------------------------------------
def view(place: str, client: str) -> ClientConnection:
    return connect(f"ws://{place}/ws", additional_headers=by(client), close_timeout=3)


def refusal(place: str, client: str) -> str:
    """Return why a viewer is not let in, before there is a WebSocket."""
    with pytest.raises(InvalidStatus) as caught:
        view(place, client)
    response = caught.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "5")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.body is not None
    detail: str = json.loads(response.body)["detail"]
    return detail


def test_viewers_are_counted_for_each_client_and_in_all(
    place: str, wait_until: Callable[..., Any]
) -> None:
    with ExitStack() as stack:
        stack.enter_context(view(place, "192.0.2.1"))
        with view(place, "192.0.2.1"):
            assert refusal(place, "192.0.2.1") == (
                "192.0.2.1 has 2 viewers, as many as INKLING_MAX_CLIENT_VIEWERS allows for each "
                "client"
            )
            stack.enter_context(view(place, "192.0.2.2"))
            stack.enter_context(view(place, "192.0.2.3"))
            assert refusal(place, "192.0.2.4") == (
                "there are 4 viewers, as many as INKLING_MAX_VIEWERS allows"
            )

        def let_in() -> bool:
            try:
                stack.enter_context(view(place, "192.0.2.1"))
            except InvalidStatus:
                return False
            return True

        wait_until(let_in)  # as soon as one has left


def test_signals_of_a_viewer_count_as_changes(place: str) -> None:
    with view(place, "192.0.2.9") as viewer:
        viewer.send("one")
        assert viewer.recv(5) == "obeyed"
        viewer.send("two")
        assert "INKLING_CHANGE_RATE" in str(viewer.recv(5))
    with httpx.Client(base_url=f"http://{place}") as client:
        assert client.post("/control", headers=by("192.0.2.9")).status_code == 429


def test_without_limits_everything_is_allowed() -> None:
    assert allowance({})() is None
    none = {"change_rate": 0, "max_viewers": 0, "max_client_viewers": 0}
    with served(APP, behind_edge=True, **none) as place, ExitStack() as stack:
        viewers = [stack.enter_context(view(place, "192.0.2.9")) for _ in range(10)]
        for viewer in viewers:
            viewer.send("?")
            assert viewer.recv(5) == "obeyed"


def test_a_gateway_answers_a_signal_too_soon_with_an_error(bus: Bus) -> None:
    settings = {"behind_edge": True, "change_rate": 0.01}
    app = create_app(bus, Settings())
    with (
        served(app, **settings) as place,
        Page(place, additional_headers=by("192.0.2.9")) as page,
        Page(place, additional_headers=by("192.0.2.10")) as other,
    ):
        before = bus.wanted.change({})
        page.send({"type": "Subscribe", "weights": "none"})
        error = page.refusal({"type": "SetCacheSize", "value": 3})
        assert error["signal"] == "SetCacheSize"
        assert "INKLING_CHANGE_RATE" in error["detail"]
        assert "Nothing was changed" in error["detail"]
        page.read()  # the connection stays
        assert page.refusal({"type": "Nonsense"})["signal"] == "Nonsense"
        assert page.refusal("x" * 70_000)["signal"] is None  # too long to be looked at
        assert "is not allowed" in other.refusal({"type": "Nonsense"})["detail"]
        assert bus.wanted.change({}) == before + 1
