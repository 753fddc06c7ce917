"""News to every viewer, each as fast as it reads: a slow one gets fewer, larger frames."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import structlog
from prometheus_client import Counter, Gauge
from starlette.websockets import WebSocket

from ops.limits import allowance
from ops.websocket import frame_writer, text_frame
from services.gateway.run import Run
from services.gateway.weights import Precision, WeightsStream

VIEWERS = Gauge("inkling_gateway_viewers", "Viewers connected")
FRAMES = Counter("inkling_gateway_frames", "Frames sent to viewers")
MERGED = Counter("inkling_gateway_merged_frames", "News that travelled with later ones")
LAG = Gauge(
    "inkling_gateway_viewer_lag_frames", "News that the slowest viewer has not been sent yet"
)
AT_ONCE = 64  # viewers that are written to before others get their turn on the loop
MAX_SHARED = 16  # encoded news that are kept: those who are equally far behind get the same

log = structlog.get_logger()


@dataclass
class News:
    """All that happened up to the news of this number, as a ResponseSignal in JSON."""

    number: int
    text: bytes

    @cached_property
    def frame(self) -> bytes:
        """The same as a frame of a WebSocket."""
        return text_frame(self.text)


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
        self.write = frame_writer(socket.scope)
        self.may_signal = allowance(socket.scope)
        self.rests = False  # it has all news, and its own task waits to be called
        self.called = asyncio.Event()


class Fanout:
    """Sends the news of a run to its viewers, and the weights to those who want them.

    Whoever has all news and can take more is written to in one pass over all such viewers, the
    same bytes to each. Whatever has to be waited for (a first frame, a slow connection, weights)
    is the business of the viewer's own task.
    """

    def __init__(self, run: Run, weights: WeightsStream) -> None:
        self._run = run
        self._weights = weights
        self._viewers: set[Viewer] = set()
        self._news = asyncio.Event()
        self._shared: dict[int | None, News] = {}  # by what had been seen before
        self._shared_number = 0  # of the last news when these were made
        self._passing: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to pass on news, which other threads bring."""

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended, and all viewers with it
                loop.call_soon_threadsafe(self._news.set)

        self._run.on_news = self._weights.on_weights = wake
        LAG.set_function(self._lag)
        self._passing = loop.create_task(self._pass_on())

    def stop(self) -> None:
        """Pass on no more."""
        if self._passing is not None:
            self._passing.cancel()

    def _lag(self) -> int:
        """Return by how many news the slowest viewer is behind; called in the event loop."""
        seen = [viewer.seen for viewer in self._viewers if viewer.seen is not None]
        return self._run.number - min(seen, default=self._run.number)

    async def serve(self, viewer: Viewer) -> None:
        """Send the whole curve, then all news, until the connection ends."""
        VIEWERS.inc()
        self._viewers.add(viewer)
        try:
            while True:
                viewer.called.clear()  # first, so that nothing falls between
                await self._send_news(viewer)
                wait_s = await self._send_weights(viewer)
                if viewer.seen == self._run.number:
                    viewer.rests = True
                    await _wait(viewer.called, wait_s)
                    viewer.rests = False
        finally:
            viewer.rests = False
            self._viewers.discard(viewer)
            VIEWERS.dec()
            self.subscribe(viewer, None, 0)

    async def _pass_on(self) -> None:
        """Write all news to all viewers who rest, as they come."""
        while True:
            await self._news.wait()
            self._news.clear()
            resting = [viewer for viewer in self._viewers if viewer.rests]
            for begin in range(0, len(resting), AT_ONCE):
                for viewer in resting[begin : begin + AT_ONCE]:
                    try:
                        self._offer(viewer)
                    except Exception:  # one viewer's trouble is not the others'
                        log.exception("news could not be written to a viewer")
                        viewer.called.set()
                await asyncio.sleep(0)

    def _offer(self, viewer: Viewer) -> None:
        """Write the news to a viewer who rests; call it if that takes more than writing."""
        if not viewer.rests:
            return  # called since
        if viewer.seen != self._run.number:
            news = self._news_since(viewer.seen)
            if viewer.sending.locked() or not viewer.write(news.frame):
                viewer.called.set()
                return
            _count(viewer, news.number)
        if viewer.precision is not None:
            viewer.called.set()

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
        viewer.called.set()

    async def _send_news(self, viewer: Viewer) -> None:
        if viewer.seen == self._run.number:
            return
        news = self._news_since(viewer.seen)
        async with viewer.sending:
            await viewer.socket.send_text(news.text.decode())
        _count(viewer, news.number)

    def _news_since(self, seen: int | None) -> News:
        """Return what `Run.news_since` does, made once for all who have seen the same."""
        if self._shared_number != self._run.number:
            self._shared_number = self._run.number
            self._shared.clear()
        news = self._shared.get(seen)
        if news is None:
            news = News(*self._run.news_since(seen))
            if len(self._shared) < MAX_SHARED:
                self._shared[seen] = news
        return news

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


def _count(viewer: Viewer, number: int) -> None:
    """Note that the viewer was sent the news up to `number`."""
    FRAMES.inc()
    if viewer.seen is not None:
        MERGED.inc(number - viewer.seen - 1)
    viewer.seen = number
