"""What the gateway tells /metrics of slow viewers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx

from tests.services.gateway.people import Page, PlayedTrainer
from tests.services.gateway.test_viewers import slow_socket
from wire.bus import Bus


def value(gateway: str, name: str) -> float:
    text = httpx.get(f"http://{gateway}/metrics").text
    found = re.search(rf"^inkling_gateway_{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_how_far_the_slowest_viewer_is_behind_and_what_was_merged_for_it(
    bus: Bus, gateway: str, wait_until: Callable[..., Any]
) -> None:
    trainer = PlayedTrainer(bus)
    merged = value(gateway, "merged_frames_total")
    frames, each = 300, 400
    with Page(gateway) as fast, Page(gateway, sock=slow_socket(gateway), max_queue=1) as slow:
        fast.read_until(lambda: fast.frames)
        slow.read_until(lambda: slow.frames)
        wait_until(lambda: value(gateway, "viewer_lag_frames") == 0, what="nobody behind")
        for start in range(1, frames * each, each):
            trainer.tell(*range(start, start + each))
        fast.read_until(lambda: fast.told[-1:] == [frames * each])
        wait_until(lambda: value(gateway, "viewer_lag_frames") > 10, what="one behind")
        slow.read_until(lambda: slow.told[-1:] == [frames * each])
        wait_until(lambda: value(gateway, "viewer_lag_frames") == 0, what="nobody behind")
    assert value(gateway, "merged_frames_total") > merged + 10
