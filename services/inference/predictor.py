"""The live weights, swapped while requests are answered."""

from __future__ import annotations

import threading
from contextlib import suppress

import structlog
from prometheus_client import Counter, Gauge

from nn.model import Floats, predict
from wire.bus import Bus
from wire.codec import MalformedError
from wire.connection import RedisAwayError
from wire.messages import Snapshot

SWAPS = Counter("inkling_inference_swaps", "Weights taken into use")
VERSION = Gauge("inkling_inference_version", "Version of the weights in use")
log = structlog.get_logger()


class Predictor:
    """Predicts with the newest weights it has heard of; goes on with them while Redis is away."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._snapshot: Snapshot | None = None  # immutable, replaced as a whole
        # Why there is no snapshot, as long as there is none.
        self.trouble = "there are no weights yet: the trainer makes the first ones as it starts"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the live weights into use, if there are any yet, and begin to follow them."""
        self._stop.clear()
        # Before the first request: the edge sends requests to a replica as soon as it listens.
        with suppress(RedisAwayError, MalformedError):
            self._snapshot = self._bus.live.latest()
        self._thread = threading.Thread(target=self._follow, name="weights", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End following."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=3)

    def reasons(self) -> list[str]:
        """Return why nothing can be predicted."""
        return [self.trouble] if self._snapshot is None else []

    def predict(self, images: Floats) -> tuple[Floats, Snapshot] | None:
        """Return the probabilities (B, 10) of `images` (B, 784), and the snapshot that gave them.

        Returns None before there are any weights.
        """
        snapshot = self._snapshot
        return None if snapshot is None else (predict(snapshot.weights, images), snapshot)

    def _follow(self) -> None:
        away = False
        for news in self._bus.live.follow(self._stop):
            if isinstance(news, RedisAwayError):
                if not away:
                    log.warning("no new weights", error=str(news))
                away, self.trouble = True, str(news)
                continue
            away = False
            self._snapshot = news
            SWAPS.inc()
            VERSION.set(news.info.version)
            log.debug("swapped", version=news.info.version)
