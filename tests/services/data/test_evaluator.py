"""The test accuracy of live weights, and of others that somebody asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from nn.evaluation import evaluate
from nn.model import Weights
from ops.problems import Problem
from services.data.datasets import Places, prepare
from services.data.evaluator import INTERVAL_S, Evaluator
from services.data.idx import Split
from services.data.reports import Reports
from tests.examples import snapshot_of
from tests.running import RedisServer
from tests.services.data.samples import put, small_set
from wire.bus import Bus
from wire.messages import Evaluation, Snapshot, WeightsInfo


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Fifty examples to test with."""
    folder = tmp_path_factory.mktemp("data")
    places = Places(put(folder / "files", small_set(4)), folder / "cache")
    return prepare("mnist", places, lambda _: None).test


def accuracy_on(weights: Weights, split: Split) -> float:
    return evaluate(weights, split.images, split.labels).accuracy


class Heard:
    """An evaluator at work, the evaluations that were published, and its reports."""

    def __init__(self, bus: Bus, split: Split) -> None:
        self.reports = Reports(bus, "mnist", split)
        self.stop = threading.Event()
        self.all: list[Evaluation | None] = []
        listen = threading.Thread(target=self._listen, args=(bus,))
        listen.start()
        self.threads = [listen]
        self._start = lambda: self.threads.extend(Evaluator(bus, self.reports).start(self.stop))

    def _listen(self, bus: Bus) -> None:
        for evaluation in bus.live.follow_evaluations(self.stop):
            self.all.append(evaluation)

    def start(self) -> None:
        """Start the evaluator."""
        self._start()

    @property
    def evaluations(self) -> list[Evaluation]:
        """What was heard so far."""
        return [one for one in self.all if one is not None]

    def close(self) -> None:
        """End everything."""
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def start(wait_until: Callable[..., Any]) -> Iterator[Callable[[Bus, Split], Heard]]:
    made: list[Heard] = []

    def begin(bus: Bus, split: Split) -> Heard:
        heard = Heard(bus, split)
        made.append(heard)
        wait_until(lambda: heard.all == [None])  # it listens
        heard.start()
        return heard

    yield begin
    for heard in made:
        heard.close()


def test_live_weights_are_measured(
    bus: Bus, split: Split, start: Callable[..., Heard], wait_until: Callable[..., Any]
) -> None:
    bus.live.replace(snapshot_of(3, 700, "upload"))
    heard = start(bus, split)
    evaluation = wait_until(bus.live.evaluation)
    assert evaluation == Evaluation(3, 700, accuracy_on(snapshot_of(3).weights, split), live=True)
    wait_until(lambda: heard.evaluations == [evaluation])
    report = heard.reports.newest()
    assert (report.version, report.outcome.accuracy) == (3, evaluation.test_acc)


def test_of_many_live_weights_the_newest_is_measured_in_the_end(
    bus: Bus, split: Split, start: Callable[..., Heard], wait_until: Callable[..., Any]
) -> None:
    heard = start(bus, split)
    for version in range(1, 60):
        bus.live.replace(snapshot_of(version, origin="upload"))
    wait_until(lambda: heard.evaluations and heard.evaluations[-1].version == 59)
    assert len(heard.evaluations) <= 1 + 20 / INTERVAL_S
    assert heard.evaluations[-1].test_acc == accuracy_on(snapshot_of(59).weights, split)
    versions = [one.version for one in heard.evaluations]
    assert versions == sorted(set(versions))


def test_other_weights_are_measured_when_asked_for(
    bus: Bus, split: Split, start: Callable[..., Heard], wait_until: Callable[..., Any]
) -> None:
    bus.live.ask_evaluation(snapshot_of(8))
    bus.live.ask_evaluation(snapshot_of(9))
    heard = start(bus, split)
    wait_until(lambda: len(heard.evaluations) == 2)
    assert heard.evaluations == [
        Evaluation(version, 0, accuracy_on(snapshot_of(version).weights, split), live=False)
        for version in (8, 9)
    ]
    assert bus.live.evaluation() is None
    with pytest.raises(Problem, match="No weights are evaluated yet"):
        heard.reports.newest()


@pytest.mark.parametrize("shape", [(5, 3), (784, 3)])
def test_weights_of_another_shape_are_passed_over(
    bus: Bus,
    split: Split,
    start: Callable[..., Heard],
    wait_until: Callable[..., Any],
    shape: tuple[int, int],
) -> None:
    odd = Snapshot(Weights((np.ones(shape, np.float32),)), WeightsInfo(1, 0, "upload"))
    bus.live.replace(odd)
    bus.live.ask_evaluation(odd)
    heard = start(bus, split)
    bus.live.ask_evaluation(snapshot_of(2))
    wait_until(lambda: [one.version for one in heard.evaluations] == [2])
    bus.live.replace(snapshot_of(3, origin="upload"))
    wait_until(lambda: [one.version for one in heard.evaluations] == [2, 3])


def test_what_could_not_be_told_while_redis_was_away_is_told_later(
    own_redis: RedisServer,
    split: Split,
    start: Callable[..., Heard],
    wait_until: Callable[..., Any],
) -> None:
    bus = Bus(own_redis.url)
    heard = start(bus, split)
    bus.live.replace(snapshot_of(1, origin="upload"))
    wait_until(lambda: heard.evaluations)
    bus.live.replace(snapshot_of(2, origin="upload"))  # heard of, but not yet due
    own_redis.stop()
    own_redis.start()
    wait_until(lambda: bus.live.evaluation() == Evaluation(
        2, 0, accuracy_on(snapshot_of(2).weights, split), live=True))  # fmt: skip
    heard.close()
    bus.close()


def test_requests_that_are_none_hold_up_no_others(
    bus: Bus,
    redis_server: RedisServer,
    split: Split,
    start: Callable[[Bus, Split], Heard],
    wait_until: Callable[..., Any],
) -> None:
    redis_server.client.rpush("inkling:{default}:to-evaluate", *[b"nonsense"] * 60)
    bus.live.ask_evaluation(snapshot_of(3))
    heard = start(bus, split)
    wait_until(lambda: [one.version for one in heard.evaluations] == [3], 10)
