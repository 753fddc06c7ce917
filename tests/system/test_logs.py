"""What an operator finds in the logs of a real stack: whose call it was, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


def lines(stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.log.read_text().splitlines() if line[:1] == "{"]


@pytest.fixture
def line_when(stack, wait_until) -> Callable[..., dict[str, Any]]:
    """Wait for a line with these fields; return the last one."""

    def wait(**fields: Any) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = [line for line in lines(stack) if fields.items() <= line.items()]
            return found[-1] if found else None

        line: dict[str, Any] = wait_until(look, what=f"a line with {fields}")
        return line

    return wait


def test_a_tune_can_be_followed_from_the_edge_into_the_trainer(stack, line_when) -> None:
    body = {"data": [{"target": 7, "image": [0.5] * 784}]}
    answer = stack.client.patch("/weights", json=body, headers={"X-Request-ID": "tune-1"})
    assert answer.headers["X-Request-ID"] == "tune-1"
    line = line_when(event="tuned", request_id="tune-1", service="trainer", run="default")
    assert line["version"] == answer.json()["version"]


def test_a_control_signal_can_be_followed_into_the_trainer(stack, line_when) -> None:
    signal = {"type": "SetBatchSize", "value": 96}
    stack.client.post("/control", json=signal, headers={"X-Request-ID": "control-1"})
    line = line_when(event="obeying settings", request_id="control-1", service="trainer")
    assert (line["batch_size"], line["level"]) == (96, "info")


def test_a_restore_can_be_followed_through_three_services(stack, line_when) -> None:
    version = stack.client.post("/weights/versions", json={"name": "logged"}).json()["version"]
    signal = {"type": "SetWeights", "version": version}
    stack.client.post("/control", json=signal, headers={"X-Request-ID": "restore-1"})
    line_when(event="replaced the weights", request_id="restore-1", origin="restore")
    line_when(event="adopted weights", request_id="restore-1", service="trainer")


def test_weights_cleared_the_accuracy_of_checkpoints_and_the_data_are_logged(
    stack, line_when
) -> None:
    data = line_when(event="data set", level="info", service="web")
    assert data["reason"]
    assert (data["name"], data["train"], data["test"]) == (
        stack.status()["dataset"], 60_000, 10_000,
    )  # fmt: skip
    answer = stack.client.delete("/weights", params={"train": 20}, headers={"X-Request-ID": "c-1"})
    cleared = line_when(event="replaced the weights", origin="reset", request_id="c-1")
    assert (cleared["version"], cleared["level"]) == (answer.json()["version"], "info")
    line_when(event="obeying settings", iterations=20, request_id="c-1")
    kept = line_when(event="kept", iteration=20, level="info")
    measured = line_when(event="test accuracy", version=kept["version"], level="info")
    assert measured["iteration"] == 20
    assert 0 < measured["test_acc"] < 1
