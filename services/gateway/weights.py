"""The live weights as viewers want them: followed only while somebody does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import numpy as np

from wire.bus import Bus
from wire.codec import encode_snapshot
from wire.messages import Snapshot

Precision = Literal["f32", "f16"]


class WeightsStream:
    """Follows the live weights while there are subscribers, and encodes each version once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._subscribers = 0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._snapshot: Snapshot | None = None
        self._encoded: dict[Precision, bytes] = {}
        self.on_weights: Callable[[], None] = lambda: None

    @property
    def version(self) -> int:
        """The version of the newest weights; 0 before there are any."""
        snapshot = self._snapshot
        return 0 if snapshot is None else snapshot.info.version

    def subscribe(self) -> None:
        """Count one subscriber more; the first starts the stream."""
        with self._lock:
            self._subscribers += 1
            if self._subscribers == 1:
                self._stop = threading.Event()
                args = (self._stop,)
                thread = threading.Thread(
                    target=self._follow, args=args, name="weights", daemon=True
                )
                thread.start()
                # A thread that was told to end needs a second for it.
                self._threads = [thread, *(one for one in self._threads if one.is_alive())]

    def unsubscribe(self) -> None:
        """Count one subscriber less; the last ends the stream."""
        with self._lock:
            self._subscribers -= 1
            if self._subscribers == 0:
                self._stop.set()
                self._snapshot, self._encoded = None, {}  # old by the time somebody subscribes

    def stop(self) -> None:
        """End the stream, whoever still wants it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=3)

    def frame(self, precision: Precision) -> tuple[int, bytes]:
        """Return the newest version and its safetensors bytes; (0, b"") before there are any."""
        with self._lock:
            snapshot = self._snapshot
            if snapshot is None:
                return 0, b""
            if precision not in self._encoded:
                weights = snapshot.weights
                if precision == "f16":
                    weights = weights.with_arrays(a.astype(np.float16) for a in weights.arrays)
                self._encoded[precision] = encode_snapshot(Snapshot(weights, snapshot.info))
            return snapshot.info.version, self._encoded[precision]

    def _follow(self, stop: threading.Event) -> None:
        for news in self._bus.live.follow(stop):
            if isinstance(news, Snapshot):
                with self._lock:
                    if stop.is_set():
                        return
                    self._snapshot, self._encoded = news, {}
                self.on_weights()
