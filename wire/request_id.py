"""The request id: to which call from outside a piece of work belongs, from service to service."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Empty where work belongs to no call. Threads of a pool take it over from the call they work for.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
# New ids differ between processes by this, within one by a number: half as dear as a random one.
_PROCESS = secrets.token_hex(8)
_numbers = itertools.count(1)
MAX_LENGTH = 64
_is_sane = re.compile(rb"[A-Za-z0-9._:-]{1,%d}" % MAX_LENGTH).fullmatch


def request_id_of(given: bytes | None) -> str:
    """Return the request id that a caller gave, or a new one if it gave none that may be logged.

    A sane one has 1 to 64 letters, digits, dots, colons, dashes and underscores.
    """
    if given is not None and _is_sane(given):
        return given.decode("ascii")
    return f"{_PROCESS}{next(_numbers):016x}"


@contextmanager
def working_for(request_id: str) -> Iterator[None]:
    """Let what this thread does and logs meanwhile belong to the call of this request id."""
    token = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(token)
