"""Training from the page: each control is used as a person does, its effect read at the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage, Status
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.running import wait_until

SETTINGS = [
    ("batch-size", "batch_size", "32", 32),
    ("learning-rate", "lrate", "0.035", 0.035),
    ("cache-size", "cache_size", "24", 24),
]


def number(page: Page, testid: str) -> float:
    """Return the number that an element shows, and nothing else."""
    return float(page.get_by_test_id(testid).text_content() or "")


def test_start_trains_and_stop_stops(page: Page, status: Status) -> None:
    before = status()["iteration"]
    page.get_by_test_id("start").click()
    wait_until(lambda: status()["training"] and status()["iteration"] > before + 20)
    expect(page.get_by_text("training", exact=True)).to_be_visible()
    page.get_by_test_id("stop").click()
    wait_until(lambda: not status()["training"])
    expect(page.get_by_test_id("iteration")).to_have_text(str(status()["iteration"]))


def test_train_n_trains_so_many_iterations_and_stops(page: Page, status: Status) -> None:
    target = status()["iteration"] + 40
    page.get_by_test_id("train-n-count").fill("40")
    page.get_by_test_id("train-n").click()
    wait_until(lambda: status()["iteration"] == target and not status()["training"])
    expect(page.get_by_test_id("iteration")).to_have_text(str(target))


def test_train_n_without_a_sensible_number_says_so(page: Page, status: Status) -> None:
    before = status()["iteration"]
    page.get_by_test_id("train-n-count").fill("0")
    page.get_by_test_id("train-n").click()
    expect(page.locator("[data-part=run-error]")).to_contain_text("iterations")
    assert (status()["training"], status()["iteration"]) == (False, before)


@pytest.mark.parametrize(("testid", "field", "typed", "value"), SETTINGS)
def test_a_setting_takes_effect_at_the_server(
    page: Page, status: Status, testid: str, field: str, typed: str, value: float
) -> None:
    control = page.get_by_test_id(testid)
    control.fill(typed)
    control.press("Enter")
    wait_until(lambda: status()[field] == pytest.approx(value))
    expect(page.locator("[data-pending]")).to_have_count(0)
    expect(control).to_have_value(typed)


@pytest.mark.parametrize(
    ("testid", "field", "typed"),
    [
        ("batch-size", "batch_size", "4097"),
        ("learning-rate", "lrate", "11"),
        ("cache-size", "cache_size", "0"),
    ],
)
def test_a_setting_out_of_range_shows_the_servers_error_and_changes_nothing(
    page: Page, status: Status, testid: str, field: str, typed: str
) -> None:
    before = status()[field]
    control = page.get_by_test_id(testid)
    control.fill(typed)
    control.press("Enter")
    note = page.locator(f"#{testid}-note")
    expect(note).to_contain_text(typed)
    expect(control).to_have_value(f"{before:g}")
    assert status()[field] == before


@contextmanager
def held_back(page: Page) -> Iterator[None]:
    """Let control signals of the page reach the server only when the block ends."""
    held: list[Route] = []
    page.route("**/control", lambda route: held.append(route))
    yield
    for route in held:
        route.continue_()
    page.unroute("**/control")


def test_a_setting_is_pending_until_the_server_confirms_it(page: Page, status: Status) -> None:
    with held_back(page):
        page.get_by_test_id("batch-size").fill("96")
        page.get_by_test_id("batch-size").press("Enter")
        expect(page.get_by_text("Asking the server")).to_be_visible()
        expect(page.locator(".setting[data-pending]")).to_have_count(1)
        assert status()["batch_size"] == 128
    expect(page.locator(".setting[data-pending]")).to_have_count(0)
    assert status()["batch_size"] == 96


def test_a_button_is_pending_until_the_server_confirms_it(page: Page, status: Status) -> None:
    start = page.get_by_test_id("start")
    with held_back(page):
        start.click()
        expect(start).to_have_attribute("data-pending", "")
        expect(start).to_be_disabled()
        assert not status()["training"]
    expect(start).not_to_have_attribute("data-pending", "")
    assert status()["training"]
    page.get_by_test_id("stop").click()


def test_a_server_that_cannot_be_reached_is_told_beside_the_control(page: Page) -> None:
    page.route("**/control", lambda route: route.abort())
    page.get_by_test_id("start").click()
    expect(page.locator("[data-part=run-error]")).to_have_text("The server cannot be reached.")
    page.get_by_test_id("cache-size").fill("9")
    page.get_by_test_id("cache-size").press("Enter")
    expect(page.locator("#cache-size-note")).to_have_text("The server cannot be reached.")
    expect(page.get_by_test_id("cache-size")).to_have_value("16")


def test_the_slider_moves_the_learning_rate_by_powers_of_ten(page: Page, status: Status) -> None:
    slider = page.get_by_test_id("learning-rate-slider")
    expect(slider).to_have_attribute("aria-valuetext", "0.1")
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, middle, steps=4)
    rate = float(page.get_by_test_id("learning-rate").input_value())
    assert 0.005 < rate < 0.02  # two fifths of the way from 0.0001 to 10
    assert status()["lrate"] == pytest.approx(0.1)  # nothing is sent before it is let go
    page.mouse.up()
    wait_until(lambda: status()["lrate"] == pytest.approx(rate))


def test_the_slider_by_keyboard_and_by_what_others_set(
    page: Page, api: httpx.Client, status: Status
) -> None:
    slider = page.get_by_test_id("learning-rate-slider")
    slider.press("End")
    wait_until(lambda: status()["lrate"] == 10)
    api.post("/control", json={"type": "SetLearningRate", "value": 0.001}).raise_for_status()
    expect(slider).to_have_value("-3")
    expect(slider).to_have_attribute("aria-valuetext", "0.001")


def test_a_finger_moves_the_slider(phone: Page, status: Status) -> None:
    box = phone.get_by_test_id("learning-rate-slider").bounding_box()
    assert box is not None
    phone.get_by_test_id("learning-rate-slider").tap(
        position={"x": box["width"] * 0.8, "y": box["height"] / 2}
    )
    wait_until(lambda: status()["lrate"] == pytest.approx(1, rel=0.3))


def test_news_do_not_move_a_slider_that_a_finger_holds(
    phone: Page, api: httpx.Client, status: Status
) -> None:
    slider = phone.get_by_test_id("learning-rate-slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] * 0.6, "y": box["y"] + box["height"] / 2}
    finger = phone.context.new_cdp_session(phone)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    rate = phone.get_by_test_id("learning-rate")
    expect(rate).to_have_value(re.compile("0.1."))
    held = float(rate.input_value())
    api.post("/control", json={"type": "SetBatchSize", "value": 99}).raise_for_status()
    expect(phone.get_by_test_id("batch-size")).to_have_value("99")
    assert float(rate.input_value()) == held
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait_until(lambda: status()["lrate"] == pytest.approx(held))


def test_one_step_is_one_iteration(page: Page, status: Status) -> None:
    before = status()["iteration"]
    page.get_by_test_id("step").click()
    wait_until(lambda: status()["iteration"] == before + 1 and not status()["training"])
    expect(page.get_by_test_id("iteration")).to_have_text(str(before + 1))


def test_reset_goes_back_to_random_weights(page: Page, api: httpx.Client, status: Status) -> None:
    page.get_by_test_id("step").click()
    wait_until(lambda: status()["iteration"] > 0)
    page.get_by_test_id("reset").click()
    expect(page.get_by_test_id("iteration")).to_have_text("0")
    fresh = api.get("/weights").json()
    page.get_by_test_id("step").click()
    wait_until(lambda: status()["iteration"] == 1)
    assert api.get("/weights").json() != fresh
    page.get_by_test_id("reset").click()
    wait_until(lambda: status()["iteration"] == 0)
    assert api.get("/weights").json() == fresh


def test_train_n_shows_how_far_it_has_come(page: Page, open_page: OpenPage, status: Status) -> None:
    page.get_by_test_id("batch-size").fill("2048")  # slow enough to be watched
    page.get_by_test_id("batch-size").press("Enter")
    start = status()["iteration"]
    page.get_by_test_id("train-n-count").fill("4000")
    page.get_by_test_id("train-n").click()
    late = open_page()  # in mid-run
    for one in (page, late):
        bar = one.get_by_test_id("progress")
        expect(bar).to_be_visible()
        words = one.locator("[data-part=progress-words]")
        expect(words).to_contain_text(re.compile(r"^\d+ of 4000 iterations"))
        expect(words).to_contain_text(f"Stops at iteration {start + 4000}.")
        assert 0 <= bar.evaluate("(bar) => bar.value") < 1
    page.get_by_test_id("stop").click()
    expect(page.get_by_test_id("progress")).to_be_hidden()


def test_a_field_that_is_being_edited_is_not_overwritten(page: Page, api: httpx.Client) -> None:
    control = page.get_by_test_id("batch-size")
    control.click()
    control.press("End")
    control.press("5")  # 128 becomes 1285, not yet sent
    api.post("/control", json={"type": "SetCacheSize", "value": 20}).raise_for_status()
    api.post("/control", json={"type": "SetBatchSize", "value": 48}).raise_for_status()
    expect(page.get_by_test_id("cache-size")).to_have_value("20")
    expect(control).to_have_value("1285")
    control.press("Escape")
    expect(control).to_have_value("48")


def test_the_nine_fields_are_shown_live(page: Page, status: Status) -> None:
    target = status()["iteration"] + 30
    page.get_by_test_id("train-n-count").fill("30")
    page.get_by_test_id("train-n").click()
    wait_until(lambda: not status()["training"] and status()["iteration"] == target)
    now = status()
    expect(page.get_by_test_id("iteration")).to_have_text(str(now["iteration"]))
    expect(page.get_by_test_id("version")).to_have_text(str(now["version"]))
    assert number(page, "loss") == pytest.approx(now["loss"], abs=1e-4)
    assert number(page, "acc") == pytest.approx(now["acc"], abs=1e-4)
    full = str(now["cache_size"])
    expect(page.get_by_test_id("data-len")).to_have_text(full)
    expect(page.get_by_test_id("data-futures-len")).to_have_text("0")
    expect(page.get_by_test_id("batch-size")).to_have_value(str(now["batch_size"]))
    expect(page.get_by_test_id("data-workers")).to_have_text(str(now["data_workers"]))
    expect(page.get_by_test_id("dataset")).to_have_text(now["dataset"])
    expect(page.get_by_text(now["dataset_reason"])).to_be_visible()


def test_the_test_accuracy_appears_after_training(page: Page, status: Status) -> None:
    page.get_by_test_id("train-n-count").fill("200")
    page.get_by_test_id("train-n").click()
    wait_until(lambda: status()["test_acc"] is not None)
    page.wait_for_function(
        "() => Number(document.querySelector('[data-testid=test-acc]').textContent) > 0"
    )
    expect(page.get_by_text("of test digits rightly")).to_be_visible()


def test_the_guess_is_asked_again_when_the_weights_change(page: Page) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    with page.expect_response("**/infer*"):
        page.get_by_test_id("start").click()
    page.get_by_test_id("stop").click()


def test_a_page_opened_late_shows_the_whole_curve(
    page: Page, open_page: OpenPage, status: Status
) -> None:
    target = status()["iteration"] + 100
    page.get_by_test_id("train-n-count").fill("100")
    page.get_by_test_id("train-n").click()
    wait_until(lambda: not status()["training"] and status()["iteration"] == target)
    late = open_page()
    first = late.evaluate(
        """() => new Promise((done) => {
             const socket = new WebSocket(`ws://${location.host}/ws`);
             socket.onmessage = ({data}) => { done(JSON.parse(data).history); socket.close(); };
           })"""
    )
    assert first["iteration"][0] <= 2
    expect(late.get_by_test_id("iteration")).to_have_text(str(status()["iteration"]))
    axis = late.locator("[data-part=loss-chart] canvas")
    expect(axis).to_be_visible()


def test_two_pages_follow_each_other(page: Page, open_page: OpenPage, status: Status) -> None:
    other = open_page()
    page.get_by_test_id("batch-size").fill("80")
    page.get_by_test_id("batch-size").press("Enter")
    expect(other.get_by_test_id("batch-size")).to_have_value("80")
    reached = str(status()["iteration"] + 10)
    other.get_by_test_id("train-n-count").fill("10")
    other.get_by_test_id("train-n").click()
    for one in (page, other):
        expect(one.get_by_test_id("iteration")).to_have_text(reached)
