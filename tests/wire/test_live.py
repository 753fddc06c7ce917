"""The live weights: who may publish them, who wins, and what followers hear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import redis

from nn.model import init_weights
from tests.examples import accuracy_at, snapshot_of
from tests.running import RedisServer
from tests.wire.conftest import Follower
from tests.wire.proxy import proxy_of
from wire.bus import Bus
from wire.codec import MalformedError, UnusableError, decode_snapshot, encode_snapshot
from wire.connection import RedisAwayError
from wire.curve import MAX_TEST_POINTS
from wire.flow import Woken
from wire.keys import Keys
from wire.live import MAX_TO_EVALUATE
from wire.messages import Evaluation, RunSettings, Snapshot, WeightsInfo
from wire.request_id import working_for

KEYS = Keys()
DEFAULTS = RunSettings(batch_size=128, learning_rate=0.1, cache_size=16, seed=0)


@pytest.fixture
def token(bus: Bus) -> int:
    token = bus.training.acquire()
    assert token is not None
    return token


def publish(bus: Bus, version: int, token: int, generation: int = 0, keep: bool = True) -> bool:
    return bus.live.publish(snapshot_of(version), token=token, generation=generation, keep=keep)


def same(one: Snapshot | None, other: Snapshot) -> bool:
    return (
        one is not None
        and one.info == other.info
        and all(map(np.array_equal, one.weights.arrays, other.weights.arrays))
    )


# --- publishing -----------------------------------------------------------------------------
def test_there_are_none_at_first(bus: Bus) -> None:
    assert bus.live.latest() is None
    assert bus.live.latest_bytes() is None


def test_what_is_published_is_live(bus: Bus, token: int) -> None:
    assert publish(bus, 1, token)
    assert same(bus.live.latest(), snapshot_of(1))
    version, data = bus.live.latest_bytes() or (0, b"")
    assert version == 1
    assert same(decode_snapshot(data), snapshot_of(1))


def test_only_the_holder_of_the_lease_publishes(bus: Bus, token: int) -> None:
    assert not publish(bus, 1, token + 1)
    bus.training.release(token)
    assert not publish(bus, 1, token)
    assert bus.live.latest() is None


def test_an_older_version_is_not_published(bus: Bus, token: int) -> None:
    assert publish(bus, 5, token)
    others = Snapshot(snapshot_of(4).weights, snapshot_of(5).info)
    assert not bus.live.publish(others, token=token, generation=0, keep=True)
    assert not publish(bus, 4, token)
    assert same(bus.live.latest(), snapshot_of(5))


def test_what_was_published_or_replaced_and_not_answered_has_taken_effect_once(
    bus: Bus, token: int, redis_server: RedisServer
) -> None:
    def live(version: int) -> bool:
        return redis_server.client.hget(KEYS.weights, "version") == b"%d" % version

    with proxy_of(redis_server.port) as proxy:
        cut_off = Bus(proxy.url)
        assert publish(cut_off, 1, token)  # Redis knows the scripts from here on
        assert cut_off.live.replace(snapshot_of(2, origin="upload"))
        proxy.cut(b"EVALSHA", lambda: live(3))
        assert publish(cut_off, 3, token, generation=2)
        proxy.cut(b"EVALSHA", lambda: live(4))
        before, _ = bus.wanted.look(DEFAULTS)
        assert cut_off.live.replace(snapshot_of(4, origin="reset"), train=5)
        after, _ = bus.wanted.look(DEFAULTS)
        assert (after.started, after.revision) == (before.started + 1, before.revision + 1)
        assert same(bus.live.latest(), snapshot_of(4, origin="reset"))
        assert proxy.cuts == 2
        cut_off.close()


def test_who_replaced_the_weights_last_is_known(bus: Bus, token: int) -> None:
    assert bus.live.replaced_by() == ""
    with working_for("upload-1"):
        assert bus.live.replace(snapshot_of(1, origin="upload"))
    assert publish(bus, 2, token, generation=1)
    assert bus.live.replaced_by() == "upload-1"
    assert bus.live.replace(snapshot_of(3, origin="reset"))
    assert bus.live.replaced_by() == ""


def test_replaced_weights_win_over_a_trainer_that_has_not_heard_of_it(bus: Bus, token: int) -> None:
    assert publish(bus, 1, token)
    assert bus.live.replace(snapshot_of(2, origin="upload"))
    assert not publish(bus, 3, token, generation=0)
    assert same(bus.live.latest(), snapshot_of(2, origin="upload"))
    assert publish(bus, 4, token, generation=2)
    assert same(bus.live.latest(), snapshot_of(4))


def test_replacing_wakes_the_trainer_and_tells_it_the_generation(bus: Bus) -> None:
    assert bus.live.replace(snapshot_of(7, origin="reset"))
    assert isinstance(bus.flow.wait(0.05, for_batch=False), Woken)
    assert bus.wanted.look(DEFAULTS)[1] == 7


def test_replacing_with_older_weights_changes_nothing(bus: Bus) -> None:
    assert bus.live.replace(snapshot_of(7, origin="upload"))
    assert not bus.live.replace(snapshot_of(7, origin="reset"), train=5)
    settings, generation = bus.wanted.look(DEFAULTS)
    assert (settings.training, generation) == (False, 7)
    assert same(bus.live.latest(), snapshot_of(7, origin="upload"))


def test_replacing_may_start_a_training_of_so_many_iterations(bus: Bus) -> None:
    bus.wanted.change({"training": 1, "iterations": 9})
    before, _ = bus.wanted.look(DEFAULTS)
    assert bus.live.replace(snapshot_of(7, origin="reset"), train=5)
    after, _ = bus.wanted.look(DEFAULTS)
    assert (after.training, after.iterations) == (True, 5)
    assert (after.started, after.revision) == (before.started + 1, before.revision + 1)


def test_versions_grow_and_can_be_raised_but_not_lowered(bus: Bus) -> None:
    first = bus.live.next_version()
    assert bus.live.next_version() == first + 1
    bus.live.raise_version(500)
    assert bus.live.next_version() == 501
    bus.live.raise_version(3)
    assert bus.live.next_version() == 502


def test_numbers_that_redis_forgot_are_not_given_twice(
    redis_url: str, redis_server: RedisServer
) -> None:
    bus, other = Bus(redis_url), Bus(redis_url)
    bus.live.raise_version(40)
    assert bus.live.next_version() == 41
    assert other.live.replace(snapshot_of(41, origin="upload"))
    assert other.live.latest() is not None
    for forgetful in (bus, other):  # one was given the number, one has seen it
        redis_server.client.set(KEYS.version, 7)
        assert forgetful.live.next_version() > 41
    bus.close()
    other.close()


def test_a_trainer_wins_over_weights_that_redis_fell_back_to(bus: Bus, token: int) -> None:
    assert bus.live.replace(snapshot_of(2, origin="upload"))
    assert publish(bus, 8, token, generation=5)  # its generation 5 is lost
    assert bus.live.generation() == 5
    assert same(bus.live.latest(), snapshot_of(8))


def test_weights_that_are_none_are_refused(bus: Bus, redis_server: RedisServer) -> None:
    redis_server.client.hset(KEYS.weights, "bytes", "no weights")
    with pytest.raises(UnusableError, match="no safetensors"):
        bus.live.latest()


def test_weights_of_a_network_that_reads_no_digits_are_refused(
    bus: Bus, redis_server: RedisServer
) -> None:
    other = init_weights(np.random.default_rng(0), (784, 3, 2))
    data = encode_snapshot(Snapshot(other, WeightsInfo(1, 0, "upload")))
    redis_server.client.hset(KEYS.weights, "bytes", data)
    redis_server.client.rpush(KEYS.to_evaluate, data)
    for read in (bus.live.latest, bus.live.pop_to_evaluate):
        with pytest.raises(
            UnusableError, match=r"^a network from 784 to 3 to 2; allowed is 784 to"
        ):
            read()


@pytest.mark.parametrize("version", [b"", b"seven", b"-1", b"9" * 5000])
def test_a_live_version_that_is_no_number_is_refused(
    bus: Bus, redis_server: RedisServer, version: bytes
) -> None:
    fields = {"bytes": b"", "version": version}
    redis_server.client.hset(KEYS.weights, mapping=fields)  # type: ignore[arg-type]
    with pytest.raises(UnusableError, match=r"^the live version = b'.{,60} is no number"):
        bus.live.latest_bytes()


def test_publications_between_checkpoints_stay_out_of_the_file(own_redis: RedisServer) -> None:
    bus = Bus(own_redis.url)
    token = bus.training.acquire()
    assert token is not None
    assert publish(bus, 1, token, keep=True)
    assert publish(bus, 2, token, keep=False)
    assert same(bus.live.latest(), snapshot_of(2))
    own_redis.stop()
    own_redis.start()
    assert same(bus.live.latest(), snapshot_of(1))
    bus.close()


# --- following ------------------------------------------------------------------------------
def test_a_follower_gets_the_latest_and_then_what_is_newer(
    bus: Bus, token: int, follow: Callable[..., Follower], wait_until: Callable[..., Any]
) -> None:
    publish(bus, 1, token)
    follower = follow(bus.live.follow)
    wait_until(lambda: follower.versions == [1])
    publish(bus, 2, token)
    wait_until(lambda: follower.versions == [1, 2])
    bus.live.replace(snapshot_of(3, origin="reset"))
    wait_until(lambda: follower.versions == [1, 2, 3])
    assert same(follower.heard[-1], snapshot_of(3, origin="reset"))


def test_a_follower_takes_what_is_live_after_a_reconnection_though_it_is_older(
    bus: Bus,
    redis_server: RedisServer,
    follow: Callable[..., Follower],
    wait_until: Callable[..., Any],
) -> None:
    bus.live.replace(snapshot_of(9, origin="upload"))
    follower = follow(bus.live.follow)
    wait_until(lambda: follower.versions == [9])
    redis_server.client.delete(KEYS.weights)  # what a Redis has that lost its last second:
    bus.live.replace(snapshot_of(4, origin="upload"))
    redis_server.client.client_kill_filter(_type="pubsub")
    wait_until(lambda: follower.versions == [9, 4])


def test_old_and_unreadable_news_is_passed_over(
    bus: Bus,
    token: int,
    redis_server: RedisServer,
    follow: Callable[..., Follower],
    wait_until: Callable[..., Any],
) -> None:
    publish(bus, 5, token)
    follower = follow(bus.live.follow)
    wait_until(lambda: follower.versions == [5])
    for news in (b"4", b"5", b"nonsense", b"", b"\xff", b"9" * 5000):
        redis_server.client.publish(KEYS.weights_news, news)
    publish(bus, 6, token)
    wait_until(lambda: follower.versions == [5, 6])


def test_a_burst_ends_with_the_newest(
    bus: Bus, token: int, follow: Callable[..., Follower], wait_until: Callable[..., Any]
) -> None:
    follower = follow(bus.live.follow)
    for version in range(1, 40):
        publish(bus, version, token)
    wait_until(lambda: follower.versions[-1:] == [39])
    assert follower.versions == sorted(set(follower.versions))


def test_following_survives_a_restart_of_redis(
    own_redis: RedisServer, follow: Callable[..., Follower], wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    bus.live.replace(snapshot_of(1, origin="upload"))
    follower = follow(bus.live.follow)
    wait_until(lambda: follower.versions == [1])
    own_redis.stop()
    wait_until(lambda: isinstance(follower.heard[-1], RedisAwayError))
    assert str(follower.heard[-1]).startswith("Redis is away: ")
    with pytest.raises(RedisAwayError, match=r"^Redis is away: "):
        bus.ping()
    own_redis.start()
    bus.live.replace(snapshot_of(2, origin="upload"))  # perhaps before it subscribed again
    wait_until(lambda: follower.versions == [1, 2])
    follower.close()
    bus.close()


# --- evaluation -----------------------------------------------------------------------------
def test_weights_are_handed_over_for_evaluation_in_turn(bus: Bus) -> None:
    bus.live.ask_evaluation(snapshot_of(3))
    bus.live.ask_evaluation(snapshot_of(4))
    assert same(bus.live.pop_to_evaluate(), snapshot_of(3))
    assert same(bus.live.pop_to_evaluate(), snapshot_of(4))
    assert bus.live.pop_to_evaluate() is None


def test_the_oldest_requests_for_an_evaluation_are_dropped(bus: Bus) -> None:
    for version in range(1, MAX_TO_EVALUATE + 3):
        bus.live.ask_evaluation(snapshot_of(version))
    assert same(bus.live.pop_to_evaluate(), snapshot_of(3))


def test_only_that_of_live_weights_is_the_latest_test_accuracy(
    bus: Bus, follow: Callable[..., Follower], wait_until: Callable[..., Any]
) -> None:
    follower = follow(bus.live.follow_evaluations)
    wait_until(lambda: follower.heard == [None])
    assert bus.live.evaluation() is None
    live, other = Evaluation(1, 10, 0.5, live=True), Evaluation(9, 90, 0.9, live=False)
    bus.live.publish_evaluation(live)
    bus.live.publish_evaluation(other)
    wait_until(lambda: follower.heard == [None, live, other])
    assert bus.live.evaluation() == live


def test_what_is_no_evaluation_is_passed_over(
    bus: Bus,
    redis_server: RedisServer,
    follow: Callable[..., Follower],
    wait_until: Callable[..., Any],
) -> None:
    follower = follow(bus.live.follow_evaluations)
    wait_until(lambda: follower.heard == [None])
    wrong = b'{"version": 1, "iteration": 1, "test_acc": 2, "live": true}'
    redis_server.client.publish(KEYS.evaluations, wrong)
    bus.live.publish_evaluation(Evaluation(1, 10, 0.5, live=True))
    wait_until(lambda: len(follower.heard) == 2)
    assert follower.heard[1] == Evaluation(1, 10, 0.5, live=True)


def evaluate(bus: Bus, iteration: int, version: int, live: bool = True) -> None:
    bus.live.publish_evaluation(Evaluation(version, iteration, 0.75, live))


def test_every_test_point_of_live_weights_is_kept(bus: Bus) -> None:
    assert bus.live.tests() == []
    for iteration in (0, 10, 20):
        evaluate(bus, iteration, iteration + 1)
    evaluate(bus, 30, 31, live=False)
    assert bus.live.tests() == [accuracy_at(k, k + 1) for k in (0, 10, 20)]


def test_a_test_point_takes_the_place_of_those_that_are_not_before_it(bus: Bus) -> None:
    for version, iteration in enumerate([10, 20, 30, 20], 1):
        evaluate(bus, iteration, version)
    assert bus.live.tests() == [accuracy_at(10, 1), accuracy_at(20, 4)]


def test_a_test_point_of_weights_since_replaced_is_not_kept(bus: Bus) -> None:
    evaluate(bus, 10, 1)
    assert bus.live.replace(snapshot_of(7, 10, "upload"))
    evaluate(bus, 20, 6)
    assert bus.live.tests() == [accuracy_at(10, 1)]
    evaluate(bus, 20, 7)
    assert bus.live.tests() == [accuracy_at(10, 1), accuracy_at(20, 7)]


def test_of_too_many_test_points_every_other_goes_and_the_newest_stays(bus: Bus) -> None:
    for iteration in range(1, MAX_TEST_POINTS + 1):
        evaluate(bus, iteration, iteration)
    assert len(bus.live.tests()) == MAX_TEST_POINTS
    evaluate(bus, MAX_TEST_POINTS + 1, MAX_TEST_POINTS + 1)
    assert bus.live.tests() == [accuracy_at(k) for k in range(1, MAX_TEST_POINTS + 2, 2)]


def test_a_test_point_that_is_none_is_refused(bus: Bus, redis_server: RedisServer) -> None:
    redis_server.client.zadd(KEYS.tests, {b'{"version": 1}': 1})
    with pytest.raises(MalformedError, match=r"no TestPoint: .*iteration"):
        bus.live.tests()


def test_a_broken_connection_is_made_anew_without_notice(
    bus: Bus, redis_server: RedisServer
) -> None:
    bus.ping()
    redis_server.client.client_kill_filter(_type="normal", skipme=True)
    bus.ping()


def test_a_redis_that_refuses_counts_as_away(bus: Bus, redis_server: RedisServer) -> None:
    redis_server.client.set(KEYS.weights, "not a hash")
    with pytest.raises(RedisAwayError, match="WRONGTYPE") as caught:
        bus.live.latest()
    assert isinstance(caught.value.__cause__, redis.ResponseError)
