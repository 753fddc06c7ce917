"""The weights service as it runs, and a trainer as it sees one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np
import pytest

from nn.model import Weights, init_weights
from ops.health import server_for
from ops.settings import Settings
from services.weights.api import create_app
from wire.bus import Bus
from wire.calls import Call, Reply, Tune
from wire.messages import Frame, Origin, ResponseSignal, Snapshot, WeightsInfo


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    return Settings(redis_url=redis_url, weights_dir=tmp_path / "weights", port=0, checkpoint_s=1.0)


Wait = Callable[..., object]


@pytest.fixture
def client(bus: Bus, settings: Settings, wait_until: Wait) -> Iterator[httpx.Client]:
    """The routes alone, on a real port, without the recorder's threads."""
    with serving(bus, settings, wait_until, lifespan="off") as client:
        yield client


@pytest.fixture
def serve(bus: Bus, wait_until: Wait) -> Iterator[Callable[[Settings], httpx.Client]]:
    """Start the whole service on a real port; it is stopped at the end."""
    with ExitStack() as running:
        yield lambda settings: running.enter_context(serving(bus, settings, wait_until))


@pytest.fixture
def own_bus(own_redis: Any) -> Iterator[Bus]:
    """A bus on a Redis that the test may stop and start."""
    bus = Bus(own_redis.url)
    yield bus
    bus.close()


@pytest.fixture
def own_client(own_bus: Bus, settings: Settings, wait_until: Wait) -> Iterator[httpx.Client]:
    """The whole service on a Redis that the test may stop and start."""
    with serving(own_bus, settings, wait_until) as client:
        yield client


@contextmanager
def serving(
    bus: Bus, settings: Settings, wait_until: Wait, lifespan: Literal["on", "off"] = "on"
) -> Iterator[httpx.Client]:
    app = create_app(bus, settings)
    server = server_for(app, settings)
    server.config.lifespan = lifespan
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="the service")
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()
    if lifespan == "off":
        app.state.store.close()


class PlayedTrainer:
    """Publishes and answers as the trainer does."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.token = 0
        self.generation = 0
        self.weights = network(seed=5)

    def lead(self) -> None:
        token = self.bus.training.acquire()
        assert token is not None
        self.token = token

    def leave(self) -> None:
        self.bus.training.release(self.token)

    def publish(
        self, iteration: int, origin: Origin = "checkpoint", loss: float | None = 0.5
    ) -> int:
        """Publish weights; return their version."""
        version = self.bus.live.next_version()
        snapshot = Snapshot(self.weights, WeightsInfo(version, iteration, origin, loss))
        assert self.bus.training.renew(self.token)
        assert self.bus.live.publish(
            snapshot, token=self.token, generation=self.generation, keep=False
        )
        return version

    def tell(self, *, training: bool) -> None:
        """Send a frame."""
        signal = ResponseSignal(None, None, 128, 0.1, 0, 0, 0, 16, training=training)
        assert self.bus.training.renew(self.token)
        assert self.bus.training.publish_frame(Frame(0, self.generation, signal), token=self.token)

    def answer_tune(self, reply: Reply) -> tuple[threading.Thread, list[Call[Tune]]]:
        """Take the next tune in a thread, and give `reply`; the list gets the call."""
        taken: list[Call[Tune]] = []

        def answer() -> None:
            call = self.bus.calls.take("trainer", Tune, timeout_s=4)
            assert isinstance(call, Call)
            taken.append(call)
            self.bus.calls.answer(call.name, reply)

        thread = threading.Thread(target=answer)
        thread.start()
        return thread, taken


@pytest.fixture
def trainer(bus: Bus) -> PlayedTrainer:
    return PlayedTrainer(bus)


def network(
    sizes: tuple[int, ...] = (784, 128, 10), seed: int = 0, *, biases: bool = False
) -> Weights:
    rng = np.random.default_rng([seed])
    weights = init_weights(rng, sizes, biases=biases)
    for bias in weights.biases:
        bias += rng.standard_normal(bias.shape, dtype=np.float32)
    return weights


def snapshot_of(
    weights: Weights, version: int = 1, iteration: int = 0, origin: Origin = "upload"
) -> Snapshot:
    return Snapshot(weights, WeightsInfo(version, iteration, origin, 0.25))


@pytest.fixture
def make_network() -> Callable[..., Weights]:
    return network


@pytest.fixture
def make_snapshot() -> Callable[..., Snapshot]:
    return snapshot_of
