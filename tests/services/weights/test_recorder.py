"""What the service keeps by itself, and how it answers other services and bad times."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import structlog

from nn.model import Weights
from ops.settings import Settings
from services.weights.formats import Format, encode
from services.weights.store import Store
from wire.bus import Bus
from wire.calls import Fetch, Restore, Upload
from wire.codec import decode_snapshot
from wire.messages import Evaluation, Snapshot, WeightsInfo

ROOT = Path(__file__).parents[3]
Serve = Callable[[Settings], httpx.Client]
Wait = Callable[..., Any]
Make = Callable[..., Any]


def history(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/weights/versions").json()["versions"]
    return found


def kept(client: httpx.Client) -> list[tuple[int, str]]:
    """Return (version, origin) of all that is kept, newest first."""
    return [(entry["version"], entry["origin"]) for entry in history(client)]


# --- checkpoints --------------------------------------------------------------------------------
def test_a_training_is_kept_now_and_then_and_at_its_end(
    serve: Serve, settings: Settings, trainer: Any, wait_until: Wait
) -> None:
    client = serve(settings)
    trainer.lead()
    trainer.tell(training=True)
    published = []
    deadline = time.monotonic() + 3.5
    iteration = 0
    while time.monotonic() < deadline:  # checkpoint_s is 1: two or three are due
        iteration += 10
        published.append(trainer.publish(iteration, loss=1 / iteration))
        time.sleep(0.1)
    assert 2 <= len(history(client)) <= 4
    last = trainer.publish(iteration + 1)
    trainer.tell(training=False)
    wait_until(lambda: kept(client)[0] == (last, "checkpoint"), 3)
    entries = history(client)
    assert entries[0]["iteration"] == iteration + 1
    assert all(entry["version"] in published for entry in entries[1:])
    assert {entry["origin"] for entry in entries} == {"checkpoint"}

    # The same state, published again as after a change of settings, is not kept again.
    trainer.publish(iteration + 1)
    time.sleep(1.6)
    assert kept(client)[0] == (last, "checkpoint")
    assert len(history(client)) == len(entries)


def test_a_training_is_not_kept_more_often_than_set_but_at_its_end(
    serve: Serve, settings: Settings, trainer: Any, wait_until: Wait
) -> None:
    client = serve(settings.model_copy(update={"checkpoint_s": 3600.0}))
    trainer.lead()
    trainer.tell(training=True)
    for iteration in range(1, 20):
        trainer.publish(iteration)
        time.sleep(0.1)
    time.sleep(1.2)  # a trainer that waits for data has not stopped
    assert history(client) == []
    trainer.tell(training=False)
    wait_until(lambda: [entry["iteration"] for entry in history(client)] == [19], 3)


def test_the_first_weights_and_tunes_are_kept_at_once(
    serve: Serve, settings: Settings, trainer: Any, wait_until: Wait
) -> None:
    client = serve(settings.model_copy(update={"checkpoint_s": 3600.0}))
    trainer.lead()
    first = trainer.publish(0, "reset", loss=None)
    wait_until(lambda: kept(client) == [(first, "reset")], 3)
    trainer.tell(training=True)
    tuned = trainer.publish(17, "tune")
    wait_until(lambda: kept(client) == [(tuned, "tune"), (first, "reset")], 3)
    assert history(client)[0]["iteration"] == 17


def test_what_was_deleted_stays_deleted_after_a_restart(
    serve: Serve, settings: Settings, bus: Bus, trainer: Any, wait_until: Wait
) -> None:
    store = Store(settings.weights_dir)
    trainer.lead()
    first = trainer.publish(0, "reset")
    live = bus.live.latest()
    assert live is not None
    store.add(live)
    store.remove(first)
    store.close()
    client = serve(settings)
    second = trainer.publish(0, "tune")
    wait_until(lambda: kept(client) == [(second, "tune")], 3)


def test_a_restart_keeps_no_second_copy(
    serve: Serve, settings: Settings, bus: Bus, trainer: Any
) -> None:
    store = Store(settings.weights_dir)
    trainer.lead()
    version = trainer.publish(40)
    live = bus.live.latest()
    assert live is not None
    store.add(live)
    store.close()
    trainer.publish(40)  # the trainer has started anew, too
    client = serve(settings)
    time.sleep(1.8)
    assert kept(client) == [(version, "checkpoint")]


# --- test accuracies ----------------------------------------------------------------------------
def test_every_kept_version_gets_its_test_accuracy(
    serve: Serve, settings: Settings, bus: Bus, wait_until: Wait
) -> None:
    client = serve(settings)
    reset = client.delete("/weights").json()["version"]
    client.post("/weights/versions", json={"name": "x"})
    wait_until(lambda: len(history(client)) == 2)
    asked = [wait_until(bus.live.pop_to_evaluate, 3) for _ in range(2)]
    for snapshot in asked:
        version = snapshot.info.version
        evaluation = Evaluation(version, snapshot.info.iteration, version / 10, live=False)
        bus.live.publish_evaluation(evaluation)
    wait_until(lambda: [e["test_acc"] for e in history(client)] == [0.2, 0.1], 3)
    assert [e["version"] for e in history(client)] == [reset + 1, reset]

    restored = client.post(f"/weights/versions/{reset}/restore").json()["version"]
    assert history(client)[0]["version"] == restored
    assert history(client)[0]["test_acc"] == 0.1  # known already: the weights are the same
    assert bus.live.pop_to_evaluate() is None


def test_lost_requests_are_made_again_after_a_restart(
    serve: Serve, settings: Settings, bus: Bus, make_network: Make, wait_until: Wait
) -> None:
    store = Store(settings.weights_dir)
    weights = make_network((784, 2, 10))
    for version in range(1, 41):
        info = WeightsInfo(version, 0, "upload")
        store.add(Snapshot(weights, info), test_acc=0.5 if version == 40 else None)
    store.close()
    serve(settings)
    asked = [wait_until(bus.live.pop_to_evaluate, 3).info.version for _ in range(32)]
    assert asked == list(range(8, 40))
    assert bus.live.pop_to_evaluate() is None
    assert bus.live.next_version() == 41  # numbers go on where the history ends


# --- calls --------------------------------------------------------------------------------------
def test_other_services_upload_and_restore(
    serve: Serve, settings: Settings, bus: Bus, make_network: Make
) -> None:
    client = serve(settings)
    weights: Weights = make_network(seed=3)
    body = httpx.Response(200, json=[m.tolist() for m in weights.matrices]).content
    reply = bus.calls.call("weights", Upload(body))
    assert (reply.status, reply.detail) == (200, "")
    live = bus.live.latest()
    assert live is not None
    assert (live.info.version, live.info.origin) == (reply.version, "upload")
    np.testing.assert_array_equal(live.weights.matrices[1], weights.matrices[1])

    again = bus.calls.call("weights", Restore(reply.version))
    assert again.version > reply.version
    assert kept(client) == [(again.version, "restore"), (reply.version, "upload")]


def test_the_weights_of_a_version_are_given_to_another_service(
    serve: Serve, settings: Settings, bus: Bus
) -> None:
    client = serve(settings)
    version = client.delete("/weights").json()["version"]
    live = bus.live.latest()
    assert live is not None
    reply = bus.calls.call("weights", Fetch(version))
    snapshot = decode_snapshot(reply.snapshot)
    assert (snapshot.info, reply.version) == (live.info, 0)
    np.testing.assert_array_equal(snapshot.weights.matrices[0], live.weights.matrices[0])
    assert kept(client) == [(version, "reset")]  # nothing changed


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        (Restore(99), 404, "there is no version 99"),
        (Fetch(99), 404, "there is no version 99"),
        (Upload(b"[[[1]]]"), 422, "w1 is 1 x 1; allowed is 784 x 128"),
        (Upload(b"[[1]]"), 422, "weights as JSON are a list of matrices"),
        (Upload(b"nonsense"), 400, "the body is not JSON"),
    ],
)
def test_calls_that_are_refused(
    serve: Serve, settings: Settings, bus: Bus, request_: Any, status: int, detail: str
) -> None:
    client = serve(settings)
    reply = bus.calls.call("weights", request_)
    assert reply.status == status
    assert detail in reply.detail
    assert history(client) == []


def test_what_is_no_call_is_dropped(serve: Serve, settings: Settings, bus: Bus) -> None:
    serve(settings)
    bus._client.rpush("inkling:{default}:calls:weights", b"\xc1 nonsense")
    assert bus.calls.call("weights", Restore(5)).status == 404


# --- bad times ----------------------------------------------------------------------------------
def test_it_goes_on_when_redis_is_back(
    capfd: pytest.CaptureFixture[str],  # first: it must not end before those who write to it
    own_redis: Any,
    own_bus: Bus,
    own_client: httpx.Client,
    wait_until: Wait,
) -> None:
    bus, client = own_bus, own_client
    first = client.delete("/weights").json()["version"]
    wait_until(bus.live.pop_to_evaluate)
    capfd.readouterr()
    own_redis.stop()
    time.sleep(2)
    own_redis.start()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    said = capfd.readouterr().out.count("the history of weights is not kept up")
    assert said <= 3  # each thread complains once, not at every try

    wait_until(bus.live.pop_to_evaluate, 5)  # asked again
    bus.live.publish_evaluation(Evaluation(first, 0, 0.5, live=False))
    wait_until(lambda: history(client)[0]["test_acc"] == 0.5)
    assert bus.calls.call("weights", Restore(first)).status == 200
    snapshot = bus.live.latest()
    assert snapshot is not None
    version = bus.live.next_version()
    tuned = Snapshot(snapshot.weights, WeightsInfo(version, 3, "tune"))
    assert bus.live.replace(tuned)
    wait_until(lambda: kept(client)[0] == (version, "tune"))


def test_an_upload_that_redis_lost_is_put_back(
    serve: Serve,
    settings: Settings,
    bus: Bus,
    make_network: Make,
    make_snapshot: Make,
    wait_until: Wait,
) -> None:
    client = serve(settings)
    client.delete("/weights").raise_for_status()
    redis, key = bus._client, "inkling:{default}:weights"
    before = redis.dump(key)
    uploaded = make_network(seed=8)
    body = encode(make_snapshot(uploaded), Format.SAFETENSORS)
    version = client.post("/weights?format=safetensors", content=body).json()["version"]
    redis.restore(key, 0, before, replace=True)  # as if the last second had not reached the disk
    redis.client_kill_filter(_type="pubsub")  # a restart ends all connections
    wait_until(lambda: bus.live.generation() > version, what="the upload")
    live = bus.live.latest()
    assert live is not None
    assert (live.info.origin, live.info.version) == ("upload", bus.live.generation())
    assert all(map(np.array_equal, live.weights.arrays, uploaded.arrays))
    assert kept(client)[:2] == [(live.info.version, "upload"), (version, "upload")]


def test_a_generation_that_cannot_be_read_stops_nothing(
    serve: Serve, settings: Settings, bus: Bus, wait_until: Wait
) -> None:
    client = serve(settings)
    redis, key = bus._client, "inkling:{default}:weights"
    client.delete("/weights").raise_for_status()
    before = redis.dump(key)
    version = client.delete("/weights").raise_for_status().json()["version"]
    redis.hset(key, "generation", b"\xff")
    with structlog.testing.capture_logs() as lines:
        redis.client_kill_filter(_type="pubsub")
        wait_until(lambda: [one for one in lines if one.get("work") == "evaluations"
                            and "a generation" in one["reason"]])  # fmt: skip
    redis.restore(key, 0, before, replace=True)
    redis.client_kill_filter(_type="pubsub")
    wait_until(lambda: bus.live.generation() > version, what="the reset, put back")


def test_a_reset_that_redis_lost_is_put_back_as_a_reset(
    serve: Serve, settings: Settings, bus: Bus, wait_until: Wait
) -> None:
    client = serve(settings)
    version = client.delete("/weights").json()["version"]
    bus._client.delete("inkling:{default}:weights")
    bus._client.client_kill_filter(_type="pubsub")
    wait_until(lambda: bus.live.generation() > version, what="the reset")
    live = bus.live.latest()
    assert live is not None
    assert (live.info.origin, live.info.iteration) == ("reset", 0)  # the data begin anew, too


def test_what_was_about_to_go_live_when_the_service_was_killed_goes_live(
    serve: Serve,
    settings: Settings,
    bus: Bus,
    make_network: Make,
    make_snapshot: Make,
    wait_until: Wait,
) -> None:
    store = Store(settings.weights_dir)
    written = make_snapshot(make_network(seed=8), version=5)
    assert store.add(written, replaces=True)
    store.close()
    serve(settings)
    wait_until(lambda: bus.live.generation() > 5, what="the upload")
    live = bus.live.latest()
    assert live is not None
    assert all(map(np.array_equal, live.weights.arrays, written.weights.arrays))


def test_what_is_live_or_deleted_is_not_put_back(
    serve: Serve, settings: Settings, bus: Bus, wait_until: Wait
) -> None:
    client = serve(settings)
    first = client.delete("/weights").json()["version"]
    second = client.delete("/weights").json()["version"]
    client.delete(f"/weights/versions/{second}").raise_for_status()
    before = bus.live.next_version()
    redis = bus._client
    for forgotten in (second, first):  # neither is older than the newest in the history
        redis.hset("inkling:{default}:weights", "generation", forgotten)
        redis.delete("inkling:{default}:to-evaluate")
        redis.client_kill_filter(_type="pubsub")
        wait_until(bus.live.pop_to_evaluate, 5)  # asked again: it has looked
    assert bus.live.next_version() == before + 1


def test_it_goes_on_when_the_disk_is_back(
    serve: Serve, settings: Settings, bus: Bus, trainer: Any, wait_until: Wait
) -> None:
    settings.weights_dir.write_text("a file in the way")
    client = serve(settings)
    trainer.lead()
    trainer.publish(0, "reset")
    wait_until(lambda: client.get("/readyz").status_code == 503)
    time.sleep(0.3)
    settings.weights_dir.unlink()
    version = trainer.publish(1, "tune")
    wait_until(lambda: kept(client)[:1] == [(version, "tune")], 3)
    assert client.get("/readyz").status_code == 200


def test_nonsense_on_the_channels_is_ignored(
    serve: Serve, settings: Settings, bus: Bus, wait_until: Wait
) -> None:
    client = serve(settings)
    version = client.delete("/weights").json()["version"]
    wait_until(bus.live.pop_to_evaluate, 3)
    for channel in ("evaluations", "frames", "weights-news"):
        bus._client.publish(f"inkling:{{default}}:{channel}", b"\xffnonsense")
    bus.live.publish_evaluation(Evaluation(version, 0, 0.5, live=False))
    wait_until(lambda: history(client)[0]["test_acc"] == 0.5, 3)


def test_the_process(redis_url: str, tmp_path: Path, wait_until: Wait) -> None:
    """`python -m services.weights`: it keeps what it acknowledged, is small, and ends in order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "INKLING_REDIS_URL": redis_url,
        "INKLING_WEIGHTS_DIR": str(tmp_path / "weights"),
        "INKLING_PORT": str(port),
    }
    command = [sys.executable, "-m", "services.weights"]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        wait_until(lambda: is_ready(client), what="the weights service")
        return process

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        process = start()
        assert psutil.Process(process.pid).memory_info().rss < 120e6
        version = client.delete("/weights").json()["version"]
        process.send_signal(signal.SIGKILL)
        process.wait()

        process = start()
        assert kept(client) == [(version, "reset")]
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert time.monotonic() - started < 5  # about one second on an idle machine


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
