"""The supervisor's children: what it says and does when one of them ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.local.children import Children


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    children.drop(children.named("one"))


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (0, {"event": "ended, starts again", "log_level": "info"}),
        (3, {"event": "died, starts again", "log_level": "warning", "status": 3}),
    ],
)
def test_whether_a_child_ended_or_died_is_logged_and_it_starts_again(
    children: Children, wait_until: Callable[..., Any], status: int, line: dict[str, Any]
) -> None:
    code = f"import sys; sys.stdin.read() or sys.exit({status})"
    with capture_logs() as logs:
        children.add("one", [sys.executable, "-c", code], {})
        first = children.named("one")[0].process

        def again() -> bool:
            assert children.revive() is None
            return children.named("one")[0].process is not first

        wait_until(again)
    assert [entry for entry in logs if entry["event"].endswith("starts again")][:1] == [
        {"process": "one", **line}
    ]
