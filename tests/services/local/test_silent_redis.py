"""While Redis does not answer, every route does: 503 with Retry-After, or from memory."""

from __future__ import annotations

import http.client
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from ops.settings import Settings
from services.local.docs import service_apps
from services.local.web import create_web
from tests.running import RedisServer, wait_until
from tests.services.data.samples import put, small_set
from tests.services.gateway.people import Page
from tests.serving import detail_of, served
from wire.bus import Bus
from wire.connection import CALL_TIMEOUT_S

ENOUGH_S = CALL_TIMEOUT_S + 3  # on a busy machine; a call that waits for a second one takes longer
BLANK = [0] * 784
BODIES: dict[str, Any] = {
    "POST /infer": {"image": BLANK},
    "PATCH /weights": {"data": [{"target": 1, "image": BLANK}]},
    "POST /weights/versions": {"name": "kept"},
    "PATCH /weights/versions/{version}": {"name": "new"},
    "POST /datablock": {"block": 1},
    "POST /control": {"type": "Stop"},
}
WITHOUT_REDIS = {
    "POST /infer",
    "GET /data",
    "POST /datablock",
    "GET /evaluation",
    "GET /evaluation/examples",
    "GET /weights/versions/{version}",
    "PATCH /weights/versions/{version}",
    "DELETE /weights/versions/{version}",
}


def routes_of(apps: dict[str, FastAPI]) -> list[str]:
    """Return "POST /infer" and so on, as the descriptions of the services have them."""
    return [
        f"{method.upper()} {path}"
        for app in apps.values()
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


@contextmanager
def standing_still(server: RedisServer) -> Iterator[None]:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@pytest.fixture
def web(own_redis: RedisServer, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Everything on one port, with weights that are evaluated; and its routes."""
    settings = Settings(
        data_dir=put(tmp_path / "files", small_set(3)),
        cache_dir=tmp_path / "cache",
        weights_dir=tmp_path / "weights",
        hidden_units=8,
    )
    bus = Bus(own_redis.url)
    with served(create_web(bus, settings)) as place:
        httpx.delete(f"http://{place}/weights").raise_for_status()
        wait_until(lambda: httpx.get(f"http://{place}/evaluation").status_code == 200)
        yield place, routes_of(service_apps(bus, settings))
    bus.close()


def test_every_route_answers_in_time(own_redis: RedisServer, web: tuple[str, list[str]]) -> None:
    place, routes = web
    with httpx.Client(base_url=f"http://{place}", timeout=60) as client:
        (version,) = (one["version"] for one in client.get("/weights/versions").json()["versions"])
        weights = client.get("/weights").json()

        def ask(route: str) -> tuple[str, httpx.Response, float]:
            method, path = route.split()
            body = weights if route == "POST /weights" else BODIES.get(route)
            began = time.monotonic()
            answer = client.request(method, path.format(version=version), json=body)
            return route, answer, time.monotonic() - began

        last = "DELETE /weights/versions/{version}"
        with standing_still(own_redis):
            with ThreadPoolExecutor(len(routes)) as pool:
                answers = list(pool.map(ask, [route for route in routes if route != last]))
            answers.append(ask(last))
            began = time.monotonic()
            readiness = client.get("/readyz")
            assert time.monotonic() - began < ENOUGH_S  # though it asks for several services
        for route, answer, took_s in answers:
            assert took_s < ENOUGH_S, route
            if route in WITHOUT_REDIS:
                assert answer.status_code in (200, 204), (route, answer.text)
            else:
                assert re.match("Redis (is away|does not answer)", detail_of(answer, 503)), route
                assert int(answer.headers["retry-after"]) > 0
        assert readiness.status_code == 503
        assert any("Redis is away" in reason for reason in readiness.json()["reasons"])
        wait_until(lambda: client.get("/status").status_code == 200, timeout_s=10)


def test_signals_of_viewers_are_answered_too(
    own_redis: RedisServer, web: tuple[str, list[str]]
) -> None:
    place, _ = web
    with Page(place) as page:
        page.read()
        with standing_still(own_redis):
            began = time.monotonic()
            error = page.refusal({"type": "SetBatchSize", "value": 64})
            assert time.monotonic() - began < ENOUGH_S
            assert error["detail"].startswith("Redis does not answer. A change may take effect")
            page.read_until(lambda: "Redis is away" in str(page.last["problem"]))
        page.read_until(
            lambda: page.last["problem"] != error and "Redis" not in str(page.last["problem"])
        )


def test_many_who_ask_do_not_wait_for_each_other(
    own_redis: RedisServer, web: tuple[str, list[str]]
) -> None:
    place, _ = web

    def ask(_: int) -> float:
        connection = http.client.HTTPConnection(place, timeout=60)
        began = time.monotonic()
        connection.request("GET", "/weights")
        assert connection.getresponse().status == 503
        connection.close()
        return time.monotonic() - began

    with standing_still(own_redis), ThreadPoolExecutor(150) as pool:
        times = list(pool.map(ask, range(150)))  # of 40 threads that the services have for them
    assert max(times) < 2 * CALL_TIMEOUT_S + 2


def test_a_redis_out_of_memory_refuses_changes(
    own_redis: RedisServer, web: tuple[str, list[str]]
) -> None:
    place, _ = web
    own_redis.client.config_set("maxmemory", 1)
    with httpx.Client(base_url=f"http://{place}") as client:
        signal_of_one = {"type": "SetBatchSize", "value": 64}
        assert "its memory is full" in detail_of(client.post("/control", json=signal_of_one), 507)
        assert client.get("/weights").status_code == 200
        assert client.get("/status").status_code == 200
    with Page(place) as page:
        assert "its memory is full" in page.refusal(signal_of_one)["detail"]
