"""`make run`'s supervisor and everything under it, as a person uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from wire.codec import decode_weights

ITERATIONS = 2000


def weights_of(stack) -> list[np.ndarray]:
    data = stack.client.get("/weights", params={"format": "safetensors"}).content
    return list(decode_weights(data)[0].arrays)


def scale(stack, count: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.local.scale", str(count)],
        cwd=Path(__file__).parents[2], env=stack.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def train(stack, wait_until, iterations: int) -> None:
    """Reset, train so many iterations, and wait for their end."""
    stack.client.delete("/weights", params={"train": iterations}).raise_for_status()
    wait_until(
        lambda: stack.status()["iteration"] == iterations and not stack.status()["training"],
        90,
        f"iteration {iterations}",
    )


def test_one_worker_or_four_with_one_killed_give_the_same_weights(make_stack, wait_until) -> None:
    one = make_stack(INKLING_SEED="7")
    one.start()
    train(one, wait_until, ITERATIONS)
    expected = weights_of(one)
    one.close()

    four = make_stack(INKLING_SEED="7")
    four.start()
    assert scale(four, 4).stdout == "ok: 4 data workers\n"
    wait_until(lambda: four.status()["data_workers"] == 4, what="four workers")
    four.client.delete("/weights", params={"train": ITERATIONS}).raise_for_status()
    wait_until(lambda: four.status()["iteration"] > ITERATIONS / 2, 60, "half way")
    assert four.status()["training"]
    os.kill(four.pids("services.data.worker")[1], signal.SIGKILL)
    wait_until(lambda: not four.status()["training"], 60, "the end")
    assert four.status()["iteration"] == ITERATIONS
    for a, b in zip(weights_of(four), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    wait_until(lambda: len(four.pids("services.data.worker")) == 4, what="the killed one's heir")


def test_a_killed_trainer_is_replaced_and_reaches_the_same_weights(make_stack, wait_until) -> None:
    stack = make_stack(INKLING_SEED="7")
    stack.start()
    train(stack, wait_until, ITERATIONS)
    expected = weights_of(stack)
    stack.client.delete("/weights", params={"train": ITERATIONS}).raise_for_status()
    wait_until(lambda: stack.status()["iteration"] > ITERATIONS / 2, 60, "half way")
    os.kill(stack.pids("services.trainer")[0], signal.SIGKILL)
    wait_until(lambda: stack.status()["iteration"] == ITERATIONS, 60, "the end")
    wait_until(lambda: not stack.status()["training"], 60, "the end")
    for a, b in zip(weights_of(stack), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_eight_workers_fetch_seven_times_as_fast_as_one(make_stack, wait_until) -> None:
    stack = make_stack(INKLING_DATA_LATENCY_MS="50", INKLING_CACHE_SIZE="32")
    stack.start()

    def batches_per_second(workers: int) -> float:
        scale(stack, workers)
        wait_until(lambda: stack.status()["data_workers"] == workers, what=f"{workers} workers")
        begun, at = stack.status()["iteration"], time.monotonic()
        wait_until(lambda: stack.status()["iteration"] >= begun + 40 * workers, 60, "batches")
        done: int = stack.status()["iteration"] - begun
        return done / (time.monotonic() - at)

    stack.control(type="Start")
    wait_until(lambda: stack.status()["trainer"] == "waiting for data", what="starvation")
    ratios = []
    for _ in range(3):  # other programs may have the cores for a while
        one, eight = batches_per_second(1), batches_per_second(8)
        print(f"batches a second at 50 ms: {one:.1f} with 1 worker, {eight:.1f} with 8")
        ratios.append(eight / one)
        if ratios[-1] >= 7:
            break
    assert max(ratios) >= 7


def test_ctrl_c_stops_everything_and_leaves_nothing(make_stack) -> None:
    stack = make_stack()
    stack.start()
    children = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(children) == 4  # Redis, web, trainer, one data worker
    stack.control(type="Start")
    assert stack.stop() == 0
    assert not [child for child in children if child.is_running()]
    state = {path.name for path in (stack.folder / "state").iterdir()}
    assert state == {"lock", "redis"}
    assert "Traceback" not in stack.log.read_text()
    with pytest.raises(httpx.ConnectError):
        stack.client.get("/")


def test_a_killed_supervisor_takes_everything_with_it(make_stack, wait_until) -> None:
    stack = make_stack()
    stack.start()
    children = psutil.Process(stack.process.pid).children(recursive=True)
    stack.process.kill()
    stack.process.wait()
    stack.process = None
    wait_until(lambda: not any(child.is_running() for child in children), what="their end")


def test_the_second_start_is_quick_and_remembers_the_run(make_stack, wait_until) -> None:
    stack = make_stack()
    stack.start()
    train(stack, wait_until, 100)
    before = weights_of(stack)
    stack.stop()
    begun = time.monotonic()
    stack.start()
    assert stack.client.get("/").status_code == 200
    took = time.monotonic() - begun
    print(f"second start: {took:.1f} s")
    assert took < 20  # the goal is 5 s on a quiet machine; a busy one may take longer
    assert stack.status()["iteration"] == 100
    for a, b in zip(weights_of(stack), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_scale_while_it_trains_down_to_none_and_up_again(make_stack, wait_until) -> None:
    stack = make_stack()
    stack.start()
    stack.control(type="Start")
    for count in (3, 0, 2):
        assert scale(stack, count).returncode == 0
        wait_until(lambda count=count: stack.status()["data_workers"] == count, what="the count")
        if count == 0:
            wait_until(lambda: stack.status()["trainer"] == "waiting for data", what="starvation")
    begun = stack.status()["iteration"]
    wait_until(lambda: stack.status()["iteration"] > begun + 50, what="training")


@pytest.mark.parametrize("count", ["", "-1", "x", "65", "1.5"])
def test_a_wrong_number_of_workers_is_refused(make_stack, count: str) -> None:
    answer = scale(make_stack(), count)
    assert answer.returncode == 1
    assert f"DATA_WORKERS={count} is not allowed: a whole number, 0 to 64" in answer.stderr


def test_scale_without_a_running_stack_says_so(make_stack) -> None:
    answer = scale(make_stack(), 2)
    assert answer.returncode == 1
    assert "Inkling is not running here: start it with `make run` first." in answer.stderr


def test_a_second_run_in_the_same_folder_is_refused(make_stack) -> None:
    stack = make_stack()
    stack.start()
    answer = run_local({**stack.environment, "INKLING_PORT": "0"})
    assert answer.returncode == 1
    assert "Inkling is already running from" in answer.stderr
    assert f"process {stack.process.pid}" in answer.stderr


def test_a_port_in_use_is_named(make_stack) -> None:
    stack = make_stack()
    stack.start()
    other = make_stack(INKLING_PORT=str(stack.port))
    answer = run_local(other.environment)
    assert answer.returncode == 1
    assert f"PORT={stack.port} cannot be used" in answer.stderr


def test_a_wrong_setting_stops_everything_with_its_name(make_stack) -> None:
    answer = run_local(make_stack(INKLING_BATCH_SIZE="5000").environment)
    assert answer.returncode == 2
    assert "INKLING_BATCH_SIZE='5000' is not allowed" in answer.stderr
    assert "4096" in answer.stderr


def test_a_data_set_that_cannot_be_had_stops_everything_and_says_why(make_stack, tmp_path) -> None:
    environment = make_stack(INKLING_DATASET="mnist", INKLING_CACHE_DIR=str(tmp_path)).environment
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(b"rubbish")
    answer = run_local({**environment, "INKLING_DATA_DIR": str(folder)})
    assert answer.returncode == 2
    assert str(folder) in answer.stderr
    assert "lacks train-labels-idx1-ubyte" in answer.stderr


def run_local(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.local"], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_redis_killed_while_it_trains_comes_back_and_training_goes_on(
    make_stack, wait_until
) -> None:
    stack = make_stack()
    stack.start()
    stack.control(type="Start")
    wait_until(lambda: stack.status()["iteration"] > 200, what="training")
    before = stack.status()["iteration"]
    (redis_pid,) = [
        child.pid
        for child in psutil.Process(stack.process.pid).children()
        if "redis-server" in child.name()
    ]
    os.kill(redis_pid, signal.SIGKILL)
    answer = wait_until(lambda: _unless_ok(stack.client.get("/status")), what="the failure")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("Redis is away")
    image = {"image": [0.5] * 784}
    assert stack.client.post("/infer", json=image).status_code == 200  # goes on with what it has
    wait_until(lambda: stack.client.get("/status").status_code == 200, 30, "Redis")
    wait_until(lambda: stack.status()["iteration"] > before + 200, 30, "training")
    assert stack.status()["problem"] is None


def _unless_ok(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 200 else answer
