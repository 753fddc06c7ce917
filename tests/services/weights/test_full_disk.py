"""A disk that is full, read-only, or that of Redis: 507, nothing is changed, and it goes on."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.settings import Settings
from tests.running import RedisServer
from tests.services.weights.conftest import serving
from tests.serving import detail_of
from wire.bus import Bus

DISK_MB = 4
NOBODY = 65534
Disk = Callable[[], Any]  # a context in which it is full


@contextmanager
def small_disk() -> Iterator[tuple[Path, Disk]]:
    """Give a folder that is a disk of its own, where mounting is allowed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", name]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting is not allowed here: the other kind of full disk is tried")
        try:
            yield folder, lambda: _filled(folder / "ballast")
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@contextmanager
def _filled(ballast: Path) -> Iterator[None]:
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    yield
    ballast.unlink()


@contextmanager
def limited_files() -> Iterator[tuple[Path, Disk]]:
    """Give a folder in which files cannot grow any more when the disk is "full"."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), _no_growth


@contextmanager
def _no_growth() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITES: list[Callable[[httpx.Client, int], httpx.Response]] = [
    lambda client, version: client.delete("/weights"),
    lambda client, version: client.post("/weights", json=client.get("/weights").json()),
    lambda client, version: client.post("/weights/versions", json={"name": "kept"}),
    lambda client, version: client.post(f"/weights/versions/{version}/restore"),
    lambda client, version: client.patch(f"/weights/versions/{version}", json={"name": "new"}),
    lambda client, version: client.delete(f"/weights/versions/{version}"),  # the last: it is gone
]


def state_of(client: httpx.Client) -> Any:
    """Return all that a write may change: what is live, and the history."""
    return client.get("/weights?format=npz").content, client.get("/weights/versions").json()


@pytest.mark.parametrize("make_disk", [small_disk, limited_files])
def test_a_full_disk_refuses_every_write_and_all_goes_on_when_there_is_room(
    bus: Bus, settings: Settings, wait_until: Any, make_disk: Callable[[], Any]
) -> None:
    with make_disk() as (folder, full):
        settings = settings.model_copy(update={"weights_dir": folder, "hidden_units": 32})
        with serving(bus, settings, wait_until, lifespan="off") as client:
            version = client.delete("/weights").raise_for_status().json()["version"]
            before = state_of(client)
            with full():
                for write in WRITES:
                    detail = detail_of(write(client, version), 507)
                    assert f"cannot be kept in {folder}" in detail
                    assert "nothing was changed. Free space on the disk" in detail
                assert make_disk is limited_files or state_of(client) == before  # reading goes on
            assert state_of(client) == before
            for write in WRITES:
                assert write(client, version).status_code in (200, 204)
            assert len(state_of(client)[1]["versions"]) == 4


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody whom a folder's mode holds up, as root is not."""
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


def test_a_read_only_folder_refuses_every_write_and_all_goes_on_when_it_is_not(
    bus: Bus, settings: Settings, wait_until: Any
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings.model_copy(update={"weights_dir": folder, "hidden_units": 32})
        with serving(bus, settings, wait_until, lifespan="off") as client:
            version = client.delete("/weights").raise_for_status().json()["version"]
            before = state_of(client)
        with serving(bus, settings, wait_until, lifespan="off") as client:  # opens it anew
            folder.chmod(0o555)
            with unprivileged():
                for write in WRITES:
                    detail = detail_of(write(client, version), 507)
                    assert "nothing was changed" in detail
                    assert "make the folder writable" in detail
            folder.chmod(0o755)
            assert state_of(client) == before
            for write in WRITES:
                assert write(client, version).status_code in (200, 204)


def test_a_redis_out_of_memory_refuses_what_replaces_weights_and_goes_on(
    own_redis: RedisServer, own_client: httpx.Client
) -> None:
    client = own_client
    version = client.delete("/weights").raise_for_status().json()["version"]
    before = state_of(client)
    own_redis.client.config_set("maxmemory", 1)
    tune = {"data": [{"target": 1, "image": [0] * 784}]}
    for answer in (
        client.delete("/weights"),
        client.post("/weights?format=npz", content=before[0]),
        client.post(f"/weights/versions/{version}/restore"),
        client.patch("/weights", json=tune),
    ):
        detail = detail_of(answer, 507)
        assert "its memory is full, up to maxmemory; nothing was changed." in detail
        assert "raise its maxmemory" in detail
    assert state_of(client) == before
    own_redis.client.config_set("maxmemory", 0)
    assert client.post(f"/weights/versions/{version}/restore").status_code == 200
    assert len(state_of(client)[1]["versions"]) == 2
