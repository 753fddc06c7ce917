"""What everything was measured on: stated with each table."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

# What changes the speed of arithmetic, and its bits: the same for all sides, and stated if set.
ARITHMETIC = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def machine() -> dict[str, Any]:
    """Return the processor, its cores, the versions, the BLAS, and what steers it."""
    np.ones((2, 2)) @ np.ones((2, 2))
    blas = [
        f"{one['internal_api']} {one.get('version', '')} ({one.get('architecture', '?')})"
        for one in threadpool_info()
        if one["user_api"] == "blas"
    ]
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": ", ".join(blas),
        "environment": {name: os.environ[name] for name in ARITHMETIC if name in os.environ},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def words(facts: dict[str, Any]) -> str:
    """Return the machine in one sentence."""
    steering = ", ".join(f"{name}={value}" for name, value in facts["environment"].items())
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB; "
        f"{facts['system']}; Python {facts['python']}, numpy {facts['numpy']}, {facts['blas']}; "
        f"{steering or 'OPENBLAS_CORETYPE and numbers of threads not set'}"
    )
