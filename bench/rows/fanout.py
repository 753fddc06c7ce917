"""News to 1,000 viewers: how many messages a second one gateway sends, and how late they come.

Ours is `python -m services.gateway` on a Redis of its own. A publisher beside it holds the lease
and sends frames as the trainer does, 25 to 50 iterations in each. The peer is a bare Starlette
WebSocket application under the same uvicorn with the same settings, which is handed the texts
that the gateway makes of such frames: the same number of the same bytes.

`fanout` publishes the next frame as soon as all viewers have the last, on both sides alike. So
both send each frame to each viewer by itself. Published faster than it can send, the gateway would
put several frames into one message: fewer, and larger, which is no comparison. And a peer that
sends all texts to one connection before it turns to the next would have the kernel carry many in
one go, which cannot be done with news that are not there yet.

`fanout-p99` publishes 20 frames a second, as the trainer does, and measures from the moment before
publication until a viewer has the iterations of that frame, by itself or within a larger one.

All viewers are one process (bench.viewers); each finds each iteration exactly once, or the row
fails. Viewers, publisher, Redis and server share the machine's cores, for both sides.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
from websockets.sync.client import connect

from bench.measure import Figures, Goal, Group, Row, Side
from tests.running import ROOT, RedisServer, free_port, wait_until
from wire.bus import Bus
from wire.codec import encode
from wire.messages import Frame, History, ResponseSignal, Worker

VIEWERS = 1_000
ITERATIONS = (25, 50)  # in a frame, at least and at most
WARM_UP_FRAMES = 10
MEASURE_S = 5.0
PACE_HZ = 20
PACED_FRAMES = 100
RENEW_S = 1.0
DONE_S = 60.0  # for all viewers to connect, or to have what was published

Publish = Callable[[Frame], None]


class Story:
    """The frames of a run, one after another, as a trainer at full speed would tell them."""

    def __init__(self) -> None:
        self._random = random.Random(0)
        self._iteration = 0

    def next(self) -> Frame:
        """Return the next frame."""
        start = self._iteration
        count = self._random.randint(*ITERATIONS)
        self._iteration += count
        losses: list[float | None] = [self._random.uniform(0.05, 0.6) for _ in range(count)]
        accs = [self._random.randint(90, 128) / 128 for _ in range(count)]
        history = History(list(range(start + 1, start + 1 + count)), losses, accs)
        signal = ResponseSignal(
            loss=losses[-1], acc=accs[-1], batch_size=128, lrate=0.1, data_len=12,
            data_futures_len=4, iteration=self._iteration, cache_size=16, training=True,
            trainer="training", version=self._iteration // 100, epoch=self._iteration // 468,
            samples_per_second=220_000.0, dataset="mnist", dataset_reason="It lies in the cache.",
            data_workers=1, workers=[Worker("data-worker-1", 1_700.0)], history=history,
            history_from=start,
        )  # fmt: skip
        return Frame(1, 0, signal)


class Viewers:
    """The process of all viewers, spoken to by lines."""

    def __init__(self, port: int, count: int) -> None:
        command = [sys.executable, "-m", "bench.viewers", str(port), str(count)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._wait_for("ready")

    def wait_for(self, iteration: int) -> None:
        """Return when all have come to `iteration`."""
        self._wait_for(str(iteration))

    def end(self, published: list[tuple[int, float]]) -> dict[str, Any]:
        """Let all leave; return their Tally, or raise RuntimeError with what they complain of."""
        tally = json.loads(self._process.communicate(json.dumps(published) + "\n", DONE_S)[0])
        if tally["errors"]:
            raise RuntimeError(f"viewers missed something: {tally['errors']}")
        result: dict[str, Any] = tally
        return result

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _wait_for(self, line: str) -> None:
        lines: IO[str] = self._process.stdout  # type: ignore[assignment]
        while (came := lines.readline().strip()) != line:
            if not came:
                raise RuntimeError("the process of the viewers ended")


def sent_per_second(port: int, story: Story, publish: Publish, count: int = VIEWERS) -> float:
    """Return how many messages a second reach the viewers when each frame follows the last."""
    viewers = Viewers(port, count)
    try:
        frames = told = 0
        started = time.monotonic()
        while frames < WARM_UP_FRAMES or time.monotonic() - started < MEASURE_S:
            if frames == WARM_UP_FRAMES:
                started = time.monotonic()
            frame = story.next()
            publish(frame)
            viewers.wait_for(frame.signal.iteration)
            frames += 1
            told += len(frame.signal.history.iteration)
        seconds = time.monotonic() - started
        tally = viewers.end([])
    finally:
        viewers.kill()
    _check(tally, told, count)
    if tally["messages"] != frames * count:
        raise RuntimeError(f"{tally['messages']:,} messages carried {frames:,} frames to each")
    return (frames - WARM_UP_FRAMES) * count / seconds


def paced_p99_ms(port: int, story: Story, publish: Publish, count: int = VIEWERS) -> float:
    """Return the 99th percentile of the time from publication to a viewer's having it, in ms."""
    viewers = Viewers(port, count)
    try:
        published: list[tuple[int, float]] = []
        told = 0
        due = time.monotonic()
        for _ in range(PACED_FRAMES):
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / PACE_HZ
            frame = story.next()
            published.append((frame.signal.iteration, time.monotonic()))
            publish(frame)
            told += len(frame.signal.history.iteration)
        viewers.wait_for(published[-1][0])
        tally = viewers.end(published)
    finally:
        viewers.kill()
    _check(tally, told, count)
    return float(tally["latencies_ms"]["p99"])


