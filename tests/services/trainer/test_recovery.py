"""What a trainer does when Redis fails it, forgets, or lets another one lead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from nn.model import fresh_weights
from tests.running import RedisServer
from tests.services.trainer.conftest import Helpers, RunningTrainer
from tests.services.trainer.test_loop import adopted, frame_when, obeyed, reference, replace, same
from wire.bus import Bus
from wire.calls import Tune
from wire.keys import Keys
from wire.messages import Frame, Snapshot, WeightsInfo

KEYS = Keys()


@pytest.fixture
def told(bus: Bus) -> Iterator[list[Frame]]:
    """Every frame that is told from now on."""
    stop, subscribed = threading.Event(), threading.Event()
    frames: list[Frame] = []

    def listen() -> None:
        for news in bus.training.follow_frames(stop):
            if isinstance(news, Frame):
                frames.append(news)
            subscribed.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert subscribed.wait(5)
    yield frames
    stop.set()
    listener.join()


def iterations(frames: list[Frame]) -> list[int]:
    return [k for frame in frames for k in frame.signal.history.iteration]


def leads(bus: Bus, wait_until) -> None:
    frame_when(bus, wait_until, lambda _: True, "the first frame")


def test_what_redis_refused_is_told_once_when_it_takes_it(
    start_trainer, workers, bus, small, redis_server, told, wait_until
) -> None:
    workers.add()
    start_trainer()
    leads(bus, wait_until)
    redis_server.client.set(KEYS.recent, "no list")  # the first frame that has a history is refused
    bus.wanted.change({"training": 1, "iterations": 40})
    wait_until(lambda: iterations(told)[-1:] == [40], what="the last iteration")
    assert iterations(told) == list(range(1, 41))
    numbers = [frame.number for frame in told]
    assert numbers == sorted(set(numbers))
    wait_until(lambda: bus.training.checkpoint().iteration == 40, what="the last checkpoint")
    assert same(bus.training.checkpoint().weights, reference(small, 40))
    assert same(bus.live.latest().weights, reference(small, 40))
    assert bus.training.curve().history().iteration == list(range(1, 41))


def test_what_was_not_told_before_another_led_is_not_told_after_it(
    start_trainer, workers, bus, redis_server, told, wait_until
) -> None:
    workers.add()
    start_trainer()
    leads(bus, wait_until)
    bus.wanted.change({"training": 1, "iterations": None})
    frame_when(bus, wait_until, lambda f: f.signal.iteration > 100, "training")
    client = redis_server.client
    first = int(client.get(KEYS.lease))
    pipe = client.pipeline(transaction=True)  # another one leads, and has nothing to tell
    pipe.set(KEYS.lease, first + 1, px=1000)
    pipe.set(KEYS.tokens, first + 1)
    pipe.execute()
    checkpoint = bus.training.checkpoint()
    again = wait_until(
        lambda: [f for f in told if f.number >> 20 > first and iterations([f])],
        what="iterations of the first one again",
    )
    assert again[0].signal.history_from == checkpoint.iteration


def test_replaced_weights_that_redis_forgot_are_told_again(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    start_trainer()
    leads(bus, wait_until)
    client = redis_server.client
    kept = {key: client.dump(key) for key in (KEYS.weights, KEYS.checkpoint, KEYS.version)}
    version = replace(bus, 25, "upload")
    adopted(bus, wait_until, version)
    for key, data in kept.items():  # as if the last second had not reached the disk
        client.restore(key, 0, data, replace=True)
    bus.wanted.wake()
    wait_until(lambda: bus.live.generation() == version, what="the upload")
    live = bus.live.latest()
    assert (live.info.iteration, live.info.version > version) == (25, True)
    assert same(live.weights, fresh_weights(0, 16, False))
    assert bus.training.checkpoint().generation == version


def test_a_redis_that_lost_everything_gets_the_run_back(
    start_trainer, workers, bus, small, redis_server, wait_until
) -> None:
    workers.add()
    start_trainer()
    leads(bus, wait_until)
    bus.wanted.change({"training": 1, "iterations": 40})
    frame_when(bus, wait_until, lambda f: f.signal.iteration == 40, "the end")
    wait_until(lambda: bus.training.checkpoint().iteration == 40, what="the last checkpoint")
    redis_server.client.flushall()
    bus.flow.announce(small.info)
    frame_when(bus, wait_until, lambda f: f.signal.iteration == 40, "the run")
    wait_until(bus.training.checkpoint, what="the checkpoint")
    assert same(bus.training.checkpoint().weights, reference(small, 40))
    assert bus.training.curve().history().iteration == list(range(1, 41))


def test_a_drawing_that_was_overtaken_is_not_said_to_be_taught(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    start_trainer()
    leads(bus, wait_until)
    obeyed(bus, wait_until, cache_size=4)
    image = np.random.default_rng(1).random((1, 784), dtype=np.float32)
    # Between the trainer's look and its step, somebody replaces the weights: a newer version is
    # live under a generation that is not looked at.
    redis_server.client.hset(KEYS.weights, "version", 2**40)
    reply = bus.calls.call("trainer", Tune(image.tobytes(), [4]))
    assert (reply.status, reply.version) == (503, 0)
    assert "the step was not taken" in reply.detail


def test_a_divergence_that_could_not_be_told_leaves_numbers_behind(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    start_trainer()
    leads(bus, wait_until)
    obeyed(bus, wait_until, learning_rate=10.0)
    huge = fresh_weights(0, 16, False)
    huge = huge.with_arrays(array * np.float32(1e25) for array in huge.arrays)
    version = bus.live.next_version()
    assert bus.live.replace(Snapshot(huge, WeightsInfo(version, 5, "upload")))
    adopted(bus, wait_until, version)
    redis_server.client.set(KEYS.recent, "no list")  # no iteration can be told
    bus.wanted.change({"training": 1, "iterations": 100})
    # It gets no further than to tell: again and again, as the lease that is renewed shows.
    wait_until(lambda: redis_server.client.llen(KEYS.wake) == 0, what="the training")
    redis_server.client.delete(KEYS.recent)
    frame = frame_when(bus, wait_until, lambda f: f.signal.problem is not None, "the problem")
    assert "diverged" in (frame.signal.problem or "")
    assert all(np.isfinite(array).all() for array in bus.live.latest().weights.arrays)
    assert all(np.isfinite(array).all() for array in bus.training.checkpoint().weights.arrays)


def test_a_trainer_is_ready_again_when_redis_is(own_redis, wait_until, small) -> None:
    trainer = RunningTrainer(own_redis.url)
    try:
        trainer.bus.flow.announce(small.info)
        wait_until(trainer.bus.training.frame, what="the first frame")
        own_redis.stop()
        wait_until(trainer.trainer.reasons, what="the reason")
        own_redis.start()
        wait_until(lambda: not trainer.trainer.reasons(), what="readiness")
        wait_until(trainer.bus.training.is_led, what="the lead")
    finally:
        trainer.stop()


@pytest.mark.parametrize("fill", [RedisServer.full_memory, RedisServer.full_disk])
def test_a_trainer_says_why_it_pauses_while_redis_takes_no_writes_and_goes_on(
    own_redis, wait_until, small, fill
) -> None:
    trainer, bus, workers = (
        RunningTrainer(own_redis.url),
        Bus(own_redis.url),
        Helpers(own_redis.url, small),
    )
    try:
        bus.flow.announce(small.info)
        leads(bus, wait_until)
        with fill(own_redis):
            (reason,) = wait_until(trainer.trainer.reasons, what="the reason")
            assert reason.startswith("Redis takes no writes: ")
        wait_until(lambda: not trainer.trainer.reasons(), what="readiness")
        workers.add()
        bus.wanted.change({"training": 1, "iterations": 40})
        frame_when(bus, wait_until, lambda f: f.signal.iteration == 40, "the end")
        live = bus.live.latest()
        assert live is not None
        assert same(live.weights, reference(small, 40))
    finally:
        workers.stop()
        trainer.stop()
        bus.close()


def test_a_trainer_that_ends_while_redis_restarts_leaves_its_last_iteration(
    own_redis, wait_until, small
) -> None:
    trainer, helpers = RunningTrainer(own_redis.url), Helpers(own_redis.url, small)
    try:
        trainer.bus.flow.announce(small.info)
        helpers.add()
        trainer.bus.wanted.change({"training": 1, "iterations": None})
        frame_when(trainer.bus, wait_until, lambda f: f.signal.iteration > 100, "training")
        helpers.stop()
        own_redis.stop()
        wait_until(trainer.trainer.reasons, what="the pause")
        trainer.stopping.set()
        wait_until(lambda: not trainer.trainer._reporter._thread.is_alive(), what="the leaving")
        own_redis.start()
    finally:
        helpers.stop()
        trainer.stop()
    assert left_behind(own_redis.url) == trainer.trainer._state.iteration


def test_a_trainer_that_ends_after_its_lease_ran_out_leaves_its_last_iteration(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    trainer = start_trainer()
    bus.wanted.change({"training": 1, "iterations": None})
    frame_when(bus, wait_until, lambda f: f.signal.iteration > 100, "training")
    redis_server.client.delete(KEYS.lease)
    trainer.stop()
    assert left_behind(redis_server.url) == trainer.trainer._state.iteration


def left_behind(url: str) -> int:
    """Return the iteration of the checkpoint that a trainer left, and the lease with it."""
    bus = Bus(url)
    checkpoint = bus.training.checkpoint()
    assert checkpoint is not None
    assert not bus.training.is_led()
    bus.close()
    return checkpoint.iteration
