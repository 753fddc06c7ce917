"""How soon inference answers with weights that somebody put in place of the run's.

Measured on the stack of `make run`, from the moment in which `POST /weights` is answered until an
answer of `POST /infer` names that version or a newer one; the requests of that time included. Once
with training paused, once while it trains at full speed. No peer: what else people use loads its
weights when it starts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

from bench.measure import Figures, Goal, Group, Row, Side
from nn.model import INPUTS, fresh_weights
from tests.running import Stack, running_stack
from wire.codec import encode_weights

SWAPS = 100
GOAL = Goal(most=50)
IMAGE = json.dumps({"image": [0.5] * INPUTS})
BODIES = [encode_weights(fresh_weights(seed, 128, biases=False), {}) for seed in (1, 2)]


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with running_stack() as stack:
        yield lambda: _ours(stack), dict


def _ours(stack: Stack) -> Figures:
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    stack.control(type="Stop")
    paused = [_swap(connection, BODIES[turn % 2]) for turn in range(SWAPS)]
    stack.control(type="Start")
    busy = [_swap(connection, BODIES[turn % 2]) for turn in range(SWAPS)]
    stack.control(type="Stop")
    connection.close()
    return {"swap": _p99(paused), "swap-busy": _p99(busy)}


def _swap(connection: HTTPConnection, weights: bytes) -> float:
    """Replace the weights; return how many ms inference answered with older ones after that."""
    version = _post(connection, "/weights", weights, "application/vnd.safetensors")["version"]
    answered = time.perf_counter()
    while _post(connection, "/infer", IMAGE, "application/json")["version"] < version:
        if time.perf_counter() - answered > 10:
            raise RuntimeError(f"inference never answered with version {version}")
    return (time.perf_counter() - answered) * 1000


def _post(
    connection: HTTPConnection, path: str, body: str | bytes, content_type: str
) -> dict[str, int]:
    connection.request("POST", path, body, {"Content-Type": content_type})
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise RuntimeError(f"POST {path} was answered with {response.status}: {text.decode()}")
    answer: dict[str, int] = json.loads(text)
    return answer


def _p99(times: list[float]) -> float:
    return sorted(times)[math.ceil(0.99 * len(times)) - 1]


GROUP = Group("swap", (Row("swap", "ms", "", GOAL), Row("swap-busy", "ms", "", GOAL)), _sides)
