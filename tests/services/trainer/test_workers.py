"""How fast workers are: played signs of life, and the rates that come of them."""

from __future__ import annotations

import pytest

from services.trainer.workers import WINDOW_S, WorkerRates
from wire.flow import SignOfLife
from wire.messages import Worker


@pytest.fixture
def rates() -> WorkerRates:
    return WorkerRates()


def test_a_rate_comes_with_the_second_sign_of_life(rates: WorkerRates) -> None:
    assert rates.follow({"one": SignOfLife(40, 100.0)}) == [Worker("one", 0.0)]
    assert rates.follow({"one": SignOfLife(40, 100.0)}) == [Worker("one", 0.0)]  # the same again
    assert rates.follow({"one": SignOfLife(65, 101.25)}) == [Worker("one", 20.0)]


def test_a_rate_is_of_the_last_seconds_and_ends_with_the_work(rates: WorkerRates) -> None:
    for second in range(20):
        (worker,) = rates.follow({"one": SignOfLife(10 * second, second)})
    assert worker.batches_per_second == 10.0
    for second in range(20, 21 + int(WINDOW_S)):
        (worker,) = rates.follow({"one": SignOfLife(190, second)})
    assert worker.batches_per_second == 0.0


def test_workers_come_by_name_and_go(rates: WorkerRates) -> None:
    signs = {name: SignOfLife(0, 1.0) for name in ("c:1", "a:1", "b:1")}
    assert [worker.name for worker in rates.follow(signs)] == ["a:1", "b:1", "c:1"]
    del signs["b:1"]
    assert [worker.name for worker in rates.follow(signs)] == ["a:1", "c:1"]
    again = {"b:1": SignOfLife(90, 2.0)}  # what it told before it went is forgotten
    assert rates.follow(again) == [Worker("b:1", 0.0)]


def test_a_worker_that_counts_anew_has_no_rate_below_zero(rates: WorkerRates) -> None:
    rates.follow({"one": SignOfLife(500, 1.0)})
    assert rates.follow({"one": SignOfLife(3, 2.0)}) == [Worker("one", 0.0)]
    assert rates.follow({"one": SignOfLife(8, 3.0)}) == [Worker("one", 5.0)]
