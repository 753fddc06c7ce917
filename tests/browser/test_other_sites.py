"""A page of another site, in a real browser: it can neither change anything nor read along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DEADLINE_MS, OpenPage, Status
from tests.browser.elsewhere import other_site
from tests.running import Stack, running_stack, wait_until

# What a page of another site may try; each is called with the address of the stack, and resolves to
# whether the page learnt anything. A body without a content type needs no preflight.
TRIES = {
    "fetch": """async (url) => (await fetch(`${url}/control`,
        {method: "POST", body: '{"type": "SetCacheSize", "value": 99}'})).ok""",
    "blind fetch": """async (url) => (await fetch(`${url}/control`,
        {method: "POST", mode: "no-cors", body: '{"type": "SetCacheSize", "value": 99}'})).ok""",
    "preflight": """async (url) => (await fetch(`${url}/weights`, {method: "DELETE"})).ok""",
    "reading": """async (url) => (await fetch(`${url}/status`)).ok""",
    "beacon": """async (url) => {
        navigator.sendBeacon(`${url}/control`, '{"type": "SetCacheSize", "value": 99}');
        return false; }""",
    "WebSocket": """(url) => new Promise((resolve) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
        socket.onopen = () => socket.send('{"type": "SetCacheSize", "value": 99}');
        socket.onmessage = () => resolve(true);
        socket.onclose = () => resolve(false); })""",
    "image": """(url) => new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve(true);
        image.onerror = () => resolve(false);
        image.src = `${url}/icon.svg`; })""",
}
TRY = """async ([source, url]) => { try { return await (0, eval)(source)(url); }
                                    catch { return false; } }"""


@pytest.fixture(scope="module", name="elsewhere")
def _elsewhere() -> Iterator[str]:
    """The address of a page that is not ours."""
    with other_site(lambda _: "<!doctype html><title>Elsewhere</title>") as url:
        yield url


def attempt(page: Page, name: str, url: str) -> bool:
    """Let the page try, and return whether it learnt anything."""
    return bool(page.evaluate(TRY, [TRIES[name], url]))


def resets(api: httpx.Client) -> list[int]:
    """Return the versions of the history that are from a reset."""
    entries = api.get("/weights/versions").raise_for_status().json()["versions"]
    return [entry["version"] for entry in entries if entry["origin"] == "reset"]


@pytest.mark.parametrize("name", TRIES)
def test_another_site_gets_nowhere(
    open_page: OpenPage,
    status: Status,
    api: httpx.Client,
    stack: Stack,
    elsewhere: str,
    name: str,
) -> None:
    page = open_page()
    before = status()["cache_size"], resets(api)
    page.goto(elsewhere)
    assert not attempt(page, name, stack.url)
    page.goto(stack.url)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    # Signals are obeyed in their order: what had come through would be obeyed by now.
    page.get_by_test_id("batch-size").fill("64")
    page.get_by_test_id("batch-size").press("Enter")
    wait_until(lambda: status()["batch_size"] == 64)
    assert (status()["cache_size"], resets(api)) == before


@pytest.mark.parametrize("name", ["fetch", "preflight", "reading", "WebSocket"])
def test_a_site_that_is_named_may_do_all_of_it(
    window: Page, sharing: Stack, elsewhere: str, name: str
) -> None:
    window.set_default_timeout(DEADLINE_MS)
    window.goto(elsewhere)
    assert attempt(window, name, sharing.url)


@pytest.fixture(scope="module")
def sharing(datasets: Any, elsewhere: str) -> Iterator[Stack]:
    """A stack that names the other site."""
    with running_stack(datasets, INKLING_ORIGINS=elsewhere) as stack:
        yield stack
