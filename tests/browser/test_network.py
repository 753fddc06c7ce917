"""Inside the network: the tiles, what fires, and why, checked against the weights themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect

from nn.model import Weights, layer_outputs
from tests.browser.conftest import OpenPage, Status
from tests.browser.sheet import SEVEN, draw, expect_guess, ink
from tests.running import Stack, wait_until

Floats = NDArray[np.floating[Any]]
SIDE = 28
PITCH = SIDE + 1
COLUMNS = 16  # on a desktop
TILES = "[role=option]:visible"


@pytest.fixture
def learned(api: httpx.Client, status: Status, at_rest: None) -> Weights:
    """Weights that have learnt something, as the server tells them."""
    if status()["iteration"] < 100:
        api.post("/control", json={"type": "Start", "iterations": 150}).raise_for_status()
        wait_until(lambda: status()["iteration"] >= 100 and not status()["training"])
    return live_weights(api)


def live_weights(api: httpx.Client) -> Weights:
    given = api.get("/weights", params={"format": "json"}).raise_for_status().json()["weights"]
    return Weights(tuple(np.array(matrix, np.float32) for matrix in given))


def look_inside(page: Page) -> Locator:
    """Scroll to the panel, and wait until its tiles are there."""
    panel = page.locator("[data-panel=network]")
    panel.scroll_into_view_if_needed()
    page.get_by_test_id("tiles").scroll_into_view_if_needed()
    expect(panel.locator(TILES).first).to_be_visible()
    return panel


def input_of(page: Page, api: httpx.Client) -> Floats:
    """Return what the network is given (784,) of the sheet as it is."""
    image = [round(value, 4) for row in ink(page) for value in row]
    asked = {"normalize": "true", "input": "true"}
    answer = api.post("/infer", params=asked, json={"image": image}).raise_for_status().json()
    return np.array(answer["input"], np.float32)


def said_for(weights: Weights, image: Floats, digit: int) -> tuple[Floats, Floats]:
    """Return what each hidden unit and each pixel adds to the logit of `digit`: (H,), (784,)."""
    first, last = weights.matrices
    hidden = layer_outputs(weights, image[None])[0][0]
    return hidden * last[:, digit], image * (first @ ((hidden > 0) * last[:, digit]))


def pixel(canvas: Locator, x: int, y: int) -> list[int]:
    """Return red, green, blue and alpha of one pixel of a canvas."""
    rgba: list[int] = canvas.evaluate(
        "(canvas, [x, y]) => Array.from(canvas.getContext('2d').getImageData(x, y, 1, 1).data)",
        [x, y],
    )
    return rgba


def is_blue(rgba: list[int]) -> bool:
    """Return whether a colour speaks for something; its opposite is orange."""
    return rgba[2] > rgba[0]


def test_while_paused_the_tiles_come_at_once_and_show_every_units_weights(
    learned: Weights, page: Page
) -> None:
    panel = look_inside(page)
    expect(panel.locator(TILES)).to_have_count(128)
    canvas = page.get_by_test_id("tiles-canvas")
    first = learned.matrices[0]
    for unit in (0, 15, 16, 77, 127):
        corner = (unit % COLUMNS * PITCH, unit // COLUMNS * PITCH)
        for extreme in (first[:, unit].argmax(), first[:, unit].argmin()):
            x, y = corner[0] + int(extreme) % SIDE, corner[1] + int(extreme) // SIDE
            assert is_blue(pixel(canvas, x, y)) == (first[extreme, unit] > 0), f"unit {unit}"


def test_a_drawing_lights_up_the_units_that_fire_and_the_sentence_names_the_strongest(
    learned: Weights, page: Page, api: httpx.Client
) -> None:
    panel = look_inside(page)
    expect(page.get_by_test_id("firing")).to_have_text("128 hidden units")
    expect(panel.get_by_text("Draw a digit: the units that fire on it light up")).to_be_visible()
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("tiles").scroll_into_view_if_needed()
    expect(page.get_by_test_id("firing")).to_have_text(re.compile(r"^\d+ of 128 units fire$"))
    image = input_of(page, api)
    firing = int((layer_outputs(learned, image[None])[0] > 0).sum())
    said = int((page.get_by_test_id("firing").text_content() or "").split()[0])
    assert abs(said - firing) <= 1  # the page has float16, in which one may just fire
    guess = int(page.get_by_test_id("guess").text_content() or "")
    units, _ = said_for(learned, image, guess)
    strongest = np.argsort(-units)[:3]
    expect(page.get_by_test_id("reason")).to_contain_text(
        f"{guess}, because units {strongest[0]}, {strongest[1]} and {strongest[2]} speak for it"
    )
    page.get_by_test_id("clear").click()  # which may scroll the panel away: then nothing is drawn
    page.get_by_test_id("tiles").scroll_into_view_if_needed()
    expect(page.get_by_test_id("reason")).to_be_hidden()


def test_an_explained_digit_is_laid_over_the_sheet_pixel_by_pixel(
    learned: Weights, page: Page, api: httpx.Client
) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    overlay = page.locator("[data-part=explained]")
    expect(overlay).to_be_hidden()
    page.get_by_test_id("probabilities").locator("li").nth(3).hover()
    expect(overlay).to_be_visible()
    expect(overlay).to_contain_text("+ speaks for 3")
    _, pixels = said_for(learned, input_of(page, api), 3)
    canvas = overlay.locator("canvas")
    cell = int(canvas.evaluate("(canvas) => canvas.width")) // SIDE
    for k in (int(pixels.argmax()), int(pixels.argmin())):
        rgba = pixel(canvas, k % SIDE * cell + 1, k // SIDE * cell + 1)
        assert rgba[3] > 0
        assert is_blue(rgba) == (pixels[k] > 0)
    blank = int(np.abs(pixels).argmin())
    assert pixel(canvas, blank % SIDE * cell + 1, blank // SIDE * cell + 1)[3] == 0
    page.get_by_role("heading", name="Draw", exact=True).hover()
    expect(overlay).to_be_hidden()


# Where on the sheet, in its cells, the middles of the network's marked pixels lie.
MARKED_CELLS = """(canvas) => {
    const over = canvas.getBoundingClientRect();
    const grid = document.querySelector("[data-testid=grid]").getBoundingClientRect();
    const size = canvas.width / 28;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.width);
    const found = [];
    for (let k = 0; k < 784; k += 1) {
        const [x, y] = [k % 28, Math.floor(k / 28)];
        if (data[((y * size + 1) * canvas.width + x * size + 1) * 4 + 3] < 100) continue;
        const left = over.left - grid.left + ((x + 0.5) / 28) * over.width;
        const top = over.top - grid.top + ((y + 0.5) / 28) * over.height;
        found.push([(left / grid.width) * 28, (top / grid.height) * 28]);
    }
    return found;
}"""


def test_the_overlay_lies_on_the_ink_that_it_speaks_of(learned: Weights, page: Page) -> None:
    small = ((4, 5), (9, 5), (6, 13))  # scaled up and moved for the network
    draw(page, small)
    expect_guess(page)
    page.get_by_test_id("explain-7").click()
    expect(page.locator("[data-part=explained]")).to_be_visible()
    cells: list[list[float]] = page.locator("[data-part=explained] canvas").evaluate(MARKED_CELLS)
    sheet = ink(page)
    near = [
        max(sheet[row][column] for row in around(y) for column in around(x)) > 0 for x, y in cells
    ]
    assert len(near) > 20
    assert all(near)


def around(place: float) -> range:
    return range(max(0, int(place) - 1), min(SIDE, int(place) + 2))


def test_strongest_first_puts_the_units_that_say_most_for_the_explained_digit_in_front(
    learned: Weights, page: Page, api: httpx.Client
) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("explain-2").click()
    look_inside(page)
    page.get_by_test_id("tile-order").select_option("strength")
    units, _ = said_for(learned, input_of(page, api), 2)
    strongest = np.argsort(-np.abs(units))
    tiles = page.locator(TILES)
    for place in range(3):
        expect(tiles.nth(place)).to_have_attribute("aria-label", f"Unit {strongest[place]}")
    page.get_by_test_id("tile-order").select_option("digit")
    favourites = learned.matrices[1].argmax(axis=1)
    best_of_zero = max(
        np.flatnonzero(favourites == 0), key=lambda unit: learned.matrices[1][unit, 0]
    )
    expect(tiles.first).to_have_attribute("aria-label", f"Unit {best_of_zero}")


def test_pointing_at_a_tile_enlarges_it_with_what_it_says_for_each_digit(
    learned: Weights, page: Page
) -> None:
    look_inside(page)
    page.locator(TILES).nth(37).hover()
    unit = page.get_by_test_id("unit")
    expect(unit.get_by_role("heading")).to_have_text("Unit 37")
    votes = learned.matrices[1][37]
    for digit, shown in enumerate(page.get_by_test_id("unit-votes").locator(".vote-value").all()):
        said = float((shown.text_content() or "").replace("\N{MINUS SIGN}", "-"))
        assert said == pytest.approx(votes[digit], abs=0.051)
    page.locator(TILES).nth(38).hover()
    expect(unit.get_by_role("heading")).to_have_text("Unit 38")


def test_the_weights_under_the_ink_stand_out_in_the_enlarged_unit(
    learned: Weights, page: Page, api: httpx.Client
) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    look_inside(page)
    image = input_of(page, api)
    canvas = page.get_by_test_id("unit").locator("canvas")
    for k in (0, 783, int(image.argmax()), int(np.flatnonzero(image)[0])):
        opaque = pixel(canvas, k % SIDE, k // SIDE)[3] == 255
        assert opaque == (image[k] > 0), f"pixel {k}"


def test_a_pointed_unit_of_an_explained_digit_shows_its_own_share_on_the_sheet(
    learned: Weights, page: Page, api: httpx.Client
) -> None:
    page.set_viewport_size({"width": 1280, "height": 2600})  # sheet and tiles at once
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("explain-7").click()
    look_inside(page)
    units, _ = said_for(learned, input_of(page, api), 7)
    strongest = int(units.argmax())
    page.locator(TILES).nth(strongest).hover()
    overlay = page.locator("[data-part=explained]")
    expect(overlay).to_contain_text(f"unit {strongest} alone")
    expect(page.locator("[data-part=unit-firing]")).to_contain_text("for 7")
    page.get_by_role("heading", name="Draw", exact=True).hover()
    expect(overlay).not_to_contain_text("alone")


def test_the_tiles_are_one_stop_of_the_keyboard_and_arrows_move_between_them(
    learned: Weights, page: Page
) -> None:
    look_inside(page)
    page.get_by_test_id("shared-range").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # over the help of the switch
    expect(page.get_by_role("option", name="Unit 0", exact=True)).to_be_focused()
    name = page.get_by_test_id("unit").get_by_role("heading")
    for key, unit in [("ArrowRight", 1), ("ArrowDown", 17), ("ArrowLeft", 16), ("End", 127)]:
        page.keyboard.press(key)
        expect(page.get_by_role("option", name=f"Unit {unit}", exact=True)).to_be_focused()
        expect(name).to_have_text(f"Unit {unit}")
    page.keyboard.press("Enter")
    chosen = page.get_by_role("option", name="Unit 127", exact=True)
    expect(chosen).to_have_attribute("aria-selected", "true")
    expect(chosen).to_have_accessible_description(re.compile("speaks most for \\d"))
    page.keyboard.press("Tab")
    expect(page.locator("[role=option]:focus")).to_have_count(0)
    expect(name).to_have_text("Unit 127")  # what was pressed stays


def test_a_finger_keeps_a_tile_and_lets_it_go(learned: Weights, phone: Page) -> None:
    look_inside(phone)
    tile = phone.get_by_role("option", name="Unit 9", exact=True)
    tile.tap()
    expect(tile).to_have_attribute("aria-selected", "true")
    expect(phone.get_by_test_id("unit").get_by_role("heading")).to_have_text("Unit 9")
    expect(phone.get_by_test_id("unit")).to_be_in_viewport()
    far = phone.get_by_role("option", name="Unit 127", exact=True)
    far.scroll_into_view_if_needed()
    far.tap()
    expect(phone.get_by_test_id("unit").get_by_role("heading")).to_have_text("Unit 127")
    expect(phone.get_by_test_id("unit")).to_be_in_viewport()  # it stays above the tiles
    far.tap()
    expect(far).to_have_attribute("aria-selected", "false")
    box = tile.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 40
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_one_range_of_colours_has_the_largest_weight_of_all_at_its_ends(
    learned: Weights, page: Page
) -> None:
    look_inside(page)
    first = np.abs(learned.matrices[0])
    for shared, most in ((False, first[:, 0].max()), (True, first.max())):
        page.get_by_test_id("shared-range").set_checked(shared)
        for testid in ("legend-low", "legend-high"):
            expect(page.get_by_test_id(testid)).to_contain_text(f"{most:.2f}")
    expect(page).to_have_url(re.compile(r"[#&]shared=1"))


def test_the_tiles_follow_the_scheme_of_the_page(learned: Weights, page: Page) -> None:
    look_inside(page)
    canvas = page.get_by_test_id("tiles-canvas")
    faint = int(np.abs(learned.matrices[0][:, 0]).argmin())
    light = pixel(canvas, faint % SIDE, faint // SIDE)
    page.emulate_media(color_scheme="dark")
    wait_until(lambda: sum(pixel(canvas, faint % SIDE, faint // SIDE)[:3]) < 200 < sum(light[:3]))


class Frames:
    """Counts what comes over the WebSocket of a page."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        self.texts = 0
        self.page = page
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.webSocketFrameReceived", self._count)

    def _count(self, event: dict[str, Any]) -> None:
        response = event["response"]
        if response["opcode"] == 2:
            self.bytes += len(response["payloadData"]) * 3 // 4  # told in base64
        else:
            self.texts += 1

    def seconds(self, count: float) -> None:
        """Let so many seconds pass on the page, its events coming in."""
        self.page.wait_for_timeout(count * 1000)

    def bytes_a_second(self, seconds: float = 3) -> float:
        """Return how many bytes of weights come in a second, while news keep coming."""
        weights, texts = self.bytes, self.texts
        started = self.page.evaluate("performance.now()")
        self.seconds(seconds)
        elapsed = (self.page.evaluate("performance.now()") - started) / 1000
        assert self.texts > texts  # the connection lives
        return float((self.bytes - weights) / elapsed)


