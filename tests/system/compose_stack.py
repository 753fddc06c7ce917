"""The real stack in Docker: up, train, scale, break, down. `make test-docker` runs this.

Pytest does not collect this file by itself, because it needs a Docker engine. It needs MNIST, too,
in the folder that INKLING_DATA_DIR names. The tests share one stack and run in the order of this
file; the stack is made anew and removed at the end, volumes included.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from tests.running import ROOT, Controlled, free_port

PROJECT = "inkling-test"
MAX_RESIDENT_MB = 120
LEARN_S = 30.0
MEMORY_PEAKS = (  # in a container, of cgroups 2 and 1
    "/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
)  # fmt: skip
PYTHON_SERVICES = ("gateway", "inference", "weights", "data", "data-worker", "trainer")

pytestmark = pytest.mark.timeout(400)


class Compose(Controlled):
    """The stack, in a Compose project of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self._environment = {**os.environ, "PORT": str(port)}

    def run(self, *words: str) -> str:
        """Run docker compose; return its output."""
        command = ["docker", "compose", "--ansi", "never", "-p", PROJECT, *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def scale(self, **replicas: int) -> None:
        """Change numbers of replicas, and wait until all of them are healthy."""
        words = [f"--scale={name.replace('_', '-')}={count}" for name, count in replicas.items()]
        self.run("up", "-d", "--no-build", "--no-recreate", "--wait", *words)

    def handovers(self) -> list[tuple[int, int]]:
        """Return the iterations at which a trainer left, and the next one went on."""
        lines = self.run("logs", "--no-color", "--no-log-prefix", "trainer").splitlines()
        # Compose puts a control sequence before each line, whatever --ansi says.
        events = [json.loads(line[line.index("{") :]) for line in lines if "{" in line]
        steps = [one for one in events if one["event"] in ("left", "leading")]
        return [
            (last["iteration"], first["iteration"])
            for last, first in pairwise(steps)
            if (last["event"], first["event"]) == ("left", "leading")
        ]

    def is_up(self) -> bool:
        """Whether the status can be had, through the edge."""
        try:
            return self.client.get("/status").status_code == 200
        except httpx.TransportError:
            return False

    def iteration_passes(self, iteration: int) -> bool:
        """Whether training has gone beyond `iteration`."""
        return bool(self.status()["iteration"] > iteration)


@pytest.fixture(scope="module")
def stack() -> Iterator[Compose]:
    """The stack, up and healthy."""
    assert os.environ.get("INKLING_DATA_DIR"), "INKLING_DATA_DIR must name a folder with MNIST"
    compose = Compose(free_port())
    compose.run("down", "--volumes", "--remove-orphans")
    began = time.monotonic()
    try:
        compose.run("up", "--build", "-d", "--wait")
        print(f"\n  built, up and healthy after {time.monotonic() - began:.1f} s")
        yield compose
        logs = compose.run("logs", "--no-color")
    finally:
        compose.run("down", "--volumes", "--remove-orphans", "--timeout", "20")
        compose.client.close()
    assert "Traceback" not in logs, logs


@pytest.fixture(scope="module")
def test_digits() -> tuple[list[list[float]], list[int]]:
    """MNIST's first 1,000 test images (784 numbers, 0 to 1, each) and their labels."""
    folder = Path(os.environ["INKLING_DATA_DIR"])
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    pixels = np.frombuffer(images[: 1000 * 784], np.uint8).reshape(1000, 784) / 255
    return pixels.tolist(), list(labels[:1000])


class Visitors:
    """People who use the page all the while: each request must be answered with 200."""

    def __init__(self, url: str, image: list[float]) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = 0.0
        self._url = url
        self._image = image
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._visit, args=(ask,))
            for ask in (self._infer, self._infer, self._infer, self._look, self._set)
        ]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, ask: Callable[[httpx.Client], httpx.Response]) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.wait(0.01):
                began = time.monotonic()
                try:
                    answer = ask(client)
                    outcome = "200" if answer.status_code == 200 else f"{answer.text[:200]}"
                except httpx.HTTPError as error:
                    outcome = repr(error)
                self.outcomes[f"{ask.__name__}: {outcome}"] += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _infer(self, client: httpx.Client) -> httpx.Response:
        return client.post("/infer", json={"image": self._image})

    def _look(self, client: httpx.Client) -> httpx.Response:
        return client.get("/status")

    def _set(self, client: httpx.Client) -> httpx.Response:
        return client.post("/control", json={"type": "SetLearningRate", "value": 0.1})

    def errors(self, *of: str) -> list[str]:
        """Return what went wrong for the visitors named, or for all."""
        return [
            outcome
            for outcome in self.outcomes
            if not outcome.endswith(": 200") and (not of or outcome.split(":")[0] in of)
        ]


