"""Picture files onto the sheet, and the drawing's data to take along."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.conftest import DESKTOP, OpenPage
from tests.browser.sheet import ONE, SEVEN, draw, expect_guess, ink, ink_sum, inked_cells
from tests.running import wait_until

LOADED = "[data-part=sample-label]"
ERROR = "[data-part=sample-error]"
READ_CLIPBOARD: dict[str, Any] = {**DESKTOP, "permissions": ["clipboard-read", "clipboard-write"]}
BY = "\N{MULTIPLICATION SIGN}"
UPRIGHT = 6  # EXIF: turn it by 90 degrees clockwise


def photo(kind: str = "PNG", paper: int = 235, pen: int = 40, orientation: int = 1) -> bytes:
    """Return a picture 640 x 480 of one upright line, near its left side."""
    image = Image.new("L", (640, 480), paper)
    ImageDraw.Draw(image).line((120, 90, 120, 390), fill=pen, width=30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif)
    return file.getvalue()


def payload(name: str, kind: str, content: bytes) -> FilePayload:
    """Return a file as a file input takes it."""
    return {"name": name, "mimeType": kind, "buffer": content}


def choose(page: Page, name: str, kind: str, content: bytes) -> None:
    """Choose a file with the button below the sheet."""
    page.get_by_test_id("load-image").set_input_files(payload(name, kind, content))


def size_of_ink(page: Page) -> tuple[int, int]:
    """Return how many columns and rows the drawing takes up."""
    cells = inked_cells(ink(page))
    columns, rows = [column for column, _ in cells], [row for _, row in cells]
    return max(columns) - min(columns) + 1, max(rows) - min(rows) + 1


@pytest.mark.parametrize(("paper", "pen"), [(235, 40), (20, 230)], ids=["photo", "blackboard"])
def test_a_picture_becomes_a_drawing_in_the_middle_of_the_sheet(
    page: Page, paper: int, pen: int
) -> None:
    draw(page, SEVEN)
    choose(page, "one.png", "image/png", photo(paper=paper, pen=pen))
    expect(page.locator(LOADED)).to_have_text(
        f"Loaded one.png, 640 {BY} 480 pixels, its ink scaled to the middle of the sheet."
    )
    width, height = size_of_ink(page)
    assert width <= 4
    assert 20 <= height <= 22
    assert ink(page)[14][13] == pytest.approx(1, abs=0.05)
    expect_guess(page)
    page.get_by_test_id("undo").click()
    assert ink(page)[6][10] == 1  # the seven
    expect(page.locator(LOADED)).to_be_hidden()


def test_a_photo_is_turned_as_the_phone_was_held(page: Page) -> None:
    choose(page, "held.jpg", "image/jpeg", photo("JPEG", orientation=UPRIGHT))
    expect(page.locator(LOADED)).to_contain_text(f"480 {BY} 640")
    width, height = size_of_ink(page)
    assert width >= 20
    assert height <= 4


@pytest.mark.parametrize(
    ("name", "kind", "content", "words"),
    [
        ("notes.txt", "text/plain", b"seven", "notes.txt is not a picture that this browser"),
        ("cut.png", "image/png", photo()[:60], "cut.png is not a picture that this browser"),
        ("white.png", "image/png", photo(pen=235), "Nothing in white.png stands out"),
    ],
    ids=["text", "broken", "blank"],
)
def test_a_file_that_is_no_drawing_is_refused_with_the_reason(
    page: Page, name: str, kind: str, content: bytes, words: str
) -> None:
    draw(page, ONE)
    before = ink(page)
    choose(page, name, kind, content)
    expect(page.locator(ERROR)).to_contain_text(words)
    assert ink(page) == before
    choose(page, "one.png", "image/png", photo())
    expect(page.locator(ERROR)).to_be_hidden()


def test_a_file_that_is_too_large_is_refused(page: Page, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(21_000_000)
    page.get_by_test_id("load-image").set_input_files(huge)
    expect(page.locator(ERROR)).to_have_text("huge.png has 21 MB; at most 20 MB can be loaded.")


def test_a_picture_that_cannot_be_read_for_want_of_the_server_is_explained(page: Page) -> None:
    page.route("**/image_file.js", lambda route: route.abort())
    choose(page, "one.png", "image/png", photo())
    expect(page.locator(ERROR)).to_contain_text("The server cannot be reached")
    page.unroute("**/image_file.js")
    expect(page.get_by_test_id("load-sample")).to_be_enabled()


def bring(page: Page, selector: str, kind: str, content: bytes) -> bool:
    """Drop a file on an element, or paste it there; return whether the page took it."""
    taken: bool = page.evaluate(
        """([selector, kind, content]) => {
             const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
             const data = new DataTransfer();
             data.items.add(new File([bytes], "one.png", {type: "image/png"}));
             const options = {bubbles: true, cancelable: true};
             const event = kind === "paste"
               ? new ClipboardEvent(kind, {...options, clipboardData: data})
               : new DragEvent(kind, {...options, dataTransfer: data});
             return !document.querySelector(selector).dispatchEvent(event);
           }""",
        [selector, kind, base64.b64encode(content).decode()],
    )
    return taken


def test_a_picture_is_dropped_on_the_sheet(page: Page) -> None:
    sheet = "[data-testid=grid]"
    assert bring(page, sheet, "dragenter", photo())
    expect(page.locator(".sheet-drop")).to_be_visible()
    assert bring(page, sheet, "dragover", photo())
    assert bring(page, sheet, "drop", photo())
    expect(page.locator(LOADED)).to_contain_text("Loaded one.png")
    expect(page.locator(".sheet-drop")).to_be_hidden()


def test_a_picture_that_misses_the_sheet_does_not_replace_the_page(page: Page) -> None:
    assert bring(page, "[data-panel=machine]", "dragover", photo())
    assert bring(page, "[data-panel=machine]", "drop", photo())
    assert ink_sum(page) == 0


def test_a_picture_is_pasted_anywhere_but_in_a_text_field(page: Page) -> None:
    assert not bring(page, "[data-testid=weights-name]", "paste", photo())
    assert ink_sum(page) == 0
    assert bring(page, "body", "paste", photo())
    expect(page.locator(LOADED)).to_contain_text(f"Loaded the pasted picture, 640 {BY} 480")
    assert ink_sum(page) > 0


def test_a_drawing_goes_out_as_a_png_and_comes_back_the_same(open_page: OpenPage) -> None:
    page = open_page(READ_CLIPBOARD)
    draw(page, SEVEN)
    page.get_by_test_id("show-data").click()
    page.get_by_test_id("copy-png").click()
    expect(page.get_by_text("Copied as a picture")).to_be_visible()
    drawn = ink(page)
    page.get_by_test_id("clear").click()
    page.keyboard.press("Control+v")
    expect(page.locator(LOADED)).to_contain_text(f"28 {BY} 28 pixels, taken cell by cell")
    assert ink(page) == [pytest.approx(row, abs=0.01) for row in drawn]


def test_where_pictures_cannot_be_copied_the_png_is_downloaded(page: Page, tmp_path: Path) -> None:
    page.evaluate("delete globalThis.ClipboardItem")
    draw(page, ONE)
    page.get_by_test_id("show-data").click()
    with page.expect_download() as download:
        page.get_by_test_id("copy-png").click()
    assert download.value.suggested_filename == "inkling-drawing.png"
    download.value.save_as(tmp_path / "drawing.png")
    with Image.open(tmp_path / "drawing.png") as picture:
        assert picture.size == (28, 28)
        grey = picture.convert("L")
        assert grey.getpixel((14, 10)) == 0  # dark ink on light paper
        assert grey.getpixel((2, 2)) == 255
    expect(page.get_by_text("saved as inkling-drawing.png")).to_be_visible()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
@pytest.mark.parametrize("raw", [False, True], ids=["normalised", "raw"])
def test_the_curl_line_asks_what_the_page_asks(open_page: OpenPage, raw: bool) -> None:
    page = open_page(READ_CLIPBOARD)
    draw(page, ((4, 4), (12, 4), (8, 14)))
    page.get_by_test_id("send-raw").set_checked(raw)
    page.get_by_test_id("show-data").click()
    page.get_by_test_id("copy-curl").click()
    expect(page.get_by_text("paste it into a shell")).to_be_visible()
    line: str = page.evaluate("navigator.clipboard.readText()")
    assert ("normalize=true" in line) is not raw
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=30)
    answer = json.loads(done.stdout)
    expect(page.get_by_test_id("guess")).to_have_text(str(answer["digit"]))
    bar = page.locator(f"[data-testid=explain-{answer['digit']}] .value")
    wait_until(
        lambda: (
            re.fullmatch(r"[\d.]+", bar.text_content() or "") is not None
            and abs(float(bar.text_content() or "") - max(answer["probabilities"])) < 0.01
        )
    )
