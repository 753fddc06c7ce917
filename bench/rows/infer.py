"""POST /infer: how many requests a second one process answers, what limits it, and batches.

Ours is `python -m services.inference` on a Redis of its own, with weights put there. `infer` sends
drawn digits as the page does, 784 numbers with four decimals, over 16 keep-alive connections; its
peer is LitServe with the same network and one worker, with each of its two queues in turn, of which
the faster counts. (Its HTTP and its worker are processes of their own, so that it has two cores
where ours has one. A second worker would be a third process.) `infer-limit` compares the same
figure with the same uvicorn that reads such bodies and answers such bytes without any work.
`infer-batch-*` compares images a second in requests of 256 with those sent one by one as JSON, over
one connection each.

`infer-busy` asks the stack of `make run` 100 times a second while it trains at full speed, each
request due at its time whether or not those before it were answered late.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import orjson

from bench.load import Load, run_load
from bench.measure import Figures, Goal, Group, Row, Side
from bench.peers import peer_python
from nn.model import fresh_weights
from services.data.synthetic import draw
from tests.running import ROOT, RedisServer, Stack, free_port, running_stack, wait_until
from wire.bus import Bus
from wire.messages import Snapshot, WeightsInfo

SECONDS = 3.0
BUSY_SECONDS = 8.0
CONNECTIONS = 16
BATCH = 256
STOP_S = 8.0
BUSY_RATE, BUSY_CONNECTIONS = 100.0, 4
PIXELS = np.concatenate([images for images, _ in draw(0, 1, BATCH)])  # (256, 784) uint8


def _as_page(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[float]:
    """Return what the page sends of 784 pixels: four decimals, and 0 and 1 without any."""
    values = [round(value / 255, 4) for value in pixels.tolist()]
    return [int(value) if value in (0, 1) else value for value in values]


ROWS = [_as_page(pixels) for pixels in PIXELS]
SINGLES = [orjson.dumps({"image": row}) for row in ROWS[:64]]
BATCHES = {
    "json": [orjson.dumps({"images": ROWS})],
    "binary": [PIXELS.tobytes()],
}
BYTES_TYPE = "application/octet-stream"


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        ours = stack.enter_context(_inference())
        litserves = [stack.enter_context(_litserve(queue)) for queue in ("fast", "plain")]
        answer = httpx.post(f"http://127.0.0.1:{ours}/infer", content=SINGLES[0]).content
        bare = stack.enter_context(_bare(answer))

        def measure_ours() -> Figures:
            rate = _singles(ours, "/infer", CONNECTIONS)
            return {
                "infer": rate,
                "infer-limit": rate,
                "infer-batch-json": _batches(ours, "json"),
                "infer-batch-binary": _batches(ours, "binary"),
            }

        def measure_peers() -> Figures:
            singly = _singles(ours, "/infer", 1)
            return {
                "infer": max(_singles(port, "/predict", CONNECTIONS) for port in litserves),
                "infer-limit": _singles(bare, "/", CONNECTIONS),
                "infer-batch-json": singly,
                "infer-batch-binary": singly,
            }

        yield measure_ours, measure_peers


def _singles(port: int, path: str, connections: int) -> float:
    """Return requests a second of one image each."""
    load = Load(port, path, SECONDS, connections, mark='"digit":', marks=1)
    return run_load(load, SINGLES).requests_per_s


def _batches(port: int, form: str) -> float:
    """Return images a second in requests of BATCH, in JSON or in bytes both ways."""
    if form == "json":
        load = Load(port, "/infer", SECONDS, mark='"digit":', marks=BATCH)
    else:
        load = Load(
            port, "/infer", SECONDS, content_type=BYTES_TYPE, accept=BYTES_TYPE,
            answer_bytes=BATCH * 10 * 4,
        )  # fmt: skip
    return run_load(load, BATCHES[form]).requests_per_s * BATCH


@contextmanager
def _inference() -> Iterator[int]:
    """Run the service on a Redis of its own that has weights; give its port."""
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder))
        redis.start()
        try:
            bus = Bus(redis.url)
            weights = fresh_weights(0, 128, biases=False)
            bus.live.replace(Snapshot(weights, WeightsInfo(1, 0, "upload")))
            bus.close()
            port = free_port()
            settings = {"INKLING_REDIS_URL": redis.url, "INKLING_PORT": str(port)}
            command = [sys.executable, "-m", "services.inference"]
            with _running(command, port, "/readyz", settings):
                yield port
        finally:
            redis.client.close()
            redis.stop()


@contextmanager
def _litserve(queue: str) -> Iterator[int]:
    port = free_port()
    command = [peer_python(), "-m", "bench.peers.litserve_server", str(port), queue]
    with _running(command, port, "/health", {"OPENBLAS_NUM_THREADS": "1"}):
        yield port


@contextmanager
def _bare(answer: bytes) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "bench.peers.bare_http", str(port)]
    with _running(command, port, "/", {}, answer):
        yield port


@contextmanager
def _running(
    command: list[str], port: int, path: str, settings: Mapping[str, str], given: bytes = b""
) -> Iterator[None]:
    """Run a server until the block ends; it is there when GET `path` answers 200."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
    process = subprocess.Popen(
        command, cwd=ROOT, env={**environment, **settings}, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        wait_until(answers, 60, " ".join(command[1:]))
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it has started: LitServe's worker and API are processes, too."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _busy_sides() -> Iterator[tuple[Side, Side]]:
    with running_stack() as stack:
        stack.control(type="Start")
        yield lambda: _busy(stack), dict


def _busy(stack: Stack) -> Figures:
    before = stack.status()["iteration"]
    load = Load(
        stack.port, "/infer", BUSY_SECONDS, BUSY_CONNECTIONS, rate=BUSY_RATE,
        mark='"digit":', marks=1,
    )  # fmt: skip
    outcome = run_load(load, SINGLES)
    if stack.status()["iteration"] - before < 100 * BUSY_SECONDS:
        raise RuntimeError("training did not run at full speed meanwhile")
    return {"infer-busy": outcome.p99_ms}


GROUP = Group(
    "infer",
    (
        Row("infer", "requests/s", "LitServe, same network, one worker", Goal(ratio_least=6)),
        Row("infer-limit", "requests/s", "same uvicorn, no work", Goal(ratio_least=0.6)),
        Row("infer-batch-json", "images/s", "ours, one by one as JSON", Goal(ratio_least=20)),
        Row("infer-batch-binary", "images/s", "ours, one by one as JSON", Goal(ratio_least=100)),
    ),
    _sides,
)
BUSY = Group("infer-busy", (Row("infer-busy", "ms", "", Goal(most=25)),), _busy_sides)
