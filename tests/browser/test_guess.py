"""The guess and teaching: bars that explain, words for doubt, before and after."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage, Status
from tests.browser.sheet import ONE, SEVEN, draw, expect_guess, ink
from tests.running import Stack, wait_until

WORDS = "[data-part=guess-words]"


def answer_with(page: Page, probabilities: list[float]) -> None:
    """Let the server's next answers hold these probabilities: what no weights give at will."""

    def answer(route: Route) -> None:
        body = route.fetch().json()
        digit = probabilities.index(max(probabilities))
        route.fulfill(json={**body, "digit": digit, "probabilities": probabilities})

    page.route("**/infer*", answer)


def test_a_doubtful_guess_says_that_it_is_not_sure_and_what_else_it_may_be(page: Page) -> None:
    answer_with(page, [0, 0, 0, 0, 0.5, 0, 0, 0.1, 0, 0.4])
    draw(page, ONE)
    expect(page.get_by_test_id("guess")).to_have_text("4")
    expect(page.locator(WORDS)).to_contain_text("Not sure: 4 (50.0 %), or 9 (40.0 %)")
    expect(page.locator("[data-part=guess-live]")).to_have_text("The network is not sure: 4 or 9.")


def test_a_sure_guess_is_spoken_once_it_has_settled(page: Page) -> None:
    answer_with(page, [0.9, 0, 0, 0, 0.1, 0, 0, 0, 0, 0])
    draw(page, ONE)
    expect(page.locator(WORDS)).to_contain_text("90.0 % sure")
    expect(page.locator("[data-part=guess-live]")).to_have_text("The network reads 0.")


def test_pointing_at_a_bar_explains_its_digit_until_the_pointer_leaves(page: Page) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    row = page.get_by_test_id("probabilities").locator("li").nth(3)
    row.hover()
    expect(row).to_have_attribute("data-explained", "")
    page.get_by_role("heading", name="Draw", exact=True).hover()
    expect(page.locator("[data-explained]")).to_have_count(0)


def test_a_pressed_bar_stays_explained_and_is_in_the_link(page: Page) -> None:
    draw(page, SEVEN)
    bar = page.get_by_test_id("explain-3")
    bar.click()
    page.get_by_role("heading", name="Draw", exact=True).click()
    expect(bar).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile(r"[#&]digit=3"))
    bar.click()
    expect(bar).to_have_attribute("aria-pressed", "false")
    page.get_by_role("heading", name="Draw", exact=True).click()
    expect(page.locator("[data-explained]")).to_have_count(0)


def test_the_bars_can_be_reached_and_pressed_by_keyboard(page: Page) -> None:
    draw(page, SEVEN)
    page.get_by_test_id("explain-0").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("explain-1")).to_be_focused()
    expect(page.locator("[data-explained]")).to_have_count(1)
    page.keyboard.press("Space")
    expect(page.get_by_test_id("explain-1")).to_have_attribute("aria-pressed", "true")


def test_a_finger_explains_a_digit_by_a_tap(phone: Page) -> None:
    phone.get_by_test_id("explain-5").tap()
    expect(phone.get_by_test_id("explain-5")).to_have_attribute("aria-pressed", "true")
    expect(phone.locator("[data-explained]")).to_have_count(1)


def read_by_the_server(page: Page, api: httpx.Client, *, normalize: bool) -> dict[str, Any]:
    """Wait until the page shows what the server says of the sheet; return that."""
    image = [value for row in ink(page) for value in row]
    asked = {"normalize": str(normalize).lower()}
    answer: dict[str, Any] = api.post("/infer", params=asked, json={"image": image}).json()
    highest = max(answer["probabilities"])
    expect(page.get_by_test_id("guess")).to_have_text(str(answer["digit"]))
    bar = page.locator(f"[data-testid=explain-{answer['digit']}] .value")
    wait_until(lambda: abs(float(bar.text_content() or "") - highest) < 0.01)
    return answer


def test_a_drawing_is_read_normalised_or_as_it_is(
    page: Page, api: httpx.Client, open_page: OpenPage, stack: Stack
) -> None:
    small = ((2, 2), (7, 2), (4, 9))
    draw(page, small)
    normalised = read_by_the_server(page, api, normalize=True)
    raw = open_page()
    raw.goto(f"{stack.url}/#raw=1")
    draw(raw, small)
    as_it_is = read_by_the_server(raw, api, normalize=False)
    assert as_it_is["probabilities"] != normalised["probabilities"]


def test_a_guess_by_older_weights_than_the_live_ones_is_asked_again(
    page: Page, api: httpx.Client
) -> None:
    draw(page, SEVEN)
    read_by_the_server(page, api, normalize=True)
    stale: dict[str, Any] = {"version": 0, "iteration": 0, "digit": 9, "input": [0.0] * 784}
    stale["probabilities"] = [0.0] * 9 + [1.0]
    page.route("**/infer*", lambda route: route.fulfill(json=stale), times=1)
    with page.expect_response("**/infer*") as answered:
        page.get_by_test_id("send-raw").check()
    assert answered.value.json() == stale
    read_by_the_server(page, api, normalize=False)


def test_teaching_is_one_step_and_shows_the_bars_before_and_after(
    page: Page, api: httpx.Client, status: Status
) -> None:
    draw(page, SEVEN)
    before = read_by_the_server(page, api, normalize=True)["probabilities"]
    version = status()["version"]
    page.get_by_test_id("tune-label").select_option("2")
    page.get_by_test_id("tune").click()
    expect(page.get_by_test_id("tune-loss")).to_have_text(re.compile(r"^\d+\.\d{4}$"))
    wait_until(lambda: status()["version"] > version)
    expect(page.locator("[data-part=tune-note]")).to_contain_text("For 2:")
    marks = page.locator(".before:visible")
    expect(marks).to_have_count(10)
    left = float(marks.nth(2).evaluate("(mark) => mark.style.left.replace('%', '')"))
    assert left / 100 == pytest.approx(before[2], abs=0.005)
    after = read_by_the_server(page, api, normalize=True)["probabilities"]
    assert after[2] > before[2]
    draw(page, [(3, 20)])  # another drawing: what was said of the last one is no "before" of it
    expect(marks).to_have_count(0)


def test_teaching_nothing_says_what_to_do(phone: Page) -> None:
    phone.get_by_test_id("tune").tap()
    expect(phone.locator("[data-part=tune-error]")).to_have_text("Draw a digit first.")


def test_the_guess_on_one_page_follows_the_training_on_another(
    page: Page, open_page: OpenPage, status: Status
) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    other = open_page()
    other.get_by_test_id("train-n-count").fill("30")
    target = status()["iteration"] + 30
    other.get_by_test_id("train-n").click()
    expect(page.locator(WORDS)).to_contain_text(f"after {target} iterations")
