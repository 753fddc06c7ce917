"""How long training goes on after Stop, as whoever watches sees it.

At full speed, on the stack of `make run`. A viewer follows the news over the WebSocket; Stop goes
over that WebSocket and as `POST /control`, in turn, at moments that have nothing to do with the
trainer's clocks. From the sending until the last news arrive in which the iteration grows: that is
later than the iteration itself, by the time in which the news travel. The worst of all tries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bench.measure import Figures, Goal, Group, Row, Side
from tests.running import Stack, running_stack

TRIES = 20  # half of them over the WebSocket, half as POST /control
TRAINED_S = 0.15  # before each Stop, at least
PHASE_S = 0.0173  # what each try trains longer than the one before
QUIET_S = 0.15  # three times what lies between two frames of a training
STOP = json.dumps({"type": "Stop"})


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with running_stack() as stack:
        yield lambda: _ours(stack), dict


def _ours(stack: Stack) -> Figures:
    with connect(f"ws://127.0.0.1:{stack.port}/ws", max_size=None) as viewer:
        ways: list[Callable[[], Callable[[], None]]] = [
            lambda: _send(viewer),
            lambda: _post(HTTPConnection("127.0.0.1", stack.port, timeout=10)),
        ]
        times = []
        for turn in range(TRIES):
            _train(viewer, TRAINED_S + turn % 8 * PHASE_S)
            times.append(_stop(viewer, ways[turn % 2]))
    return {"stop": max(times)}


def _send(viewer: ClientConnection) -> Callable[[], None]:
    viewer.send(STOP)
    return lambda: None


def _post(connection: HTTPConnection) -> Callable[[], None]:
    """Send Stop; return what checks the answer, which comes when it has taken effect."""
    connection.request("POST", "/control", STOP)

    def check() -> None:
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"Stop was answered with {response.status}")
        connection.close()

    return check


def _train(viewer: ClientConnection, seconds: float) -> None:
    """Start, and return `seconds` after the first iteration was told."""
    viewer.send(json.dumps({"type": "Start"}))
    end = None
    while end is None or time.perf_counter() < end:
        news = _news(viewer, 5.0)
        if news is None:
            raise RuntimeError("no news came although training was started")
        if end is None and news["training"] and news["history"]["iteration"]:
            end = time.perf_counter() + seconds


def _stop(viewer: ClientConnection, send: Callable[[], Callable[[], None]]) -> float:
    """Send Stop; return how many ms later the last news of a further iteration came."""
    sent = time.perf_counter()
    check = send()
    last_at, iteration, training = sent, 0, True
    while training or time.perf_counter() < last_at + QUIET_S:
        news = _news(viewer, QUIET_S)
        if news is None:
            if time.perf_counter() > sent + 5:
                raise RuntimeError("training did not stop")
            continue
        training = news["training"]
        if news["iteration"] > iteration:
            last_at, iteration = time.perf_counter(), news["iteration"]
    check()
    return (last_at - sent) * 1000


def _news(viewer: ClientConnection, timeout_s: float) -> dict[str, Any] | None:
    """Return the next news, or None if there are none in so many seconds."""
    try:
        text = viewer.recv(timeout_s)
    except TimeoutError:
        return None
    news: dict[str, Any] = json.loads(text)
    if news["type"] != "ResponseSignal":
        raise RuntimeError(f"the gateway answered: {text!r}")
    return news


GROUP = Group("stop", (Row("stop", "ms", "", Goal(most=20)),), _sides)
