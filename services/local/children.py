"""Child processes that are started again when they die, and stopped in order."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ops.priority import give_way

STOP_S = 8.0
QUICK_DEATH_S = 5.0
MAX_BACKOFF_S = 10.0
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

log = structlog.get_logger()


@dataclass
class Child:
    """One process that shall run."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    gives_way: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    backoff_s: float = 0.5

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for the supervisor to hear."""
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        if self.gives_way:
            give_way(self.process.pid)
        self.started_at = time.monotonic()
        self.restart_at = 0.0


def _die_with_parent() -> None:
    """Let the kernel end this process when the supervisor is killed without a chance to do so."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Children:
    """All child processes of the supervisor. Threads may call every method."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._lock = threading.RLock()

    def add(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        *,
        gives_way: bool = False,
    ) -> None:
        """Start a process, and again whenever it dies; see ops.priority.give_way."""
        child = Child(name, command, environment, gives_way)
        with self._lock:
            child.start()
            self._children.append(child)

    def named(self, name: str) -> list[Child]:
        """Return the children of this name."""
        with self._lock:
            return [child for child in self._children if child.name == name]

    def drop(self, children: Sequence[Child]) -> None:
        """Stop these processes for good, all at once: SIGTERM, and SIGKILL for what remains."""
        with self._lock:
            self._children = [child for child in self._children if child not in children]
        processes = [child.process for child in children if child.process is not None]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("killed what would not stop", pid=process.pid)
                process.kill()
                process.wait()

    def revive(self) -> int | None:
        """Start again what has died, less often the more often it does.

        Returns 2 if a process said by this exit status that it must not be started again.
        """
        now = time.monotonic()
        with self._lock:
            for child in self._children:
                if child.process is None or (code := child.process.poll()) is None:
                    continue
                if code == 2:
                    return 2
                if not child.restart_at:
                    quick = now - child.started_at < QUICK_DEATH_S
                    child.backoff_s = min(child.backoff_s * 2, MAX_BACKOFF_S) if quick else 0.5
                    child.restart_at = now + child.backoff_s
                    if code == 0:  # somebody asked it to end, in order
                        log.info("ended, starts again", process=child.name)
                    else:
                        log.warning("died, starts again", process=child.name, status=code)
                elif now >= child.restart_at:
                    child.start()
        return None