def test_the_stream_of_weights_is_bounded_and_stops_when_nobody_sees_it(
    learned: Weights, page: Page, api: httpx.Client
) -> None:
    frames = Frames(page)
    api.post("/control", json={"type": "Start"}).raise_for_status()
    frames.seconds(0.3)
    assert frames.bytes_a_second(1) == 0  # not yet looked at
    look_inside(page)
    wait_until(lambda: page.evaluate("true") and frames.bytes > 0, what="the weights")
    assert 100_000 < frames.bytes_a_second() < 2_500_000
    page.get_by_test_id("grid").scroll_into_view_if_needed()
    settle(frames)
    assert frames.bytes_a_second() == 0
    page.get_by_test_id("explain-4").click()  # the sheet shows them now
    wait_until(lambda: page.evaluate("true") and frames.bytes_a_second(1) > 0, what="the weights")
    page.get_by_test_id("explain-4").click()
    page.get_by_role("heading", name="Draw", exact=True).click()
    settle(frames)
    look_inside(page)
    wait_until(lambda: page.evaluate("true") and frames.bytes_a_second(1) > 0, what="the weights")
    page.evaluate(HIDE_TAB)
    settle(frames)
    assert frames.bytes_a_second() == 0
    api.post("/control", json={"type": "Stop"}).raise_for_status()


