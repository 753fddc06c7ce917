"""Every service as a process of its own: killed, put to sleep, asked to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.cluster import Cluster
from tests.services.gateway.people import Page
from wire.bus import Bus
from wire.training import LEASE_S

TAKEOVER_S = 5.0
STOP_S = 5.0

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def make_cluster(tmp_path: Path, datasets: Path) -> Iterator[MakeCluster]:
    made: list[Cluster] = []

    def make(**counts: Any) -> Cluster:
        folder = tmp_path / f"cluster{len(made)}"
        folder.mkdir()
        made.append(Cluster(folder, datasets, INKLING_HIDDEN_UNITS="16", **counts))
        made[-1].start()
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


def trained(cluster: Cluster, iterations: int) -> list[np.ndarray]:
    """Wait until so many iterations are trained; return the live weights."""
    bus = Bus(cluster.redis.url)
    deadline = time.monotonic() + 60
    while (live := bus.live.latest()) is None or live.info.iteration != iterations:
        assert time.monotonic() < deadline, live and live.info
        time.sleep(0.02)
    bus.close()
    return list(live.weights.arrays)


def reset(cluster: Cluster, iterations: int) -> None:
    """Start afresh, and train so many iterations."""
    url = f"{cluster['weights'].url}/weights"
    httpx.delete(url, params={"train": iterations}, timeout=20).raise_for_status()


def test_whatever_is_killed_the_weights_are_those_of_an_undisturbed_run(
    make_cluster: MakeCluster, wait_until: Callable[..., Any]
) -> None:
    count = 3000
    cluster = make_cluster(workers=2)
    reset(cluster, count)
    expected = trained(cluster, count)
    reset(cluster, count)
    for k, name in enumerate(["trainer1", "worker1", "gateway", "redis", "weights", "trainer1"], 1):
        reached = count * k // 8
        wait_until(
            lambda reached=reached: iteration(cluster) >= reached, 60, f"iteration {reached}"
        )
        if name == "redis":
            cluster.redis.kill()
            cluster.redis.start()
        else:
            cluster[name].kill()
            cluster[name].start()
    for one, other in zip(trained(cluster, count), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def iteration(cluster: Cluster) -> int:
    """Return the iteration of the latest frame, which a run that was reset has too."""
    bus = Bus(cluster.redis.url)
    frame = bus.training.frame()
    bus.close()
    return frame.signal.iteration if frame else 0


def test_a_trainer_that_slept_longer_than_its_lease_changes_nothing(
    make_cluster: MakeCluster, wait_until: Callable[..., Any]
) -> None:
    cluster = make_cluster(trainers=2)
    place = f"127.0.0.1:{cluster['gateway'].port}"
    cluster.control(type="Start")
    wait_until(lambda: iteration(cluster) > 100, what="training")
    sleeper = cluster.leader()
    assert sleeper is not None
    slept_at = time.monotonic()
    sleeper.signal(signal.SIGSTOP)
    token = int(cluster.redis.client.get(cluster.keys.lease) or 0)
    wait_until(lambda: number(cluster) >> 20 > token, 20, "a frame of the standby")
    took = time.monotonic() - slept_at
    print(f"the standby led {took:.1f} s after the leader went to sleep")
    assert LEASE_S - 1 < took < TAKEOVER_S
    token = int(cluster.redis.client.get(cluster.keys.lease) or 0)
    with Page(place) as page:
        page.read()
        pass_on(page, 50)
        sleeper.signal(signal.SIGCONT)
        pass_on(page, 200)
        # Nothing of what the sleeper did before it noticed was told, or led to anything.
        assert page.told == page.iterations == list(range(1, page.told[-1] + 1))
    assert int(cluster.redis.client.get(cluster.keys.lease) or 0) == token
    assert sleeper.process is not None
    assert sleeper.process.poll() is None
    wait_until(lambda: "lost the lease" in sleeper.log.read_text(), what="its log line")


def number(cluster: Cluster) -> int:
    """Return the number of the latest frame."""
    bus = Bus(cluster.redis.url)
    frame = bus.training.frame()
    bus.close()
    return frame.number if frame else 0


def pass_on(page: Page, iterations: int) -> None:
    """Read until the page was told so many iterations more."""
    begun = page.last["iteration"]
    page.read_until(lambda: page.last["iteration"] > begun + iterations, 30)


def test_a_trainer_that_is_asked_to_end_loses_no_iteration(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    with Page(f"127.0.0.1:{cluster['gateway'].port}") as page:
        page.read()
        cluster.control(type="Start")
        for _ in range(2):  # as `docker compose restart` does, again and again
            pass_on(page, 100)
            asked_at = time.monotonic()
            assert cluster["trainer1"].stop() == 0
            assert time.monotonic() - asked_at < STOP_S
            cluster["trainer1"].start()
        pass_on(page, 100)
        assert page.told == list(range(1, page.told[-1] + 1))  # none lost, none gone back to


def test_every_service_ends_in_order_within_5_s_while_it_is_used(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster()
    with Page(f"127.0.0.1:{cluster['gateway'].port}") as page:
        page.read()
        page.send({"type": "Subscribe", "weights": "f32", "weights_hz": 20})
        cluster.control(type="Start")
        page.read_until(lambda: page.last["iteration"] > 50 and page.weights)
        for name, process in cluster.processes.items():
            asked_at = time.monotonic()
            assert process.stop() == 0, name
            took = time.monotonic() - asked_at
            print(f"{name} ended after {took:.1f} s")
            assert took < STOP_S, name
    for name, process in cluster.processes.items():
        assert "Traceback" not in process.log.read_text(), name
