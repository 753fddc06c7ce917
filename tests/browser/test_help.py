"""Help beside the controls, the glossary, and the first steps."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Status
from tests.browser.sheet import SEVEN, draw
from tests.running import Stack, wait_until

SHEET = "[data-part=help]"
STEPS = "[data-part=steps]"


def test_help_says_what_a_thing_is_and_what_changing_it_does(page: Page) -> None:
    button = page.get_by_role("button", name="What is “learning rate”?")
    button.click()
    sheet = page.locator(SHEET)
    expect(sheet).to_contain_text("How far the weights move")
    expect(sheet).to_contain_text("Raise it")
    expect(button).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")


def test_help_opens_by_keyboard_and_closes_by_pressing_again(page: Page) -> None:
    button = page.get_by_role("button", name="What is “batch size”?")
    button.press("Enter")
    expect(page.locator(SHEET)).to_be_visible()
    assert page.evaluate("document.activeElement.dataset.help") == "batch size"
    button.press("Enter")
    expect(page.locator(SHEET)).to_be_hidden()


def test_help_never_leaves_the_window(phone: Page) -> None:
    for button in phone.locator(".help").all():
        if not button.is_visible():
            continue
        button.tap()
        expect(phone.locator(SHEET)).to_be_visible()
        box = phone.locator(SHEET).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 844
        phone.keyboard.press("Escape")


def test_the_glossary_has_every_term_that_help_explains(page: Page) -> None:
    asked = page.locator("[data-help]").evaluate_all("(all) => all.map((one) => one.dataset.help)")
    page.locator("[data-panel=glossary]").scroll_into_view_if_needed()
    expect(page.locator("[data-part=glossary] dt").first).to_be_visible()
    terms = page.locator("[data-part=glossary] dt").all_text_contents()
    assert set(asked) <= set(terms)
    assert terms == sorted(terms, key=str.lower)


def test_the_first_steps_are_ticked_off_as_they_are_done(page: Page, status: Status) -> None:
    steps = page.locator(f"{STEPS} li")
    expect(steps).to_have_count(3)
    expect(steps.nth(0)).to_have_attribute("data-now", "")
    draw(page, SEVEN)
    expect(steps.nth(0)).to_have_attribute("data-done", "")
    expect(steps.nth(1)).to_have_attribute("data-now", "")
    page.get_by_test_id("start").click()
    expect(steps.nth(1)).to_have_attribute("data-done", "")
    page.get_by_test_id("stop").click()
    page.get_by_test_id("learning-rate").fill("0.2")
    page.get_by_test_id("learning-rate").press("Enter")
    expect(steps.nth(2)).to_have_attribute("data-done", "")
    wait_until(lambda: not status()["training"])


def test_the_first_steps_are_shown_once_and_can_be_dismissed(page: Page, stack: Stack) -> None:
    expect(page.locator(STEPS)).to_be_visible()
    page.get_by_test_id("dismiss-steps").click()
    expect(page.locator(STEPS)).to_be_hidden()
    page.reload()
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    expect(page.locator(STEPS)).to_be_hidden()


def test_the_first_steps_are_there_for_the_next_visitor(open_page: OpenPage) -> None:
    expect(open_page().locator(STEPS)).to_have_text(re.compile("Press Start"))
    expect(open_page().locator(STEPS)).to_be_visible()
