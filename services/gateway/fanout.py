"""News to every viewer, each as fast as it reads: a slow one gets fewer, larger frames."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from prometheus_client import Counter, Gauge
from starlette.websockets import WebSocket

from services.gateway.run import Run
from services.gateway.weights import Precision, WeightsStream

VIEWERS = Gauge("inkling_gateway_viewers", "Viewers connected")
FRAMES = Counter("inkling_gateway_frames", "Frames sent to viewers")
MERGED = Counter("inkling_gateway_merged_frames", "News that travelled with later ones")


class Viewer:
    """One connection. All that it costs is its place in the news and what it asked for."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.seen: int | None = None  # number of the last news sent
        self.precision: Precision | None = None  # None: no weights
        self.weights_interval_s = 0.1
        self.weights_version = 0
        self.weights_at = 0.0
        self.sending = asyncio.Lock()


class Fanout:
    """Sends the news of a run to its viewers, and the weights to those who want them."""

    def __init__(self, run: Run, weights: WeightsStream) -> None:
        self._run = run
        self._weights = weights
        self._news = asyncio.Event()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to pass on news, which other threads bring."""

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended, and all viewers with it
                loop.call_soon_threadsafe(self._wake)

        self._run.on_news = self._weights.on_weights = wake

    def _wake(self) -> None:
        """Wake all viewers that wait now; those that are still sending will see it later."""
        self._news.set()
        self._news = asyncio.Event()

    async def serve(self, viewer: Viewer) -> None:
        """Send the whole curve, then all news, until the connection ends."""
        VIEWERS.inc()
        try:
            while True:
                news = self._news  # taken first, so that nothing falls between
                await self._send_news(viewer)
                wait_s = await self._send_weights(viewer)
                if viewer.seen == self._run.number:
                    await _wait(news, wait_s)
        finally:
            VIEWERS.dec()
            self.subscribe(viewer, None, 0)

    def subscribe(self, viewer: Viewer, precision: Precision | None, weights_hz: float) -> None:
        """Give the viewer weights in this precision, `weights_hz` times a second at most.

        None, or 0 times, gives it none.
        """
        precision = precision if weights_hz else None
        if precision is not None and viewer.precision is None:
            self._weights.subscribe()
        if precision is None and viewer.precision is not None:
            self._weights.unsubscribe()
        viewer.precision = precision
        viewer.weights_interval_s = 1 / weights_hz if weights_hz else 0.0
        viewer.weights_version = 0
        self._wake()

    async def _send_news(self, viewer: Viewer) -> None:
        before = viewer.seen
        if before == self._run.number:
            return
        number, data = self._run.news_since(before)
        async with viewer.sending:
            await viewer.socket.send_text(data.decode())
        viewer.seen = number
        FRAMES.inc()
        if before is not None:
            MERGED.inc(number - before - 1)

    async def _send_weights(self, viewer: Viewer) -> float | None:
        """Send the weights if they are new and due; return in how many seconds they will be."""
        if viewer.precision is None or self._weights.version <= viewer.weights_version:
            return None
        wait_s = viewer.weights_at + viewer.weights_interval_s - time.monotonic()
        if wait_s > 0:
            return wait_s
        version, data = self._weights.frame(viewer.precision)
        viewer.weights_at = time.monotonic()
        async with viewer.sending:
            await viewer.socket.send_bytes(data)
        viewer.weights_version = version
        return None


async def _wait(news: asyncio.Event, timeout_s: float | None) -> None:
    try:
        await asyncio.wait_for(news.wait(), timeout_s)
    except TimeoutError:
        return
