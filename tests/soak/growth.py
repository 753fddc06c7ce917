"""Whether something grows: a line through samples, and how sure its slope is. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BLOCKS = 12  # samples that follow each other are alike: their means over blocks are less so
SURE = 2.0  # standard errors


class Slope(NamedTuple):
    """What something gains in a minute, and the standard error of that."""

    per_minute: float
    error: float

    def exceeds(self, limit: float) -> bool:
        """Return whether it clearly grows by more than `limit` in a minute."""
        return self.per_minute - SURE * self.error > limit


def slope(minutes: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the slope of the line of least squares through the means over BLOCKS of the samples.

    Raises ValueError for fewer samples than blocks.
    """
    if len(values) < BLOCKS:
        raise ValueError(f"{len(values)} samples are too few for {BLOCKS} blocks: soak longer")
    x = np.array([block.mean() for block in np.array_split(np.asarray(minutes, float), BLOCKS)])
    y = np.array([block.mean() for block in np.array_split(np.asarray(values, float), BLOCKS)])
    x -= x.mean()
    spread = float((x**2).sum())
    per_minute = float(x @ y) / spread
    rest = y - y.mean() - per_minute * x
    return Slope(per_minute, float(np.sqrt((rest**2).sum() / (BLOCKS - 2) / spread)))
