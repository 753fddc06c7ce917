"""Links that reproduce what one sees, the page on a slide, and parts of it hidden."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, OpenPage
from tests.browser.elsewhere import other_site
from tests.browser.sheet import SEVEN, draw, expect_guess, ink, ink_sum
from tests.running import Stack, wait_until

PANELS = ["draw", "guess", "training", "curves", "network", "machine", "quality", "weights"]


def shown(page: Page) -> list[str]:
    """Return which panels can be seen."""
    return [name for name in PANELS if page.locator(f"[data-panel={name}]").is_visible()]


def test_a_link_reproduces_the_drawing_in_another_browser(page: Page, open_page: OpenPage) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    expect(page).to_have_url(re.compile("#d="))
    other = open_page()
    assert ink_sum(other) == 0
    other.goto(page.url)
    expect_guess(other)
    assert ink(other) == ink(page)
    guess = page.get_by_test_id("guess").text_content() or ""
    expect(other.get_by_test_id("guess")).to_have_text(guess)


def test_copy_link_copies_the_address_with_the_drawing(open_page: OpenPage) -> None:
    page = open_page(DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    draw(page, SEVEN)
    page.get_by_test_id("share").click()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    expect(page).to_have_url(copied)


def test_a_link_that_was_cut_off_says_so(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/#d=AJJs&digit=12")
    note = page.locator("[data-part=link-problem]")
    expect(note).to_contain_text("perhaps the link was cut off")
    expect(note).to_contain_text("digit=12")
    assert ink_sum(page) == 0


def test_a_link_pasted_into_the_same_window_takes_effect(page: Page) -> None:
    draw(page, SEVEN)
    expect(page).to_have_url(re.compile("#d="))
    page.get_by_test_id("clear").click()
    expect(page).not_to_have_url(re.compile("#d="))
    page.go_back()  # nothing to go back to but where it came from: the address only replaced itself
    assert not page.url.startswith("http")


def test_a_part_is_hidden_by_the_view_and_by_the_link(page: Page, open_page: OpenPage) -> None:
    page.get_by_test_id("view").click()
    page.get_by_test_id("view-machine").uncheck()
    page.get_by_test_id("view-curves").uncheck()
    rest = [name for name in PANELS if name not in ("machine", "curves")]
    wait_until(lambda: shown(page) == rest)
    expect(page).to_have_url(re.compile(r"\?hide=machine,curves"))
    other = open_page()
    other.goto(page.url)
    expect(other.locator("[data-panel=machine]")).to_be_hidden()
    wait_until(lambda: shown(other) == rest)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("view-machine")).to_be_hidden()
    page.get_by_test_id("view").press("Enter")
    page.get_by_test_id("view-machine").check()
    expect(page.locator("[data-panel=machine]")).to_be_visible()


def test_embedded_it_is_the_sheet_and_the_guess_alone(open_page: OpenPage, stack: Stack) -> None:
    page = open_page({"viewport": {"width": 640, "height": 480}})
    page.goto(f"{stack.url}/?embed=1")
    expect(page.locator("[data-panel=training]")).to_be_hidden()
    wait_until(lambda: shown(page) == ["draw", "guess"])
    expect(page.get_by_role("heading", level=1)).to_be_hidden()
    draw(page, SEVEN)
    expect_guess(page)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Watch it learn in Inkling").click()
    whole = opened.value
    expect(whole.get_by_test_id("start")).to_be_visible()
    wait_until(lambda: ink_sum(whole) > 20)


def test_the_page_can_stand_in_a_frame_of_another_site_only_when_embedded(
    open_page: OpenPage, stack: Stack
) -> None:
    page = open_page()
    with other_site(
        lambda query: f'<!doctype html><iframe src="{stack.url}/?{query}"></iframe>'
    ) as site:
        page.goto(f"{site}/?embed=1")
        expect(page.frame_locator("iframe").get_by_test_id("grid")).to_be_visible()
        page.goto(f"{site}/", wait_until="networkidle")
        expect(page.frame_locator("iframe").get_by_test_id("grid")).to_have_count(0)
