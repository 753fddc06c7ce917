"""The curves: zoomed, read, smoothed, exported and judged as a person does it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PHONE, OpenPage, Status
from tests.running import wait_until

TRAINED = 200  # iterations of the run that these tests look at


@pytest.fixture
def run(at_rest: None, api: httpx.Client, status: Status) -> int:
    """A run of TRAINED iterations from fresh weights, stopped; return its last iteration."""
    api.delete("/weights", params={"train": TRAINED}).raise_for_status()
    wait_until(lambda: status()["iteration"] == TRAINED and not status()["training"], 60)
    return TRAINED


@pytest.fixture
def afresh(api: httpx.Client) -> Iterator[None]:
    """Leave no broken weights and no long steps to the next test."""
    yield
    api.post("/control", json={"type": "Stop"}).raise_for_status()
    api.post("/control", json={"type": "SetLearningRate", "value": 0.1}).raise_for_status()
    api.delete("/weights").raise_for_status()


@pytest.fixture
def curves(run: int, open_page: OpenPage) -> Page:
    """The page on a desktop, its curves in view and drawn."""
    return look_at_curves(open_page())


def look_at_curves(page: Page) -> Page:
    page.locator("[data-panel=curves]").scroll_into_view_if_needed()
    page.get_by_test_id("zoom-reset").scroll_into_view_if_needed()
    expect(page.get_by_test_id("iteration")).to_have_text(str(TRAINED))
    expect(page.locator("[data-part=smoothing-words]")).to_have_text("20 iterations")
    return page


def chart(page: Page, name: str = "loss") -> Locator:
    return page.locator(f"[data-part={name}-chart]")


def place(page: Page, share: float, name: str = "loss") -> tuple[float, float]:
    """Return the middle of a chart's plot at this share of its width, in CSS pixels."""
    chart(page, name).scroll_into_view_if_needed()
    box = chart(page, name).locator(".u-over").bounding_box()
    assert box is not None
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def read_iteration(page: Page, name: str = "loss") -> int:
    found = re.match(r"iteration (\d+): ", page.get_by_test_id(f"{name}-readout").inner_text())
    return int(found[1]) if found else -1


def drag(page: Page, start: float, end: float, name: str = "loss") -> None:
    """Drag across a chart with the mouse, between two shares of its width."""
    page.mouse.move(*place(page, start, name))
    page.mouse.down()
    page.mouse.move(*place(page, end, name), steps=4)
    page.mouse.up()


def expect_shown(page: Page, first: int, last: int) -> None:
    """Check by pointing at both ends of the loss chart which iterations it shows."""
    for share, iteration in ((0.0, first), (1.0, last)):
        page.mouse.move(*place(page, 0.5))
        page.mouse.move(*place(page, share))
        assert abs(read_iteration(page) - iteration) <= 3


def test_pointing_at_a_chart_reads_both(curves: Page) -> None:
    curves.mouse.move(*place(curves, 0.5))
    loss, acc = curves.get_by_test_id("loss-readout"), curves.get_by_test_id("acc-readout")
    expect(loss).to_have_text(re.compile(r"^iteration \d+: \d\.\d{4}, averaged \d\.\d{4}"))
    expect(acc).to_have_text(re.compile(r"^iteration \d+: \d\.\d{4}, averaged \d\.\d{4}"))
    assert read_iteration(curves) == read_iteration(curves, "acc")
    assert abs(read_iteration(curves) - TRAINED / 2) <= 2
    expect(curves.locator(".chart-line:visible")).to_have_count(2)
    curves.mouse.move(5, 5)
    expect(loss).to_be_empty()
    expect(curves.locator(".chart-line:visible")).to_have_count(0)


def test_a_drag_zooms_both_charts_and_a_double_click_shows_all(curves: Page) -> None:
    expect(curves.get_by_test_id("zoom-reset")).to_be_disabled()
    drag(curves, 0.75, 0.25)
    expect(curves.get_by_test_id("zoom-reset")).to_be_enabled()
    expect_shown(curves, 50, 150)
    curves.mouse.move(*place(curves, 0.0, "acc"))
    assert abs(read_iteration(curves, "acc") - 50) <= 3
    curves.mouse.dblclick(*place(curves, 0.5))
    expect(curves.get_by_test_id("zoom-reset")).to_be_disabled()
    expect_shown(curves, 1, TRAINED)


def test_the_button_shows_the_whole_run_again(curves: Page) -> None:
    drag(curves, 0.2, 0.4, "acc")
    curves.get_by_test_id("zoom-reset").click()
    expect_shown(curves, 1, TRAINED)


