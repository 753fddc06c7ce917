#!/usr/bin/env python3
"""Draw a 2 on the running page, train until it reads well, and take its pictures for the README.

INKLING_DATASET=synthetic make run     # so that every digit on the pictures is the program's own
.venv/bin/python scripts/screenshot.py [http://localhost:8080]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

TWO = [(0.30, 0.27), (0.48, 0.17), (0.66, 0.28), (0.56, 0.48), (0.40, 0.66), (0.29, 0.80),
       (0.50, 0.79), (0.73, 0.80)]  # fmt: skip
DOCS = Path(__file__).parents[1] / "docs"
ITERATIONS = 3000
DEADLINE_MS = 120_000
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 1.5,
    "has_touch": True,
    "is_mobile": True,
}
# Name of the picture, the device, the scheme, the first panel and the last one that are on it.
PICTURES: list[tuple[str, dict[str, Any], Literal["light", "dark"], str, str]] = [
    ("page", DESKTOP, "light", "", "network"),
    ("page-dark", DESKTOP, "dark", "machine", "quality"),
    ("page-phone", PHONE, "light", "", "training"),
]


def main() -> None:
    """Train once, then take each picture of what was learnt."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        link = _train(browser, url)
        for name, device, scheme, first, last in PICTURES:
            context = browser.new_context(**device, color_scheme=scheme)
            page = context.new_page()
            page.goto(link)
            _settle(page)
            path = DOCS / f"{name}.png"
            top, bottom = _edges(page, first, last)
            page.screenshot(
                path=path,
                full_page=True,
                clip={
                    "x": 0,
                    "y": top,
                    "width": device["viewport"]["width"],
                    "height": bottom - top,
                },
            )
            print(f"{path}: {path.stat().st_size // 1024} kB")
            context.close()
        browser.close()


def _train(browser: Browser, url: str) -> str:
    """Start afresh, draw, train; return the link to what is then seen."""
    page = browser.new_page(**DESKTOP)
    page.set_default_timeout(DEADLINE_MS)
    page.goto(url)
    page.get_by_test_id("connection").get_by_text("connected").wait_for()
    page.get_by_test_id("dismiss-steps").click()
    page.get_by_test_id("reset").click()
    page.get_by_test_id("iteration").get_by_text("0", exact=True).wait_for()
    box = page.get_by_test_id("grid").bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in TWO]
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(x, y, steps=6)
    page.mouse.up()
    page.get_by_test_id("train-n-count").fill(str(ITERATIONS))
    page.get_by_test_id("train-n").click()
    page.get_by_test_id("iteration").get_by_text(str(ITERATIONS), exact=True).wait_for()
    page.get_by_test_id("explain-2").click()
    page.wait_for_function("() => location.hash.includes('digit=2')")
    link = page.url
    page.close()
    return link


def _edges(page: Page, first: str, last: str) -> tuple[float, float]:
    """Return the first and the last line of the page from panel `first`, or "", to `last`."""
    margin = 12
    end = page.locator(f"[data-panel={last}]").bounding_box()
    start = page.locator(f"[data-panel={first}]").bounding_box() if first else None
    assert end is not None
    return (start["y"] - margin if start else 0), end["y"] + end["height"] + margin


def _settle(page: Page) -> None:
    """Wait until the page is connected, has been seen whole, and what it asked for has come."""
    page.get_by_test_id("connection").get_by_text("connected").wait_for()
    for panel in page.locator("[data-panel]").all():
        panel.scroll_into_view_if_needed()
        page.wait_for_timeout(700)
    page.evaluate("scrollTo(0, 0)")
    dismiss = page.get_by_test_id("dismiss-steps")
    if dismiss.is_visible():
        dismiss.click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)


if __name__ == "__main__":
    main()
