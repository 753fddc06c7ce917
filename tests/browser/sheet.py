"""The drawing sheet, used as a person does, and read back cell by cell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from playwright.sync_api import Page, expect

SIDE = 28
SEVEN = ((7, 6), (21, 6), (12, 23))
ONE = ((14, 4), (14, 24))

Cell = tuple[float, float]


def place(page: Page, cell: Cell) -> Cell:
    """Return where on the page (CSS pixels) the middle of a cell (column, row) lies."""
    box = page.get_by_test_id("grid").bounding_box()
    assert box is not None
    column, row = cell
    return (
        box["x"] + (column + 0.5) * box["width"] / SIDE,
        box["y"] + (row + 0.5) * box["height"] / SIDE,
    )


def draw(page: Page, cells: Sequence[Cell], steps: int = 8) -> None:
    """Draw through `cells` with the mouse, each stretch in `steps` moves."""
    page.get_by_test_id("grid").scroll_into_view_if_needed()
    page.mouse.move(*place(page, cells[0]))
    page.mouse.down()
    for cell in cells[1:]:
        page.mouse.move(*place(page, cell), steps=steps)
    page.mouse.up()


def draw_with_finger(page: Page, cells: Sequence[Cell]) -> None:
    """Draw through `cells` with one finger, by the browser's own touch input."""
    page.get_by_test_id("grid").scroll_into_view_if_needed()
    touch = page.context.new_cdp_session(page)
    for number, cell in enumerate(cells):
        x, y = place(page, cell)
        kind = "touchStart" if number == 0 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def draw_with_pen(page: Page, cells: Sequence[Cell], pressure: float) -> None:
    """Draw through `cells` with a pen, pressed 0..1, by the browser's own pen input."""
    page.get_by_test_id("grid").scroll_into_view_if_needed()
    pen = page.context.new_cdp_session(page)
    held = {"pointerType": "pen", "button": "left", "force": pressure}
    for number, cell in enumerate(cells):
        x, y = place(page, cell)
        kind = "mousePressed" if number == 0 else "mouseMoved"
        pen.send(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": x, "y": y, "buttons": 1, "clickCount": 1, **held},
        )
    x, y = place(page, cells[-1])
    pen.send("Input.dispatchMouseEvent", {"type": "mouseReleased", "x": x, "y": y, **held})
    pen.detach()


def inked_cells(rows: list[list[float]]) -> set[tuple[int, int]]:
    """Return the cells (column, row) with some ink."""
    return {
        (column, row)
        for row, values in enumerate(rows)
        for column, value in enumerate(values)
        if value > 0
    }


def ink(page: Page, testid: str = "grid") -> list[list[float]]:
    """Return the sheet, or a canvas of its kind, as 28 rows of 28 numbers, 0 (paper) to 1."""
    alphas: list[int] = page.get_by_test_id(testid).evaluate(
        """(canvas) => Array.from(canvas.getContext("2d").getImageData(0, 0, 28, 28).data)
                            .filter((_, index) => index % 4 === 3)"""
    )
    return [[alpha / 255 for alpha in alphas[row * SIDE : (row + 1) * SIDE]] for row in range(SIDE)]


def ink_sum(page: Page) -> float:
    """Return how much ink is on the sheet."""
    return sum(map(sum, ink(page)))


def expect_guess(page: Page) -> None:
    """Wait until the network has read what is on the sheet."""
    expect(page.get_by_test_id("guess")).to_have_text(re.compile("^[0-9]$"))
