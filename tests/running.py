"""What tests and measurements run: a real Redis, and a real stack as `make run` starts it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from services.local.redis_server import find_redis_server

ROOT = Path(__file__).parents[1]
START_S = 90.0  # the first start may draw 70,000 digits


def wait_until(
    holds: Callable[[], Any], timeout_s: float = 30.0, what: str = "the condition"
) -> Any:
    """Return the first true value of `holds()`; AssertionError if none comes in `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {timeout_s} s (last: {value!r})")
        time.sleep(0.02)


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A real Redis on a free port, which a test may stop and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what its append-only file holds, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        options += ["--appendonly", "yes", "--save", "", "--loglevel", "warning"]
        command = [str(find_redis_server()), *options]
        # Python's children begin with SIGXFSZ at its default, which kills; ignored, as here, a file
        # that may not grow is an error to its writer, as on a full disk.
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, restore_signals=False)
        wait_until(self._answers, what="Redis")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    @contextmanager
    def full_memory(self) -> Iterator[None]:
        """No more may be in its memory."""
        self.client.config_set("maxmemory", 1)
        yield
        self.client.config_set("maxmemory", 0)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No file of it may grow any more; it has noticed, by a write that failed."""
        assert self.process is not None
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1, hard))
        try:
            wait_until(self._refuses, what="the first write that fails")
            yield
        finally:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def _refuses(self) -> bool:
        try:
            return not self.client.set("filler", 1)
        except redis.ResponseError:
            return True

    def stop(self) -> None:
        """Stop it as a restart would: what is in memory goes into the file first."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process = None


class Controlled:
    """What can be asked for its status and controlled, over `client`."""

    client: httpx.Client

    def status(self) -> dict[str, Any]:
        """Return the ResponseSignal."""
        answer: dict[str, Any] = self.client.get("/status").raise_for_status().json()
        return answer

    def control(self, **signal: Any) -> dict[str, Any]:
        """Send a control signal; return the ResponseSignal after it took effect."""
        answer = self.client.post("/control", json=signal)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result


class Stack(Controlled):
    """Everything, as `make run` starts it, in a process group of its own."""

    def __init__(self, folder: Path, datasets: Path, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log.txt"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("INKLING_")},
            "INKLING_PORT": str(self.port),
            "INKLING_STATE_DIR": str(folder / "state"),
            "INKLING_WEIGHTS_DIR": str(folder / "weights"),
            "INKLING_CACHE_DIR": str(datasets),
            "INKLING_MIRRORS": "",
            **data_environment(),
            **environment,
        }
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the supervisor without waiting for anything."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.local"],
                cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        self.launch()
        wait_until(self._is_ready, START_S, f"the stack, whose log is {self.log},")

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the stack ended: {self.log.read_text()}")
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """Stop everything as Ctrl-C does; return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(30)
        self.process = None
        return status

    def close(self) -> None:
        """Stop what still runs."""
        if self.process is not None:
            self.stop()
        self.client.close()

    def pids(self, module: str) -> list[int]:
        """Return the processes of this stack that run `module`, such as services.trainer."""
        assert self.process is not None
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and module in words:
                found.append(int(folder.name))
        return found


@contextmanager
def running_stack(datasets: Path | None = None, **environment: str) -> Iterator[Stack]:
    """Give a stack of its own, ready; data sets are unpacked in `datasets`, if that is given."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), datasets or Path(folder) / "datasets", **environment)
        try:
            stack.start()
            yield stack
        finally:
            stack.close()


def data_environment() -> dict[str, str]:
    """Return the settings of a stack's data: MNIST where the tests have it, else synthetic."""
    folder = os.environ.get("INKLING_DATA_DIR")
    if folder:
        return {"INKLING_DATA_DIR": str(Path(folder).resolve())}
    return {"INKLING_DATASET": "synthetic"}
