"""A real server in a thread, for any ASGI application."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from ops.health import server_for
from ops.settings import Settings

START_S = 20.0


@contextmanager
def served(app: ASGIApp, **settings: Any) -> Iterator[str]:
    """Serve `app` on a free port of loopback as the services do; give host:port."""
    server = server_for(app, Settings(host="127.0.0.1", port=0, **settings))
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert server.started, "the server did not start"
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive(), "the server did not stop"


def detail_of(answer: httpx.Response, status: int) -> str:
    """Return the detail of the problem that `answer` must be."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    detail: str = problem["detail"]
    return detail
