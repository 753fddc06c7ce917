"""Signals over the WebSocket of a gateway with a token: who may send which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ops.access import SUBPROTOCOL, TOKEN_SUBPROTOCOL
from ops.settings import Settings
from services.gateway.api import create_app
from tests.services.gateway.people import Page, training, weights_service
from tests.serving import served
from wire.bus import Bus
from wire.controls import SIGNALS
from wire.messages import RunSettings

TOKEN, READ_TOKEN, WRONG = "the-token-0123456789", "for-reading-0123456789", "wrong-0123456789abc"
CHANGES: dict[str, dict[str, Any]] = {
    "Start": {"iterations": 1},
    "Stop": {},
    "SetWeights": {"version": 1},
    "SetBatchSize": {"value": 32},
    "SetLearningRate": {"value": 0.035},
    "SetCacheSize": {"value": 5},
}
READS: dict[str, dict[str, Any]] = {
    "GetStatus": {},
    "Subscribe": {"weights": "f32", "weights_hz": 20},
}


@pytest.fixture
def guarded(bus: Bus, wait_until: Callable[..., Any]) -> Iterator[str]:
    """Give host:port of a gateway with both tokens."""
    settings: dict[str, Any] = {"token": SecretStr(TOKEN), "read_token": SecretStr(READ_TOKEN)}
    with served(create_app(bus, Settings(**settings)), **settings) as place:
        wait_until(lambda: httpx.get(f"http://{place}/readyz").status_code == 200)
        yield place


def page_with(place: str, token: str) -> Page:
    """Return a viewer that opens the WebSocket as a browser does."""
    return Page(place, subprotocols=[SUBPROTOCOL, TOKEN_SUBPROTOCOL + token])


def signal(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": name, **fields}


def wanted(bus: Bus) -> tuple[RunSettings, int]:
    """Return the settings and the generation of the weights that the run shall have."""
    return bus.wanted.look(Settings().run_settings())


def test_every_signal_is_tried_here() -> None:
    assert {*CHANGES, *READS} == {kind.__name__ for kind in SIGNALS}


def test_a_signal_that_changes_something_is_refused_without_the_token(
    bus: Bus, guarded: str
) -> None:
    with training(bus), page_with(guarded, READ_TOKEN) as page:
        page.read_until(lambda: page.frames and page.last["version"] > 0)
        before = wanted(bus)
        for name, fields in CHANGES.items():
            refusal = page.refusal(signal(name, fields))
            assert refusal == {
                "type": "Error",
                "signal": name,
                "detail": f"{name} needs a token: open the WebSocket with `Authorization: Bearer "
                "TOKEN` or, in a browser, with the subprotocols `inkling` and "
                "`inkling.token.TOKEN`.",
            }
        assert wanted(bus) == before
        for name, fields in READS.items():
            page.send(signal(name, fields))
        page.read_until(lambda: page.weights)  # what it subscribed to
        assert len(page.errors) == len(CHANGES)


def test_what_is_wrong_with_a_signal_is_told_first(guarded: str) -> None:
    with page_with(guarded, READ_TOKEN) as page:
        assert "value" in page.refusal(signal("SetBatchSize", {"value": 0}))["detail"]


def test_with_the_token_every_signal_is_obeyed(bus: Bus, guarded: str) -> None:
    with training(bus), weights_service(bus), page_with(guarded, TOKEN) as page:
        for name, fields in {**CHANGES, **READS}.items():
            page.send(signal(name, fields))
        page.read_until(lambda: page.frames and page.last["cache_size"] == 5 and page.weights)
        assert (page.last["batch_size"], page.last["lrate"]) == (32, 0.035)
        assert page.errors == []


def test_the_page_takes_the_same_way_over_rest(bus: Bus, guarded: str) -> None:
    def control(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"type": "SetCacheSize", "value": 7}
        return httpx.post(f"http://{guarded}/control", json=body, headers=headers).status_code

    with training(bus):
        assert [control(token) for token in (WRONG, READ_TOKEN)] == [401, 403]
        assert wanted(bus)[0].cache_size != 7
        assert control(TOKEN) == 200
        assert wanted(bus)[0].cache_size == 7
