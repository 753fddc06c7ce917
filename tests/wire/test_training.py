"""Who trains, what is told of it, and whence the next trainer goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nn.model import init_weights
from tests.examples import accuracy_at, checkpoint_of, frame_of, history_of, mark_of
from tests.running import RedisServer
from tests.wire.conftest import Follower
from tests.wire.proxy import proxy_of
from wire.bus import Bus
from wire.codec import MalformedError, UnusableError, encode
from wire.connection import RedisAwayError
from wire.curve import Curve
from wire.keys import Keys
from wire.messages import Checkpoint, Evaluation, Frame, History
from wire.training import Lease

KEYS = Keys()


@pytest.fixture
def token(bus: Bus) -> int:
    token = bus.training.acquire()
    assert token is not None
    return token


# --- the lease ------------------------------------------------------------------------------
def test_only_one_holds_the_lease(bus: Bus) -> None:
    assert not bus.training.is_led()
    token = bus.training.acquire()
    assert token is not None
    assert bus.training.is_led()
    assert bus.training.acquire() is None
    assert bus.training.renew(token)


def test_of_many_who_ask_at_once_one_gets_it(redis_url: str, bus: Bus) -> None:
    tokens: list[int | None] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        tokens.append(bus.training.acquire())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([token for token in tokens if token is not None]) == 1


def test_each_taking_of_the_lease_gets_a_higher_token(bus: Bus) -> None:
    tokens = []
    for _ in range(3):
        token = bus.training.acquire()
        assert token is not None
        tokens.append(token)
        bus.training.release(token)
        assert not bus.training.is_led()
    assert tokens == sorted(set(tokens))


def test_no_token_is_given_twice_though_redis_forgot_the_last(
    bus: Bus, redis_server: RedisServer, wait_until: Callable[..., Any]
) -> None:
    first = bus.training.take("one")
    assert first is not None
    assert first.previous == 0
    bus.training.release(first.token)
    second = bus.training.take("two")
    assert second is not None
    assert second.previous == first.token
    redis_server.client.set(KEYS.tokens, first.token)  # as if Redis had lost its last second
    redis_server.client.delete(KEYS.lease)

    def milliseconds() -> int:
        seconds, microseconds = redis_server.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    wait_until(lambda: milliseconds() > second.token)
    third = bus.training.take("three")
    assert third is not None
    assert third.token > second.token
    assert third.previous == first.token


def test_a_lease_that_is_not_renewed_ends(
    bus: Bus, redis_server: RedisServer, token: int, wait_until: Callable[..., Any]
) -> None:
    assert 0 < redis_server.client.pttl(KEYS.lease) <= 3000
    redis_server.client.pexpire(KEYS.lease, 30)  # as if it had been taken a while ago
    wait_until(lambda: not bus.training.is_led())
    assert not bus.training.renew(token)
    newer = bus.training.acquire()
    assert newer is not None
    assert newer > token


def test_renewing_prolongs_the_lease(bus: Bus, redis_server: RedisServer, token: int) -> None:
    redis_server.client.pexpire(KEYS.lease, 500)
    assert bus.training.renew(token)
    assert redis_server.client.pttl(KEYS.lease) > 2000


def test_an_older_token_is_worth_nothing(bus: Bus, token: int) -> None:
    bus.training.release(token)
    newer = bus.training.acquire()
    assert newer is not None
    assert not bus.training.renew(token)
    assert not bus.training.publish_frame(frame_of(1), token=token)
    assert not bus.training.save(checkpoint_of(1), Curve(), token=token)
    bus.training.release(token)  # of no effect: another one leads
    assert bus.training.renew(newer)
    assert bus.training.frame() is None
    assert bus.training.checkpoint() is None


# --- frames ---------------------------------------------------------------------------------
def test_frames_are_heard_by_all_and_the_latest_is_kept_without_its_history(
    bus: Bus, token: int, follow: Callable[..., Follower], wait_until: Callable[..., Any]
) -> None:
    followers = [follow(bus.training.follow_frames) for _ in range(2)]
    for follower in followers:
        wait_until(lambda follower=follower: follower.heard == [None])
    assert bus.training.publish_frame(frame_of(1, 2, revision=4), token=token)
    for follower in followers:
        wait_until(lambda f=follower: f.heard == [None, frame_of(1, 2, revision=4)])
    kept = bus.training.frame()
    assert kept is not None
    assert (kept.revision, kept.signal.iteration, kept.signal.loss) == (4, 2, 0.5)
    assert kept.signal.history == History()


BAD_HISTORIES = [
    (History([1, 2], [0.5], [0.5, 0.5]), 0, "2 iterations, 1 losses and 2 accuracies"),
    (History([1], [0.5], []), 0, "1 iterations, 1 losses and 0 accuracies"),
    (History([2, 2], [0.5] * 2, [0.5] * 2), 1, "the iterations of a history do not grow from 1 on"),
    (History([5], [0.5], [0.5]), 5, "the iterations of a history do not grow from 5 on"),
]
BAD_FRAMES = [
    b'{"revision": -1}',
    *(encode(frame_of(history=history, history_from=at)) for history, at, _ in BAD_HISTORIES),
]


@pytest.mark.parametrize(("history", "after", "fault"), BAD_HISTORIES)
def test_a_frame_whose_history_is_none_is_refused(
    bus: Bus, redis_server: RedisServer, history: History, after: int, fault: str
) -> None:
    redis_server.client.rpush(KEYS.recent, encode(frame_of(history=history, history_from=after)))
    with pytest.raises(UnusableError, match=fault):
        bus.training.curve()


def test_a_frame_that_is_none_is_passed_over(
    bus: Bus,
    token: int,
    redis_server: RedisServer,
    follow: Callable[..., Follower],
    wait_until: Callable[..., Any],
) -> None:
    follower = follow(bus.training.follow_frames)
    wait_until(lambda: follower.heard == [None])
    for bad in BAD_FRAMES:
        redis_server.client.publish(KEYS.frames, bad)
    bus.training.publish_frame(frame_of(1), token=token)
    wait_until(lambda: follower.heard == [None, frame_of(1)])
    redis_server.client.set(KEYS.frame, b"nonsense")
    with pytest.raises(MalformedError, match="no Frame: JSON is malformed"):
        bus.training.frame()


def test_following_frames_says_when_to_fetch_the_latest(
    own_redis: RedisServer, follow: Callable[..., Follower], wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    follower = follow(bus.training.follow_frames)
    wait_until(lambda: follower.heard == [None])
    own_redis.stop()
    wait_until(lambda: isinstance(follower.heard[-1], RedisAwayError))
    own_redis.start()
    wait_until(lambda: follower.heard[-1] is None)
    token = bus.training.acquire()
    assert token is not None
    bus.training.publish_frame(frame_of(1), token=token)
    wait_until(lambda: follower.heard[-1] == frame_of(1))
    follower.close()
    bus.close()


def test_a_connection_that_breaks_unseen_says_to_fetch_the_latest(
    bus: Bus,
    redis_server: RedisServer,
    follow: Callable[..., Follower],
    wait_until: Callable[..., Any],
) -> None:
    follower = follow(bus.training.follow_frames)
    for times in (1, 2, 3):
        wait_until(lambda times=times: follower.heard == [None] * times)
        redis_server.client.client_kill_filter(_type="pubsub")


# --- the curve ------------------------------------------------------------------------------
def whole(bus: Bus) -> History:
    return bus.training.curve().history()


def test_the_curve_is_what_was_saved_and_what_was_told_since(bus: Bus, token: int) -> None:
    assert whole(bus) == History()
    bus.training.publish_frame(frame_of(1, 2), token=token)
    bus.training.publish_frame(frame_of(3), token=token)
    assert whole(bus).iteration == [1, 2, 3]
    assert bus.training.save(checkpoint_of(3), bus.training.curve(), token=token)
    assert whole(bus).iteration == [1, 2, 3]
    bus.training.publish_frame(frame_of(4, 5), token=token)
    assert whole(bus).iteration == [1, 2, 3, 4, 5]


def test_frames_that_went_back_replace_what_came_after(bus: Bus, token: int) -> None:
    curve = Curve()
    curve.extend(history_of(1, 2, 3, 4), 0)
    bus.training.save(checkpoint_of(4), curve, token=token)
    bus.training.publish_frame(frame_of(3, 4, 5, history_from=2), token=token)
    assert whole(bus).iteration == [1, 2, 3, 4, 5]
    bus.training.publish_frame(frame_of(1, history_from=0), token=token)
    assert whole(bus).iteration == [1]


def test_marks_are_kept_with_the_curve_though_there_is_no_new_point(bus: Bus, token: int) -> None:
    bus.training.publish_frame(frame_of(1, 2), token=token)
    told = History(marks=[mark_of(2, "batch_size", 64)])
    bus.training.publish_frame(frame_of(history=told, history_from=2), token=token)
    assert whole(bus).marks == told.marks
    bus.training.save(checkpoint_of(2), bus.training.curve(), token=token)
    assert whole(bus).marks == told.marks
    assert whole(bus).iteration == [1, 2]
    back = History(marks=[mark_of(1, "restore", 7)])
    bus.training.publish_frame(frame_of(history=back, history_from=1), token=token)
    assert whole(bus).marks == back.marks


def test_a_checkpoint_forgets_the_test_points_after_it(bus: Bus, token: int) -> None:
    for k in (1, 2, 3, 4):
        bus.live.publish_evaluation(Evaluation(k, k, 0.75, live=True))
    assert not bus.training.save(checkpoint_of(2), Curve(), token=token + 1)
    assert bus.live.tests() == [accuracy_at(k) for k in (1, 2, 3, 4)]
    assert bus.training.save(checkpoint_of(2), Curve(), token=token)
    assert bus.live.tests() == [accuracy_at(1), accuracy_at(2)]


def test_frames_without_history_are_not_kept(
    bus: Bus, token: int, redis_server: RedisServer
) -> None:
    for _ in range(3):
        bus.training.publish_frame(frame_of(), token=token)
    assert redis_server.client.llen(KEYS.recent) == 0


def test_saving_sweeps_out_the_frames(bus: Bus, token: int, redis_server: RedisServer) -> None:
    for iteration in range(1, 5):
        bus.training.publish_frame(frame_of(iteration), token=token)
    assert redis_server.client.llen(KEYS.recent) == 4
    bus.training.save(checkpoint_of(4), bus.training.curve(), token=token)
    assert redis_server.client.llen(KEYS.recent) == 0


def test_a_curve_that_is_none_is_refused(bus: Bus, redis_server: RedisServer) -> None:
    redis_server.client.set(KEYS.curve, b"nonsense")
    with pytest.raises(MalformedError, match="no curve"):
        bus.training.curve()


# --- checkpoints ----------------------------------------------------------------------------
def same(one: Checkpoint | None, other: Checkpoint) -> bool:
    """Return whether two checkpoints are equal to the last bit."""
    if one is None or not all(map(np.array_equal, one.weights.arrays, other.weights.arrays)):
        return False
    fields = [name for name in Checkpoint.__struct_fields__ if name != "weights"]
    return all(getattr(one, name) == getattr(other, name) for name in fields)


@pytest.mark.parametrize(
    "checkpoint",
    [
        checkpoint_of(12),
        checkpoint_of(
            12, epoch=3, position=640, generation=9, started=2, loss=0.1 + 0.2, acc=1 / 3,
            start_iteration=-3, target_iteration=500,
        ),
        checkpoint_of(12, dataset=""),
        checkpoint_of(2**53 + 1, loss=1e-300),
    ],
)  # fmt: skip
def test_a_checkpoint_comes_back_as_it_was(bus: Bus, token: int, checkpoint: Checkpoint) -> None:
    assert bus.training.checkpoint() is None
    assert bus.training.save(checkpoint, Curve(), token=token)
    assert same(bus.training.checkpoint(), checkpoint)


def test_a_checkpoint_of_a_network_that_reads_no_digits_is_refused(bus: Bus, token: int) -> None:
    other = init_weights(np.random.default_rng(0), (784, 3, 2))
    assert bus.training.save(checkpoint_of(1, weights=other), Curve(), token=token)
    with pytest.raises(UnusableError, match=r"^a network from 784 to 3 to 2; allowed"):
        bus.training.checkpoint()


def test_checkpoint_curve_and_settings_survive_a_restart_of_redis(own_redis: RedisServer) -> None:
    bus = Bus(own_redis.url)
    token = bus.training.acquire()
    assert token is not None
    bus.training.publish_frame(frame_of(1, 2), token=token)
    bus.training.save(checkpoint_of(2), bus.training.curve(), token=token)
    bus.training.publish_frame(frame_of(3), token=token)
    own_redis.stop()
    own_redis.start()
    assert same(bus.training.checkpoint(), checkpoint_of(2))
    assert whole(bus).iteration == [1, 2, 3]
    kept = bus.training.frame()
    assert isinstance(kept, Frame)
    assert kept.signal.iteration == 3
    bus.close()


def test_whoever_took_the_lease_and_had_no_answer_is_told_when_it_asks_again(
    bus: Bus, redis_server: RedisServer
) -> None:
    client = redis_server.client
    assert bus.training.take("warm") is not None  # Redis knows the script from here on
    client.delete(KEYS.lease)
    before = int(client.get(KEYS.tokens) or 0)
    with proxy_of(redis_server.port) as proxy:
        cut_off = Bus(proxy.url)
        proxy.cut(b"EVALSHA", lambda: bool(client.exists(KEYS.lease)))
        lease = cut_off.training.take("one")
        assert (proxy.cuts, lease) == (1, Lease(int(client.get(KEYS.lease) or 0), before))
        cut_off.close()
    client.pexpire(KEYS.lease, 1000)
    assert bus.training.take("one") == lease
    assert client.pttl(KEYS.lease) > 1000  # it holds as long as a new one
    assert bus.training.take("another") is None
