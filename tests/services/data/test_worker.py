"""A data worker: it answers tickets, returns those it cannot, and leaves in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from ops.settings import Settings
from services.data import worker as worker_module
from services.data.datasets import DataSet, Places, prepare
from services.data.order import cut
from services.data.worker import Worker
from tests.examples import ticket_of, whole_images
from tests.running import ROOT, RedisServer, free_port
from tests.services.data.samples import put, small_set
from wire.bus import Bus
from wire.keys import Keys
from wire.messages import Batch, Ticket

KEYS = Keys()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("data")
    return Settings(data_dir=put(folder / "files", small_set(5)), cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def dataset(settings: Settings) -> DataSet:
    places = Places(settings.data_dir, settings.cache_dir)
    return prepare("mnist", places, lambda _: None)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers wait for tickets in short spells, so that they stop soon."""
    monkeypatch.setattr(worker_module, "WAIT_S", 0.1)


@contextmanager
def working(bus: Bus, settings: Settings, count: int = 1) -> Iterator[list[Worker]]:
    """Run so many workers in threads."""
    stop = threading.Event()
    workers = [Worker(bus, settings) for _ in range(count)]
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def tickets(count: int, batch_size: int = 8, **fields: Any) -> list[Ticket]:
    return [
        ticket_of(k, dataset="mnist", position=k * batch_size, batch_size=batch_size, **fields)
        for k in range(count)
    ]


def batches(bus: Bus, count: int, timeout_s: float = 20) -> dict[int, Batch]:
    """Return the next `count` batches by number."""
    found: dict[int, Batch] = {}
    deadline = time.monotonic() + timeout_s
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {sorted(found)}"
        batch = bus.flow.wait(0.2, for_batch=True)
        if isinstance(batch, Batch):
            found[batch.number] = batch
    return found


def check(batch: Batch, ticket: Ticket, dataset: DataSet) -> None:
    """Check that the batch is the one and only answer to the ticket."""
    split = dataset.train if ticket.split == "train" else dataset.test
    images, labels = cut(split, ticket.seed, ticket.epoch, ticket.position, ticket.batch_size)
    assert (batch.stream, batch.number) == (ticket.stream, ticket.number)
    np.testing.assert_array_equal(whole_images(batch), images)
    np.testing.assert_array_equal(batch.ink, images.any(axis=0))
    np.testing.assert_array_equal(batch.labels, labels)


def test_tickets_are_answered(bus: Bus, settings: Settings, dataset: DataSet) -> None:
    asked = [
        *tickets(5),
        ticket_of(5, dataset="mnist", seed=9, epoch=3, position=597, batch_size=3),
        ticket_of(6, dataset="mnist", split="test", position=0, batch_size=50),
    ]
    bus.flow.push_tickets(asked)
    with working(bus, settings):
        found = batches(bus, len(asked))
    for ticket in asked:
        check(found[ticket.number], ticket, dataset)


def test_many_workers_make_what_one_makes(bus: Bus, settings: Settings, dataset: DataSet) -> None:
    asked = tickets(40)
    bus.flow.push_tickets(asked)
    with working(bus, settings, count=4):
        found = batches(bus, 40)
    for ticket in asked:
        check(found[ticket.number], ticket, dataset)


def test_a_malformed_ticket_is_dropped_with_a_log_line(
    bus: Bus, settings: Settings, redis_server: RedisServer
) -> None:
    redis_server.client.rpush(KEYS.tickets, b'{"stream": 1}')
    bus.flow.push_tickets(tickets(1))
    with capture_logs() as logs, working(bus, settings):
        batches(bus, 1)
    (line,) = [line for line in logs if line["event"] == "dropped what is no ticket"]
    assert line["log_level"] == "warning"
    assert line["error"] == "no Ticket: Object missing required field `number`"
    assert bus.flow.lengths() == (0, 0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"position": 598, "batch_size": 3}, "the train split of mnist has 600 examples here: too "
                                             "few for a ticket of 3 at 598"),
        ({"split": "test", "position": 50}, "the test split of mnist has 50 examples here: too few "
                                            "for a ticket of 2 at 50"),
        ({"dataset": "letters"}, "The data set 'letters' is not one of auto, mnist, "
                                 "fashion-mnist, synthetic."),
    ],
)  # fmt: skip
def test_a_ticket_that_it_cannot_cut_is_returned(
    bus: Bus,
    settings: Settings,
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
    why: str,
) -> None:
    monkeypatch.setattr(worker_module, "RETRY_S", 0.3)
    ticket = ticket_of(1, **{"dataset": "mnist", **fields})
    bus.flow.push_tickets([ticket])
    with capture_logs() as logs, working(bus, settings) as (worker,):
        wait_until(lambda: worker.reasons() == [why])
        assert bus.flow.pop_ticket(5) == ticket  # as it was
        wait_until(lambda: worker.reasons() == [])
    told = [line["reason"] for line in logs if line["event"] == "cannot answer tickets"]
    assert told == [why]


