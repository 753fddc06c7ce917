"""Many viewers in one process, cheap enough not to be what is measured.

    python -m bench.viewers PORT VIEWERS

Connects, and says on its standard output what has come: `ready` when every viewer has had its
first frame, then an iteration's number whenever all viewers have come to it. A line on its
standard input ends it: a JSON list of [last iteration of a frame, when it was published]. It
answers with a JSON object, a `Tally`.

Each viewer checks each frame: an iteration that is missing, comes twice or out of order is an
error. Frames that many viewers get are read once, and known again by their bytes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop

_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
MAX_KNOWN = 256  # distinct frames that are kept at a time
CONNECTING = 64  # at once: a burst of all would overflow the listener's backlog


@dataclass(frozen=True)
class News:
    """What one frame tells: iterations `first` to `last`, or none, and where the run is."""

    first: int
    last: int
    iteration: int


@dataclass
class Tally:
    """What all viewers have received."""

    messages: int = 0  # with iterations in them; the first frame of each viewer is not counted
    bytes: int = 0  # of these
    iterations: list[int] = field(default_factory=list)  # of each viewer
    errors: list[str] = field(default_factory=list)
    latencies_ms: dict[str, float] = field(default_factory=dict)  # p50, p99 and the most


class Audience:
    """All viewers, and what they have in common."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.tally = Tally()
        self.viewers: list[Viewer] = []
        self.newest = b""  # the raw frame that came last
        self.news = News(0, 0, 0)  # what it tells
        self.receipts: list[tuple[float, int, int]] = []  # when, and from which iteration to which
        self._known: dict[bytes, News] = {}
        self._begun = 0
        self._arrived: dict[int, int] = {}  # how many viewers have come to an iteration

    def read(self, raw: bytes, payload: bytes) -> None:
        """Make `raw`, a frame with this payload, the newest; decode it unless it is known."""
        news = self._known.get(raw)
        if news is None:
            news = _news_of(payload)
            if len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[raw] = news
        self.newest, self.news = raw, news

    def begin(self) -> None:
        """Count a viewer that has its first frame."""
        self._begun += 1
        if self._begun == self.count:
            print("ready", flush=True)

    def arrive(self, iteration: int) -> None:
        """Count a viewer that has come to `iteration`."""
        arrived = self._arrived.get(iteration, 0) + 1
        if arrived == self.count:
            self._arrived.pop(iteration, None)
            print(iteration, flush=True)
        else:
            self._arrived[iteration] = arrived


class Viewer(asyncio.Protocol):
    """One connection: a WebSocket client that only listens."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._pending = b""  # the beginning of a frame
        self._upgraded = False
        self._at: int | None = None  # the last iteration told; None before the first frame
        self.iterations = 0
        self.ended = False

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self._transport = transport
        transport.write(_UPGRADE)

    def data_received(self, data: bytes) -> None:
        """Take in what came: mostly one whole frame, the one that other viewers have got, too."""
        audience = self._audience
        if data == audience.newest and not self._pending:
            self._take(audience.news, len(data))
            return
        data = self._pending + data
        if not self._upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._pending = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise RuntimeError(f"no WebSocket: {head[:100]!r}")
            self._upgraded = True
        while (end := _frame_end(data)) and end <= len(data):
            self._frame(data[:end])
            data = data[end:]
        self._pending = data

    def connection_lost(self, error: Exception | None) -> None:
        """Say that the connection ended, which none should by itself."""
        if not self.ended:
            self._audience.tally.errors.append(f"a connection was lost: {error!r}")

    def close(self) -> None:
        """Leave."""
        self.ended = True
        self._transport.abort()

    def _frame(self, raw: bytes) -> None:
        kind, payload = raw[0] & 15, raw[_head_size(raw[1]) :]
        if kind == _TEXT:
            self._audience.read(raw, payload)
            self._take(self._audience.news, len(raw))
        elif kind == _PING:  # with a mask of zeros, which leaves the payload as it is
            self._transport.write(bytes((0x80 | _PONG, 0x80 | len(payload))) + bytes(4) + payload)
        elif kind == _CLOSE:
            self._audience.tally.errors.append(f"a connection was closed: {payload!r}")
            self.close()
        else:
            raise RuntimeError(f"a frame of kind {kind} is none that was expected")

    def _take(self, news: News, size: int) -> None:
        if self._at is None:
            self._at = news.iteration
            self._audience.begin()
            return
        if not news.last:
            return
        audience = self._audience
        if news.first != self._at + 1:
            told = f"after {self._at:,} a viewer was told {news.first:,} to {news.last:,}"
            audience.tally.errors.append(told)
        audience.receipts.append((time.monotonic(), news.first, news.last))
        audience.tally.messages += 1
        audience.tally.bytes += size
        self.iterations += news.last - news.first + 1
        self._at = news.last
        audience.arrive(news.last)


def _head_size(length: int) -> int:
    """Return the size of a frame's header, whose second byte is `length`; none has a mask."""
    return {126: 4, 127: 10}.get(length, 2)


def _frame_end(data: bytes) -> int:
    """Return where the frame at the beginning of `data` ends; 0 if its header is not all there."""
    if len(data) < 2 or len(data) < _head_size(data[1]):
        return 0
    size = _head_size(data[1])
    return size + (int.from_bytes(data[2:size], "big") if size > 2 else data[1])


def _news_of(payload: bytes) -> News:
    """Return what a signal tells; RuntimeError if its iterations are not one after another."""
    signal = json.loads(payload)
    told, start = signal["history"]["iteration"], signal["history_from"]
    if not told or start == 0:  # the whole curve, thinned: only where the run is counts
        return News(0, 0, signal["iteration"])
    if told != list(range(start + 1, start + 1 + len(told))):
        raise RuntimeError(f"{told} are not the iterations after {start}")
    return News(told[0], told[-1], signal["iteration"])


def _latencies(
    receipts: list[tuple[float, int, int]], published: list[tuple[int, float]]
) -> dict[str, float]:
    """Return how long after its publication a viewer had a frame, in ms, over all of both.

    A larger frame that holds several published ones counts once for each.
    """
    if not published:
        return {}
    lasts = np.array([last for last, _ in published])
    times = np.array([at for _, at in published])
    late: list[float] = []
    for at, first, last in receipts:
        begin, end = np.searchsorted(lasts, (first, last + 1))
        late += (at - times[begin:end]).tolist()
    p50, p99, most = np.percentile(late, [50, 99, 100]) * 1e3
    return {"p50": float(p50), "p99": float(p99), "most": float(most)}


async def _watch(port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    audience = Audience(count)
    gate = asyncio.Semaphore(CONNECTING)

    async def connect() -> None:
        async with gate:
            _, viewer = await loop.create_connection(lambda: Viewer(audience), "127.0.0.1", port)
            audience.viewers.append(viewer)

    await asyncio.gather(*(connect() for _ in range(count)))
    published = json.loads(await loop.run_in_executor(None, sys.stdin.readline) or "[]")
    tally = audience.tally
    tally.iterations = [viewer.iterations for viewer in audience.viewers]
    tally.latencies_ms = _latencies(audience.receipts, published)
    tally.errors = tally.errors[:10]
    for viewer in audience.viewers:
        viewer.close()
    print(json.dumps(vars(tally)), flush=True)


if __name__ == "__main__":
    uvloop.run(_watch(int(sys.argv[1]), int(sys.argv[2])))