@pytest.fixture
def visitors(
    stack: Compose, test_digits: tuple[list[list[float]], list[int]]
) -> Iterator[Visitors]:
    with Visitors(stack.url, test_digits[0][0]) as people:
        yield people
    print(f"\n  visitors: {dict(people.outcomes)}, slowest {people.slowest_s:.2f} s")


def test_it_learns_mnist_in_30_s(stack: Compose, wait_until: Callable[..., Any]) -> None:
    assert stack.status()["dataset"] == "mnist"
    began = time.monotonic()
    stack.control(type="Start")
    for wanted, limit_s in ((0.97, LEARN_S), (0.975, 3 * LEARN_S)):
        left_s = began + limit_s - time.monotonic()
        wait_until(lambda w=wanted: (stack.status()["test_acc"] or 0) > w, left_s, f"{wanted}")
        print(f"\n  a test accuracy of {wanted:.1%} after {time.monotonic() - began:.1f} s")
    after = stack.control(type="Stop")
    print(f"  {after['iteration']} iterations, {after['samples_per_second']:.0f} digits a second")


def test_it_reads_970_of_the_first_1000_test_images(
    stack: Compose, test_digits: tuple[list[list[float]], list[int]]
) -> None:
    images, labels = test_digits
    results = stack.client.post("/infer", json={"images": images}).raise_for_status().json()
    right = sum(
        result["digit"] == label for result, label in zip(results["results"], labels, strict=True)
    )
    print(f"\n  {right} of 1,000 right")
    assert right >= 970


def test_the_edge_passes_on_evaluations_of_live_weights_and_of_a_version(
    stack: Compose, wait_until: Callable[..., Any]
) -> None:
    now = stack.status()["version"]
    report = wait_until(
        lambda: (found := stack.client.get("/evaluation").json())["version"] >= now and found
    )
    assert report["test_acc"] > 0.97
    assert np.array(report["confusion"]).sum() == report["count"] == 10_000
    first = stack.client.get("/weights/versions").json()["versions"][-1]["version"]
    random = stack.client.get("/evaluation", params={"version": first}).raise_for_status().json()
    assert random["test_acc"] < 0.5
    worst = stack.client.get("/evaluation/examples", params={"limit": 3}).raise_for_status().json()
    assert len(worst["examples"]) == 3


def test_the_edge_lets_the_page_into_frames_of_others_only_to_be_embedded(stack: Compose) -> None:
    for query, ancestors in (("", "'none'"), ("?embed=1", "*")):
        policy = stack.client.get(f"/{query}").headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert policy.endswith(f"frame-ancestors {ancestors}")


def test_data_workers_come_and_go_while_it_trains(
    stack: Compose, visitors: Visitors, wait_until: Callable[..., Any]
) -> None:
    stack.control(type="Start")
    for count in (4, 1, 0):
        stack.scale(data_worker=count)
        wait_until(lambda n=count: stack.status()["data_workers"] == n, 30, f"{count} workers")
        if count:
            now = stack.status()["iteration"]
            wait_until(lambda i=now: stack.iteration_passes(i), what="training on")
    wait_until(
        lambda: stack.status()["trainer"] == "waiting for data", 30, "a trainer without data"
    )
    stack.scale(data_worker=1)
    now = stack.status()["iteration"]
    wait_until(lambda: stack.iteration_passes(now), what="training on")
    assert visitors.errors() == []


