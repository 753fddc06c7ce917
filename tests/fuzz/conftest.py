"""One stack for all of the fuzzing, on a Redis of its own; what was tried is told at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.target import Target
from tests.running import RedisServer, running_stack

HIDDEN_UNITS = "8"  # so that a valid upload is small, and more of them can be tried
REPORT = pytest.StashKey[list[str]]()  # of each stack


def pytest_configure(config: pytest.Config) -> None:
    """Begin the report."""
    config.stash[REPORT] = []


@pytest.fixture(scope="session")
def fuzzed(
    redis_server: RedisServer, datasets: Path, request: pytest.FixtureRequest
) -> Iterator[Target]:
    environment = {"INKLING_REDIS_URL": redis_server.url, "INKLING_HIDDEN_UNITS": HIDDEN_UNITS}
    with running_stack(datasets, **environment) as stack:
        target = Target(stack, redis_server)
        yield target
        request.config.stash[REPORT].append(target.report())
        target.close()


@pytest.fixture
def target(fuzzed: Target) -> Iterator[Target]:
    """The stack, which has to be after the test as it was before it."""
    fuzzed.expected = fuzzed.settled()
    yield fuzzed
    fuzzed.check()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tell the counts."""
    for report in config.stash[REPORT]:
        terminalreporter.section("inputs by kind")
        terminalreporter.write_line(report)
