"""The rows of the table, a module for each group of rows that are measured together."""

from __future__ import annotations

from bench.measure import Group
from bench.rows import fanout, infer, memory, start, stop, swap, weights_get

_ALL: tuple[Group, ...] = (
    infer.GROUP,
    infer.BUSY,
    fanout.GROUP,
    swap.GROUP,
    weights_get.GROUP,
    stop.GROUP,
    start.GROUP,
    memory.GROUP,
)

GROUPS = {group.name: group for group in _ALL}  # in the order of the table
