"""The load generator against a server that answers as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bench.load import Load, run_load

GOOD = b'{"digit":3}'


class Server:
    """Answers each request by `answer(number)`, whole; None closes the connection instead."""

    def __init__(self, answer: Callable[[int], bytes | None]) -> None:
        self._answer = answer
        self.bodies: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._listening.set()
            await self._stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                answer = self._answer(len(self.bodies))
                if answer is None:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def answer_of(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def load_on(server: Server, **fields: Any) -> Load:
    return Load(server.port, "/", 0.3, **{"mark": '"digit":', "marks": 1, **fields})


def test_answers_are_counted_and_timed() -> None:
    with Server(lambda _: answer_of(GOOD)) as server:
        outcome = run_load(load_on(server, connections=3), [b"one", b"two"])
    assert server.connections == 3
    assert set(server.bodies) == {b"one", b"two"}
    assert 0.3 * len(server.bodies) < outcome.requests_per_s * 0.3 < 1.3 * len(server.bodies)
    assert 0 < outcome.p50_ms <= outcome.p99_ms <= outcome.most_ms


def test_a_rate_is_kept() -> None:
    with Server(lambda _: answer_of(GOOD)) as server:
        run_load(load_on(server, connections=2, rate=40), [b"one"])
    assert 2 <= len(server.bodies) <= 40 * 0.3 + 4  # and one more of each connection at the end


@pytest.mark.parametrize(
    ("answer", "fields", "reason"),
    [
        (answer_of(b"{}"), {}, '"digit": is not there 1 times'),
        (answer_of(GOOD, "503 Service Unavailable"), {}, "answered .*503"),
        (answer_of(GOOD), {"answer_bytes": 7}, "the answer has 11 bytes, not 7"),
        (None, {}, "the server closed the connection"),
    ],
)
def test_a_wrong_answer_fails_however_fast_it_came(
    answer: bytes | None, fields: dict[str, Any], reason: str
) -> None:
    with (
        Server(lambda number: answer_of(GOOD) if number < 5 else answer) as server,
        pytest.raises(RuntimeError, match=reason),
    ):
        run_load(load_on(server, **fields), [b"one"])


def test_an_answer_may_come_in_pieces_and_without_a_mark() -> None:
    with Server(lambda _: answer_of(b"x" * 300_000)) as server:
        outcome = run_load(load_on(server, mark="", answer_bytes=300_000), [b"one"])
    assert outcome.requests_per_s > 0
