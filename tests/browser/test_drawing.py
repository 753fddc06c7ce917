"""Drawing on the sheet with mouse and finger, and what the page says about the drawing."""

from __future__ import annotations

import json
import re

import httpx
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import DESKTOP, OpenPage
from tests.browser.sheet import (
    ONE,
    SEVEN,
    draw,
    draw_with_finger,
    expect_guess,
    ink,
    ink_sum,
    place,
)
from tests.running import Stack, wait_until


def is_close(image: list[float], other: list[float]) -> bool:
    """Return whether two images differ only by the rounding of their numbers."""
    return max(abs(a - b) for a, b in zip(image, other, strict=True)) < 0.01


def test_a_drawing_gets_a_guess_and_ten_probabilities(page: Page) -> None:
    expect(page.get_by_test_id("guess")).to_have_text("?")
    draw(page, SEVEN)
    expect_guess(page)
    rows = page.get_by_test_id("probabilities").locator("li")
    probabilities = [float(text) for text in rows.all_text_contents()]
    assert len(probabilities) == 10
    assert abs(sum(probabilities) - 1) < 0.01
    shown = page.get_by_test_id("guess").text_content()
    assert shown is not None
    assert probabilities[int(shown)] == max(probabilities)


def test_the_page_shows_what_the_server_reads(page: Page, api: httpx.Client) -> None:
    draw(page, ONE)
    expect_guess(page)
    image = [value for row in ink(page) for value in row]
    answer = api.post("/infer", params={"normalize": "true"}, json={"image": image}).json()
    expect(page.get_by_test_id("guess")).to_have_text(str(answer["digit"]))


def test_the_first_cell_is_painted_when_the_pen_touches_the_sheet(page: Page) -> None:
    page.mouse.move(*place(page, (9, 4)))
    page.mouse.down()
    assert ink(page)[4][9] == 1
    page.mouse.up()


def test_the_corner_cells_can_be_painted(page: Page) -> None:
    for column, row in ((0, 0), (27, 0), (0, 27), (27, 27)):
        draw(page, [(column, row)])
        assert ink(page)[row][column] == 1


def test_a_stroke_in_one_jump_leaves_no_gap(page: Page) -> None:
    draw(page, [(2, 3), (25, 26)], steps=1)
    sheet = ink(page)
    assert all(sheet[step + 1][step] == 1 for step in range(2, 26))


def test_leaving_the_sheet_ends_the_stroke(page: Page) -> None:
    page.mouse.move(*place(page, (20, 5)))
    page.mouse.down()
    page.mouse.move(*place(page, (33, 5)))
    assert ink(page)[5][27] == 1
    before = ink_sum(page)
    page.mouse.move(*place(page, (33, 20)))
    page.mouse.move(*place(page, (5, 20)), steps=5)
    assert ink_sum(page) == before
    page.mouse.up()
    draw(page, [(5, 20), (8, 20)])
    assert ink(page)[20][6] == 1


def test_the_right_button_does_not_draw(page: Page) -> None:
    page.get_by_test_id("grid").click(button="right")
    assert ink_sum(page) == 0


def test_a_finger_draws_and_does_not_scroll_the_page(phone: Page) -> None:
    scroll = phone.evaluate("scrollY")
    draw_with_finger(phone, [(14, 3), (14, 10), (14, 17), (14, 24)])
    sheet = ink(phone)
    assert all(sheet[row][14] == 1 for row in range(3, 25))
    expect_guess(phone)
    assert phone.evaluate("scrollY") == scroll


def test_clear_empties_the_sheet_and_the_guess(page: Page) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("clear").click()
    expect(page.get_by_test_id("guess")).to_have_text("?")
    assert ink_sum(page) == 0


def test_an_answer_that_comes_after_clear_is_not_shown(page: Page) -> None:
    def answer_late(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    page.route("**/infer*", answer_late)
    with page.expect_response("**/infer*"):
        draw(page, [(14, 14)])
        page.get_by_test_id("clear").click()
    page.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
    expect(page.get_by_test_id("guess")).to_have_text("?")


def test_at_most_one_question_is_under_way_and_the_last_drawing_wins(page: Page) -> None:
    under_way, most, last = 0, 0, ""

    def asked(route: Route) -> None:
        nonlocal under_way, most, last
        under_way += 1
        most = max(most, under_way)
        last = route.request.post_data or ""
        route.continue_()

    def answered(request: Request) -> None:
        nonlocal under_way
        under_way -= "/infer" in request.url

    page.route("**/infer*", asked)
    page.on("requestfinished", answered)
    draw(page, SEVEN, steps=40)
    expect_guess(page)
    image = [value for row in ink(page) for value in row]
    wait_until(lambda: is_close(json.loads(last)["image"], image))
    assert most == 1


def test_a_sample_is_loaded_with_its_label(page: Page) -> None:
    page.get_by_test_id("load-sample").click()
    label = page.get_by_text(re.compile("its label says [0-9]"))
    expect(label).to_be_visible()
    assert ink_sum(page) > 20
    expect_guess(page)
    text = label.text_content()
    assert text is not None
    expect(page.get_by_test_id("tune-label")).to_have_value(text[-2])
    draw(page, [(3, 3)])
    expect(label).to_be_hidden()


def test_the_data_are_shown_as_784_numbers_and_copied(open_page: OpenPage, stack: Stack) -> None:
    page = open_page(DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    draw(page, ONE)
    page.get_by_test_id("show-data").click()
    cells = page.get_by_test_id("data-numbers").locator("span")
    expect(cells).to_have_count(784)
    sheet = [value for row in ink(page) for value in row]
    assert is_close([float(text) for text in cells.all_text_contents()], sheet)
    page.get_by_test_id("copy-data").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    answer = httpx.post(f"{stack.url}/infer", params={"normalize": "true"}, json=copied)
    expect(page.get_by_test_id("guess")).to_have_text(str(answer.json()["digit"]))
    page.get_by_test_id("show-data").click()
    expect(page.get_by_test_id("data-numbers")).to_be_hidden()


def test_without_weights_the_page_says_why_there_is_no_guess(page: Page) -> None:
    detail = "Nothing can be classified: there are no weights yet."
    page.route(
        "**/infer*",
        lambda route: route.fulfill(
            status=503, content_type="application/problem+json", json={"detail": detail}
        ),
    )
    draw(page, ONE)
    expect(page.get_by_text(detail)).to_be_visible()
    expect(page.get_by_test_id("guess")).to_have_text("?")
    page.unroute("**/infer*")
    expect_guess(page)


def test_a_sample_that_cannot_be_had_is_explained_beside_the_sheet(page: Page) -> None:
    page.route("**/data?*", lambda route: route.abort())
    page.get_by_test_id("load-sample").click()
    expect(page.locator("section.draw").get_by_text("cannot be reached")).to_be_visible()
