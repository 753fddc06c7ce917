"""Errors and reconnections of Redis, and how long new weights take, are counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.examples import snapshot_of
from tests.running import RedisServer
from wire.bus import Bus
from wire.connection import RedisAwayError


def value(name: str) -> float:
    return REGISTRY.get_sample_value(f"inkling_{name}") or 0.0


def test_a_restart_of_redis_shows_as_errors_and_reconnections(own_redis: RedisServer) -> None:
    bus = Bus(own_redis.url)
    reconnects = value("redis_reconnects_total")
    bus.ping()
    bus.flow.lengths()
    assert value("redis_reconnects_total") == reconnects  # the first connection is none
    errors = value("redis_errors_total")
    own_redis.stop()
    with pytest.raises(RedisAwayError):
        bus.ping()
    assert value("redis_errors_total") == errors + 1
    own_redis.start()
    bus.ping()
    assert value("redis_reconnects_total") == reconnects + 1
    bus.close()


def test_the_time_until_new_weights_are_used_is_measured(
    bus: Bus, wait_until: Callable[..., Any]
) -> None:
    count, total = value("weights_swap_seconds_count"), value("weights_swap_seconds_sum")
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [None for _ in bus.live.follow(stop)])
    thread.start()
    for version in (1, 2):
        bus.live.replace(snapshot_of(version, 0, "upload"))
        wait_until(
            lambda so_far=version: value("weights_swap_seconds_count") == count + so_far,
            what="the swap",
        )
    assert 0 < value("weights_swap_seconds_sum") - total < 10
    stop.set()
    thread.join()
