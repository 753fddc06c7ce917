"""Whoever serves others than this machine without a token is told so, once, in the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.running import ROOT, Stack, free_port, wait_until

WARNING = "whoever can reach this address can train and replace the weights: set INKLING_TOKEN, or "
TOKEN = "the-token-0123456789"


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
    port, log = free_port(), tmp_path / "log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
    environment |= {"INKLING_PORT": str(port), "INKLING_REDIS_URL": redis_url, **settings}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway"], cwd=ROOT, env=environment, stderr=file
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), what="the gateway")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    text = log.read_text()
    assert text.count(WARNING) == (remedy is not None)
    assert remedy is None or f"{WARNING}{remedy}" in text
    assert TOKEN not in text


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