def test_a_returned_ticket_keeps_its_place(
    bus: Bus, settings: Settings, wait_until: Callable[..., Any]
) -> None:
    bad, good = ticket_of(7, dataset="letters"), tickets(1)[0]
    bus.flow.push_tickets([bad, good])
    with working(bus, settings) as (worker,):
        wait_until(worker.reasons)  # it now waits before it tries again
        assert [bus.flow.pop_ticket(0.2) for _ in range(2)] == [bad, good]


def test_latency_slows_one_worker_and_more_workers_make_up_for_it(
    bus: Bus, settings: Settings
) -> None:
    def seconds(latency_ms: float, count: int) -> float:
        mine = settings.model_copy(update={"data_latency_ms": latency_ms})
        with working(bus, mine, count):
            bus.flow.push_tickets(tickets(1))  # the data set is open once this is answered
            batches(bus, 1)
            began = time.monotonic()
            bus.flow.push_tickets(tickets(24))
            batches(bus, 24)
            return time.monotonic() - began

    one = seconds(50, 1)
    assert one >= 24 * 0.05
    assert seconds(50, 8) < one / 3
    assert seconds(0, 1) < one / 3


def test_workers_are_counted_and_sign_off(
    bus: Bus, settings: Settings, wait_until: Callable[..., Any]
) -> None:
    with working(bus, settings):
        wait_until(lambda: len(bus.flow.workers()) == 1)
    assert len(bus.flow.workers()) == 0


def test_a_worker_tells_how_many_batches_it_has_cut(
    bus: Bus,
    settings: Settings,
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "HEARTBEAT_S", 0.1)
    with working(bus, settings):
        bus.flow.push_tickets(tickets(5))
        batches(bus, 5)
        wait_until(lambda: [sign.batches for sign in bus.flow.workers().values()] == [5])
        assert list(bus.flow.workers()) == [f"{socket.gethostname()}:{os.getpid()}"]


def test_a_worker_waits_out_redis(
    own_redis: RedisServer,
    settings: Settings,
    dataset: DataSet,
    wait_until: Callable[..., Any],
) -> None:
    bus = Bus(own_redis.url)
    with working(bus, settings) as (worker,):
        wait_until(lambda: len(bus.flow.workers()) == 1)
        own_redis.stop()
        wait_until(lambda: worker.reasons())
        assert worker.reasons()[0].startswith("Redis is away: ")
        own_redis.start()
        bus.flow.push_tickets(tickets(1))
        check(batches(bus, 1)[0], tickets(1)[0], dataset)
        wait_until(lambda: worker.reasons() == [])
    bus.close()


def environment_of(redis_url: str, settings: Settings, port: int, **more: str) -> dict[str, str]:
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("INKLING_")},
        "INKLING_REDIS_URL": redis_url,
        "INKLING_PORT": str(port),
        "INKLING_DATA_DIR": str(settings.data_dir),
        "INKLING_CACHE_DIR": str(settings.cache_dir),
        **more,
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_and_sign_off(
    bus: Bus,
    redis_url: str,
    settings: Settings,
    dataset: DataSet,
    tmp_path: Path,
    wait_until: Callable[..., Any],
    number: signal.Signals,
) -> None:
    port = free_port()
    environment = environment_of(redis_url, settings, port, INKLING_DATA_LATENCY_MS="60000")
    process = subprocess.Popen(
        [sys.executable, "-m", "services.data.worker"],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: len(bus.flow.workers()) == 1, what="the worker's first sign of life")

    def alive() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(alive)
    asked = tickets(2)
    bus.flow.push_tickets(asked)
    wait_until(lambda: bus.flow.lengths() == (1, 0), what="the worker to take a ticket")
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert len(bus.flow.workers()) == 0
    assert bus.flow.lengths() == (1, 1)  # the one in hand was answered, no other was taken
    check(batches(bus, 1)[0], asked[0], dataset)