def _check(tally: dict[str, Any], told: int, count: int) -> None:
    """Raise RuntimeError unless each viewer had as many iterations as were told."""
    if tally["iterations"] != [told] * count:
        found = sorted(set(tally["iterations"]))
        raise RuntimeError(f"of {told:,} iterations, viewers had {found}")


@contextmanager
def _process(module: str, *arguments: str, **environment: str) -> Iterator[None]:
    """Run a module as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env={**os.environ, "INKLING_LOG_LEVEL": "warning", **environment},
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait_for_server(url: str) -> None:
    def answers() -> bool:
        try:
            return httpx.get(url).is_success
        except httpx.TransportError:
            return False

    wait_until(answers, what=url)


@contextmanager
def gateway() -> Iterator[tuple[int, Publish]]:
    """Give the port of a gateway on a Redis of its own, and what publishes a frame there."""
    with ExitStack() as stack:
        server = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server.start()
        stack.callback(server.stop)
        stack.callback(server.client.close)
        bus = Bus(server.url)
        stack.callback(bus.close)
        port = free_port()
        environment = {"INKLING_REDIS_URL": server.url, "INKLING_PORT": str(port)}
        stack.enter_context(_process("services.gateway", **environment))
        _wait_for_server(f"http://127.0.0.1:{port}/readyz")
        yield port, _publisher(bus)


def _publisher(bus: Bus) -> Publish:
    """Return what publishes a frame under the lease, and keeps the lease."""
    token, renewed_at = 0, float("-inf")

    def publish(frame: Frame) -> None:
        nonlocal token, renewed_at
        if time.monotonic() - renewed_at > RENEW_S:
            if not bus.training.renew(token):
                token = bus.training.acquire() or 0
            renewed_at = time.monotonic()
        if not bus.training.publish_frame(frame, token=token):
            raise RuntimeError("the lease of the publisher is lost")

    return publish


@contextmanager
def _bare() -> Iterator[tuple[int, Publish]]:
    """Give the port of the peer, and what hands it the text of a frame."""
    port = free_port()
    with _process("bench.peers.bare_websocket", str(port)):
        _wait_for_server(f"http://127.0.0.1:{port}/healthz")
        with connect(f"ws://127.0.0.1:{port}/texts", compression=None) as texts:
            yield port, lambda frame: texts.send(encode(frame.signal), text=True)


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with gateway() as (port, publish), _bare() as (bare_port, publish_bare):
        story, bare_story = Story(), Story()
        publish(story.next())  # so that whoever comes is told something
        publish_bare(bare_story.next())

        def ours() -> Figures:
            return {
                "fanout": sent_per_second(port, story, publish),
                "fanout-p99": paced_p99_ms(port, story, publish),
            }

        def peer() -> Figures:
            return {"fanout": sent_per_second(bare_port, bare_story, publish_bare)}

        yield ours, peer


GROUP = Group(
    "fanout",
    (
        Row("fanout", "messages/s", "a bare Starlette WebSocket", Goal(ratio_least=0.9)),
        Row("fanout-p99", "ms", "", Goal(most=100)),
    ),
    _sides,
)
