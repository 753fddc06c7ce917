"""Every route that takes a body refuses one that is too large or nested too deeply, at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from ops.settings import Settings
from services.local.docs import service_apps
from services.local.web import create_web
from tests.running import RedisServer, wait_until
from tests.services.data.samples import put, small_set
from tests.services.gateway.people import Page
from tests.serving import detail_of, served
from wire.bus import Bus

SOON_S = 5.0
MB = 2**20
LIMITS = {
    "POST /infer": 32 * MB,
    "POST /weights": 8 * MB,
    "PATCH /weights": 8 * MB,
    "POST /weights/versions": 64 * 2**10,
    "PATCH /weights/versions/{version}": 64 * 2**10,
    "POST /datablock": 64 * 2**10,
    "POST /control": 8 * MB,
}
DEEP = 50_000
NESTED = {
    "a list": b"[" * DEEP + b"]" * DEEP,
    "lists in a field": b'{"%s": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "without an end": b"[" * DEEP,
}
FIELDS = {"POST /infer": b"image", "POST /weights": b"weights", "PATCH /weights": b"data",
          "POST /datablock": b"block", "POST /control": b"weights"}  # fmt: skip


@pytest.fixture(scope="module")
def apps_and_client(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[set[str], httpx.Client]]:
    """The routes that take a body, and a client of all of them on one port."""
    folder = tmp_path_factory.mktemp("bodies")
    settings = Settings(
        data_dir=put(folder / "files", small_set(3)),
        cache_dir=folder / "cache",
        weights_dir=folder / "weights",
        hidden_units=8,
    )
    bus = Bus(redis_server.url, "bodies")
    routes = {
        f"{method.upper()} {path}"
        for app in service_apps(bus, settings).values()
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    with (
        served(create_web(bus, settings)) as place,
        httpx.Client(base_url=f"http://{place}", timeout=60) as client,
    ):
        client.delete("/weights").raise_for_status()
        wait_until(lambda: client.get("/data").status_code == 200)
        yield routes, client
    bus.close()


def test_every_route_with_a_body_is_tried(apps_and_client: tuple[set[str], httpx.Client]) -> None:
    routes, _ = apps_and_client
    assert routes == set(LIMITS)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("route", LIMITS)
def test_a_body_over_the_limit(
    apps_and_client: tuple[set[str], httpx.Client], route: str, chunked: bool
) -> None:
    _, client = apps_and_client
    method, path = route.split()
    body = b" " * (LIMITS[route] + 1)
    parts = (body[start : start + MB] for start in range(0, len(body), MB))
    headers = {"Content-Type": "application/json"}
    answer = client.request(
        method, path.format(version=1), content=parts if chunked else body, headers=headers
    )
    assert f"over the limit of {LIMITS[route]:,} bytes" in detail_of(answer, 413)


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("route", LIMITS)
def test_a_body_that_is_nested_too_deeply(
    apps_and_client: tuple[set[str], httpx.Client], route: str, kind: str
) -> None:
    _, client = apps_and_client
    method, path = route.split()
    body = NESTED[kind].replace(b"%s", FIELDS.get(route, b"name"))
    began = time.monotonic()
    answer = client.request(
        method, path.format(version=1), content=body, headers={"Content-Type": "application/json"}
    )
    assert time.monotonic() - began < SOON_S
    assert answer.status_code in (400, 413, 422), answer.text
    assert len(detail_of(answer, answer.status_code)) < 500


@pytest.mark.parametrize("kind", NESTED)
def test_a_signal_that_is_nested_too_deeply(
    apps_and_client: tuple[set[str], httpx.Client], kind: str
) -> None:
    _, client = apps_and_client
    with Page(client.base_url.netloc.decode()) as page:
        for binary in (False, True):
            body = NESTED[kind].replace(b"%s", b"weights")
            error = page.refusal(body if binary else body.decode())
            assert error["type"] == "Error"
            assert len(error["detail"]) < 500


@pytest.mark.parametrize("path", ["/data?", "/data?split=test&"])
def test_a_query_of_many_parameters(
    apps_and_client: tuple[set[str], httpx.Client], path: str
) -> None:
    _, client = apps_and_client
    many = "&".join(["index=1"] * 3000)
    assert "200" in detail_of(client.get(path + many), 422)
    too_many = "&".join(["index=1"] * 5000)
    assert "allowed are 32,768 bytes" in detail_of(client.get(path + too_many), 431)
