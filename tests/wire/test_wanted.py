"""The settings that a run shall have."""

from __future__ import annotations

import pytest

from tests.examples import snapshot_of
from tests.running import RedisServer
from wire.bus import Bus
from wire.codec import MalformedError
from wire.flow import Woken
from wire.keys import Keys
from wire.messages import RunSettings
from wire.request_id import working_for

KEYS = Keys()
DEFAULTS = RunSettings(batch_size=128, learning_rate=0.1, cache_size=16, seed=3)
OTHERS = RunSettings(batch_size=64, learning_rate=0.5, cache_size=8, seed=4)


def test_what_nobody_set_is_set_to_the_default_once(bus: Bus) -> None:
    assert bus.wanted.look(DEFAULTS) == (DEFAULTS, 0)
    settings, _ = bus.wanted.look(OTHERS)
    assert (settings.batch_size, settings.learning_rate, settings.cache_size) == (128, 0.1, 16)
    assert settings.seed == OTHERS.seed


def test_a_change_shows_and_gets_a_higher_revision(bus: Bus) -> None:
    first = bus.wanted.change({"batch_size": 64})
    second = bus.wanted.change({"learning_rate": 0.035, "cache_size": 4})
    assert second == first + 1
    settings, _ = bus.wanted.look(DEFAULTS)
    assert settings == RunSettings(
        batch_size=64, learning_rate=0.035, cache_size=4, seed=3, revision=second
    )


def test_a_change_wakes_the_trainer(bus: Bus) -> None:
    bus.wanted.change({"batch_size": 64})
    assert isinstance(bus.flow.wait(0.05, for_batch=False), Woken)
    assert bus.flow.wait(0.05, for_batch=False) is None


def test_each_start_is_numbered_and_may_have_an_end(bus: Bus) -> None:
    bus.wanted.change({"training": 1, "iterations": 500})
    first, _ = bus.wanted.look(DEFAULTS)
    assert (first.training, first.iterations, first.started) == (True, 500, 1)
    bus.wanted.change({"training": 1, "iterations": None})
    second, _ = bus.wanted.look(DEFAULTS)
    assert (second.training, second.iterations, second.started) == (True, None, 2)
    bus.wanted.change({"training": 0})
    third, _ = bus.wanted.look(DEFAULTS)
    assert (third.training, third.started) == (False, 2)


@pytest.fixture
def token(bus: Bus) -> int:
    token = bus.training.acquire()
    assert token is not None
    return token


def test_a_training_that_reached_its_target_ends(bus: Bus, token: int) -> None:
    bus.wanted.change({"training": 1, "iterations": 5})
    started = bus.wanted.look(DEFAULTS)[0].started
    bus.wanted.finish(started, token=token)
    settings, _ = bus.wanted.look(DEFAULTS)
    assert (settings.training, settings.revision) == (False, 2)


def test_a_training_is_not_ended_by_a_trainer_that_leads_no_more(bus: Bus, token: int) -> None:
    bus.wanted.change({"training": 1, "iterations": 5})
    started = bus.wanted.look(DEFAULTS)[0].started
    bus.training.release(token)
    assert bus.training.acquire() is not None
    bus.wanted.finish(started, token=token)
    assert bus.wanted.look(DEFAULTS)[0].training


def test_a_start_meanwhile_is_not_ended(bus: Bus, token: int) -> None:
    bus.wanted.change({"training": 1, "iterations": 5})
    started = bus.wanted.look(DEFAULTS)[0].started
    bus.wanted.change({"training": 1, "iterations": 7})
    bus.wanted.finish(started, token=token)
    settings, _ = bus.wanted.look(DEFAULTS)
    assert (settings.training, settings.iterations) == (True, 7)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("batch_size", b"0", "Expected `int` >= 1"),
        ("batch_size", b"4097", "Expected `int` <= 4096"),
        ("learning_rate", b"0", "Expected `float` > 0.0"),
        ("learning_rate", b"nan", "Expected `float`"),
        ("cache_size", b"many", "Expected `int`, got `str`"),
        ("iterations", b"9" * 5000, "out of range"),
        ("started", b"9223372036854775808", "Expected `int` <= 9223372036854775807"),
        ("colour", b"red", "unknown field `colour`"),
    ],
)
def test_settings_out_of_their_ranges_are_refused_with_their_values(
    bus: Bus, redis_server: RedisServer, field: str, value: bytes, fault: str
) -> None:
    redis_server.client.hset(KEYS.settings, field, value)
    with pytest.raises(MalformedError) as caught:
        bus.wanted.look(DEFAULTS)
    message = str(caught.value)
    assert message.startswith("settings of the run {")
    assert f"'{field}': '{value.decode()}'" in message or len(value) > 400
    assert fault in message
    assert len(message) < 600


@pytest.mark.parametrize("mapping", [{b"\xff": b"1"}, {b"batch_size": b"\xff"}])
def test_settings_that_are_no_utf_8_are_refused(
    bus: Bus, redis_server: RedisServer, mapping: dict[bytes, bytes]
) -> None:
    redis_server.client.hset(KEYS.settings, mapping=mapping)  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match=r"^settings of the run"):
        bus.wanted.look(DEFAULTS)


@pytest.mark.parametrize("value", [b"", b"seven", b"-1", b"\xff", b"9" * 5000])
def test_a_generation_that_is_no_number_is_refused(
    bus: Bus, redis_server: RedisServer, value: bytes
) -> None:
    redis_server.client.hset(KEYS.weights, "generation", value)
    with pytest.raises(MalformedError, match=r"^the generation of the weights = b'"):
        bus.wanted.look(DEFAULTS)


def test_settings_survive_a_restart_of_redis(own_redis: RedisServer) -> None:
    bus = Bus(own_redis.url)
    bus.wanted.change({"training": 1, "iterations": 9, "batch_size": 32})
    own_redis.stop()
    own_redis.start()
    settings, _ = bus.wanted.look(DEFAULTS)
    assert (settings.training, settings.iterations, settings.batch_size) == (True, 9, 32)
    bus.close()


def test_settings_tell_which_call_changed_them_last(bus: Bus) -> None:
    with working_for("outside-1"):
        bus.wanted.change({"batch_size": 64})
    assert bus.wanted.look(DEFAULTS)[0].request_id == "outside-1"
    bus.wanted.change({"batch_size": 32})
    assert bus.wanted.look(DEFAULTS)[0].request_id == ""
    with working_for("outside-2"):
        assert bus.live.replace(snapshot_of(3, 0, "reset"), train=5)
    assert bus.wanted.look(DEFAULTS)[0].request_id == "outside-2"
