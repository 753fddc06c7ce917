"""A real Chromium on the running stack, as a desktop and as a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.running import Stack, wait_until

DEADLINE_MS = 30_000  # generous: the whole stack and a browser may share two busy cores
expect.set_options(timeout=DEADLINE_MS)

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DEFAULTS = {"SetBatchSize": 128, "SetLearningRate": 0.1, "SetCacheSize": 16}

Status = Callable[[], dict[str, Any]]
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; where there is none the tests are skipped, but never in CI."""
    if not Path(CHROMIUM).exists():
        reason = f"no Chromium at {CHROMIUM}: install the package chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """The REST interface, to see what the page did to the server."""
    with httpx.Client(base_url=stack.url, timeout=DEADLINE_MS / 1000) as client:
        yield client


@pytest.fixture
def status(api: httpx.Client) -> Status:
    """Return the server's present ResponseSignal."""
    return lambda: dict(api.get("/status").raise_for_status().json())


@pytest.fixture
def at_rest(api: httpx.Client, status: Status) -> None:
    """A run that is stopped, at its default settings, with weights to classify by."""
    wait_until(lambda: status()["version"] > 0 and status()["trainer"] != "none")

    def send(signal: dict[str, Any]) -> None:
        api.post("/control", json=signal).raise_for_status()

    # Signals are obeyed in their order: with this one in effect, whatever the test before
    # sent in its last moment was obeyed, too, and Stop after it.
    other = 18 if status()["cache_size"] == 17 else 17
    send({"type": "Stop"})
    send({"type": "SetCacheSize", "value": other})
    wait_until(lambda: status()["cache_size"] == other)
    for signal, value in DEFAULTS.items():
        send({"type": signal, "value": value})
    wait_until(lambda: status()["cache_size"] == DEFAULTS["SetCacheSize"])
    assert not status()["training"]


@pytest.fixture
def open_page(browser: Browser, stack: Stack, at_rest: None) -> Iterator[OpenPage]:
    """Open the page, connected, in a browser window of its own; no script may have failed."""
    contexts: list[BrowserContext] = []
    failures: list[str] = []

    def open_one(kind: dict[str, Any] = DESKTOP, **options: Any) -> Page:
        context = browser.new_context(**{**kind, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(DEADLINE_MS)
        page.on("pageerror", lambda error: failures.append(str(error)))
        unfinished: list[str] = []
        page.on("request", lambda request: unfinished.append(request.url))
        page.on("requestfinished", lambda request: unfinished.remove(request.url))
        page.goto(stack.url)
        try:
            expect(page.get_by_test_id("connection")).to_have_text("connected")
        except AssertionError as error:
            error.add_note(f"Not loaded: {unfinished}; errors: {failures}")
            raise
        expect(page.get_by_test_id("learning-rate")).not_to_have_value("")  # by its first signal
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert failures == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page on a desktop."""
    return open_page()


@pytest.fixture
def phone(open_page: OpenPage) -> Page:
    """The page on a phone."""
    return open_page(PHONE)


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    """A window on no page yet, for a stack of the test's own."""
    window = browser.new_page(**DESKTOP)
    yield window
    window.close()


def open_on(window: Page, stack: Stack) -> None:
    """Start a stack and open its page."""
    stack.start()
    window.goto(stack.url)
    expect(window.get_by_test_id("connection")).to_have_text("connected")
