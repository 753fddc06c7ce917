#!/usr/bin/env python3
"""Draw a 2 on the running page, train for some seconds, and put its picture into docs/page.png.

.venv/bin/python scripts/screenshot.py http://localhost:8080
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

TWO = [(0.30, 0.27), (0.48, 0.17), (0.66, 0.28), (0.56, 0.48), (0.40, 0.66), (0.29, 0.80),
       (0.50, 0.79), (0.73, 0.80)]  # fmt: skip
PICTURE = Path(__file__).parents[1] / "docs" / "page.png"
TRAIN_MS = 6000

url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080"
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
    )
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(url)
    page.get_by_test_id("connection").get_by_text("connected").wait_for()
    page.request.delete(f"{url}/weights")
    box = page.get_by_test_id("grid").bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in TWO]
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(x, y, steps=6)
    page.mouse.up()
    page.get_by_test_id("start").click()
    page.wait_for_timeout(TRAIN_MS)
    page.screenshot(path=PICTURE, full_page=True)
    page.get_by_test_id("stop").click()
    browser.close()
print(f"{PICTURE}: {PICTURE.stat().st_size // 1024} kB")
