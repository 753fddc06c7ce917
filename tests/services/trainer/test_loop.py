"""A real trainer in a thread, on a real Redis; the test is everybody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from nn.model import fresh_weights
from nn.training import descend, loss_and_gradients
from services.data.order import epoch_order
from services.trainer import feed as feed_module
from services.trainer.loop import DEAD_ITERATIONS
from tests.examples import checkpoint_of
from tests.services.trainer.conftest import RunningTrainer
from tests.wire.proxy import proxy_of
from wire.bus import Bus
from wire.calls import Call, Tune
from wire.curve import Curve
from wire.keys import Keys
from wire.messages import Frame, Mark, MarkKind, Origin, Snapshot, WeightsInfo

BATCH = 128
KEYS = Keys()


def frame_when(bus: Bus, wait_until, holds: Callable[[Frame], bool], what: str) -> Frame:
    def look() -> Frame | None:
        frame = bus.training.frame()
        return frame if frame is not None and holds(frame) else None

    frame: Frame = wait_until(look, 30, what)
    return frame


def leading(start_trainer, wait_until, **settings: object):
    """Start a trainer, and wait until it leads: what it finds there is no change."""
    trainer = start_trainer(**settings)
    frame_when(trainer.bus, wait_until, lambda _: True, "the first frame")
    return trainer


def train(bus: Bus, wait_until, iterations: int) -> Frame:
    revision = bus.wanted.change({"training": 1, "iterations": iterations})
    return frame_when(
        bus,
        wait_until,
        lambda frame: frame.revision >= revision and not frame.signal.training,
        f"the end of {iterations} iterations",
    )


def reference(small, iterations: int, seed: int = 0):
    """Train without Redis, workers or threads: a bare loop."""
    weights = fresh_weights(seed, 16, False)
    done = epoch = 0
    while True:
        order = epoch_order(seed, epoch, 1000)
        for start in range(0, 1000, BATCH):
            if done == iterations:
                return weights
            rows = order[start : start + BATCH]
            images = np.multiply(small.images[rows], np.float32(1 / 255), dtype=np.float32)
            gradients = loss_and_gradients(weights, images, small.labels[rows])[2]
            descend(weights, gradients, 0.1)
            done += 1
        epoch += 1


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_training_reaches_the_weights_of_a_bare_loop_to_the_bit(
    start_trainer, workers, bus, small, wait_until
) -> None:
    workers.add()
    start_trainer()
    frame = train(bus, wait_until, 60)
    assert frame.signal.iteration == 60
    assert frame.signal.trainer == "paused"
    assert same(bus.live.latest().weights, reference(small, 60))


def test_workers_that_race_and_lose_tickets_change_nothing(
    start_trainer, workers, bus, small, wait_until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LOST_AFTER_S", 0.1)
    monkeypatch.setattr(feed_module, "WAIT_S", 0.1)
    dropped: set[int] = set()

    def loses(ticket) -> bool:
        if ticket.number % 7 == 3 and ticket.number not in dropped:
            dropped.add(ticket.number)
            return True
        return False

    for _ in range(4):
        workers.add(loses)
    start_trainer()
    train(bus, wait_until, 40)
    assert dropped
    assert same(bus.live.latest().weights, reference(small, 40))


def test_every_iteration_is_told_once_and_in_order(start_trainer, workers, bus, wait_until) -> None:
    workers.add()
    start_trainer()
    stop, subscribed = threading.Event(), threading.Event()
    told: list[int] = []

    def listen() -> None:
        for news in bus.training.follow_frames(stop):
            if isinstance(news, Frame):
                told.extend(news.signal.history.iteration)
            subscribed.set()

    listener = threading.Thread(target=listen)
    listener.start()
    subscribed.wait(5)
    train(bus, wait_until, 200)
    wait_until(lambda: told and told[-1] == 200, what="the last iteration")
    stop.set()
    listener.join()
    assert told == list(range(1, 201))
    assert bus.training.curve().history().iteration == list(range(1, 201))


def test_the_cache_fills_without_training(start_trainer, workers, bus, wait_until) -> None:
    bus.wanted.change({"cache_size": 5})
    start_trainer()
    frame_when(bus, wait_until, lambda f: f.signal.data_futures_len == 5, "five tickets")
    workers.add()
    frame_when(bus, wait_until, lambda f: f.signal.data_len == 5, "five batches")
    assert bus.training.frame().signal.iteration == 0


def test_settings_are_obeyed_and_told_with_their_revision(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    start_trainer()
    changes = {"batch_size": 32, "learning_rate": 0.03, "cache_size": 3}
    revision = bus.wanted.change(changes)
    frame = frame_when(bus, wait_until, lambda f: f.revision >= revision, "the revision")
    signal = frame.signal
    assert (signal.batch_size, signal.lrate, signal.cache_size) == (32, 0.03, 3)


def test_a_second_trainer_stands_by_and_takes_over_where_the_first_left_off(
    start_trainer, workers, bus, small, wait_until
) -> None:
    workers.add()
    first = start_trainer()
    train(bus, wait_until, 30)
    second = start_trainer()
    first.stop()
    wait_until(bus.training.is_led, what="the second trainer")
    assert train(bus, wait_until, 30).signal.iteration == 60
    assert same(bus.live.latest().weights, reference(small, 60))
    second.stop()
    assert not bus.training.is_led()


def test_a_trainer_whose_lease_was_taken_publishes_nothing_more(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    start_trainer()
    bus.wanted.change({"training": 1, "iterations": None})
    frame_when(bus, wait_until, lambda f: f.signal.iteration > 10, "training")
    redis_server.client.set("inkling:{default}:lease", 999)  # somebody else's token
    frame = bus.training.frame()
    version = bus.live.latest().info.version
    redis_server.client.pexpire("inkling:{default}:lease", 1500)
    assert bus.training.frame().signal.iteration == frame.signal.iteration
    assert bus.live.latest().info.version == version
    frame_when(bus, wait_until, lambda f: f.signal.iteration > frame.signal.iteration, "again")


def test_replaced_weights_are_adopted_and_a_reset_repeats_the_run(
    start_trainer, workers, bus, small, wait_until
) -> None:
    workers.add()
    start_trainer()
    train(bus, wait_until, 25)
    version = bus.live.next_version()
    reset = Snapshot(fresh_weights(0, 16, False), WeightsInfo(version, 0, "reset"))
    assert bus.live.replace(reset, train=20)
    frame = frame_when(
        bus,
        wait_until,
        lambda f: f.generation == version and not f.signal.training,
        "the adoption",
    )
    assert frame.signal.iteration == 20
    assert same(bus.live.latest().weights, reference(small, 20))
    assert bus.training.curve().history().iteration == list(range(1, 21))


def test_tune_takes_one_step_without_counting_an_iteration(
    start_trainer, workers, bus, small, wait_until
) -> None:
    workers.add()
    start_trainer()
    train(bus, wait_until, 10)
    weights = reference(small, 10)
    image = np.random.default_rng(1).random((1, 784), dtype=np.float32)
    reply = bus.calls.call("trainer", Tune(image.tobytes(), [4]))
    loss, _, gradients = loss_and_gradients(weights, image, np.array([4]))
    descend(weights, gradients, 0.1)
    live = bus.live.latest()
    assert (reply.status, reply.loss) == (200, loss)
    assert (live.info.version, live.info.origin, live.info.iteration) == (reply.version, "tune", 10)
    assert same(live.weights, weights)


def test_tunes_that_come_together_are_all_answered_at_once(
    start_trainer, bus, redis_server, wait_until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WAIT_S", 1.9)  # so long it would rest between two of them
    leading(start_trainer, wait_until)
    calls = [msgspec.msgpack.encode(Call(f"{k}", Tune(bytes(4 * 784), [4]))) for k in range(6)]
    redis_server.client.rpush(KEYS.calls("trainer"), *calls)
    began = time.monotonic()
    bus.wanted.wake()
    wait_until(lambda: all(redis_server.client.llen(KEYS.reply(f"{k}")) for k in range(6)))
    assert time.monotonic() - began < 5 * 1.9 / 2


def test_divergence_is_told_and_leaves_finite_weights(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    leading(start_trainer, wait_until)
    obeyed(bus, wait_until, learning_rate=10.0)
    version = bus.live.next_version()
    huge = fresh_weights(0, 16, False)
    huge = huge.with_arrays(array * np.float32(1e25) for array in huge.arrays)
    bus.live.replace(Snapshot(huge, WeightsInfo(version, 5, "upload")), train=100)
    frame = frame_when(bus, wait_until, lambda f: f.signal.problem is not None, "the problem")
    assert frame.signal.problem is not None
    assert "diverged at iteration 6" in frame.signal.problem
    assert frame.signal.iteration == 5
    assert "learning rate 10 is too high" in frame.signal.problem
    assert not frame.signal.training
    assert brief(marks_of(bus)) == [("lrate", 0, 10.0), ("upload", 5, version), ("diverged", 5, 10)]
    assert all(np.isfinite(array).all() for array in bus.live.latest().weights.arrays)
    revision = bus.wanted.change({"learning_rate": 0.01})
    frame = frame_when(bus, wait_until, lambda f: f.revision >= revision, "the remedy")
    assert frame.signal.problem is None


def test_a_trainer_without_workers_says_that_it_waits(start_trainer, bus, wait_until) -> None:
    start_trainer()
    bus.wanted.change({"training": 1, "iterations": None})
    frame_when(bus, wait_until, lambda f: f.signal.trainer == "waiting for data", "the word")


# --- marks ----------------------------------------------------------------------------------
def marks_of(bus: Bus) -> list[Mark]:
    """Return the marks that somebody gets who comes now."""
    return bus.training.curve().history().marks


def brief(marks: list[Mark]) -> list[tuple[MarkKind, int, float]]:
    return [(mark.kind, mark.iteration, mark.value) for mark in marks]


def replace(bus: Bus, iteration: int, origin: Origin, train: int | None = None) -> int:
    """Replace the run's weights; return the version."""
    version = bus.live.next_version()
    fresh = Snapshot(fresh_weights(0, 16, False), WeightsInfo(version, iteration, origin))
    assert bus.live.replace(fresh, train=train)
    return version


