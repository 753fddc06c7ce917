"""Pictures of the whole page, in the middle of things, kept in .ci-out/screens to be looked at."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, OpenPage, Status
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.running import ROOT, Stack, wait_until

SCREENS = ROOT / ".ci-out" / "screens"
NARROW: dict[str, Any] = {**PHONE, "viewport": {"width": 360, "height": 740}}
WIDE: dict[str, Any] = {"viewport": {"width": 1600, "height": 1000}}
# Something of each panel whose code comes when it is seen.
LATE = [
    "[data-panel=network]",
    "[data-testid=tiles] [role=option]",
    "[data-panel=machine]",
    "[data-testid=machine-diagram] svg",
    "[data-panel=quality]",
    "[data-testid=confusion] button",
    "[data-panel=glossary]",
    "[data-part=glossary] dt",
]
EMBEDDED: dict[str, Any] = {"viewport": {"width": 720, "height": 560}}


@pytest.mark.parametrize(
    ("name", "kind", "scheme", "query"),
    [
        ("desktop-light", DESKTOP, "light", ""),
        ("desktop-dark", DESKTOP, "dark", ""),
        ("wide", WIDE, "light", ""),
        ("phone-light", PHONE, "light", ""),
        ("phone-dark", PHONE, "dark", ""),
        ("narrow", NARROW, "light", ""),
        ("embedded", EMBEDDED, "light", "?embed=1"),
    ],
)
def test_the_page_fits_the_screen_and_its_picture_is_kept(
    open_page: OpenPage,
    stack: Stack,
    status: Status,
    name: str,
    kind: dict[str, Any],
    scheme: str,
    query: str,
) -> None:
    page = open_page(kind, color_scheme=scheme)
    if query:
        page.goto(f"{stack.url}/{query}")
    else:
        page.get_by_test_id("train-n-count").fill("150")
        target = status()["iteration"] + 150
        page.get_by_test_id("train-n").click()
        wait_until(lambda: status()["iteration"] == target and not status()["training"])
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("explain-7").click()
    for late in [] if query else LATE:
        page.locator(late).first.scroll_into_view_if_needed()
        expect(page.locator(late).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == kind["viewport"]["width"]
    SCREENS.mkdir(parents=True, exist_ok=True)
    path = SCREENS / f"{name}.png"
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)
    with Image.open(path) as picture:
        colours = picture.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 100  # not an empty page
