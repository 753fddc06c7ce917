"""Every route of every service, with each token and without one: nothing was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ops.access import READING_POSTS
from ops.settings import Settings
from services.local.docs import service_apps
from services.local.web import create_web
from tests.running import RedisServer
from tests.services.data.samples import put, small_set
from tests.serving import served
from wire.bus import Bus

TOKEN, READ_TOKEN, WRONG = "the-token-0123456789", "for-reading-0123456789", "wrong-0123456789abc"
TOKENS: dict[str, Any] = {"token": SecretStr(TOKEN), "read_token": SecretStr(READ_TOKEN)}
OPEN = ["/", "/main.js", "/core/link.js", "/styles/base.css", "/docs", "/docs.css", "/icon.svg",
        "/node_modules/uplot/dist/uPlot.min.css", "/healthz", "/readyz"]  # fmt: skip


def declared() -> list[tuple[str, str]]:
    """Return the method and the path of every route that a service declares."""
    apps = service_apps(Bus("redis://127.0.0.1:1/0"), Settings())
    return [
        (method.upper(), path.replace("{version}", "1"))
        for app in apps.values()
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


ROUTES = declared()
READS = [route for route in ROUTES if route[0] == "GET" or route[1] in READING_POSTS]
CHANGES = [route for route in ROUTES if route not in READS]


@pytest.fixture(scope="module")
def client(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of all services at once, with both tokens."""
    folder = tmp_path_factory.mktemp("guards")
    settings = Settings(
        data_dir=put(folder / "files", small_set(3)),
        cache_dir=folder / "cache",
        weights_dir=Path(folder / "weights"),
        **TOKENS,
    )
    bus = Bus(redis_server.url, "guards")
    with (
        served(create_web(bus, settings), **TOKENS) as place,
        httpx.Client(base_url=f"http://{place}", timeout=30) as client,
    ):
        yield client
    bus.close()


def status_of(client: httpx.Client, method: str, path: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.request(method, path, headers=headers, content=b"{}").status_code


def test_there_are_routes_of_both_kinds() -> None:
    assert len(READS) >= 9
    assert len(CHANGES) >= 8


@pytest.mark.parametrize(("method", "path"), READS)
def test_what_reads_needs_a_token(client: httpx.Client, method: str, path: str) -> None:
    assert [status_of(client, method, path, token) for token in (None, WRONG)] == [401, 401]
    for token in (READ_TOKEN, TOKEN):
        assert status_of(client, method, path, token) not in (401, 403)


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_what_changes_something_needs_the_token(
    client: httpx.Client, method: str, path: str
) -> None:
    tokens = (None, WRONG, READ_TOKEN)
    assert [status_of(client, method, path, token) for token in tokens] == [401, 401, 403]
    assert status_of(client, method, path, TOKEN) not in (401, 403)


def test_the_metrics_tell_what_is_done_here(client: httpx.Client) -> None:
    assert status_of(client, "GET", "/metrics", None) == 401
    assert status_of(client, "GET", "/metrics", READ_TOKEN) == 200


@pytest.mark.parametrize("path", OPEN)
def test_the_files_of_the_page_and_health_are_open(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200 or path == "/readyz"
