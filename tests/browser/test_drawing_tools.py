"""The tools of the sheet: brushes, eraser, undo, pen, keyboard, and what the network is given."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.sheet import (
    ONE,
    SEVEN,
    SIDE,
    Cell,
    draw,
    draw_with_finger,
    draw_with_pen,
    expect_guess,
    ink,
    ink_sum,
    inked_cells,
    place,
)
from tests.running import Stack, wait_until

LINE: tuple[Cell, ...] = ((6, 14), (22, 14))


def extent(rows: list[list[float]]) -> tuple[int, int]:
    """Return how many columns and rows the ink takes up."""
    cells = inked_cells(rows)
    columns = [column for column, _ in cells]
    lines = [row for _, row in cells]
    return max(columns) - min(columns) + 1, max(lines) - min(lines) + 1


def test_the_thick_brush_leaves_more_ink_than_the_thin_one(page: Page) -> None:
    expect(page.get_by_test_id("tool-thin")).to_be_checked()
    draw(page, LINE)
    thin = ink_sum(page)
    page.get_by_test_id("clear").click()
    page.get_by_test_id("tool-thick").check()
    draw(page, LINE)
    assert ink_sum(page) > 1.4 * thin


def test_the_eraser_takes_ink_off(page: Page) -> None:
    draw(page, LINE)
    page.get_by_test_id("tool-eraser").check()
    draw(page, [(14, 10), (14, 18)])
    sheet = ink(page)
    assert sheet[14][14] == 0
    assert sheet[14][7] == sheet[14][21] == 1
    page.get_by_test_id("tool-thin").check()
    draw(page, [(14, 14)])
    assert ink(page)[14][14] == 1


def test_the_tools_are_chosen_by_finger_and_by_arrow_keys(phone: Page) -> None:
    phone.get_by_test_id("tool-thick").tap()
    draw_with_finger(phone, LINE)
    thick = ink_sum(phone)
    phone.get_by_test_id("tool-thick").press("ArrowLeft")
    expect(phone.get_by_test_id("tool-thin")).to_be_checked()
    phone.get_by_test_id("clear").tap()
    draw_with_finger(phone, LINE)
    assert 0 < ink_sum(phone) < thick


def test_each_stroke_is_undone_and_done_again_as_a_whole(page: Page) -> None:
    undo, redo = page.get_by_test_id("undo"), page.get_by_test_id("redo")
    expect(undo).to_be_disabled()
    draw(page, SEVEN)
    seven = ink(page)
    draw(page, LINE)
    both = ink(page)
    undo.click()
    assert ink(page) == seven
    undo.click()
    assert ink_sum(page) == 0
    expect(undo).to_be_disabled()
    redo.click()
    redo.click()
    assert ink(page) == both
    expect(redo).to_be_disabled()
    undo.click()
    draw(page, [(3, 25)])
    expect(redo).to_be_disabled()


def test_clear_and_a_sample_are_undone_with_the_label(page: Page) -> None:
    page.get_by_test_id("load-sample").click()
    label = page.locator("[data-part=sample-label]")
    expect(label).to_contain_text("its label says")
    sample = ink(page)
    page.get_by_test_id("clear").click()
    expect(label).to_be_hidden()
    page.get_by_test_id("undo").click()
    assert ink(page) == sample
    expect(label).to_contain_text("its label says")
    page.get_by_test_id("undo").click()
    assert ink_sum(page) == 0
    expect(page.get_by_test_id("guess")).to_have_text("?")


def test_the_keys_for_undo_and_redo(page: Page) -> None:
    draw(page, SEVEN)
    seven = ink(page)
    for undo, redo in (("Control+z", "Control+Shift+z"), ("Meta+z", "Control+y")):
        page.keyboard.press(undo)
        assert ink_sum(page) == 0
        page.keyboard.press(redo)
        assert ink(page) == seven


def test_the_keys_for_undo_mean_the_text_in_a_text_field(page: Page) -> None:
    draw(page, SEVEN)
    name = page.get_by_test_id("weights-name")
    name.press_sequentially("abc")
    name.press("Control+z")
    assert name.input_value() != "abc"
    assert ink_sum(page) > 0


def test_a_pen_that_presses_harder_draws_thicker(page: Page) -> None:
    amounts = []
    for pressure in (0.1, 0.5, 1.0):
        draw_with_pen(page, LINE, pressure)
        amounts.append(ink_sum(page))
        page.get_by_test_id("clear").click()
    draw(page, LINE)
    assert amounts[0] < amounts[1] < amounts[2]
    assert amounts[1] == pytest.approx(ink_sum(page), abs=0.1)


def test_the_other_end_of_a_pen_erases(page: Page) -> None:
    draw(page, LINE)
    x, y = place(page, (14, 14))
    page.mouse.move(x, y)
    # No input of the debugger has a button for the eraser; a real pointer lends its number.
    page.get_by_test_id("grid").evaluate(
        """(canvas, [x, y]) => {
             const pen = {pointerId: 1, pointerType: "pen", clientX: x, clientY: y, bubbles: true};
             const down = {...pen, button: 5, buttons: 32, pressure: 0.5};
             canvas.dispatchEvent(new PointerEvent("pointerdown", down));
             canvas.dispatchEvent(new PointerEvent("pointerup", {...pen, button: 5}));
           }""",
        [x, y],
    )
    assert ink(page)[14][14] == 0
    assert ink(page)[14][6] == 1
    expect(page.get_by_test_id("tool-thin")).to_be_checked()


def test_a_second_finger_does_not_disturb(phone: Page) -> None:
    phone.get_by_test_id("grid").scroll_into_view_if_needed()
    touch = phone.context.new_cdp_session(phone)

    def fingers(kind: str, *cells: Cell) -> None:
        points = [
            {"x": place(phone, cell)[0], "y": place(phone, cell)[1], "id": number}
            for number, cell in enumerate(cells)
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (4, 6))
    fingers("touchMove", (10, 6))
    fingers("touchStart", (10, 6), (20, 22))
    fingers("touchMove", (16, 6), (22, 24))
    fingers("touchMove", (22, 6), (24, 24))
    fingers("touchEnd")
    sheet = ink(phone)
    assert all(sheet[6][column] == 1 for column in range(4, 23))
    assert {row for _, row in inked_cells(sheet)} <= set(range(4, 9))


def test_a_pen_takes_over_from_the_hand_that_holds_it(phone: Page) -> None:
    phone.get_by_test_id("grid").scroll_into_view_if_needed()
    touch = phone.context.new_cdp_session(phone)
    x, y = place(phone, (22, 24))
    palm = {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    touch.send("Input.dispatchTouchEvent", palm)
    assert ink(phone)[24][22] == 1
    draw_with_pen(phone, ((6, 6), (16, 6)), 0.5)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    sheet = ink(phone)
    assert sheet[24][22] == 0
    assert sheet[6][10] == 1


def test_the_sheet_is_drawn_on_by_keyboard(page: Page) -> None:
    hint = page.locator("#grid-keys")
    grid = page.get_by_test_id("grid")
    page.get_by_test_id("view").focus()
    while not grid.evaluate("(canvas) => canvas === document.activeElement"):
        page.keyboard.press("Tab")
    expect(hint).to_be_visible()
    expect(grid).to_have_attribute("aria-describedby", "grid-keys")
    expect(page.get_by_test_id("grid-cursor")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.down("Space")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.up("Space")
    page.keyboard.press("ArrowDown")  # the pen is up
    sheet = ink(page)
    assert all(sheet[10][column] == 1 for column in range(13, 19))
    assert sheet[12][18] == 0
    expect(page.locator("[data-part=grid-live]")).to_have_text("Row 12, column 19: 78 % ink")
    expect_guess(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Delete")
    assert ink(page)[10][18] == 0
    assert ink(page)[10][17] == 1
    page.keyboard.down("Backspace")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.up("Backspace")
    assert ink(page)[10][15:19] == [1, 0, 0, 0]
    page.keyboard.press("Control+z")  # both cells were one stroke
    assert ink(page)[10][15:19] == [1, 1, 1, 0]
    page.keyboard.press("x")
    assert ink_sum(page) == 0
    page.keyboard.press("Escape")
    expect(hint).to_be_hidden()
    expect(page.get_by_test_id("tool-thin")).to_be_focused()


def test_the_cursor_stands_on_its_cell_and_stays_on_the_sheet(page: Page) -> None:
    page.get_by_test_id("grid").focus()
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
    box = page.get_by_test_id("grid-cursor").bounding_box()
    assert box is not None
    assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx(
        place(page, (SIDE - 1, SIDE - 1)), abs=1
    )
    page.keyboard.press("Space")
    assert ink(page)[SIDE - 1][SIDE - 1] == 1
    draw(page, [(3, 3)])  # the mouse takes over
    expect(page.get_by_test_id("grid-cursor")).to_be_hidden()


def test_the_page_shows_what_the_network_is_given(page: Page) -> None:
    small: tuple[Cell, ...] = ((3, 3), (8, 3), (5, 10))
    draw(page, small)
    wait_until(lambda: ink_sum_of_input(page) > 0)
    wait_until(lambda: max(extent(ink(page, "input-preview"))) == 20)
    with page.expect_request(lambda request: "normalize=false" in request.url):
        page.get_by_test_id("send-raw").check()
    wait_until(lambda: ink(page, "input-preview") == ink(page))
    expect(page.get_by_test_id("input-preview")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[#&]raw=1"))
    with page.expect_request("**/weights?normalize=false") as tuned:
        page.get_by_test_id("tune").click()
    image = json.loads(tuned.value.post_data or "")["data"][0]["image"]
    assert image == pytest.approx([value for row in ink(page) for value in row], abs=0.01)
    page.get_by_test_id("clear").click()
    wait_until(lambda: ink_sum_of_input(page) == 0)


def ink_sum_of_input(page: Page) -> float:
    """Return how much ink the preview of the network's input shows."""
    return sum(map(sum, ink(page, "input-preview")))


def test_a_link_says_whether_the_drawing_is_sent_as_it_is(
    page: Page, open_page: OpenPage, stack: Stack
) -> None:
    expect(page.get_by_test_id("send-raw")).not_to_be_checked()
    other = open_page()
    other.goto(f"{stack.url}/#raw=1")
    expect(other.get_by_test_id("send-raw")).to_be_checked()


def test_on_a_phone_the_guess_is_in_sight_while_one_draws(phone: Page) -> None:
    draw_with_finger(phone, ONE)
    expect_guess(phone)
    guess = phone.get_by_test_id("guess").text_content()
    expect(phone.get_by_test_id("glance")).to_have_text(f"reads {guess}")
    expect(phone.get_by_test_id("glance")).to_be_in_viewport()
    phone.get_by_test_id("clear").tap()
    expect(phone.get_by_test_id("glance")).to_be_hidden()
