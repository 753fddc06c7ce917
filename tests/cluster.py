"""Every service as a process of its own, as the containers run them, to be killed one by one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import httpx
import redis

from tests.running import ROOT, Controlled, RedisServer, data_environment, free_port, wait_until
from wire.keys import Keys

HTTP = ("gateway", "inference", "weights", "data")
MODULES = {"worker": "services.data.worker"}  # else services.NAME
START_S = 90.0  # the first start may draw 70,000 digits
STOP_S = 10.0
PROBE_S = 2.0


class Process:
    """One service. `name` is its service, and a number where there are several."""

    def __init__(self, name: str, environment: dict[str, str], folder: Path) -> None:
        service = name.rstrip("0123456789")
        self.name = name
        self.port = free_port()
        self._command = [sys.executable, "-m", MODULES.get(service, f"services.{service}")]
        self._environment = {**environment, "INKLING_PORT": str(self.port)}
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting for anything."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, as SIGTERM does; return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_S)

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"


class CrashingRedis(RedisServer):
    """A Redis that may also end as its machine does: without its last second."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sizes: deque[tuple[float, Path, int]] = deque(maxlen=200)  # time, file, bytes

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def note_size(self) -> None:
        """Remember how long the append-only file is now."""
        files = [*self.folder.rglob("*.incr.aof"), *self.folder.glob("appendonly.aof")]
        if files:
            newest = max(files, key=lambda file: file.stat().st_mtime_ns)
            self._sizes.append((time.monotonic(), newest, newest.stat().st_size))

    def forget(self, seconds: float) -> int:
        """Cut off what the file got in the last `seconds`, Redis being down; return the bytes."""
        known = [entry for entry in self._sizes if entry[0] <= time.monotonic() - seconds]
        if not known or not known[-1][1].exists():
            return 0
        _, file, size = known[-1]
        lost = file.stat().st_size - size
        os.truncate(file, size)
        self._sizes.clear()
        return lost


class Cluster(Controlled):
    """Redis, every service, `trainers` and `workers`. What dies stays dead until it is started."""

    def __init__(
        self, folder: Path, datasets: Path, *, trainers: int = 1, workers: int = 1,
        weights_dir: Path | None = None, **environment: str,
    ) -> None:  # fmt: skip
        self.folder = folder
        (folder / "redis").mkdir()
        self.redis = CrashingRedis(folder / "redis")
        self.keys = Keys()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("INKLING_")},
            "OPENBLAS_NUM_THREADS": "1",
            "INKLING_HOST": "127.0.0.1",
            "INKLING_REDIS_URL": self.redis.url,
            "INKLING_WEIGHTS_DIR": str(weights_dir or folder / "weights"),
            "INKLING_CACHE_DIR": str(datasets),
            "INKLING_MIRRORS": "",
            "INKLING_LOG_FORMAT": "json",
            **data_environment(),
            **environment,
        }
        names = [
            *HTTP,
            *(f"trainer{k}" for k in range(1, trainers + 1)),
            *(f"worker{k}" for k in range(1, workers + 1)),
        ]
        self.processes = {name: Process(name, self.environment, folder) for name in names}
        self.client = httpx.Client(base_url=self["gateway"].url, timeout=30)
        self._asker = asker(PROBE_S)

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    def named(self, service: str) -> list[Process]:
        """Return the processes of a service."""
        return [p for name, p in self.processes.items() if name.rstrip("0123456789") == service]

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        self.redis.start()
        for process in self.processes.values():
            process.start()
        wait_until(
            lambda: not self.missing(), START_S, f"the cluster, whose logs are in {self.folder},"
        )

    def is_alive(self) -> bool:
        """Whether every process answers, whatever it has to say."""
        try:
            return bool(self.redis.client.ping()) and all(
                self._asker.get(f"{process.url}/healthz").status_code == 200
                for process in self.processes.values()
            )
        except (httpx.TransportError, redis.RedisError):
            return False

    def missing(self) -> list[str]:
        """Return what keeps the services from doing their jobs; nothing when all is well."""
        found = [name for name, process in self.processes.items() if not self._ready(process)]
        try:
            if not self.redis.client.exists(self.keys.lease):
                found.append("a leading trainer")
        except redis.RedisError:
            found.append("redis")
        return found

    def _ready(self, process: Process) -> bool:
        try:
            return self._asker.get(f"{process.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def leader(self) -> Process | None:
        """Return the trainer that leads; None while none does."""
        lease = self.redis.client.get(self.keys.lease)
        for process in self.named("trainer"):
            if lease is not None and _last_token(process) == int(lease):
                return process
        return None

    def weights(self) -> httpx.Client:
        """Return a client of the weights service."""
        return httpx.Client(base_url=self["weights"].url, timeout=30)

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.close()
        if self.redis.process is not None:
            self.redis.process.send_signal(signal.SIGCONT)
        self.redis.stop()
        self.redis.client.close()
        self.client.close()
        self._asker.close()


def asker(timeout_s: float) -> httpx.Client:
    """Return a client that connects anew for each request: what it asks may have died meanwhile.

    It reads no certificates, which would take longer than all else.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(timeout=timeout_s, verify=False, limits=limits)


def _last_token(trainer: Process) -> int | None:
    """Return the token of the last lease that a trainer says it took."""
    lines = trainer.log.read_text().splitlines() if trainer.log.exists() else []
    for line in reversed(lines):
        if '"leading"' in line:
            return int(json.loads(line)["token"])
    return None