def test_the_curves_by_keyboard(curves: Page) -> None:
    curves.get_by_test_id("curve-png").focus()
    curves.keyboard.press("Tab")
    while not chart(curves).evaluate("(element) => element === document.activeElement"):
        curves.keyboard.press("Tab")
    assert read_iteration(curves) == TRAINED
    curves.keyboard.press("Home")
    assert read_iteration(curves) == 1
    curves.keyboard.press("ArrowRight")
    assert read_iteration(curves) == 3
    live = curves.locator("[data-part=curve-live]")
    expect(live).to_have_text(re.compile("^iteration 3: "))
    curves.keyboard.press("End")
    curves.keyboard.press("+")
    expect(curves.get_by_test_id("zoom-reset")).to_be_enabled()
    curves.keyboard.press("Home")
    assert read_iteration(curves) == pytest.approx(TRAINED * 0.4, abs=2)
    curves.keyboard.press("Shift+ArrowLeft")
    curves.keyboard.press("Home")
    assert read_iteration(curves) == pytest.approx(TRAINED * 0.25, abs=2)
    curves.keyboard.press("Escape")
    expect(curves.get_by_test_id("zoom-reset")).to_be_disabled()


def touch(page: Page, *moves: list[tuple[float, float]]) -> None:
    """Move fingers together over the loss chart, each through its places, and lift them."""
    session = page.context.new_cdp_session(page)
    for number, points in enumerate(zip(*moves, strict=True)):
        session.send(
            "Input.dispatchTouchEvent",
            {
                "type": "touchMove" if number else "touchStart",
                "touchPoints": [{"x": x, "y": y, "id": nth} for nth, (x, y) in enumerate(points)],
            },
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_by_finger_a_tap_reads_a_drag_zooms_and_two_taps_show_all(
    run: int, open_page: OpenPage
) -> None:
    phone = look_at_curves(open_page(PHONE))
    phone.touchscreen.tap(*place(phone, 0.5))
    assert abs(read_iteration(phone) - TRAINED / 2) <= 3
    touch(phone, [place(phone, share) for share in (0.2, 0.3, 0.45, 0.6)])
    expect(phone.get_by_test_id("zoom-reset")).to_be_enabled()
    phone.touchscreen.tap(*place(phone, 0.0))
    assert abs(read_iteration(phone) - 40) <= 4
    phone.touchscreen.tap(*place(phone, 0.5))
    phone.touchscreen.tap(*place(phone, 0.5))
    expect(phone.get_by_test_id("zoom-reset")).to_be_disabled()


def test_two_fingers_zoom(run: int, open_page: OpenPage) -> None:
    phone = look_at_curves(open_page(PHONE))
    left = [place(phone, share) for share in (0.4, 0.3, 0.2, 0.0)]
    right = [place(phone, share) for share in (0.6, 0.7, 0.8, 1.0)]
    touch(phone, left, right)
    phone.touchscreen.tap(*place(phone, 0.0))
    assert abs(read_iteration(phone) - TRAINED * 0.4) <= 4


def test_smoothing_averages_over_more_or_nothing(curves: Page) -> None:
    def averaged() -> str:
        curves.mouse.move(*place(curves, 0.4))
        curves.mouse.move(*place(curves, 0.5))
        return curves.get_by_test_id("loss-readout").inner_text()

    usual = averaged()
    curves.get_by_test_id("smoothing").fill("6")
    expect(curves.locator("[data-part=smoothing-words]")).to_have_text("100 iterations")
    assert averaged() != usual
    curves.get_by_test_id("smoothing").fill("0")
    expect(curves.locator("[data-part=smoothing-words]")).to_have_text("nothing")
    assert re.fullmatch(r"iteration \d+: \d\.\d{4}", averaged())


def test_the_loss_on_a_logarithmic_scale(curves: Page) -> None:
    scale = curves.get_by_test_id("loss-scale")

    def height() -> float:
        """Return how far down the averaged loss in the middle of the run is drawn."""
        curves.mouse.move(*place(curves, 0.4))
        curves.mouse.move(*place(curves, 0.5))
        box, dot = chart(curves).bounding_box(), chart(curves).locator(".chart-dot").bounding_box()
        assert box is not None
        assert dot is not None
        return dot["y"] - box["y"]

    plain = height()
    scale.click()
    expect(scale).to_have_attribute("aria-pressed", "true")
    wait_until(lambda: abs(height() - plain) > 10)
    scale.click()
    expect(scale).to_have_attribute("aria-pressed", "false")
    wait_until(lambda: abs(height() - plain) < 1)


def test_the_table_holds_every_iteration(curves: Page) -> None:
    with curves.expect_download() as download:
        curves.get_by_test_id("curve-csv").click()
    assert download.value.suggested_filename == "inkling-curves.csv"
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    points = [row for row in rows if row["loss"]]
    assert [int(row["iteration"]) for row in points] == list(range(1, TRAINED + 1))
    shown = float(curves.get_by_test_id("loss").inner_text())
    assert float(points[-1]["loss"]) == pytest.approx(shown, abs=1e-4)
    assert any(row["test_accuracy"] for row in rows)
    assert any("weights reset" in row["mark"] for row in rows)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_can_be_read_outside_the_page(
    run: int, open_page: OpenPage, scheme: str
) -> None:
    page = look_at_curves(open_page(color_scheme=scheme))
    with page.expect_download() as download:
        page.get_by_test_id("curve-png").click()
    assert download.value.suggested_filename == "inkling-curves.png"
    picture = Image.open(download.value.path())
    assert min(picture.size) > 500
    paper = (255, 254, 251) if scheme == "light" else (24, 28, 39)
    assert picture.convert("RGB").getpixel((2, 2)) == paper
    assert picture.getchannel("A").getextrema() == (255, 255)  # nowhere transparent


def test_a_change_is_a_mark_on_the_chart_and_in_the_list(curves: Page, api: httpx.Client) -> None:
    marks = curves.get_by_test_id("curve-marks")
    expect(marks).to_contain_text(re.compile(r"What was changed \(\d+\)"))
    api.post("/control", json={"type": "SetLearningRate", "value": 0.5}).raise_for_status()
    marks.locator("summary").click()
    newest = marks.locator("li button").first
    expect(newest).to_contain_text(f"learning rate 0.1 → 0.5 at iteration {TRAINED}")
    newest.focus()
    expect(curves.get_by_test_id("loss-readout")).to_contain_text("learning rate 0.1 → 0.5")
    api.post("/control", json={"type": "SetBatchSize", "value": 64}).raise_for_status()
    expect(marks.locator("li").first).to_contain_text("batch size 128 → 64")
    expect(marks.locator("li button").nth(1)).to_be_focused()
    chart(curves).focus()
    curves.mouse.move(*place(curves, 1.0))
    expect(curves.get_by_test_id("loss-readout")).to_contain_text("learning rate 0.1 → 0.5")
    curves.mouse.move(*place(curves, 0.0, "acc"))
    expect(curves.get_by_test_id("acc-readout")).to_contain_text("weights reset")


def test_a_page_that_comes_late_shows_the_marks_and_the_test_points(
    run: int, open_page: OpenPage
) -> None:
    page = look_at_curves(open_page())
    page.mouse.move(*place(page, 1.0, "acc"))
    expect(page.get_by_test_id("acc-readout")).to_contain_text(re.compile(r"test 0\.\d{4} at \d+"))
    expect(page.get_by_test_id("curve-marks")).to_contain_text("What was changed (1)")


def test_long_steps_are_noticed_and_the_way_out_is_a_button(
    page: Page, api: httpx.Client, status: Status, afresh: None
) -> None:
    page.locator("[data-panel=curves]").scroll_into_view_if_needed()
    expect(page.get_by_test_id("health")).to_be_hidden()
    api.post("/control", json={"type": "SetLearningRate", "value": 10}).raise_for_status()
    page.get_by_test_id("start").click()
    page.locator("[data-panel=curves]").scroll_into_view_if_needed()
    expect(page.get_by_test_id("health-rate")).to_be_visible()
    expect(page.locator("[data-part=health-words]")).to_contain_text("ower the learning rate")
    api.post("/control", json={"type": "Stop"}).raise_for_status()  # or it might recover by itself
    page.get_by_test_id("health-rate").click()
    wait_until(lambda: status()["lrate"] == 1)
    expect(page.get_by_test_id("health")).to_contain_text("The learning rate is 1 now.")
    page.get_by_test_id("health-reset").click()
    expect(page.get_by_test_id("health")).to_be_hidden()
    assert status()["iteration"] == 0


COUNT_STROKES = """() => {
    window.strokes = 0;
    const { stroke } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.stroke = function (...path) {
        if (this.canvas.closest("[data-panel=curves]")) window.strokes += 1;
        return stroke.apply(this, path);
    };
}"""


def test_what_is_out_of_sight_is_not_drawn(page: Page, api: httpx.Client, status: Status) -> None:
    def train_out_of_sight() -> None:
        target = status()["iteration"] + 20
        api.post("/control", json={"type": "Start", "iterations": 20}).raise_for_status()
        expect(page.get_by_test_id("iteration")).to_have_text(str(target))

    page.set_viewport_size({"width": 1280, "height": 300})
    page.evaluate("window.scrollTo(0, 0)")
    train_out_of_sight()  # by now the page has noticed what cannot be seen
    page.evaluate(COUNT_STROKES)
    train_out_of_sight()
    assert page.evaluate("window.strokes") == 0
    page.locator("[data-panel=curves]").scroll_into_view_if_needed()
    wait_until(lambda: page.evaluate("window.strokes") > 0)
