"""The page asks for the token once, when the server wants one, and then does what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import DEADLINE_MS, DESKTOP, PHONE
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.browser.test_accessibility import complaints
from tests.running import Stack, running_stack, wait_until

TOKEN, READ_TOKEN, WRONG = "the-token-0123456789", "for-reading-0123456789", "wrong-0123456789abc"
NEEDED = "This needs the token that was set for this Inkling."
OpenOn = Callable[..., Page]


@pytest.fixture(scope="module")
def guarded(datasets: Path) -> Iterator[Stack]:
    """A stack with INKLING_TOKEN."""
    with running_stack(datasets, INKLING_TOKEN=TOKEN) as stack:
        yield stack
        assert TOKEN not in stack.log.read_text()


@pytest.fixture(scope="module")
def closed(datasets: Path) -> Iterator[Stack]:
    """A stack with both tokens."""
    with running_stack(datasets, INKLING_TOKEN=TOKEN, INKLING_READ_TOKEN=READ_TOKEN) as stack:
        yield stack
        log = stack.log.read_text()
        assert TOKEN not in log
        assert READ_TOKEN not in log


@pytest.fixture
def open_on(browser: Browser) -> Iterator[OpenOn]:
    """Open the page of a stack in a browser session of its own; no script may have failed."""
    contexts: list[BrowserContext] = []
    failures: list[str] = []

    def open_one(stack: Stack, kind: dict[str, Any] = DESKTOP, **options: Any) -> Page:
        context = browser.new_context(**{**kind, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(DEADLINE_MS)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(stack.url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert failures == []


def dialog(page: Page) -> Locator:
    return page.get_by_test_id("token-dialog")


def error(page: Page) -> Locator:
    return page.get_by_test_id("token-error")


def give(page: Page, token: str) -> None:
    """Give a token to the page that asks for it."""
    expect(dialog(page)).to_be_visible()
    page.get_by_test_id("token-input").fill(token)
    page.get_by_test_id("token-send").click()


def status(stack: Stack) -> dict[str, Any]:
    answer = stack.client.get("/status", headers={"Authorization": f"Bearer {TOKEN}"})
    return dict(answer.raise_for_status().json())


def set_cache_size(page: Page, value: int) -> None:
    page.get_by_test_id("cache-size").fill(str(value))
    page.get_by_test_id("cache-size").press("Enter")


@pytest.fixture(scope="module")
def patient(datasets: Path) -> Iterator[Stack]:
    """A stack that takes one wrong token in 50 s, and one change."""
    limits = {"INKLING_BEHIND_EDGE": "true", "INKLING_CHANGE_RATE": "0.02"}
    with running_stack(datasets, INKLING_TOKEN=TOKEN, **limits) as stack:
        yield stack


def test_whoever_guesses_is_told_to_wait(patient: Stack, open_on: OpenOn) -> None:
    page = open_on(patient)
    set_cache_size(page, 21)
    give(page, WRONG)
    expect(error(page)).to_have_text("This is not the right token.")
    for token in (WRONG, TOKEN):
        give(page, token)
        expect(error(page)).to_have_text(
            "Too many wrong tokens came from your address. Try again in a while."
        )
    assert status(patient)["cache_size"] != 21
    page.get_by_test_id("token-cancel").click()
    expect(dialog(page)).to_be_hidden()


# --- changing -------------------------------------------------------------------------------
def test_what_was_refused_is_done_once_the_token_is_right(guarded: Stack, open_on: OpenOn) -> None:
    page = open_on(guarded)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    draw(page, SEVEN)
    expect_guess(page)  # reading and inferring are open
    expect(dialog(page)).to_be_hidden()
    begun = status(guarded)["iteration"]
    page.get_by_test_id("train-n-count").fill("10")
    page.get_by_test_id("train-n").click()
    for wrong in (WRONG, "not a token", ""):
        give(page, wrong)
        expect(error(page)).to_have_text("This is not the right token.")
        expect(page.get_by_test_id("token-input")).to_be_focused()
    assert complaints(page) == []
    assert status(guarded)["iteration"] == begun
    give(page, f" {TOKEN} ")  # as people paste it
    expect(dialog(page)).to_be_hidden()
    expect(page.get_by_test_id("iteration")).to_have_text(str(begun + 10))
    assert status(guarded)["iteration"] == begun + 10


def test_it_is_asked_once_in_a_session_of_the_browser(guarded: Stack, open_on: OpenOn) -> None:
    page = open_on(guarded)
    set_cache_size(page, 21)
    give(page, TOKEN)
    wait_until(lambda: status(guarded)["cache_size"] == 21)
    expect(dialog(page)).to_be_hidden()
    set_cache_size(page, 22)
    wait_until(lambda: status(guarded)["cache_size"] == 22)
    page.reload()
    expect(page.get_by_test_id("cache-size")).to_have_value("22")
    set_cache_size(page, 23)
    wait_until(lambda: status(guarded)["cache_size"] == 23)
    expect(dialog(page)).to_be_hidden()
    assert TOKEN not in page.url
    other = open_on(guarded)
    set_cache_size(other, 24)
    expect(dialog(other)).to_be_visible()


def test_whoever_has_none_is_told_and_may_try_again(guarded: Stack, open_on: OpenOn) -> None:
    page = open_on(guarded)
    before = status(guarded)["training"]
    for leave in (lambda: page.get_by_test_id("token-cancel").click(),
                  lambda: page.keyboard.press("Escape")):  # fmt: skip
        page.get_by_test_id("start").click()
        expect(dialog(page)).to_be_visible()
        leave()
        expect(dialog(page)).to_be_hidden()
        expect(page.locator("[data-part=run-error]")).to_have_text(NEEDED)
    assert status(guarded)["training"] is before is False


def test_by_keyboard_alone(guarded: Stack, open_on: OpenOn) -> None:
    page = open_on(guarded)
    expect(page.get_by_test_id("learning-rate")).not_to_have_value("")
    begun = status(guarded)["iteration"]
    button = page.get_by_role("button", name="One step")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("token-input")).to_be_focused()
    page.keyboard.type(WRONG)
    page.keyboard.press("Enter")
    expect(error(page)).to_be_visible()
    for _ in range(6):  # the focus does not leave the dialog, but for the browser's own controls
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('body, .token *')")
    page.get_by_test_id("token-input").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("iteration")).to_have_text(str(begun + 1))
    expect(button).to_be_focused()


def test_a_file_of_weights_is_sent_again(guarded: Stack, open_on: OpenOn, tmp_path: Path) -> None:
    page = open_on(guarded)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    wait_until(lambda: guarded.client.get("/weights").status_code == 200)
    file = tmp_path / "mine.safetensors"
    file.write_bytes(guarded.client.get("/weights?format=safetensors").content)
    before = status(guarded)["version"]
    page.get_by_test_id("weights-upload").set_input_files(file)
    give(page, WRONG)
    expect(error(page)).to_be_visible()
    give(page, TOKEN)
    expect(page.get_by_text("mine.safetensors is now version")).to_be_visible()
    wait_until(lambda: status(guarded)["version"] > before)


def test_on_a_phone(guarded: Stack, open_on: OpenOn) -> None:
    page = open_on(guarded, PHONE, color_scheme="dark", reduced_motion="reduce")
    expect(page.get_by_test_id("learning-rate")).not_to_have_value("")
    begun = status(guarded)["iteration"]
    page.get_by_role("button", name="One step").tap()
    give(page, WRONG)
    expect(error(page)).to_be_visible()
    assert complaints(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    for control in dialog(page).locator("button, input").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["viewport"]["width"]
    page.get_by_test_id("token-input").fill(TOKEN)
    page.get_by_test_id("token-send").tap()
    expect(page.get_by_test_id("iteration")).to_have_text(str(begun + 1))


# --- reading --------------------------------------------------------------------------------
def test_a_page_that_may_not_even_read_asks_once_for_all_of_it(
    closed: Stack, open_on: OpenOn
) -> None:
    page = open_on(closed)
    expect(dialog(page)).to_be_visible()
    expect(page.get_by_test_id("connection")).to_have_text("reconnecting")
    give(page, READ_TOKEN)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    expect(page.get_by_test_id("cache-size")).to_have_value("16")
    draw(page, SEVEN)
    expect_guess(page)
    expect(dialog(page)).to_be_hidden()


def test_the_token_for_reading_is_not_enough_to_change_something(
    closed: Stack, open_on: OpenOn
) -> None:
    page = open_on(closed)
    give(page, READ_TOKEN)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    expect(page.get_by_test_id("learning-rate")).not_to_have_value("")
    begun = status(closed)["iteration"]
    page.get_by_role("button", name="One step").click()
    expect(error(page)).to_have_text(
        "This token is for looking on; what you want changes something."
    )
    give(page, TOKEN)
    expect(page.get_by_test_id("iteration")).to_have_text(str(begun + 1))
    page.reload()
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    expect(dialog(page)).to_be_hidden()


def test_a_page_without_a_token_does_not_ask_again_and_again(
    closed: Stack, open_on: OpenOn
) -> None:
    page = open_on(closed)
    expect(dialog(page)).to_be_visible()
    page.get_by_test_id("token-cancel").click()
    expect(dialog(page)).to_be_hidden()
    refused = []
    page.on("response", lambda answer: refused.append(answer.status))
    wait_until(lambda: page.evaluate("1") and refused.count(401) >= 2, what="two more refusals")
    expect(dialog(page)).to_be_hidden()
    page.get_by_test_id("start").click()  # but for what somebody wants to change
    give(page, TOKEN)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    page.get_by_test_id("stop").click()
    wait_until(lambda: not status(closed)["training"])


def test_everything_else_needs_a_token_too(closed: Stack) -> None:
    for path in ("/status", "/weights", "/data", "/metrics"):
        assert httpx.get(closed.url + path).status_code == 401
    assert httpx.get(closed.url).status_code == 200
