"""/healthz, /readyz and /metrics over a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from ops.health import health_routes, serve_health
from ops.settings import Settings
from tests.running import ROOT, free_port
from tests.serving import served

PATHS = ("/healthz", "/readyz", "/metrics")


def test_a_process_that_can_do_its_job_is_ready() -> None:
    app = Starlette(routes=health_routes(lambda: []))
    with served(app) as place:
        answer = httpx.get(f"http://{place}/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})


def test_one_that_cannot_is_alive_and_says_why_it_is_not_ready() -> None:
    reasons = ["Redis is away", "there is no data"]
    with served(Starlette(routes=health_routes(lambda: reasons))) as place:
        alive = httpx.get(f"http://{place}/healthz")
        ready = httpx.get(f"http://{place}/readyz")
        reasons.clear()
        later = httpx.get(f"http://{place}/readyz")
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert ready.status_code == 503
    assert ready.json() == {
        "ready": False,
        "reasons": ["Redis is away", "there is no data"],
    }
    assert later.status_code == 200


def test_a_slow_reason_does_not_hold_up_the_others() -> None:
    go_on = threading.Event()

    def reasons() -> list[str]:
        go_on.wait(20)
        return []

    with served(Starlette(routes=health_routes(reasons))) as place:
        slow = threading.Thread(target=httpx.get, args=(f"http://{place}/readyz",))
        slow.start()
        assert httpx.get(f"http://{place}/healthz").status_code == 200
        go_on.set()
        slow.join()


def test_metrics_are_those_of_prometheus() -> None:
    with served(Starlette(routes=health_routes(lambda: []))) as place:
        answer = httpx.get(f"http://{place}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE python_info gauge" in answer.text


def test_metrics_say_whether_the_process_can_do_its_job() -> None:
    reasons = ["Redis is away"]
    with served(Starlette(routes=health_routes(lambda: reasons))) as place:
        assert "inkling_ready 0.0" in httpx.get(f"http://{place}/metrics").text
        reasons.clear()
        assert "inkling_ready 1.0" in httpx.get(f"http://{place}/metrics").text


def test_health_from_a_thread_until_it_is_stopped(wait_until: Callable[..., Any]) -> None:
    stop = threading.Event()
    settings = Settings(host="127.0.0.1", port=free_port())
    thread = serve_health(settings, lambda: ["waiting"], stop)
    url = f"http://127.0.0.1:{settings.port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, what="the health of the thread")
    assert httpx.get(f"{url}/readyz").json()["reasons"] == ["waiting"]
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/healthz")


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("services.inference", signal.SIGTERM),
        ("services.gateway", signal.SIGINT),
        ("services.data", signal.SIGTERM),
    ],
)
def test_a_service_serves_health_and_ends_in_order(
    module: str,
    number: signal.Signals,
    redis_url: str,
    tmp_path: Any,
    wait_until: Callable[..., Any],
) -> None:
    port = free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("INKLING_")},
        "INKLING_PORT": str(port),
        "INKLING_REDIS_URL": redis_url,
        "INKLING_CACHE_DIR": str(tmp_path),
        "INKLING_DATASET": "synthetic",
        "INKLING_LOG_FORMAT": "json",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )

    def answers() -> bool:
        try:
            return all(
                httpx.get(f"http://127.0.0.1:{port}{path}").status_code in (200, 503)
                for path in PATHS
            )
        except httpx.TransportError:
            return False

    wait_until(answers, what=module)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    for line in errors.splitlines():
        assert json.loads(line)["level"] not in ("error", "critical"), line
