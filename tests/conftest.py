"""A real Redis, a bus on it, and a real stack as `make run` starts it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.running import RedisServer, Stack, wait_until
from wire.bus import Bus

hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")  # the same examples each time, on however busy a machine


@pytest.fixture(scope="session", name="wait_until")
def _wait_until() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()
    server.client.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop and start."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    server.client.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    redis_server.client.flushall()
    return redis_server.url


@pytest.fixture
def bus(redis_url: str) -> Iterator[Bus]:
    bus = Bus(redis_url)
    yield bus
    bus.close()


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of unpacked and drawn data sets that all stacks of a test run share."""
    return tmp_path_factory.mktemp("datasets")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, datasets: Path) -> Iterator[Stack]:
    """One stack for all tests that do not stop or change it for good."""
    stack = Stack(tmp_path_factory.mktemp("stack"), datasets)
    stack.start()
    yield stack
    stack.close()


@pytest.fixture
def make_stack(tmp_path: Path, datasets: Path) -> Iterator[Callable[..., Stack]]:
    """Make stacks of one's own: `make_stack(INKLING_SEED="1")`; they are stopped at the end."""
    made: list[Stack] = []

    def make(**environment: str) -> Stack:
        folder = tmp_path / f"stack{len(made)}"
        folder.mkdir()
        made.append(Stack(folder, datasets, **environment))
        return made[-1]

    yield make
    for one in made:
        one.close()
        shutil.rmtree(one.folder / "state", ignore_errors=True)
