"""The rows of the table, a module for each group of rows that are measured together."""

from __future__ import annotations

from bench.measure import Group

_ALL: tuple[Group, ...] = ()

GROUPS = {group.name: group for group in _ALL}  # in the order of the table
