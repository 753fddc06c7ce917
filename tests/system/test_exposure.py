"""What a service tells: a warning where it serves others without a token, and never a secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from ops.access import SUBPROTOCOL, TOKEN_SUBPROTOCOL
from tests.running import ROOT, Stack, free_port, wait_until

WARNING = "whoever can reach this address can train and replace the weights: set INKLING_TOKEN, or "
TOKEN, READ_TOKEN, WRONG = "the-token-0123456789", "for-reading-0123456789", "wrong-0123456789abc"
PASSWORD = "word-of-redis"


@contextmanager
def gateway(log: Path, **settings: str) -> Iterator[str]:
    """Give the address of a gateway with these settings, alive; it ends before what follows."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
    environment |= {"INKLING_PORT": str(port), **settings}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway"], cwd=ROOT, env=environment, stderr=file
        )
    try:
        wait_until(lambda: answers(f"{url}/healthz"), what="the gateway")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"INKLING_HOST": "0.0.0.0", "INKLING_BIND": "127.0.0.1"}, None),  # as in docker compose
        ({"INKLING_HOST": "0.0.0.0", "INKLING_BIND": "0.0.0.0"}, "INKLING_BIND=127.0.0.1"),
        ({"INKLING_HOST": "0.0.0.0"}, "INKLING_HOST=127.0.0.1"),
        ({"INKLING_HOST": "0.0.0.0", "INKLING_TOKEN": TOKEN}, None),
        ({}, None),
    ],
)
def test_a_service_warns_at_its_start(
    redis_url: str, tmp_path: Path, settings: dict[str, str], remedy: str | None
) -> None:
    log = tmp_path / "log"
    with gateway(log, INKLING_REDIS_URL=redis_url, **settings):
        pass
    text = log.read_text()
    assert text.count(WARNING) == (remedy is not None)
    assert remedy is None or f"{WARNING}{remedy}" in text
    assert TOKEN not in text


@pytest.mark.parametrize("there_is_one", [True, False])
def test_no_password_and_no_token_is_ever_told(
    redis_url: str, tmp_path: Path, there_is_one: bool
) -> None:
    """Of a Redis that there is not, and of one that does not take the password."""
    place = redis_url.removeprefix("redis://") if there_is_one else f"127.0.0.1:{free_port()}/0"
    log = tmp_path / "log"
    settings = {
        "INKLING_REDIS_URL": f"redis://me:{PASSWORD}@{place}", "INKLING_LOG_LEVEL": "debug",
        "INKLING_TOKEN": TOKEN, "INKLING_READ_TOKEN": READ_TOKEN,
    }  # fmt: skip
    told = []
    with gateway(log, **settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        for token in (TOKEN, READ_TOKEN, WRONG):
            headers = {"Authorization": f"Bearer {token}"}
            for path in ("/status", "/readyz", "/metrics", "/nothing", f"/status?token={token}"):
                answer = client.get(path, headers=headers)
                told += [str(answer.headers), answer.text]
            answer = client.post("/control", headers=headers, json={"type": "Stop"})
            told += [str(answer.headers), answer.text]
            assert answer.status_code in (401, 403, 503)
            with (
                suppress(InvalidStatus),
                connect(
                    f"ws{url.removeprefix('http')}/ws",
                    subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(TOKEN_SUBPROTOCOL + token)],
                ) as viewer,
            ):
                viewer.send("{}")
                told.append(str(viewer.recv(10)))
        assert client.get("/readyz").status_code == 503
    text = log.read_text() + "".join(told)
    assert "redis" in text.lower()  # the log and the answers tell what is the matter with it
    for secret in (PASSWORD, TOKEN, READ_TOKEN, WRONG):
        assert secret not in text


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_make_run_warns_once_and_knows_nothing_of_docker_compose(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack(INKLING_HOST="0.0.0.0", INKLING_BIND="127.0.0.1")
    stack.start()
    assert stack.log.read_text().count(WARNING) == 1
    assert stack.client.get("/status", headers={"Host": "inkling.example"}).status_code == 200
