"""axe on every panel, light and dark, desktop and phone, idle and in the middle of things."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, OpenPage, Status
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.running import ROOT, wait_until

AXE = (ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js").read_text()
SCREENS = [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")]


def complaints(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is now."""
    # By the debugger, not by a script tag: the page's policy lets no foreign script in.
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run({resultTypes: ['violations']})).violations"
    )
    return [
        f"{violation['id']}: {violation['help']}: {node['target']} {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("kind", "scheme"), SCREENS, ids=["desktop-light", "desktop-dark", "phone-light", "phone-dark"]
)
def test_axe_finds_nothing(
    open_page: OpenPage, status: Status, kind: dict[str, Any], scheme: str
) -> None:
    page = open_page(kind, color_scheme=scheme, reduced_motion="reduce")
    assert complaints(page) == []
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("train-n-count").fill("60")
    target = status()["iteration"] + 60
    page.get_by_test_id("train-n").click()
    wait_until(lambda: status()["iteration"] == target and not status()["training"])
    page.get_by_test_id("explain-3").click()
    page.get_by_test_id("show-data").click()
    page.get_by_test_id("batch-size").fill("5000")
    page.get_by_test_id("batch-size").press("Enter")
    expect(page.locator(".setting[data-error]")).to_have_count(1)
    for panel in page.locator("[data-panel]").all():  # what is drawn only when it is seen
        panel.scroll_into_view_if_needed()
    assert complaints(page) == []
    page.get_by_test_id("view").click()
    assert complaints(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="What is “batch size”?").click()
    assert complaints(page) == []


def test_the_order_of_the_focus_is_that_of_the_page(page: Page) -> None:
    seen: list[str] = []
    page.get_by_test_id("share").focus()
    while "weights" not in seen:
        page.keyboard.press("Tab")
        panel = page.evaluate("document.activeElement.closest('[data-panel]')?.dataset.panel")
        if panel and (not seen or seen[-1] != panel):
            seen.append(panel)
    order = [panel.get_attribute("data-panel") for panel in page.locator("[data-panel]").all()]
    assert seen == [name for name in order if name in seen]
    assert seen[:3] == ["draw", "guess", "training"]
