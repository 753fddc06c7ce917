"""What viewers see: the whole curve at first, then each iteration once, however slow they are."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from ops.settings import Settings
from services.gateway.api import create_app
from tests.examples import checkpoint_of, frame_of, mark_of, snapshot_of
from tests.services.gateway.people import Page, PlayedTrainer
from tests.serving import served
from wire.bus import Bus
from wire.codec import decode_snapshot, decode_weights
from wire.curve import MAX_VIEWER_POINTS, MAX_VIEWER_TEST_POINTS, Curve
from wire.messages import Evaluation, History, ResponseSignal

NINE = {"loss", "acc", "batch_size", "lrate", "data_len", "data_futures_len", "iteration",
        "cache_size", "weights"}  # fmt: skip


# --- the first frame ------------------------------------------------------------------------
def test_the_first_frame_has_the_whole_state(bus: Bus) -> None:
    trainer = PlayedTrainer(bus)
    trainer.tell(1, 2, dataset="synthetic", dataset_reason="as asked", data_workers=3, version=5)
    bus.live.publish_evaluation(Evaluation(5, 2, 0.875, live=True))
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.points and page.last["test_acc"])
    assert set(page.last) == set(ResponseSignal.__struct_fields__) >= NINE
    assert page.last["type"] == "ResponseSignal"
    assert page.last["weights"] is None
    assert (page.last["iteration"], page.last["loss"], page.last["acc"]) == (2, 0.5, 0.25)
    assert (page.last["dataset"], page.last["dataset_reason"]) == ("synthetic", "as asked")
    assert (page.last["data_workers"], page.last["version"]) == (3, 5)
    assert page.last["test_acc"] == 0.875
    assert page.points == [(1, 1.0, 0.5), (2, 0.5, 0.25)]


def test_the_first_frame_has_the_whole_curve_thinned_with_its_spikes(
    bus: Bus, gateway: str
) -> None:
    trainer = PlayedTrainer(bus)
    count, spike = 20_000, 12_345
    losses: list[float | None] = [0.25] * count
    losses[spike - 1] = 77.0
    curve = Curve()
    curve.extend(History(list(range(1, count + 1)), losses, [0.5] * count), 0)
    bus.training.save(checkpoint_of(count), curve, token=trainer.token)
    trainer.tell(count + 1)
    with served(create_app(bus, Settings())) as later, Page(later) as page:
        page.read_until(lambda: page.points)
    assert page.last["history_from"] == 0
    assert 900 < len(page.points) <= MAX_VIEWER_POINTS
    assert page.iterations == sorted(set(page.iterations))
    assert dict((p[0], p[1]) for p in page.points)[spike] == 77.0
    assert page.iterations[-1] == count + 1


def test_before_anything_was_told_there_is_a_state_too(gateway: str) -> None:
    with Page(gateway) as page:
        page.read()
    assert page.last["trainer"] == "none"
    assert page.last["training"] is False
    assert page.last["loss"] is None
    assert page.last["problem"] == "No trainer is running: training goes on when one is back."
    assert page.points == []


# --- the stream -----------------------------------------------------------------------------
def test_each_iteration_is_told_once_and_in_order(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    trainer.tell(1, 2, 3)
    with Page(gateway) as page:
        page.read_until(lambda: page.iterations == [1, 2, 3])
        for start in range(4, 400, 3):
            trainer.tell(start, start + 1, start + 2)
        page.read_until(lambda: page.iterations[-1] == 399)
    assert page.told == list(range(1, 400))
    for iteration, loss, acc in page.points:
        assert (loss, acc) == pytest.approx((1 / iteration, 0.5 / iteration), rel=1e-6)


def test_a_late_viewer_sees_what_an_early_one_has(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as early:
        for k in range(1, 30):
            trainer.tell(k)
        early.read_until(lambda: early.iterations[-1:] == [29])
        with Page(gateway) as late:
            late.read_until(lambda: late.iterations[-1:] == [29])
            trainer.tell(30)
            early.read_until(lambda: early.iterations[-1] == 30)
            late.read_until(lambda: late.iterations[-1] == 30)
            assert early.iterations == late.iterations == list(range(1, 31))


def test_a_run_that_goes_back_takes_points_away(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page, Page(gateway) as other:
        trainer.tell(1, 2, 3, 4, 5)
        page.read_until(lambda: page.iterations == [1, 2, 3, 4, 5])
        trainer.tell(3, 4, history_from=2)  # restored to iteration 2, and on from there
        page.read_until(lambda: page.iterations == [1, 2, 3, 4])
        trainer.tell(history_from=0)  # reset
        page.read_until(lambda: page.iterations == [])
        trainer.tell(1)
        page.read_until(lambda: page.iterations == [1])
        other.read_until(
            lambda: other.frames and other.last["iteration"] == 1
        )  # may have been told all at once
        assert other.iterations == [1]
    with Page(gateway) as late:
        late.read_until(lambda: late.iterations == [1])


def test_a_loss_that_is_no_number_is_null(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    frame = frame_of(1)
    broken = History([1, 2], [0.5, None], [0.5, 0.5])
    trainer.tell(1, 2, history=broken, loss=None)
    with Page(gateway) as page:
        page.read_until(lambda: page.points)
    assert frame.signal.history.loss == [1.0]
    assert [point[1] for point in page.points] == [0.5, None]
    assert page.last["loss"] is None


def slow_socket(place: str) -> socket.socket:
    """Return a connection whose end takes in very little unless it is read."""
    host, _, port = place.partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    return connection


def test_a_slow_viewer_gets_fewer_larger_frames_and_loses_nothing(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    frames, each = 500, 400  # about 10 MB of JSON
    with (
        Page(gateway) as fast,
        Page(gateway, sock=slow_socket(gateway), max_queue=1) as slow,
    ):
        for start in range(1, frames * each, each):
            trainer.tell(*range(start, start + each))
        fast.read_until(lambda: fast.told[-1:] == [frames * each])  # the slow one holds up nobody
        slow.read_until(lambda: slow.told[-1:] == [frames * each])
    assert fast.told == list(range(1, frames * each + 1))
    assert slow.told == list(range(1, frames * each + 1))
    assert len(slow.frames) < frames / 2
    metrics = httpx.get(f"http://{gateway}/metrics").text
    assert "inkling_gateway_merged_frames_total" in metrics


def test_many_viewers_are_told_the_same_whoever_joins_or_leaves(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with ExitStack() as stack:
        pages = [stack.enter_context(Page(gateway)) for _ in range(80)]
        for page in pages:
            page.read()
        for start in range(1, 60, 3):
            trainer.tell(start, start + 1, start + 2)
            if start == 31:
                with Page(gateway) as passing:
                    passing.read()
        for page in pages:
            page.read_until(lambda page=page: page.iterations[-1:] == [60])  # type: ignore[misc]
            assert page.told == list(range(1, 61))
            assert page.last == pages[0].last | {
                "history": page.last["history"],
                "history_from": page.last["history_from"],
            }


def test_viewers_whose_connections_break_do_not_trouble_the_others(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        for start in range(1, 91, 3):
            broken = slow_socket(gateway)
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            Page(gateway, sock=broken).__enter__().read()
            broken.shutdown(socket.SHUT_RD)
            broken.close()  # a reset: no closing handshake
            trainer.tell(start, start + 1, start + 2)
        page.read_until(lambda: page.told[-1:] == [90])
    assert page.told == list(range(1, 91))


def test_a_test_accuracy_reaches_viewers_without_moving_the_curve(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, 2)
        page.read_until(lambda: page.iterations == [1, 2])
        bus.live.publish_evaluation(Evaluation(1, 1, 0.5, live=False))
        bus.live.publish_evaluation(Evaluation(2, 2, 0.75, live=True))
        page.read_until(lambda: page.last["test_acc"] is not None)
        assert page.last["test_acc"] == 0.75
        trainer.tell(3)
        page.read_until(lambda: page.iterations == [1, 2, 3])
        assert page.last["test_acc"] == 0.75


def test_a_test_accuracy_of_weights_since_replaced_is_not_told(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, 2)
        page.read_until(lambda: page.iterations == [1, 2])
        bus.live.publish_evaluation(Evaluation(2, 2, 0.75, live=True))
        page.read_until(lambda: page.last["test_acc"] == 0.75)
        trainer.tell(generation=7)
        page.read_until(lambda: page.last["test_acc"] is None)
        bus.live.publish_evaluation(Evaluation(8, 0, 0.1, live=True))
        page.read_until(lambda: page.last["test_acc"] == 0.1)


def evaluate(bus: Bus, iteration: int, version: int | None = None) -> None:
    version = iteration if version is None else version
    bus.live.publish_evaluation(Evaluation(version, iteration, 0.75, live=True))


def test_each_test_accuracy_is_a_point_of_its_iteration(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        for k in (1, 2, 3):
            trainer.tell(k)
            page.read_until(lambda k=k: page.iterations[-1:] == [k])  # type: ignore[misc]
            evaluate(bus, k)
            page.read_until(lambda k=k: page.tested[-1:] == [k])  # type: ignore[misc]
        assert page.tests == [{"version": k, "iteration": k, "test_acc": 0.75} for k in (1, 2, 3)]
        with Page(gateway) as late, served(create_app(bus, Settings())) as second:
            late.read_until(lambda: late.tests == page.tests)
            with Page(second) as other:
                other.read_until(lambda: other.tests == page.tests)
        trainer.tell(2, history_from=1)  # restored
        page.read_until(lambda: page.iterations == [1, 2])
        assert page.tested == [1]
        with Page(gateway) as late:
            late.read()
            assert late.tested == [1]


def test_a_test_accuracy_that_comes_before_its_frame_is_told_with_it(
    bus: Bus, gateway: str
) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, 2)
        page.read_until(lambda: page.iterations == [1, 2])
        evaluate(bus, 3)
        page.read_until(lambda: page.last["test_acc"] == 0.75)
        assert page.tested == []
        trainer.tell(3, 4)
        page.read_until(lambda: page.iterations == [1, 2, 3, 4])
        assert page.tested == [3]
        trainer.tell(5)
        page.read_until(lambda: page.iterations[-1] == 5)
        assert page.tested == [3]


def test_a_test_point_of_weights_since_replaced_is_not_told(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, 2, 3)
        page.read_until(lambda: page.iterations == [1, 2, 3])
        trainer.tell(generation=7)  # reset
        page.read_until(lambda: page.iterations == [])
        evaluate(bus, 3, version=6)
        trainer.tell(1, 2, 3, 4, generation=7)
        page.read_until(lambda: page.iterations == [1, 2, 3, 4])
        evaluate(bus, 4, version=8)
        page.read_until(lambda: page.tested == [4])


def test_a_new_viewer_gets_few_test_points_of_a_long_run(bus: Bus) -> None:
    PlayedTrainer(bus).tell(900)
    for k in range(1, 901):
        evaluate(bus, k)
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations and page.tested)
    assert MAX_VIEWER_TEST_POINTS // 2 < len(page.tested) <= MAX_VIEWER_TEST_POINTS
    assert page.tested[-1] == 900


def test_marks_reach_viewers_early_and_late(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, 2, 3, marks=[mark_of(2)])
        trainer.tell(history_from=3, marks=[mark_of(3, "batch_size", 64)])  # while paused
        page.read_until(lambda: page.marked == [2, 3])
        assert page.marks[1] == {
            "iteration": 3, "kind": "batch_size", "value": 64, "at": mark_of(3).at,
        }  # fmt: skip
        evaluate(bus, 3)
        page.read_until(lambda: page.tested == [3])
        with Page(gateway) as late, served(create_app(bus, Settings())) as second:
            late.read_until(lambda: late.marks == page.marks)
            with Page(second) as other:
                other.read_until(lambda: other.marks == page.marks)
        trainer.tell(history_from=2, marks=[mark_of(2, "restore", 9)])
        page.read_until(lambda: [m["kind"] for m in page.marks] == ["lrate", "restore"])
        assert page.tested == []


def test_a_mark_after_the_last_point_stays_when_something_else_is_told(
    bus: Bus, gateway: str
) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, 2)
        trainer.tell(history_from=500, marks=[mark_of(500, "restore", 9)], generation=9)
        page.read_until(lambda: page.marked == [500])
        evaluate(bus, 500, version=9)
        page.read_until(lambda: page.tested == [500])
        before = len(page.frames)
        page.send({"type": "GetStatus"})
        page.read_until(lambda: len(page.frames) > before)
        assert page.marked == page.tested == [500]
        trainer.tell(501)
        page.read_until(lambda: page.iterations[-1] == 501)
        assert page.marked == page.tested == [500]


def test_two_gateways_tell_the_same(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    trainer.tell(1, 2)
    with (
        served(create_app(bus, Settings())) as second,
        Page(gateway) as one,
        Page(second) as other,
    ):
        for k in range(3, 60):
            trainer.tell(k)
        one.read_until(lambda: one.iterations[-1:] == [59])
        other.read_until(lambda: other.iterations[-1:] == [59])
        assert one.iterations == other.iterations == list(range(1, 60))
        assert one.last | {"history": 0, "history_from": 0} == other.last | {
            "history": 0,
            "history_from": 0,
        }


def test_a_silent_trainer_counts_as_gone_and_may_come_back(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page:
        trainer.tell(1, samples_per_second=500.0)
        page.read_until(lambda: page.iterations == [1] and page.last["problem"] is None)
        assert page.last["trainer"] == "training"
        page.read_until(lambda: page.last["trainer"] == "none")
        assert page.last["problem"] == "No trainer is running: training goes on when one is back."
        assert page.last["samples_per_second"] == 0
        assert page.iterations == [1]
        status = httpx.get(f"http://{gateway}/status").json()
        assert (status["trainer"], status["problem"]) == ("none", page.last["problem"])
        with Page(gateway) as late:
            late.read()
            assert (late.last["trainer"], late.last["problem"]) == ("none", status["problem"])
        trainer.tell(2)
        page.read_until(lambda: page.iterations == [1, 2])
        assert (page.last["trainer"], page.last["problem"]) == ("training", None)


def test_a_gateway_that_comes_while_a_trainer_leads_raises_no_alarm(bus: Bus) -> None:
    PlayedTrainer(bus).tell(1)
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations == [1])
        assert (page.last["trainer"], page.last["problem"]) == ("training", None)


def test_the_trainers_own_problem_is_passed_on(bus: Bus, gateway: str) -> None:
    with Page(gateway) as page:
        PlayedTrainer(bus).tell(1, problem="Training diverged.")
        page.read_until(lambda: page.iterations == [1])
        assert page.last["problem"] == "Training diverged."


# --- weights --------------------------------------------------------------------------------
def publish(bus: Bus, trainer: PlayedTrainer, version: int) -> None:
    trainer.keep_lease()
    assert bus.live.publish(snapshot_of(version), token=trainer.token, generation=0, keep=False)


def version_of(frame: bytes) -> int:
    return int(decode_weights(frame)[1]["version"])


def test_weights_come_to_those_who_subscribed(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    publish(bus, trainer, 1)
    with Page(gateway) as page, Page(gateway) as other:
        page.send({"type": "Subscribe", "weights": "f32", "weights_hz": 20})
        page.read_until(lambda: page.weights)
        snapshot = decode_snapshot(page.weights[0])
        assert snapshot.info == snapshot_of(1).info
        for sent, made in zip(snapshot.weights.arrays, snapshot_of(1).weights.arrays, strict=True):
            np.testing.assert_array_equal(sent, made)
        publish(bus, trainer, 2)
        page.read_until(lambda: len(page.weights) == 2)
        assert version_of(page.weights[1]) == 2
        trainer.tell(1)
        other.read_until(lambda: other.iterations == [1])
        assert other.weights == []


def test_f16_takes_half_the_room(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    publish(bus, trainer, 1)
    with Page(gateway) as page:
        page.send({"type": "Subscribe", "weights": "f16"})
        page.read_until(lambda: page.weights)
    whole = snapshot_of(1).weights
    weights, metadata = decode_weights(page.weights[0])
    assert len(page.weights[0]) < 0.6 * 4 * sum(array.size for array in whole.arrays)
    assert (metadata["version"], metadata["iteration"]) == ("1", "0")
    for sent, made in zip(weights.arrays, whole.arrays, strict=True):
        np.testing.assert_array_equal(sent, made.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize(
    "ending",
    [{"type": "Subscribe", "weights": "none"},
     {"type": "Subscribe", "weights": "f32", "weights_hz": 0}],
)  # fmt: skip
def test_a_subscription_ends_and_begins_again(
    bus: Bus, gateway: str, wait_until: Callable[..., Any], ending: dict[str, Any]
) -> None:
    trainer = PlayedTrainer(bus)
    publish(bus, trainer, 1)
    with Page(gateway) as page:
        page.send({"type": "Subscribe", "weights": "f16", "weights_hz": 20})
        page.read_until(lambda: len(page.weights) == 1)
        page.send(ending)
        page.send({"type": "GetStatus"})  # its answer says that the ending was obeyed
        before = len(page.frames)
        page.read_until(lambda: len(page.frames) > before)
        publish(bus, trainer, 2)
        trainer.tell(1)
        page.read_until(lambda: page.iterations == [1])
        publish(bus, trainer, 3)
        due = time.monotonic() + 0.06  # when an old version could be sent again
        wait_until(lambda: time.monotonic() > due)
        page.send({"type": "Subscribe", "weights": "f32", "weights_hz": 20})
        page.read_until(lambda: len(page.weights) == 2)
        assert version_of(page.weights[1]) == 3  # the newest, none of those between


def test_weights_come_no_more_often_than_asked_and_end_with_the_newest(
    bus: Bus, gateway: str, wait_until: Callable[..., Any]
) -> None:
    trainer = PlayedTrainer(bus)
    publish(bus, trainer, 1)
    with Page(gateway) as page:
        page.send({"type": "Subscribe", "weights": "f16", "weights_hz": 4})
        page.read_until(lambda: page.weights)
        for version in range(2, 100):
            publish(bus, trainer, version)
        page.read_until(lambda: version_of(page.weights[-1]) == 99)
    assert len(page.weights) < 10


def test_a_viewer_that_leaves_is_forgotten(gateway: str, wait_until: Callable[..., Any]) -> None:
    def viewers() -> float:
        text = httpx.get(f"http://{gateway}/metrics").text
        line = next(one for one in text.splitlines() if one.startswith("inkling_gateway_viewers "))
        return float(line.split()[1])

    before = viewers()
    with Page(gateway) as page:
        page.read()
        page.send({"type": "Subscribe", "weights": "f16"})
        assert viewers() == before + 1
    wait_until(lambda: viewers() == before)


def test_a_gateway_that_stops_tells_its_viewers_to_come_again(bus: Bus) -> None:
    with ExitStack() as stack:
        with served(create_app(bus, Settings())) as place:
            page = stack.enter_context(Page(place))
            page.read()
        with pytest.raises(ConnectionClosed) as caught:
            page.read_until(lambda: False)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012
