"""How many threads a matrix product may use."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

from ops.settings import Settings


def limit_blas(settings: Settings) -> None:
    """Hold BLAS to the set number of threads in this process.

    The number changes the order of additions, hence the last bits: it is a setting, not whatever
    the machine has.
    """
    threadpool_limits(settings.blas_threads, user_api="blas")