def asked_rates(page: Page) -> list[float]:
    """Return a list that grows with each subscription: how often a second it asks for weights."""
    rates: list[float] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")

    def note(event: dict[str, Any]) -> None:
        signal = json.loads(event["response"]["payloadData"])
        if signal["type"] == "Subscribe":
            rates.append(signal["weights_hz"])

    session.on("Network.webSocketFrameSent", note)
    return rates


# Headless Chromium never hides a tab; the page learns of it as from a browser that does.
HIDE_TAB = """() => {
    Object.defineProperty(document, "hidden", { value: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def settle(frames: Frames) -> None:
    """Wait for the last weights that were on their way when they were cancelled."""

    def is_silent() -> bool:
        before = frames.bytes
        frames.seconds(0.6)
        return frames.bytes == before

    wait_until(is_silent, what="the end of the stream")


def test_weights_that_cannot_be_read_are_told_and_the_page_goes_on(
    learned: Weights, open_page: OpenPage, stack: Stack
) -> None:
    page = open_page()
    broken: list[bytes] = [b"\x05\0\0\0\0\0\0\0{bad}", b"", b"\xff" * 64]
    sent: list[Callable[[bytes], None]] = []

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        sent.append(route.send)
        server.on_message(route.send)

    page.route_web_socket("**/ws", between)
    page.reload()
    panel = look_inside(page)
    for frame in broken:
        sent[-1](frame)
        expect(panel.get_by_role("alert")).to_contain_text("The weights that came cannot be read")
    expect(panel.locator(TILES)).to_have_count(128)
    draw(page, SEVEN)
    expect_guess(page)


def test_before_weights_come_the_panel_says_what_one_would_see(
    at_rest: None, open_page: OpenPage
) -> None:
    page = open_page()

    def only_text(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            if isinstance(message, str):
                route.send(message)

        server.on_message(pass_on)

    page.route_web_socket("**/ws", only_text)
    page.reload()
    panel = page.locator("[data-panel=network]")
    panel.scroll_into_view_if_needed()
    expect(panel.get_by_text("The weights have not come yet.")).to_be_visible()
    expect(panel.locator(TILES)).to_have_count(0)


def test_a_network_of_another_size_with_biases_is_shown_in_pages(
    browser: Browser, make_stack: Callable[..., Stack]
) -> None:
    stack = make_stack(INKLING_HIDDEN_UNITS="300", INKLING_BIASES="true")
    stack.start()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    rates = asked_rates(page)
    page.goto(stack.url)
    panel = look_inside(page)
    frame_bytes = 2 * (784 * 300 + 300 + 300 * 10 + 10)
    wait_until(lambda: page.evaluate("true") and rates[-1] < 6, what="a lower rate")
    assert 1_000_000 < rates[-1] * frame_bytes < 2_500_000
    expect(page.get_by_test_id("tiles-shown")).to_have_text("1 to 128 of 300")
    page.get_by_test_id("tiles-on").click()
    expect(panel.locator(TILES).first).to_have_attribute("aria-label", "Unit 128")
    page.get_by_test_id("tiles-on").click()
    expect(page.get_by_test_id("tiles-shown")).to_have_text("257 to 300 of 300")
    expect(panel.locator(TILES)).to_have_count(44)
    expect(page.get_by_test_id("tiles-on")).to_be_disabled()
    draw(page, SEVEN)
    expect_guess(page)
    page.get_by_test_id("tiles").scroll_into_view_if_needed()
    expect(page.get_by_test_id("firing")).to_have_text(re.compile(r"^\d+ of 300 units fire$"))
    page.close()
