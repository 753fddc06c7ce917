"""`make scale DATA_WORKERS=4`: tell the running supervisor how many data workers there shall be.

Run as `python -m services.local.scale 4`.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from ops.settings import settings_or_exit

MAX_WORKERS = 64
ANSWER_S = 30.0
SOCKET = "control.sock"

log = structlog.get_logger()


class ScaleServer:
    """Listens on a Unix socket in the state folder; calls `scale` with each number that comes."""

    def __init__(self, folder: Path, scale: Callable[[int], None]) -> None:
        self._path = folder / SOCKET
        self._scale = scale
        self._socket = socket.socket(socket.AF_UNIX)

    def start(self) -> None:
        """Begin to listen."""
        self._path.unlink(missing_ok=True)
        _at(self._path, self._socket.bind)
        self._path.chmod(0o600)
        self._socket.listen()
        threading.Thread(target=self._serve, name="scale", daemon=True).start()

    def stop(self) -> None:
        """End listening and remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        text = connection.recv(100).decode(errors="replace").strip()
        try:
            count = read_count(text)
        except ValueError as error:
            connection.sendall(f"{error}\n".encode())
            return
        self._scale(count)
        log.info("scaled", data_workers=count)
        connection.sendall(f"ok: {count} data workers\n".encode())


def read_count(text: str) -> int:
    """Return the number of data workers in `text`; raise ValueError if it is not allowed."""
    if not text.isdecimal() or int(text) > MAX_WORKERS:
        raise ValueError(f"DATA_WORKERS={text} is not allowed: a whole number, 0 to {MAX_WORKERS}")
    return int(text)


def _at(path: Path, call: Callable[[str], None]) -> None:
    """Call with a path to `path` that is short enough for a Unix socket."""
    try:
        short = path.resolve().relative_to(Path.cwd())
    except ValueError:
        short = path.resolve()
    call(str(short))


def main() -> None:
    """Tell the supervisor, and print its answer."""
    settings = settings_or_exit()
    text = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        read_count(text)
    except ValueError as error:
        sys.exit(f"{error}, as in `make scale DATA_WORKERS=4`.")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        try:
            _at(settings.state_dir / SOCKET, connection.connect)
        except OSError:
            sys.exit("Inkling is not running here: start it with `make run` first.")
        connection.sendall(text.encode())
        answer = connection.recv(1000).decode()
    print(answer, end="")
    if not answer.startswith("ok"):
        sys.exit(1)


if __name__ == "__main__":
    main()
