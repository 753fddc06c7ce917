"""A load on HTTP: one request again and again over keep-alive connections.

It is a process of its own, with next to no work for each request (bytes made beforehand, answers
counted by their length), so that the server is what is measured:

    python -m bench.load '{"port": 8000, "path": "/infer", "seconds": 3, ...}'  < bodies.json

`run_load` starts it and returns what it found. A wrong answer is an error, however fast it came.
"""

from __future__ import annotations

import asyncio
import base64
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import uvloop

ROOT = Path(__file__).parents[1]
GRACE_S = 30.0  # to start, and for the last answers
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What to ask, by whom, and what an answer must be."""

    port: int
    path: str
    seconds: float
    connections: int = 1
    content_type: str = "application/json"
    accept: str = "*/*"
    # Requests a second, in all, at even times; None: each connection asks again at once.
    rate: float | None = None
    mark: str = ""  # each answer must hold this text `marks` times ...
    marks: int = 0
    answer_bytes: int | None = None  # ... and have this length, if one is given


@dataclass(frozen=True)
class Outcome:
    """How many answers came a second, and how long they took in milliseconds.

    At a rate, a time counts from when the request was due: a server that stalls does not slow the
    clock by which it is judged.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    most_ms: float


def run_load(load: Load, bodies: Sequence[bytes]) -> Outcome:
    """Load a server of this machine, with these bodies in turn; raise RuntimeError if it fails."""
    given = msgspec.json.encode([base64.b64encode(body).decode() for body in bodies])
    command = [sys.executable, "-m", "bench.load", msgspec.json.encode(asdict(load)).decode()]
    done = subprocess.run(
        command, input=given, capture_output=True, cwd=ROOT, timeout=load.seconds + GRACE_S
    )
    if done.returncode:
        raise RuntimeError(f"the load on {load.path} failed: {done.stderr.decode()[-600:]}")
    return msgspec.json.decode(done.stdout, type=Outcome)


class Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: Load, requests: Sequence[bytes], first: int) -> None:
        self._load = load
        self._requests = requests
        self._next = first
        self._buffer = bytearray()
        self._whole = 0  # bytes of the answer under way, once its head is there
        self._due = 0.0
        self._transport: asyncio.Transport
        self.times_s: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stopping = False
        self.step_s = 0.0  # between two requests of this connection; 0: at once

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection; `begin` sends the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one but in name

    def begin(self, due: float) -> None:
        """Send a request that was due at this time of the monotonic clock."""
        self._due = due
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        """Gather the answer; when it is whole, check it and go on."""
        self._buffer += data
        if not self._whole:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self._buffer, 0, end + 2)
            self._whole = end + 4 + (int(length[1]) if length else 0)
            if not self._buffer.startswith(b"HTTP/1.1 200 ") or length is None:
                self._fail(f"answered {bytes(self._buffer[:300])!r}")
                return
        if len(self._buffer) >= self._whole:
            self._finish()

    def _finish(self) -> None:
        now = time.monotonic()
        load, length = self._load, self._whole - self._buffer.find(b"\r\n\r\n") - 4
        if self._buffer.count(load.mark.encode()) != load.marks and load.mark:
            self._fail(f"{load.mark} is not there {load.marks} times: {bytes(self._buffer)!r:.400}")
            return
        if load.answer_bytes not in (None, length):
            self._fail(f"the answer has {length} bytes, not {load.answer_bytes}")
            return
        self.times_s.append(now - self._due)
        self._buffer.clear()
        self._whole = 0
        if self.stopping:
            self._end(None)
        elif not self.step_s:
            self.begin(now)
        else:
            due = self._due + self.step_s
            asyncio.get_running_loop().call_later(max(0.0, due - now), self.begin, due)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail if the server ends the connection."""
        self._fail(f"the server closed the connection ({exc})")

    def _fail(self, why: str) -> None:
        self._end(RuntimeError(why))

    def _end(self, error: RuntimeError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        self._transport.abort()


def request_of(load: Load, body: bytes) -> bytes:
    """Return the bytes of a request."""
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nAccept: {load.accept}\r\n"
        f"Content-Type: {load.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def put_load(load: Load, bodies: Sequence[bytes]) -> Outcome:
    """Ask for `load.seconds`, and return how it went."""
    loop = asyncio.get_running_loop()
    requests = [request_of(load, body) for body in bodies]
    clients: list[Client] = []
    for k in range(load.connections):
        made = partial(Client, load, requests, k)
        clients.append((await loop.create_connection(made, "127.0.0.1", load.port))[1])
    started = time.monotonic()
    for k, client in enumerate(clients):
        client.step_s = load.connections / load.rate if load.rate else 0.0
        start = started + k / load.rate if load.rate else started
        loop.call_later(max(0.0, start - time.monotonic()), client.begin, start)
    ended = asyncio.gather(*(client.done for client in clients))
    await asyncio.wait([ended], timeout=load.seconds)
    counted = [len(client.times_s) for client in clients]
    elapsed_s = time.monotonic() - started
    for client in clients:
        client.stopping = True
    await asyncio.wait_for(ended, GRACE_S)
    times_ms = 1000 * np.concatenate([client.times_s for client in clients])
    p50, p99 = np.percentile(times_ms, [50, 99])
    return Outcome(sum(counted) / elapsed_s, float(p50), float(p99), float(times_ms.max()))


def main() -> None:
    """Read what to do and the bodies, do it, and print the outcome."""
    load = msgspec.json.decode(sys.argv[1], type=Load)
    bodies = [base64.b64decode(text) for text in msgspec.json.decode(sys.stdin.buffer.read())]
    outcome = uvloop.run(put_load(load, bodies))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