def test_replicas_come_and_go_without_an_error(
    stack: Compose, visitors: Visitors, wait_until: Callable[..., Any]
) -> None:
    for _ in range(2):
        stack.scale(inference=3, gateway=2)
        stack.scale(inference=1, gateway=1)
    now = stack.status()["iteration"]
    wait_until(lambda: stack.iteration_passes(now), what="training on")
    assert visitors.errors() == []
    assert visitors.outcomes["_infer: 200"] > 100


def test_a_viewer_gets_frames_through_the_edge(stack: Compose) -> None:
    with connect(f"{stack.url.replace('http', 'ws')}/ws") as viewer:
        viewer.send(json.dumps({"type": "Subscribe", "weights": "f16", "weights_hz": 10}))
        arrivals: list[float] = []
        weights = 0
        while len(arrivals) < 40:
            frame = viewer.recv(timeout=10)
            weights += isinstance(frame, bytes)
            if isinstance(frame, str):
                arrivals.append(time.monotonic())
    pace = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
    print(f"\n  {pace:.1f} frames a second, {weights} with weights")
    assert pace > 10  # they are not held back on their way
    assert weights > 5


def test_redis_restarts_while_it_trains(
    stack: Compose, visitors: Visitors, wait_until: Callable[..., Any]
) -> None:
    before = stack.status()["iteration"]
    began = time.monotonic()
    stack.run("restart", "redis")
    restarted_s = time.monotonic() - began

    def trains_on() -> bool:
        answer = stack.client.get("/status")
        signal = answer.json()
        return answer.status_code == 200 and signal["training"] and signal["iteration"] > before

    wait_until(trains_on, 30, "training on")
    now = stack.status()["iteration"]
    wait_until(lambda: stack.iteration_passes(now + 100), what="training on for a while")
    print(f"\n  Redis away for {restarted_s:.1f} s, training {time.monotonic() - began:.1f} s")
    assert visitors.errors("_infer") == []  # the weights are in the memory of inference
    away = [error for error in visitors.errors() if '"status":503' not in error]
    assert away == []


def test_a_restart_of_everything_loses_no_iteration(
    stack: Compose, wait_until: Callable[..., Any]
) -> None:
    assert stack.status()["training"]
    before = stack.handovers()
    began = time.monotonic()
    stack.run("restart", "--timeout", "20")
    wait_until(lambda: len(stack.handovers()) > len(before), 60, "a trainer that leads again")
    print(f"\n  everything restarted after {time.monotonic() - began:.1f} s")
    left, led = stack.handovers()[-1]
    assert left == led > 0
    wait_until(lambda: stack.is_up() and stack.iteration_passes(led), 60, "training on")


def test_a_service_stays_under_120_mb(stack: Compose) -> None:
    resident = {}
    for name in PYTHON_SERVICES:
        status = stack.run("exec", "-T", name, "cat", "/proc/1/status")
        resident[name] = int(status.split("VmRSS:")[1].split()[0]) / 1024
    print("\n ", {name: f"{size:.0f} MB" for name, size in resident.items()})
    assert max(resident.values()) < MAX_RESIDENT_MB


def test_what_was_learnt_survives_down_and_up(
    stack: Compose, wait_until: Callable[..., Any]
) -> None:
    before = stack.control(type="Stop")
    saved = stack.client.post("/weights/versions", json={"name": "kept"}).raise_for_status().json()
    stack.run("down", "--timeout", "20")
    stack.run("up", "-d", "--wait")
    after = stack.status()
    assert after["iteration"] == before["iteration"]
    versions = stack.client.get("/weights/versions").json()["versions"]
    assert [v["name"] for v in versions if v["version"] == saved["version"]] == ["kept"]
    wait_until(lambda: (stack.status()["test_acc"] or 0) > 0.97, what="the test accuracy")


def test_only_the_edge_is_published_and_only_here(stack: Compose) -> None:
    rows = [json.loads(line) for line in stack.run("ps", "--format", "json").splitlines()]
    published = {
        (row["Service"], port["URL"])
        for row in rows
        for port in row["Publishers"] or []
        if port["PublishedPort"]
    }
    assert published == {("edge", "127.0.0.1")}


