"""How fast each data worker is, from what it tells with its signs of life. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from wire.flow import SignOfLife
from wire.messages import Worker

WINDOW_S = 4.0  # the time over which batches are counted


class WorkerRates:
    """The last signs of life of each data worker that lives."""

    def __init__(self) -> None:
        self._signs: dict[str, deque[SignOfLife]] = {}

    def follow(self, signs: Mapping[str, SignOfLife]) -> list[Worker]:
        """Return the workers whose last `signs` these are, by name, each with its rate until now.

        A worker has no rate before its second sign of life.
        """
        self._signs = {name: self._signs.get(name, deque()) for name in sorted(signs)}
        return [Worker(name, _rate(seen, signs[name])) for name, seen in self._signs.items()]


def _rate(seen: deque[SignOfLife], sign: SignOfLife) -> float:
    """Add `sign` to those seen of one worker; return its batches a second over WINDOW_S."""
    if seen and sign.batches < seen[-1].batches:  # another process with the name of an earlier one
        seen.clear()
    if not seen or sign.at > seen[-1].at:
        seen.append(sign)
    while seen[0].at < seen[-1].at - WINDOW_S:
        seen.popleft()
    first, last = seen[0], seen[-1]
    if first is last:
        return 0.0
    return round((last.batches - first.batches) / (last.at - first.at), 1)
