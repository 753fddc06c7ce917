"""The order of the data: a pure function of the seed and the place, whoever asks for it."""

import functools

import numpy as np
import numpy.typing as npt

from services.data.idx import Examples, Split

ORDER_STREAM = 1  # keeps these random numbers apart from others of the same seed


@functools.lru_cache(maxsize=2)  # an epoch, and the next while tickets of both are about
def epoch_order(seed: int, epoch: int, count: int) -> npt.NDArray[np.uint32]:
    """Return the examples of an epoch in their order: a permutation (count,) of 0..count-1."""
    order = np.arange(count, dtype=np.uint32)
    np.random.default_rng([ORDER_STREAM, seed, epoch]).shuffle(order)
    order.setflags(write=False)
    return order


def cut(split: Split, seed: int, epoch: int, position: int, batch_size: int) -> Examples:
    """Return the `batch_size` examples from `position` of the epoch on, fewer at its end.

    Raises ValueError if the epoch has no example at `position`.
    """
    count = len(split.labels)
    if not 0 <= position < count:
        raise ValueError(f"position {position} is not in an epoch of {count} examples")
    return split.take(epoch_order(seed, epoch, count)[position : position + batch_size])
