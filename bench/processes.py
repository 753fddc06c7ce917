"""The processes of a running stack, and what each has in memory and open."""

from __future__ import annotations

from typing import NamedTuple

import psutil

from tests.running import Stack

MB = 1e6


class Size(NamedTuple):
    """What one process has in memory, in MB, without the data set; and its open files."""

    pss: float
    rss: float
    files: int

    def __str__(self) -> str:
        return f"{self.pss:5.1f} MB (RSS {self.rss:5.1f})"


Sizes = dict[str, Size]  # by process


def sizes(stack: Stack) -> Sizes:
    """Return the size of each process of the stack."""
    assert stack.process is not None
    supervisor = psutil.Process(stack.process.pid)
    return {_name(process): _size(process) for process in (supervisor, *supervisor.children())}


def _name(process: psutil.Process) -> str:
    """Return the last part of the module that a process runs, or the program."""
    words: list[str] = process.cmdline()
    program: str = process.name()
    return words[words.index("-m") + 1].rpartition(".")[2] if "-m" in words else program


def _size(process: psutil.Process) -> Size:
    """Return the size of a process, without the data set's files."""
    maps = [one for one in process.memory_maps(grouped=False) if "/datasets/" not in one.path]
    pss, rss = (sum(getattr(one, kind) for one in maps) / MB for kind in ("pss", "rss"))
    return Size(pss, rss, process.num_fds())
