"""Control signals, over the WebSocket and POST /control: what they do, and how they are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ops.settings import Settings
from services.gateway import control
from services.gateway.api import create_app
from tests.running import RedisServer
from tests.services.gateway.people import Page, PlayedTrainer, training, weights_service
from tests.serving import detail_of, served
from wire.bus import Bus
from wire.calls import Reply, Restore, Upload
from wire.controls import MAX_SET_WEIGHTS_BYTES, MAX_SIGNAL_BYTES
from wire.keys import Keys

ALLOWED = (
    "'Start', 'Stop', 'GetStatus', 'SetWeights', 'SetBatchSize', 'SetLearningRate', "
    "'SetCacheSize', 'Subscribe'"
)


@pytest.fixture
def client(gateway: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{gateway}", timeout=30) as client:
        yield client


def obey(client: httpx.Client, **signal: Any) -> dict[str, Any]:
    """Send a signal; return the state after it took effect."""
    answer = client.post("/control", json=signal)
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    assert state["type"] == "ResponseSignal"
    assert state["weights"] is None
    assert state["history"] == {"iteration": [], "loss": [], "acc": [], "marks": [], "tests": []}
    return state


# --- what they do ---------------------------------------------------------------------------
def test_each_setting_is_confirmed_as_it_took_effect(bus: Bus, client: httpx.Client) -> None:
    with training(bus):
        for signal, field, value in [
            ("SetBatchSize", "batch_size", 32),
            ("SetLearningRate", "lrate", 0.035),
            ("SetCacheSize", "cache_size", 5),
        ]:
            assert obey(client, type=signal, value=value)[field] == value
        status = client.get("/status").json()
        assert (status["batch_size"], status["lrate"], status["cache_size"]) == (32, 0.035, 5)


def test_start_and_stop(bus: Bus, client: httpx.Client, wait_until: Callable[..., Any]) -> None:
    with training(bus):
        assert obey(client, type="GetStatus")["training"] is False
        assert obey(client, type="Start")["training"] is True
        wait_until(lambda: client.get("/status").json()["iteration"] > 3)
        assert obey(client, type="Start")["training"] is True  # again, to no harm
        stopped = obey(client, type="Stop")
        assert stopped["training"] is False
        assert stopped["target_iteration"] is None
        assert obey(client, type="GetStatus")["iteration"] == stopped["iteration"]


def test_start_for_so_many_iterations(
    bus: Bus, client: httpx.Client, wait_until: Callable[..., Any]
) -> None:
    with training(bus):
        started = obey(client, type="Start", iterations=25)
        bounds = started["start_iteration"], started["target_iteration"]
        assert bounds in ((0, 25), (None, None))  # None: it was there already
        wait_until(lambda: client.get("/status").json()["iteration"] == 25)
        wait_until(lambda: client.get("/status").json()["training"] is False)
        assert client.get("/status").json()["start_iteration"] is None
        obey(client, type="Start", iterations=5)
        wait_until(lambda: client.get("/status").json()["iteration"] == 30)


def test_viewers_see_a_training_and_what_anybody_changes(bus: Bus, gateway: str) -> None:
    with training(bus), Page(gateway) as page, Page(gateway) as other:
        page.send({"type": "SetBatchSize", "value": 16})
        page.send({"type": "Start", "iterations": 40})
        for viewer in (page, other):
            viewer.read_until(
                lambda viewer=viewer: (
                    viewer.iterations[-1:] == [40]  # type: ignore[misc]
                    and viewer.last["training"] is False
                )
            )
            assert viewer.told == viewer.iterations == list(range(1, 41))
            assert viewer.last["batch_size"] == 16
            assert viewer.errors == []


def test_get_status_is_answered_to_the_viewer_who_asks(bus: Bus, gateway: str) -> None:
    trainer = PlayedTrainer(bus)
    with Page(gateway) as page, Page(gateway) as other:
        trainer.tell(1, 2, 3)
        page.read_until(lambda: page.iterations == [1, 2, 3])
        other.read_until(lambda: other.iterations == [1, 2, 3])
        before, others = len(page.frames), len(other.frames)
        page.send({"type": "GetStatus"})
        page.read_until(lambda: len(page.frames) > before)
        assert page.last["iteration"] == 3
        assert page.last["history_from"] == 3
        assert page.iterations == [1, 2, 3]  # it takes no points away
        assert len(other.frames) == others


def test_signals_may_come_as_binary_frames(bus: Bus, gateway: str) -> None:
    with training(bus), Page(gateway) as page:
        page.send(json.dumps({"type": "SetCacheSize", "value": 3}).encode())
        page.read_until(lambda: page.frames and page.last["cache_size"] == 3)


# --- weights --------------------------------------------------------------------------------
def test_set_weights_by_version_asks_the_weights_service(bus: Bus, client: httpx.Client) -> None:
    with training(bus), weights_service(bus) as requests:
        state = obey(client, type="SetWeights", version=12)
        assert requests == [Restore(12)]
        assert state["iteration"] == 7  # that of the weights
    snapshot = bus.live.latest()
    assert snapshot is not None
    assert snapshot.info.iteration == 7


def test_set_weights_hands_matrices_over_as_they_came(bus: Bus, gateway: str) -> None:
    with weights_service(bus) as requests, Page(gateway) as page:
        page.send({"type": "SetWeights", "weights": [[[0.5, 1], [2.25, -3]], [[1e-3]]]})
        page.read_until(lambda: requests)
        assert requests == [Upload(b"[[[0.5,1],[2.25,-3]],[[0.001]]]")]
        assert page.errors == []


def test_a_refusal_of_the_weights_service_is_passed_on(bus: Bus, gateway: str) -> None:
    refusal = Reply(status=404, detail="there is no version 99; allowed are 1 to 5")
    with weights_service(bus, refuse=refusal):
        answer = httpx.post(f"http://{gateway}/control", json={"type": "SetWeights", "version": 99})
        assert detail_of(answer, 404) == refusal.detail
        with Page(gateway) as page:
            assert page.refusal({"type": "SetWeights", "version": 99}) == {
                "type": "Error",
                "signal": "SetWeights",
                "detail": refusal.detail,
            }


def test_without_a_weights_service(gateway: str) -> None:
    answer = httpx.post(
        f"http://{gateway}/control", json={"type": "SetWeights", "version": 1}, timeout=20
    )
    why = "no weights service took the call: is one running? Nothing was changed."
    assert detail_of(answer, 503) == why


# --- nobody trains --------------------------------------------------------------------------
def test_without_a_trainer_the_wish_is_kept(
    bus: Bus, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "EFFECT_S", 0.3)  # the time that a trainer has to obey
    answer = client.post("/control", json={"type": "SetBatchSize", "value": 77})
    assert detail_of(answer, 503) == (
        "No trainer is running. The change is kept, and takes effect when one starts."
    )
    assert answer.headers["retry-after"] == "2"
    assert bus.wanted.look(Settings().run_settings())[0].batch_size == 77
    with training(bus):
        assert obey(client, type="SetCacheSize", value=4)["batch_size"] == 77


# --- refusals -------------------------------------------------------------------------------
BAD: list[tuple[Any, str | None, str]] = [
    ("{", None, "the body is not JSON: EOF while parsing an object at line 1 column 1"),
    (b"\xff\xfe", None, "the body is not JSON: expected value at line 1 column 1"),
    ("[" * 1000, None, "the body is not JSON: recursion limit exceeded at line 1 column 202"),
    ([1], None, "the body = [1] is not allowed: Input should be an object"),
    ({"value": 5}, None, "type is missing"),
    ({"type": 5}, None, f"type = '5' is not allowed: it is one of {ALLOWED}"),
    ({"type": "Sit"}, "Sit", f"type = 'Sit' is not allowed: it is one of {ALLOWED}"),
    (
        {"type": "S" * 99},
        "S" * 40,
        f"type = 'SSSSSSSSSSSS...SSSSSSSSSSSSS' is not allowed: it is one of {ALLOWED}",
    ),
    (
        {"type": "Stop", "why": "tea"},
        "Stop",
        "Stop.why = 'tea' is not allowed: there is no such field",
    ),
    (
        {"type": "SetBatchSize", "value": 4097},
        "SetBatchSize",
        "SetBatchSize.value = 4097 is not allowed: Input should be less than or equal to 4096",
    ),
    (
        {"type": "SetWeights", "version": 2**63},
        "SetWeights",
        "SetWeights.version = 9223372036854775808 is not allowed: "
        "Input should be less than or equal to 9223372036854775807",
    ),
    (
        {"type": "SetWeights", "weights": [[[2**64]]]},
        "SetWeights",
        "SetWeights.weights is not allowed: Integer exceeds 64-bit range",
    ),
    (
        '{"type": "SetLearningRate", "value": NaN}',
        "SetLearningRate",
        "SetLearningRate.value = nan is not allowed: Input should be a finite number",
    ),
    (
        {"type": "Start", "iterations": 0},
        "Start",
        "Start.iterations = 0 is not allowed: Input should be greater than or equal to 1",
    ),
    (
        {"type": "Subscribe", "weights": "f64"},
        "Subscribe",
        "Subscribe.weights = 'f64' is not allowed: Input should be 'none', 'f32' or 'f16'",
    ),
    (
        {"type": "Stop", "pad": "x" * MAX_SIGNAL_BYTES},
        "Stop",
        "the signal has 65,563 bytes; allowed are 65,536",
    ),
    ("x" * (MAX_SIGNAL_BYTES + 1), None, "the signal has 65,537 bytes; allowed are 65,536"),
    (
        '{"type": "Stop", "pad": "' + "ü" * 40_000 + '"}',
        "Stop",
        "the signal has 80,027 bytes; allowed are 65,536",
    ),
    (
        json.dumps({"type": "SetWeights", "weights": ["x" * MAX_SET_WEIGHTS_BYTES]}),
        "SetWeights",
        "the signal has 8,388,647 bytes; allowed are 8,388,608",
    ),
]


def test_a_bad_signal_gets_an_error_and_changes_nothing(bus: Bus, gateway: str) -> None:
    before = bus.wanted.look(Settings().run_settings())
    with Page(gateway) as page:
        page.read()
        for signal, name, detail in BAD:
            refusal = page.refusal(signal)
            assert refusal == {"type": "Error", "signal": name, "detail": detail}
        frames = len(page.frames)
        page.send({"type": "GetStatus"})  # the connection has stayed
        page.read_until(lambda: len(page.frames) > frames)
        assert len(page.errors) == len(BAD)
    assert bus.wanted.look(Settings().run_settings()) == before


def test_post_control_refuses_the_same_with_a_problem(bus: Bus, client: httpx.Client) -> None:
    before = bus.wanted.look(Settings().run_settings())
    for signal, _, detail in BAD:
        body = signal if isinstance(signal, str | bytes) else json.dumps(signal)
        answer = client.post("/control", content=body)
        if len(body) > MAX_SET_WEIGHTS_BYTES:
            detail = "the body is over the limit of 8,388,608 bytes"
        assert detail_of(answer, 413 if "bytes" in detail else 422) == detail
    assert bus.wanted.look(Settings().run_settings()) == before


def test_a_large_set_weights_is_a_signal(bus: Bus, gateway: str) -> None:
    matrix = [[0.125] * 1000] * 300  # 2 MB
    with weights_service(bus) as requests:
        answer = httpx.post(
            f"http://{gateway}/control", json={"type": "SetWeights", "weights": [matrix]}
        )
        assert answer.status_code == 200
        assert json.loads(requests[0].weights) == [matrix]


def test_subscribe_is_for_the_websocket(client: httpx.Client) -> None:
    answer = client.post("/control", json={"type": "Subscribe", "weights": "f16"})
    assert detail_of(answer, 422) == (
        "type = 'Subscribe' is not allowed here: only over the WebSocket"
    )


# --- Redis away -----------------------------------------------------------------------------
def test_redis_away_is_told_everywhere_and_heals_by_itself(
    own_redis: RedisServer, wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    trainer = PlayedTrainer(bus)
    trainer.tell(1, 2)
    away = "Redis is away; nothing was changed. Try again in a few seconds."
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations == [1, 2])
        own_redis.stop()
        page.read_until(lambda: str(page.last["problem"]).startswith("Redis is away: "))
        assert page.last["problem"] == (
            "Redis is away: training pauses, and goes on by itself when it is back."
        )
        assert page.iterations == [1, 2]
        assert page.refusal({"type": "Stop"}) == {
            "type": "Error", "signal": "Stop", "detail": away,
        }  # fmt: skip
        assert detail_of(httpx.get(f"http://{place}/status"), 503) == away
        answer = httpx.post(f"http://{place}/control", json={"type": "Start"})
        assert detail_of(answer, 503) == away
        ready = httpx.get(f"http://{place}/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, [page.last["problem"]])

        own_redis.start()
        wait_until(lambda: httpx.get(f"http://{place}/readyz").status_code == 200)
        trainer.tell(3)
        page.read_until(lambda: page.iterations == [1, 2, 3])
        assert page.last["problem"] is None
        assert page.told.count(3) == 1
        assert httpx.get(f"http://{place}/status").json()["problem"] is None
    bus.close()


@pytest.mark.parametrize(
    ("fill", "why"),
    [
        (RedisServer.full_memory, "its memory is full, up to maxmemory"),
        (RedisServer.full_disk, "it cannot write its files, as where its disk is full"),
    ],
)
def test_a_redis_that_takes_no_writes_is_told_everywhere_and_heals_by_itself(
    own_redis: RedisServer, wait_until: Callable[..., Any], fill: Any, why: str
) -> None:
    bus = Bus(own_redis.url)
    trainer = PlayedTrainer(bus)
    trainer.tell(1, 2)
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations == [1, 2])
        with fill(own_redis):
            page.read_until(lambda: page.last["problem"] is not None)
            assert page.last["problem"] == (
                f"Redis takes no writes: {why}. Training pauses, and goes on by itself when there "
                "is room."
            )
            wait_until(lambda: httpx.get(f"http://{place}/status").json()["trainer"] == "none")
            status = httpx.get(f"http://{place}/status").json()
            assert status["problem"] == page.last["problem"]  # not that no trainer runs
            ready = httpx.get(f"http://{place}/readyz")
            assert (ready.status_code, ready.json()["reasons"]) == (503, [page.last["problem"]])
            detail = detail_of(httpx.post(f"http://{place}/control", json={"type": "Start"}), 507)
            assert detail.startswith(f"Redis takes no writes: {why}; nothing was changed.")

        wait_until(lambda: httpx.get(f"http://{place}/readyz").status_code == 200)
        trainer.tell(3)
        page.read_until(lambda: page.iterations == [1, 2, 3] and page.last["problem"] is None)
    bus.close()


def test_iterations_told_while_a_gateway_was_cut_off_are_caught_up(
    own_redis: RedisServer, wait_until: Callable[..., Any]
) -> None:
    bus, elsewhere = Bus(own_redis.url), Bus(own_redis.url)
    trainer = PlayedTrainer(elsewhere)
    trainer.tell(1, 2)
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations == [1, 2])
        for k in range(3, 30):
            own_redis.client.client_kill_filter(_type="pubsub")
            trainer.tell(k)
        page.read_until(lambda: page.iterations[-1] == 29)
        assert page.iterations == page.told == list(range(1, 30))  # each of them once
    bus.close()
    elsewhere.close()


def test_what_redis_forgot_is_told_when_the_trainer_has_told_it_again(
    own_redis: RedisServer, wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    trainer = PlayedTrainer(bus)
    for k in (1, 2, 3):
        trainer.tell(k)
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations == [1, 2, 3])
        own_redis.client.rpop(Keys().recent, 2)  # as if the last second had not reached the disk
        own_redis.client.client_kill_filter(_type="pubsub")
        page.read_until(lambda: page.iterations == [1])
        trainer.tell_again(1, 2, 3, 4, 5)
        page.read_until(lambda: page.iterations == [1, 2, 3, 4, 5])
    bus.close()


def test_a_run_that_went_back_while_a_gateway_was_cut_off_is_told_anew(
    own_redis: RedisServer, wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    trainer = PlayedTrainer(bus)
    trainer.tell(1, 2, 3, 4, 5)
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.iterations == [1, 2, 3, 4, 5])
        own_redis.stop()
        page.read_until(lambda: str(page.last["problem"]).startswith("Redis is away: "))
        own_redis.start()
        trainer.tell(history_from=2)  # most likely before the gateway is back
        trainer.tell(6, history_from=2)
        page.read_until(lambda: page.iterations == [1, 2, 6])
    bus.close()


def test_what_redis_holds_may_be_unusable(
    bus: Bus, redis_server: RedisServer, wait_until: Callable[..., Any]
) -> None:
    redis_server.client.set("inkling:{default}:curve", b"nonsense")
    with served(create_app(bus, Settings())) as place, Page(place) as page:
        page.read_until(lambda: page.frames and "not usable" in page.last["problem"])
        assert page.last["problem"] == "What Redis holds of the run is not usable: no curve."
        assert httpx.get(f"http://{place}/readyz").status_code == 503
        redis_server.client.delete("inkling:{default}:curve")
        with training(bus):  # its first frame shows that all is well again
            page.read_until(lambda: page.last["problem"] is None)
            assert httpx.get(f"http://{place}/readyz").status_code == 200
