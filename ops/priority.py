"""Which process takes the processor from which."""

from __future__ import annotations

import os
import sys


def give_way(pid: int = 0) -> None:
    """Let a process, this one by default, run without taking the processor from another.

    It gets its share all the same. Where Linux wakes a data worker on the trainer's core, it would
    else interrupt the trainer a thousand times a second.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
