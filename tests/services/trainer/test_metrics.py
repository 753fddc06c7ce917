"""What a trainer tells /metrics: each of it moves when it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from services.trainer import feed as feed_module
from services.trainer import reporter as reporter_module
from tests.running import RedisServer
from wire.bus import Bus
from wire.flow import DataFlow
from wire.keys import Keys
from wire.messages import Ticket


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"inkling_{name}", labels) or 0.0


@pytest.fixture
def moved() -> Callable[[str], float]:
    """Return by how much a counter has moved since the test began."""
    names = [family.name for family in REGISTRY.collect() if family.type == "counter"]
    before = {name: REGISTRY.get_sample_value(f"{name}_total") or 0.0 for name in names}
    return lambda name: value(f"{name}_total") - before[f"inkling_{name}"]


def test_iterations_samples_and_checkpoints_are_counted(
    start_trainer, workers, bus: Bus, wait_until, moved
) -> None:
    workers.add()
    start_trainer()
    bus.wanted.change({"training": 1, "iterations": 40})
    wait_until(lambda: moved("trainer_iterations") == 40, what="the iterations")
    epochs, rest = divmod(40, 8)  # 1,000 examples in batches of 128
    assert moved("trainer_samples") == 1000 * epochs + 128 * rest
    wait_until(lambda: value("trainer_iteration") == 40, what="the iteration")
    assert value("trainer_loss") > 0
    wait_until(lambda: moved("trainer_checkpoints") >= 2, what="checkpoints at its start and end")


def test_who_leads_and_trains_shows(start_trainer, workers, bus: Bus, wait_until) -> None:
    workers.add()
    trainer = start_trainer()
    wait_until(lambda: value("trainer_leading") == 1, what="the lead")
    assert value("trainer_training") == 0
    bus.wanted.change({"training": 1})
    wait_until(lambda: value("trainer_training") == 1, what="training")
    trainer.stop()
    assert (value("trainer_leading"), value("trainer_training")) == (0, 0)


def test_without_workers_tickets_queue_up_and_grow_old(
    start_trainer, bus: Bus, wait_until, moved
) -> None:
    start_trainer()
    bus.wanted.change({"training": 1, "cache_size": 5})
    wait_until(lambda: value("trainer_queue_length", queue="tickets") == 5, what="the queue")
    wait_until(lambda: value("trainer_ticket_age_seconds") > 0.5, what="the age")
    wait_until(lambda: moved("trainer_data_wait_seconds") > 0.5, what="the time waited")
    bus.wanted.change({"training": 0})
    wait_until(lambda: value("trainer_ticket_age_seconds") == 0, what="the end of the wait")


def test_batches_that_wait_for_training_are_counted(
    start_trainer, workers, bus: Bus, wait_until
) -> None:
    workers.add()
    start_trainer()  # which may have taken some of them already
    wait_until(
        lambda: 0 < value("trainer_queue_length", queue="batches") == bus.flow.lengths()[1],
        what="the batches",
    )


def test_living_workers_are_counted(
    start_trainer, bus: Bus, wait_until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "RENEW_S", 0.1)
    start_trainer()

    def two_live() -> bool:
        for name in ("one", "two"):
            bus.flow.heartbeat(name, 1)
        return value("trainer_data_workers") == 2

    wait_until(two_live, what="two workers")


def test_tickets_issued_again_and_batches_that_come_twice_are_counted(
    start_trainer, workers, bus: Bus, small, wait_until, moved,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(feed_module, "LOST_AFTER_S", 0.2)
    monkeypatch.setattr(feed_module, "WAIT_S", 0.05)
    lost: list[Ticket] = []

    def loses(ticket: Ticket) -> bool:
        if not lost:
            lost.append(ticket)
            return True
        return False

    workers.add(loses)
    start_trainer()
    bus.wanted.change({"training": 1})
    wait_until(lambda: moved("trainer_tickets_reissued") == 1, what="the ticket, again")
    late = small.batch(lost[0])  # from a worker that was thought dead
    wait_until(lambda: value("trainer_iteration") > 20, what="training")
    bus.flow.push_batch(late)
    wait_until(lambda: moved("trainer_duplicate_batches") == 1, what="the late batch")


def test_a_lease_that_is_lost_is_counted(
    start_trainer, bus: Bus, redis_server: RedisServer, wait_until, moved
) -> None:
    start_trainer()
    wait_until(lambda: value("trainer_leading") == 1, what="the lead")
    redis_server.client.set(Keys().lease, "1000000", ex=60)
    wait_until(lambda: moved("trainer_leases_lost") == 1, what="the loss")
    wait_until(lambda: value("trainer_leading") == 0, what="standing by")


def test_the_flow_has_an_age_for_the_ticket_that_is_due(bus: Bus, small) -> None:
    flow: DataFlow = bus.flow
    feed = feed_module.Feed(flow, small.info, 5, 64, 7, feed_module.START)
    assert feed.ticket_age_s == 0
    feed.rest(2)
    assert 0 < feed.ticket_age_s < 30
