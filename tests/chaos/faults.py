"""What goes wrong: drawn from a seed, done to a cluster, undone again."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.cluster import Cluster, Process

LONG_S = 3.6  # longer than a lease lasts, and than anybody waits for Redis to answer
FILLED = "filler"
OFTEN = {"kill -9": 5, "stop and continue": 4}  # there are many processes to which it may be done


@dataclass(frozen=True)
class Fault:
    """One fault: a kind, what it is done to, and for how long."""

    kind: str
    target: str
    seconds: float = 0.0

    @property
    def is_redis(self) -> bool:
        """Whether it is Redis that fails."""
        return self.target == "redis" or self.kind in ("connections cut", "redis full")

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind} {self.target}{lasting}"


class Deck:
    """Faults of `kinds` in the order of chance, each kind as often as OFTEN says.

    They befall the processes `names`.
    """

    def __init__(self, rng: random.Random, names: list[str], kinds: list[str]) -> None:
        self._rng = rng
        self._names = names
        self._whole = [kind for kind in kinds for _ in range(OFTEN.get(kind, 1))]
        self._left: list[str] = []

    def draw(self) -> Fault:
        """Return the next fault."""
        if not self._left:
            self._left = self._rng.sample(self._whole, len(self._whole))
        kind, choice = self._left.pop(), self._rng.choice
        match kind:
            case "kill -9":
                return Fault(kind, choice(self._names))
            case "stop and continue":
                name = choice([*self._names, "redis", "leader"])
                longest = LONG_S if name in ("redis", "leader") else 2.0
                return Fault(kind, name, choice([0.4, longest]))
            case "connections cut":
                return Fault(kind, choice(["normal", "pubsub", "all"]))
            case "redis paused":
                return Fault(kind, "redis", choice([0.3, LONG_S]))
            case "redis full":
                return Fault(kind, choice(["memory", "disk"]), 1.5)
            case "disk full":
                return Fault(kind, "weights", 1.0)
        return Fault(kind, "redis")


class Faults:
    """Does faults to a cluster, whose weights service keeps its history in `disk`."""

    def __init__(self, cluster: Cluster, disk: Path) -> None:
        self._cluster = cluster
        self._disk = disk
        self._do: dict[str, Callable[[Fault], None]] = {
            "kill -9": self._kill,
            "stop and continue": self._stop_and_continue,
            "connections cut": self._cut,
            "redis paused": self._pause_redis,
            "redis restarted": self._restart_redis,
            "redis killed -9": self._kill_redis,
            "redis lost its last second": self._roll_back_redis,
            "redis full": self._fill_redis,
            "disk full": self._fill_disk,
        }

    @property
    def kinds(self) -> list[str]:
        """The kinds that can be had here."""
        return [kind for kind in self._do if kind != "disk full" or self._disk.is_mount()]

    def do(self, fault: Fault) -> None:
        """Do it and undo it; whatever died runs again when this returns."""
        self._do[fault.kind](fault)

    def _process(self, fault: Fault) -> Process:
        if fault.target != "leader":
            return self._cluster[fault.target]
        with contextlib.suppress(redis.RedisError):  # which may fail at the same time
            return self._cluster.leader() or self._cluster["trainer1"]
        return self._cluster["trainer1"]

    def _kill(self, fault: Fault) -> None:
        process = self._process(fault)
        process.kill()
        process.start()

    def _stop_and_continue(self, fault: Fault) -> None:
        if fault.target == "redis":
            process = self._cluster.redis.process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            time.sleep(fault.seconds)
            process.send_signal(signal.SIGCONT)
            return
        one = self._process(fault)
        one.signal(signal.SIGSTOP)
        time.sleep(fault.seconds)
        one.signal(signal.SIGCONT)

    def _cut(self, fault: Fault) -> None:
        client = self._cluster.redis.client
        for kind in ("normal", "pubsub"):
            if fault.target in (kind, "all"):
                client.client_kill_filter(_type=kind, skipme=True)

    def _pause_redis(self, fault: Fault) -> None:
        self._cluster.redis.client.client_pause(int(fault.seconds * 1000))
        time.sleep(fault.seconds)

    def _restart_redis(self, _: Fault) -> None:
        self._cluster.redis.stop()
        self._cluster.redis.start()

    def _kill_redis(self, _: Fault) -> None:
        self._cluster.redis.kill()
        self._cluster.redis.start()

    def _roll_back_redis(self, _: Fault) -> None:
        self._cluster.redis.kill()
        self._cluster.redis.forget(1.0)
        self._cluster.redis.start()

    def _fill_redis(self, fault: Fault) -> None:
        server = self._cluster.redis
        with server.full_memory() if fault.target == "memory" else server.full_disk():
            time.sleep(fault.seconds)

    def _fill_disk(self, fault: Fault) -> None:
        filler = self._disk / FILLED
        try:
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            time.sleep(fault.seconds)
        finally:
            filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Give `folder` as a file system of so many megabytes, or as it is where none is mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def held(client: redis.Redis, key: str) -> int | None:
    """Return the number that a key holds; None where Redis is away."""
    with contextlib.suppress(redis.RedisError):
        return int(client.get(key) or 0)
    return None
