"""The rows of the table, a module for each group of rows that are measured together."""

from __future__ import annotations

from bench.measure import Group
from bench.rows import (
    accuracy,
    fanout,
    infer,
    memory,
    start,
    stop,
    swap,
    train,
    weights_get,
    workers,
)

_ALL: tuple[Group, ...] = (
    train.GROUP,
    accuracy.GROUP,
    infer.GROUP,
    infer.BUSY,
    fanout.GROUP,
    workers.GROUP,
    swap.GROUP,
    weights_get.GROUP,
    stop.GROUP,
    start.GROUP,
    memory.GROUP,
)

GROUPS = {group.name: group for group in _ALL}  # in the order of the table
