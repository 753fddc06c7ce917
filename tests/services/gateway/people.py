"""Who stands around a gateway: a page that watches, a trainer, data workers, a weights service."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
from websockets.sync.client import connect

from ops.settings import Settings
from services.trainer.loop import Trainer
from tests.examples import frame_of, history_of, snapshot_of
from wire.bus import Bus
from wire.calls import Reply, Restore, Upload
from wire.curve import Curve
from wire.messages import Batch, DataSetInfo, Frame, Ticket

INFO = DataSetInfo("synthetic", "as asked", 600, 50)
Point = tuple[int, float | None, float]


class Page:
    """A viewer, which keeps the curve as the page does."""

    def __init__(self, place: str, **options: Any) -> None:
        options = {"max_size": None, "max_queue": None, "close_timeout": 3, **options}
        self._connection = connect(f"ws://{place}/ws", **options)
        self.frames: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.weights: list[bytes] = []
        self.points: list[Point] = []
        self.marks: list[dict[str, Any]] = []
        self.tests: list[dict[str, Any]] = []
        self.told: list[int] = []  # every iteration, as often as it was told

    def __enter__(self) -> Page:
        self.socket = self._connection.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._connection.__exit__(*error)

    @property
    def last(self) -> dict[str, Any]:
        """The last signal."""
        return self.frames[-1]

    @property
    def iterations(self) -> list[int]:
        """The iterations of the curve."""
        return [point[0] for point in self.points]

    @property
    def tested(self) -> list[int]:
        """The iterations whose test accuracy it shows."""
        return [point["iteration"] for point in self.tests]

    @property
    def marked(self) -> list[int]:
        """The iterations of the marks that it shows."""
        return [mark["iteration"] for mark in self.marks]

    def send(self, signal: Any) -> None:
        """Send a signal, or bytes and text that are none."""
        self.socket.send(signal if isinstance(signal, str | bytes) else json.dumps(signal))

    def read(self, timeout_s: float = 10) -> None:
        """Take in the next message."""
        message = self.socket.recv(timeout_s)
        if isinstance(message, bytes):
            self.weights.append(message)
            return
        fields = json.loads(message)
        if fields["type"] == "Error":
            self.errors.append(fields)
            return
        self.frames.append(fields)
        history, start = fields["history"], fields["history_from"]
        new = list(zip(history["iteration"], history["loss"], history["acc"], strict=True))
        end = min(start, fields["iteration"])
        self.points = [point for point in self.points if point[0] <= end] + new
        self.told += history["iteration"]
        marks = [mark for mark in self.marks if mark["iteration"] <= end]
        self.marks = marks + [mark for mark in history["marks"] if mark not in marks]
        self.tests = [point for point in self.tests if point["iteration"] <= end]
        for point in history["tests"]:
            earlier = [one for one in self.tests if one["iteration"] < point["iteration"]]
            self.tests = [*earlier, point]

    def read_until(self, holds: Callable[[], Any], timeout_s: float = 30) -> None:
        """Take in messages until `holds()`."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, (
                f"not within {timeout_s} s; last: {self.frames[-1:]!s:.1000}"
            )
            try:
                self.read(0.1)
            except TimeoutError:
                continue

    def refusal(self, signal: Any) -> dict[str, Any]:
        """Send `signal` and return the Error that answers it."""
        before = len(self.errors)
        self.send(signal)
        self.read_until(lambda: len(self.errors) > before)
        return self.errors[-1]


class PlayedTrainer:
    """A trainer that says what a test wants it to."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.token = 0
        self.keep_lease()

    def keep_lease(self) -> None:
        """Hold the lease, which may have run out."""
        if not self.bus.training.renew(self.token):
            self.token = self.bus.training.acquire() or 0

    def tell(self, *iterations: int, **fields: Any) -> None:
        """Publish a frame with these iterations, and `marks` beside them."""
        self.keep_lease()
        if marks := fields.pop("marks", None):
            history = msgspec.structs.replace(history_of(*iterations), marks=marks)
            fields["history"] = history
        frame = _numbered(frame_of(*iterations, **fields))
        assert self.bus.training.publish_frame(frame, token=self.token)

    def tell_again(self, *iterations: int) -> None:
        """Save the curve of these iterations, of which only the last is news."""
        self.keep_lease()
        curve = Curve()
        curve.extend(history_of(*iterations), 0)
        frames = [_numbered(frame_of(iterations[-1]))]
        assert self.bus.training.save(None, curve, token=self.token, frames=frames)


def _numbered(frame: Frame) -> Frame:
    return msgspec.structs.replace(frame, number=time.time_ns())


@contextmanager
def training(bus: Bus, **settings: Any) -> Iterator[None]:
    """Run the real trainer on a small network and random data."""
    stop = threading.Event()
    trainer = Trainer(bus, Settings(hidden_units=4, batch_size=8, **settings))

    def cut() -> None:
        rng = np.random.default_rng([0])
        while not stop.is_set():
            ticket = bus.flow.pop_ticket(0.2)
            if isinstance(ticket, Ticket):
                size = ticket.batch_size
                images = rng.integers(0, 256, (size, 784), dtype=np.uint8)
                labels = rng.integers(0, 10, size, dtype=np.uint8)
                bus.flow.push_batch(Batch.answering(ticket, images, labels))

    bus.flow.announce(INFO)
    threads = [threading.Thread(target=trainer.run, args=(stop,)), threading.Thread(target=cut)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def weights_service(bus: Bus, refuse: Reply | None = None) -> Iterator[list[Any]]:
    """Play the weights service; give the requests that it got."""
    stop = threading.Event()
    requests: list[Any] = []

    def serve() -> None:
        kinds: Any = Restore | Upload
        while not stop.is_set():
            call: Any = bus.calls.take("weights", kinds, 0.2)
            if call is None:
                continue
            requests.append(call.request)
            version = bus.live.next_version()
            while refuse is None and not bus.live.replace(snapshot_of(version, 7, "restore")):
                version = bus.live.next_version()  # the trainer was faster
            bus.calls.answer(call.name, refuse or Reply(version=version))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield requests
    finally:
        stop.set()
        thread.join()
