"""The control signals: what is one, and what is said of what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ops.problems import describe
from wire.controls import (
    CONTROL_SIGNAL,
    SIGNALS,
    GetStatus,
    SetBatchSize,
    SetCacheSize,
    SetLearningRate,
    SetWeights,
    Start,
    Stop,
    Subscribe,
)

GOOD = [
    ({"type": "Start"}, Start(type="Start")),
    ({"type": "Start", "iterations": 500}, Start(type="Start", iterations=500)),
    ({"type": "Start", "iterations": None}, Start(type="Start")),
    ({"type": "Stop"}, Stop(type="Stop")),
    ({"type": "GetStatus"}, GetStatus(type="GetStatus")),
    ({"type": "SetWeights", "version": 7}, SetWeights(type="SetWeights", version=7)),
    ({"type": "SetWeights", "weights": [[]]}, SetWeights(type="SetWeights", weights=[[]])),
    ({"type": "SetBatchSize", "value": 1}, SetBatchSize(type="SetBatchSize", value=1)),
    ({"type": "SetBatchSize", "value": 4096}, SetBatchSize(type="SetBatchSize", value=4096)),
    (
        {"type": "SetLearningRate", "value": 0.035},
        SetLearningRate(type="SetLearningRate", value=0.035),
    ),
    ({"type": "SetLearningRate", "value": 10}, SetLearningRate(type="SetLearningRate", value=10.0)),
    ({"type": "SetCacheSize", "value": 1024}, SetCacheSize(type="SetCacheSize", value=1024)),
    (
        {"type": "Subscribe", "weights": "f16", "weights_hz": 20},
        Subscribe(type="Subscribe", weights="f16", weights_hz=20.0),
    ),
    ({"type": "Subscribe", "weights": "none"}, Subscribe(type="Subscribe", weights="none")),
]
ALLOWED = (
    "'Start', 'Stop', 'GetStatus', 'SetWeights', 'SetBatchSize', 'SetLearningRate', "
    "'SetCacheSize', 'Subscribe'"
)
BOTH_OR_NEITHER = "give either version or weights"
# What is sent, and the whole of what is said of it.
BAD: list[tuple[Any, str]] = [
    ({}, "type is missing"),
    ([], "the body = [] is not allowed: Input should be an object"),
    ({"type": "Sit"}, f"type = 'Sit' is not allowed: it is one of {ALLOWED}"),
    ({"type": "start"}, f"type = 'start' is not allowed: it is one of {ALLOWED}"),
    ({"type": None}, f"type = 'None' is not allowed: it is one of {ALLOWED}"),
    ({"type": "Stop", "now": True}, "Stop.now = True is not allowed: there is no such field"),
    (
        {"type": "Start", "iterations": 0},
        "Start.iterations = 0 is not allowed: Input should be greater than or equal to 1",
    ),
    (
        {"type": "Start", "iterations": 10_000_001},
        "Start.iterations = 10000001 is not allowed: "
        "Input should be less than or equal to 10000000",
    ),
    ({"type": "SetBatchSize"}, "SetBatchSize.value is missing"),
    (
        {"type": "SetBatchSize", "value": 0},
        "SetBatchSize.value = 0 is not allowed: Input should be greater than or equal to 1",
    ),
    (
        {"type": "SetBatchSize", "value": 4097},
        "SetBatchSize.value = 4097 is not allowed: Input should be less than or equal to 4096",
    ),
    (
        {"type": "SetBatchSize", "value": "64"},
        "SetBatchSize.value = '64' is not allowed: Input should be a valid integer",
    ),
    (
        {"type": "SetBatchSize", "value": True},
        "SetBatchSize.value = True is not allowed: Input should be a valid integer",
    ),
    (
        {"type": "SetBatchSize", "value": 1.5},
        "SetBatchSize.value = 1.5 is not allowed: Input should be a valid integer",
    ),
    (
        {"type": "SetLearningRate", "value": 0},
        "SetLearningRate.value = 0 is not allowed: Input should be greater than 0",
    ),
    (
        {"type": "SetLearningRate", "value": 10.1},
        "SetLearningRate.value = 10.1 is not allowed: Input should be less than or equal to 10",
    ),
    (
        {"type": "SetLearningRate", "value": float("nan")},
        "SetLearningRate.value = nan is not allowed: Input should be a finite number",
    ),
    (
        {"type": "SetLearningRate", "value": float("inf")},
        "SetLearningRate.value = inf is not allowed: Input should be a finite number",
    ),
    (
        {"type": "SetCacheSize", "value": 1025},
        "SetCacheSize.value = 1025 is not allowed: Input should be less than or equal to 1024",
    ),
    (
        {"type": "SetWeights"},
        f"SetWeights = {{'type': 'SetWeights'}} is not allowed: {BOTH_OR_NEITHER}",
    ),
    (
        {"type": "SetWeights", "version": 0},
        "SetWeights.version = 0 is not allowed: Input should be greater than or equal to 1",
    ),
    (
        {"type": "Subscribe", "weights": "f8"},
        "Subscribe.weights = 'f8' is not allowed: Input should be 'none', 'f32' or 'f16'",
    ),
    (
        {"type": "Subscribe", "weights": "f32", "weights_hz": 21},
        "Subscribe.weights_hz = 21 is not allowed: Input should be less than or equal to 20",
    ),
    (
        {"type": "Subscribe", "weights": "f32", "weights_hz": -1},
        "Subscribe.weights_hz = -1 is not allowed: Input should be greater than or equal to 0",
    ),
]


@pytest.mark.parametrize(("fields", "signal"), GOOD)
def test_a_signal_is_read(fields: Any, signal: Any) -> None:
    assert CONTROL_SIGNAL.validate_json(json.dumps(fields)) == signal


def test_every_signal_is_tried_above() -> None:
    assert {type(signal) for _, signal in GOOD} == set(SIGNALS)


@pytest.mark.parametrize(("fields", "detail"), BAD)
def test_what_is_no_signal_is_refused_with_value_and_what_is_allowed(
    fields: Any, detail: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        CONTROL_SIGNAL.validate_json(json.dumps(fields))
    assert describe(caught.value.errors()) == detail


def test_version_and_weights_exclude_each_other() -> None:
    with pytest.raises(ValidationError) as caught:
        CONTROL_SIGNAL.validate_json('{"type": "SetWeights", "version": 1, "weights": [1]}')
    assert describe(caught.value.errors()).endswith(f"is not allowed: {BOTH_OR_NEITHER}")


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        CONTROL_SIGNAL.validate_json('{"type": "Subscribe", "weights": 5, "weights_hz": "x"}')
    detail = describe(caught.value.errors())
    assert "Subscribe.weights = 5 is not allowed" in detail
    assert "; Subscribe.weights_hz = 'x' is not allowed" in detail


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        CONTROL_SIGNAL.validate_json(data)
    assert describe(caught.value.errors())