def obeyed(bus: Bus, wait_until, **changes: float) -> Frame:
    revision = bus.wanted.change(changes)
    return frame_when(bus, wait_until, lambda f: f.revision >= revision, "obedience")


def adopted(bus: Bus, wait_until, version: int) -> Frame:
    return frame_when(bus, wait_until, lambda f: f.generation >= version, "the adoption")


def test_each_change_of_a_setting_leaves_a_mark_also_while_paused(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    leading(start_trainer, wait_until)
    before = int(time.time() * 1000)
    obeyed(bus, wait_until, learning_rate=0.5)
    assert brief(marks_of(bus)) == [("lrate", 0, 0.5)]
    train(bus, wait_until, 20)
    obeyed(bus, wait_until, learning_rate=0.5, batch_size=64, cache_size=4)
    assert brief(marks_of(bus)) == [
        ("lrate", 0, 0.5),
        ("batch_size", 20, 64),
        ("cache_size", 20, 4),
    ]
    times = [mark.at for mark in marks_of(bus)]
    assert before <= times[0] < times[1] < times[2] <= time.time() * 1000 + 3


def test_marks_come_with_the_frame_that_tells_of_the_change(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    start_trainer()
    train(bus, wait_until, 1)
    stop, subscribed = threading.Event(), threading.Event()
    told: list[tuple[float, list[Mark]]] = []

    def listen() -> None:
        for news in bus.training.follow_frames(stop):
            if isinstance(news, Frame):
                told.append((news.signal.lrate, news.signal.history.marks))
            subscribed.set()

    listener = threading.Thread(target=listen)
    listener.start()
    subscribed.wait(5)
    obeyed(bus, wait_until, learning_rate=0.25)
    wait_until(lambda: told and told[-1][0] == 0.25, what="the frame")
    stop.set()
    listener.join()
    assert [brief(marks) for _, marks in told if marks] == [[("lrate", 1, 0.25)]]


def test_weights_that_are_replaced_leave_a_mark_where_the_run_went(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    start_trainer()
    train(bus, wait_until, 25)
    obeyed(bus, wait_until, cache_size=8)
    upload = replace(bus, 25, "upload")
    adopted(bus, wait_until, upload)
    assert brief(marks_of(bus)) == [("cache_size", 25, 8), ("upload", 25, upload)]
    restore = replace(bus, 10, "restore")
    adopted(bus, wait_until, restore)
    assert brief(marks_of(bus)) == [("restore", 10, restore)]
    obeyed(bus, wait_until, cache_size=4)
    reset = replace(bus, 0, "reset", train=5)
    frame_when(bus, wait_until, lambda f: f.signal.iteration == 5, "a new run")
    assert brief(marks_of(bus)) == [("reset", 0, reset)]


def test_a_drawing_that_is_taught_leaves_a_mark(start_trainer, workers, bus, wait_until) -> None:
    workers.add()
    start_trainer()
    train(bus, wait_until, 10)
    image = np.random.default_rng(1).random((1, 784), dtype=np.float32)
    version = bus.calls.call("trainer", Tune(image.tobytes(), [4])).version
    assert brief(marks_of(bus)) == [("tune", 10, version)]
    bus.wanted.change({"learning_rate": 10.0})
    huge = np.full((1, 784), 1e38, np.float32)
    assert bus.calls.call("trainer", Tune(huge.tobytes(), [4])).status == 422
    assert [mark.kind for mark in marks_of(bus)] == ["tune", "lrate"]


def test_a_drawing_is_taught_after_what_was_wanted_before_it(
    bus, redis_server, small, wait_until
) -> None:
    bus.flow.announce(small.info)
    with proxy_of(redis_server.port) as proxy:
        trainer = RunningTrainer(proxy.url)
        frame_when(bus, wait_until, lambda _: True, "the first frame")
        proxy.hold(KEYS.calls("trainer").encode())
        assert proxy.holds.wait(10)  # it has just looked at what is wanted
        bus.wanted.change({"learning_rate": 0.5})
        caller = threading.Thread(
            target=bus.calls.call, args=("trainer", Tune(bytes(4 * 784), [4]))
        )
        caller.start()
        wait_until(lambda: redis_server.client.llen(KEYS.calls("trainer")) == 1)
        proxy.go_on()
        caller.join()
        trainer.stop()
    assert [mark.kind for mark in marks_of(bus)] == ["lrate", "tune"]


def test_a_drawing_that_is_said_not_to_be_taught_is_not(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    start_trainer()
    train(bus, wait_until, 10)
    image = np.random.default_rng(1).random((1, 784), dtype=np.float32)

    def refused() -> Snapshot | None:
        """Take the lease away, teach a drawing: return what was live if that came too late."""
        before = bus.live.latest()
        redis_server.client.delete(KEYS.lease)
        reply = bus.calls.call("trainer", Tune(image.tobytes(), [4]))
        return before if reply.status == 503 else None

    before = wait_until(refused)
    wait_until(lambda: bus.live.latest().info.version > before.info.version, what="the lead again")
    assert same(bus.live.latest().weights, before.weights)


def test_the_next_trainer_has_the_marks_and_makes_none_of_what_it_finds(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    first = leading(start_trainer, wait_until)
    obeyed(bus, wait_until, learning_rate=0.5)
    train(bus, wait_until, 5)
    marks = marks_of(bus)
    first.stop()
    revision = bus.wanted.change({"learning_rate": 0.25})
    second = start_trainer()
    frame_when(bus, wait_until, lambda f: f.revision >= revision, "the second trainer")
    train(bus, wait_until, 5)
    assert marks_of(bus) == marks
    second.stop()
    restore = replace(bus, 3, "restore")  # while nobody leads
    start_trainer()
    adopted(bus, wait_until, restore)
    assert brief(marks_of(bus)) == [("lrate", 0, 0.5), ("restore", 3, restore)]


# --- where a training began -----------------------------------------------------------------
def test_where_a_training_began_is_told_and_survives_restart_and_restore(
    start_trainer, workers, bus, wait_until
) -> None:
    workers.add()
    first = start_trainer()
    train(bus, wait_until, 5)

    def bounds(holds: Callable[[Frame], bool]) -> tuple[int | None, int | None]:
        signal = frame_when(bus, wait_until, holds, "the frame").signal
        return signal.start_iteration, signal.target_iteration

    revision = bus.wanted.change({"training": 1, "iterations": 1_000_000})
    assert bounds(lambda f: f.revision >= revision) == (5, 1_000_005)
    first.stop()
    start_trainer()
    revision = bus.wanted.change({"cache_size": 5})
    assert bounds(lambda f: f.revision >= revision) == (5, 1_000_005)
    version = replace(bus, 0, "reset")
    start, target = bounds(lambda f: f.generation >= version)
    assert start is not None
    assert start <= 5
    assert target == start + 1_000_000
    revision = bus.wanted.change({"training": 0})
    assert bounds(lambda f: f.revision >= revision) == (None, None)


# --- a network that has died ----------------------------------------------------------------
@pytest.mark.parametrize("biases", [False, True])
def test_a_network_that_has_died_stops_and_says_so_until_it_is_reset(
    start_trainer, workers, bus, wait_until, biases: bool
) -> None:
    workers.add()
    start_trainer(biases=biases)
    weights = fresh_weights(0, 16, biases)
    weights.matrices[0][:] = -1  # all images are at least 0: no hidden unit is ever on
    version = bus.live.next_version()
    bus.live.replace(Snapshot(weights, WeightsInfo(version, 7, "upload")), train=1000)
    frame = frame_when(bus, wait_until, lambda f: f.signal.problem is not None, "the problem")
    assert frame.signal.problem == (
        "The network has died: all its hidden units are off. Lower the learning rate, then reset."
    )
    died_at = 7 + DEAD_ITERATIONS
    assert (frame.signal.iteration, frame.signal.training) == (died_at, False)
    assert brief(marks_of(bus)) == [("upload", 7, version), ("diverged", died_at, 0.1)]
    assert (bus.live.latest().weights.matrices[0] == -1).all()  # it is left as it is
    assert obeyed(bus, wait_until, learning_rate=0.01).signal.problem == frame.signal.problem
    fresh = bus.live.next_version()
    alive = Snapshot(fresh_weights(0, 16, biases), WeightsInfo(fresh, 0, "reset"))
    bus.live.replace(alive, train=2 * DEAD_ITERATIONS)
    frame = frame_when(
        bus, wait_until, lambda f: f.generation == fresh and not f.signal.training, "a new run"
    )
    assert (frame.signal.iteration, frame.signal.problem) == (2 * DEAD_ITERATIONS, None)


# --- workers --------------------------------------------------------------------------------
def test_workers_are_told_with_their_rates(start_trainer, bus, wait_until) -> None:
    start_trainer()
    for number in range(70):
        bus.flow.heartbeat(f"host:{number:02}", 0)
    signal = frame_when(bus, wait_until, lambda f: f.signal.data_workers == 70, "workers").signal
    assert [worker.name for worker in signal.workers] == [f"host:{k:02}" for k in range(64)]
    for number in range(1, 70):
        bus.flow.sign_off(f"host:{number:02}")
    bus.flow.heartbeat("host:00", 1000)
    signal = frame_when(bus, wait_until, lambda f: f.signal.data_workers == 1, "one left").signal
    assert [worker.name for worker in signal.workers] == ["host:00"]
    assert signal.workers[0].batches_per_second > 50


# --- what stands in Redis and is not as it should be ----------------------------------------
def test_a_trainer_that_finds_settings_it_cannot_read_loses_nothing(
    start_trainer, workers, bus, small, redis_server, wait_until
) -> None:
    workers.add()
    first = start_trainer()
    train(bus, wait_until, 30)
    first.stop()
    redis_server.client.hset(KEYS.settings, "batch_size", b"\xff")
    second = start_trainer()
    wait_until(second.trainer.reasons)
    redis_server.client.hset(KEYS.settings, "batch_size", 128)
    assert train(bus, wait_until, 30).signal.iteration == 60
    assert same(bus.live.latest().weights, reference(small, 60))


def test_a_data_set_that_shrank_is_gone_on_with_at_its_next_epoch(
    start_trainer, workers, bus, wait_until
) -> None:
    checkpoint = checkpoint_of(7, weights=fresh_weights(0, 16, False), dataset="small",
                               epoch=3, position=5000)  # fmt: skip
    token = bus.training.acquire()
    assert bus.training.save(checkpoint, Curve(), token=token)
    bus.training.release(token)
    workers.add()
    start_trainer()
    assert train(bus, wait_until, 3).signal.epoch == 4


def test_a_trainer_survives_calls_wake_ups_workers_and_tickets_that_are_none(
    start_trainer, workers, bus, redis_server, wait_until
) -> None:
    workers.add()
    trainer = leading(start_trainer, wait_until)
    client = redis_server.client
    client.rpush(KEYS.calls("trainer"), b"\xff", b"\x82\xa4name\xa1\xff")
    client.zadd(KEYS.workers, {b"\xff": "inf", b"liar": "inf"})
    client.hset(KEYS.worker_batches, mapping={b"\xff": b"many", b"liar": b"9" * 400})
    client.lpush(KEYS.wake, b"\n\n")
    assert bus.calls.call("trainer", Tune(b"\0" * 7, [1])).status == 422
    assert bus.calls.call("trainer", Tune(bytes(4 * 784), [10])).status == 422
    assert train(bus, wait_until, 20).signal.iteration == 20
    assert trainer.thread.is_alive()
    frame_when(bus, wait_until, lambda f: "liar" in [w.name for w in f.signal.workers], "liar")
