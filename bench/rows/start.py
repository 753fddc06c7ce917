"""How long `make run` takes until everything is ready, when all is installed and unpacked.

From the moment in which `make run` is called until /readyz answers 200: inference and the weights
service have weights, the data set is open, the gateway follows the run, and a trainer leads it.
The first start, which makes the state and unpacks the data set, is not measured.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.measure import Figures, Goal, Group, Row, Side
from tests.running import ROOT, data_environment, free_port

READY_S = 120.0  # the first start may draw digits
POLL_S = 0.005
END_S = 30.0


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with tempfile.TemporaryDirectory() as folder:
        _start_once(Path(folder))
        yield lambda: _ours(Path(folder)), dict


def _ours(folder: Path) -> Figures:
    return {"start": _start_once(folder)}


def _start_once(folder: Path) -> float:
    """Start everything and end it; return the seconds from the start until it was ready."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("INKLING_")},
        "PORT": str(port),
        "INKLING_STATE_DIR": str(folder / "state"),
        "INKLING_WEIGHTS_DIR": str(folder / "weights"),
        "INKLING_CACHE_DIR": str(folder / "datasets"),
        "INKLING_MIRRORS": "",
        **data_environment(),
    }
    with (folder / "log.txt").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            ["make", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() - began > READY_S:
                raise RuntimeError(f"it did not start: {(folder / 'log.txt').read_text()}")
            time.sleep(POLL_S)
        return time.perf_counter() - began
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        process.wait(END_S)


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


GROUP = Group("start", (Row("start", "s", "", Goal(most=3)),), _sides)
