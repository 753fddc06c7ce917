"""The supervisor behind `make run`: Redis, web, trainer and data workers, until Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

import structlog

from ops.logs import start_logs
from ops.settings import Settings, settings_or_exit
from services.local.children import Children
from services.local.redis_server import NoRedisError, find_redis_server, redis_command
from services.local.scale import ScaleServer
from wire.bus import Bus
from wire.connection import RedisAwayError

REDIS_START_S = 15.0
TICK_S = 0.2
STILL_WAITING_S = 5.0
log = structlog.get_logger()


class Supervisor:
    """Starts everything, keeps it running, and leaves nothing behind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children = Children()
        self._scratch = Path(tempfile.mkdtemp(prefix="inkling-"))
        # MALLOC_ARENA_MAX: glibc's heap for each thread would keep what large requests freed.
        # OPENBLAS_THREAD_TIMEOUT: of INKLING_BLAS_THREADS, those that wait for the next product
        # let others have the core after 2^12 cycles, 1 us; 2^26, OpenBLAS's own choice, is 20 ms.
        self._environment = {
            "OPENBLAS_THREAD_TIMEOUT": "12",
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        self._redis_url = settings.redis_url

    def run(self, stop: threading.Event) -> int:
        """Run until `stop` is set; return the exit status."""
        scale = ScaleServer(self._settings.state_dir, self.scale_workers)
        try:
            self._start_redis()
            # Buffers of weights in pages of their own, which are given back at once: else they
            # leave gaps in the heap that the five services of this process share.
            # INKLING_BIND is of docker compose: nothing publishes this under another address.
            self._start(
                "web", "services.local.web", MALLOC_MMAP_THRESHOLD_="131072", INKLING_BIND=""
            )
            self._start("trainer", "services.trainer", INKLING_PORT="0", INKLING_HOST="127.0.0.1")
            self.scale_workers(1)
            scale.start()
            threading.Thread(target=self._greet, args=(stop,), daemon=True).start()
            while not stop.wait(TICK_S):
                if self._children.revive() is not None:
                    return 2  # the process has said why
            return 0
        finally:
            scale.stop()
            self._stop_all()

    def scale_workers(self, count: int) -> None:
        """Start or stop data workers until there are `count`."""
        workers = self._children.named("data-worker")
        for _ in range(count - len(workers)):
            name, module = "data-worker", "services.data.worker"
            self._start(name, module, INKLING_PORT="0", INKLING_HOST="127.0.0.1")
        self._children.drop(workers[count:])

    def _start(self, name: str, module: str, **environment: str) -> None:
        self._children.add(
            name,
            [sys.executable, "-m", module],
            {**self._environment, "INKLING_REDIS_URL": self._redis_url, **environment},
        )

    def _start_redis(self) -> None:
        if "redis_url" in self._settings.model_fields_set:
            return
        path = self._scratch / "redis.sock"
        self._redis_url = f"unix://{path}"
        folder = self._settings.state_dir / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        command = redis_command(find_redis_server(), path, folder.resolve())
        self._children.add("redis", command, self._environment, gives_way=True)
        bus, deadline = Bus(self._redis_url), time.monotonic() + REDIS_START_S
        while True:
            try:
                bus.ping()
                break
            except RedisAwayError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        bus.close()

    def _greet(self, stop: threading.Event) -> None:
        """Say where the page is, once everything is ready; say now and then what is not."""
        host = "127.0.0.1" if self._settings.host == "0.0.0.0" else self._settings.host
        url = f"http://{host}:{self._settings.port}"
        told_at = time.monotonic()
        while not stop.wait(0.1):
            missing = _missing(url)
            if not missing:
                break
            if time.monotonic() - told_at > STILL_WAITING_S:
                log.info("not ready yet", reasons=missing)
                told_at = time.monotonic()
        else:
            return
        print(
            f"\n  Inkling is ready: {url.replace('127.0.0.1', 'localhost')}\n"
            "  More data workers: make scale DATA_WORKERS=4    Stop: Ctrl-C\n",
            flush=True,
        )

    def _stop_all(self) -> None:
        """Stop the services first, so that they can leave their last words in Redis."""
        redis = self._children.named("redis")
        others = [
            child
            for name in ("data-worker", "trainer", "web")
            for child in self._children.named(name)
        ]
        self._children.drop(others)
        self._children.drop(redis)
        shutil.rmtree(self._scratch, ignore_errors=True)


def _missing(url: str) -> list[str]:
    """Return why what is served at `url` is not ready; nothing if it is."""
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
    except urllib.error.HTTPError as error:
        return [str(reason) for reason in json.load(error)["reasons"]]
    except OSError as error:
        return [f"web: {error}"]
    return []


def _lock(folder: Path) -> IO[str]:
    """Return the open lock file of `folder`; exit if another run holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        sys.exit(
            f"Inkling is already running from {folder} ({lock.read().strip()}). Stop it first, or "
            "name another folder in INKLING_STATE_DIR (with INKLING_WEIGHTS_DIR) and another PORT."
        )
    lock.truncate(0)
    lock.write(f"process {os.getpid()}")
    lock.flush()
    return lock


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(
                f"PORT={settings.port} cannot be used ({error.strerror}): another program may "
                "listen there. Choose another one, as in `PORT=8081 make run`."
            )


def main() -> None:
    """Run everything until SIGINT or SIGTERM."""
    settings = settings_or_exit()
    start_logs(settings, "local")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    lock = _lock(settings.state_dir)
    _check_port(settings)
    try:
        status = Supervisor(settings).run(stop)
    except NoRedisError as error:
        sys.exit(str(error))
    lock.close()
    sys.exit(status)


if __name__ == "__main__":
    main()
