"""What the tests of the gateway share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ops.settings import Settings
from services.gateway.api import create_app
from tests.serving import served
from wire.bus import Bus


@pytest.fixture
def gateway(bus: Bus, wait_until: Callable[..., Any]) -> Iterator[str]:
    """Give host:port of a gateway that has reached Redis."""
    with served(create_app(bus, Settings())) as place:
        wait_until(lambda: httpx.get(f"http://{place}/readyz").status_code == 200)
        yield place
