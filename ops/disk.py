"""How full the disk is that a service writes to, on /metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

from prometheus_client import Gauge

FREE = Gauge("inkling_disk_free_bytes", "Room left on the disk of a folder", ["folder"])
SIZE = Gauge("inkling_disk_size_bytes", "Size of the disk of a folder", ["folder"])


def measure_disk(name: str, folder: Path) -> None:
    """Tell, whenever /metrics is asked for, about the disk of `folder`, which may not exist yet."""
    FREE.labels(name).set_function(lambda: _usage(folder)[1])
    SIZE.labels(name).set_function(lambda: _usage(folder)[0])


def _usage(folder: Path) -> tuple[float, float]:
    """Return the size and what is free, in bytes; numbers that are none if nobody can say."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        usage = shutil.disk_usage(there)
    except OSError:
        return float("nan"), float("nan")
    return usage.total, usage.free