def each_container(stack: Compose) -> dict[str, dict[str, Any]]:
    """Return what Docker knows of the containers, by name."""
    names = stack.run("ps", "-q").split()
    shown = subprocess.run(["docker", "inspect", *names], capture_output=True, check=True)
    return {one["Name"].lstrip("/"): one for one in json.loads(shown.stdout)}


def networks_of(container: str) -> dict[str, Any]:
    """Return the networks that a container is on, by name, with its address on each."""
    form = "{{json .NetworkSettings.Networks}}"
    command = ["docker", "inspect", "--format", form, container]
    shown = subprocess.run(command, capture_output=True, check=True)
    networks: dict[str, Any] = json.loads(shown.stdout)
    return networks


def inside(container: str, script: str) -> str:
    """Return what a shell prints in a container, and its errors."""
    done = subprocess.run(
        ["docker", "exec", container, "sh", "-c", script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip()


def test_containers_may_do_nothing_but_their_work(stack: Compose) -> None:
    containers = each_container(stack)
    assert len(containers) >= 8
    for name, container in containers.items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] >= 2**30, name
        assert host["PidsLimit"] > 0, name
        status = dict(
            line.split(":\t", 1) for line in inside(name, "cat /proc/1/status").splitlines()
        )
        assert status["Uid"].split()[1] != "0", name
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, name
        assert status["NoNewPrivs"] == "1", name
        assert "Read-only file system" in inside(name, "touch /made-by-a-test"), name
        peak = inside(name, f"cat {' '.join(MEMORY_PEAKS)}")
        most = max((int(word) for word in peak.split() if word.isdigit()), default=0)
        print(f"\n  {name}: at most {most / 2**20:.0f} MiB, files read included", end="")


def test_redis_is_out_of_reach_of_the_edge_and_the_back_leads_nowhere(stack: Compose) -> None:
    containers = {one["Config"]["Labels"]["com.docker.compose.service"]: name
                  for name, one in each_container(stack).items()}  # fmt: skip
    ours = inside(containers["edge"], "wget -q -T 3 -O - http://gateway:8000/healthz")
    assert "alive" in ours
    away = inside(containers["edge"], "wget -T 3 -O - http://redis:6379/")
    assert re.search("resolve|bad address|Name or service", away), away
    address = networks_of(containers["redis"])[f"{PROJECT}_back"]["IPAddress"]
    away = inside(containers["edge"], f"timeout 8 wget -T 3 -O - http://{address}:6379/")
    assert re.search("timed out|unreachable|can't connect", away), away
    for service in ("trainer", "data-worker", "redis"):
        assert list(networks_of(containers[service])) == [f"{PROJECT}_back"], service
    back = ["docker", "network", "inspect", "--format", "{{.Internal}}", f"{PROJECT}_back"]
    assert subprocess.run(back, capture_output=True, text=True, check=True).stdout == "true\n"


def test_a_request_id_goes_from_the_edge_into_the_trainer(
    stack: Compose, wait_until: Callable[..., Any]
) -> None:
    signal = {"type": "SetCacheSize", "value": 17}
    answer = stack.client.post("/control", json=signal)
    assert answer.status_code == 200
    made = answer.headers.get_list("X-Request-ID")
    assert len(made) == 1
    wait_until(
        lambda: any(
            made[0] in line and "obeying settings" in line
            for line in stack.run("logs", "--no-color", "trainer").splitlines()
        ),
        what="the line of the trainer",
    )
    given = stack.client.get("/status", headers={"X-Request-ID": "mine"})
    assert given.headers.get_list("X-Request-ID") == ["mine"]
    refused = stack.client.get("/weights/versions/999999", headers={"X-Request-ID": 'a"b'})
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"] != 'a"b'


def test_the_edge_answers_for_a_service_that_is_away(
    stack: Compose, wait_until: Callable[..., Any]
) -> None:
    stack.run("stop", "inference")
    answer = stack.client.post("/infer", json={"image": [0] * 784})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"]
    assert "The inference service does not answer" in answer.json()["detail"]
    stack.run("start", "inference")
    wait_until(
        lambda: stack.client.post("/infer", json={"image": [0] * 784}).status_code == 200,
        what="inference",
    )
