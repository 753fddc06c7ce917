"""How fast the live weights are handed out, in each case a version that was not asked for before.

One weights service on a Redis of its own, over loopback, one request at a time. As safetensors a
wide network, 784-2048-10 (6.5 MB), against reading the same bytes from a file. As JSON the default
network, 784-128-10 (101,632 numbers), from the request to the last byte of the answer, against
json.dumps of the same numbers as lists, with neither server nor network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

from bench.measure import Figures, Goal, Group, Row, Side
from nn.model import Weights, fresh_weights
from services.weights.formats import Format, decode
from tests.running import ROOT, RedisServer, free_port, wait_until
from wire.bus import Bus
from wire.codec import encode_weights
from wire.messages import Snapshot, WeightsInfo

WIDE, DEFAULT = 2048, 128  # hidden units
MEASURE_S = 2.5  # of time in which answers are waited for
MB = 1e6


class Service:
    """A weights service, its Redis, and a connection to it."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._folder = folder
        self._redis = RedisServer(folder)
        self._connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        self._process: subprocess.Popen[bytes] | None = None
        self._bus = Bus(self._redis.url)

    def start(self) -> None:
        """Start both and wait until the service listens."""
        self._redis.start()
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("INKLING_")},
            "INKLING_REDIS_URL": self._redis.url,
            "INKLING_PORT": str(self._port),
            "INKLING_WEIGHTS_DIR": str(self._folder / "weights"),
            "INKLING_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "services.weights"]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment)
        wait_until(self._is_ready, what="the weights service")

    def _is_ready(self) -> bool:
        try:
            self._connection.request("GET", "/readyz")
            return self._connection.getresponse().read() != b""
        except OSError:
            self._connection.close()
            return False

    def reconnect(self) -> None:
        """Begin with a new connection: the service closes one that is idle for long."""
        self._connection.close()

    def stop(self) -> None:
        """Stop both."""
        self._connection.close()
        self._bus.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self._redis.stop()

    def publish(self, weights: Weights) -> int:
        """Make these weights live, as the trainer's; return their version."""
        version = self._bus.live.next_version()
        snapshot = Snapshot(weights, WeightsInfo(version, 1, "checkpoint", None))
        if not self._bus.live.replace(snapshot):
            raise RuntimeError(f"version {version} could not be published")
        return version

    def get(self, kind: Format, version: int) -> bytes:
        """Return the live weights, which are of this version."""
        self._connection.request("GET", f"/weights?format={kind}")
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200 or response.headers["ETag"] != f'"{version}"':
            raise RuntimeError(f"GET /weights: {response.status}, {response.headers['ETag']}")
        return body


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    wide, default = (fresh_weights(1, hidden, biases=False) for hidden in (WIDE, DEFAULT))
    lists = {"weights": [matrix.tolist() for matrix in default.matrices]}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        service = Service(Path(name))
        stack.callback(service.stop)
        service.start()
        file = Path(name) / "wide.safetensors"
        file.write_bytes(encode_weights(wide, {}))

        def ours() -> Figures:
            rate, size = _measure(service, Format.SAFETENSORS, wide)
            documents, _ = _measure(service, Format.JSON, default)
            return {"weights-get": rate * size / MB, "weights-get-json": documents}

        def peer() -> Figures:
            rate = _rate(_nothing, file.read_bytes)
            documents = _rate(_nothing, lambda: json.dumps(lists).encode())
            return {"weights-get": rate * file.stat().st_size / MB, "weights-get-json": documents}

        yield ours, peer


def _measure(service: Service, kind: Format, weights: Weights) -> tuple[float, int]:
    """Return how many answers a second there are, and the bytes of one; check the last."""
    version, body = 0, b""

    def publish() -> None:
        nonlocal version
        version = service.publish(weights)

    def get() -> None:
        nonlocal body
        body = service.get(kind, version)

    service.reconnect()
    rate = _rate(publish, get)
    for given, wanted in zip(decode(body, kind).arrays, weights.arrays, strict=True):
        if not np.array_equal(given, wanted):
            raise RuntimeError(f"GET /weights as {kind} gave other weights than were published")
    return rate, len(body)


def _rate(prepare: Callable[[], None], work: Callable[[], object]) -> float:
    """Return how often a second `work` can be done, `prepare` before each not counted."""
    count, spent = 0, 0.0
    while spent < MEASURE_S:
        prepare()
        began = time.perf_counter()
        work()
        spent += time.perf_counter() - began
        count += 1
    return count / spent


def _nothing() -> None:
    """Prepare nothing."""


GROUP = Group(
    "weights-get",
    (
        Row("weights-get", "MB/s", "reading the same bytes from a file", Goal(least=300)),
        Row("weights-get-json", "answers/s", "json.dumps of the same lists", Goal(ratio_least=5)),
    ),
    _sides,
)
