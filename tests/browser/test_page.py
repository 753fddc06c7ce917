"""The page as a whole: how it loads, how it looks on a phone, and when the connection is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocketRoute, expect

from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.running import Stack

HANDLES = [
    "grid",
    "guess",
    "probabilities",
    "clear",
    "load-sample",
    "show-data",
    "start",
    "stop",
    "train-n",
    "batch-size",
    "learning-rate",
    "cache-size",
    "iteration",
    "loss",
    "acc",
    "test-acc",
    "data-len",
    "data-futures-len",
    "data-workers",
    "dataset",
    "connection",
    "tune-label",
    "tune",
    "tune-loss",
    "weights-save",
    "weights-restore",
    "weights-upload",
    "weights-download",
    "weights-reset",
    "version",
]
FIRST_LOAD_BYTES = 150_000
SMALLEST: dict[str, Any] = {**PHONE, "viewport": {"width": 360, "height": 740}}


def test_every_handle_is_there_once(page: Page) -> None:
    assert {handle: page.get_by_test_id(handle).count() for handle in HANDLES} == dict.fromkeys(
        HANDLES, 1
    )


def test_the_page_loads_without_a_complaint_and_from_this_host_alone(
    browser: Browser, stack: Stack, at_rest: None
) -> None:
    complaints: list[str] = []
    hosts: set[str] = set()

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page = browser.new_page(viewport=DESKTOP["viewport"])
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(re.sub(r"^\w+://([^/]+).*", r"\1", request.url)))
    page.goto(stack.url)
    draw(page, SEVEN)
    expect_guess(page)
    page.close()
    assert complaints == []
    assert hosts == {re.sub(r"^\w+://([^/]+).*", r"\1", stack.url)}


def test_the_first_load_is_small(browser: Browser, stack: Stack, at_rest: None) -> None:
    page = browser.new_page()
    page.goto(stack.url, wait_until="load")
    sizes: list[int] = page.evaluate(
        """() => ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
                    .filter((entry) => entry.initiatorType !== "fetch")  // the history may be long
                    .map((entry) => entry.transferSize)"""
    )
    page.close()
    assert 10_000 < sum(sizes) < FIRST_LOAD_BYTES


def test_there_is_no_inline_script_or_style() -> None:
    html = (Path(__file__).parents[2] / "frontend" / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)


@pytest.mark.parametrize("kind", [PHONE, SMALLEST], ids=["390", "360"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(
    open_page: OpenPage, kind: dict[str, Any], scheme: str
) -> None:
    page = open_page(kind, color_scheme=scheme)
    page.get_by_test_id("show-data").click()
    assert page.evaluate("document.documentElement.scrollWidth") == kind["viewport"]["width"]


def test_every_control_can_be_hit_with_a_finger(phone: Page) -> None:
    low = phone.evaluate(
        """() => [...document.querySelectorAll("button:not(.help), select, input, summary")]
              .filter((control) => control.checkVisibility())
              .map((control) => {
                 // A small box to tick is hit by its label, too.
                 const ticked = ["radio", "checkbox"].includes(control.type);
                 return ticked ? (control.closest("label, td") ?? control) : control;
               })
              .map((control) => [control.dataset.testid ?? control.outerHTML.slice(0, 200),
                                 control.getBoundingClientRect().height])
              .filter(([, height]) => height < 40)"""
    )
    assert low == []


def test_help_can_be_hit_with_a_finger_beside_it(phone: Page) -> None:
    button = phone.get_by_role("button", name="What is “batch size”?")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box is not None
    phone.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] - 6)
    expect(phone.locator("[data-part=help]")).to_contain_text("before it changes its weights once")


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")]
              .filter((control) => !(control.textContent.trim() || control.labels?.length
                                     || control.getAttribute("aria-label")
                                     || control.getAttribute("aria-labelledby")))
              .map((control) => control.outerHTML)"""
    )
    assert nameless == []


class Line:
    """The WebSocket of a page, which the test can cut and mend."""

    def __init__(self, page: Page) -> None:
        self.cut = False
        self.opened = 0
        self._routes: list[WebSocketRoute] = []
        page.route_web_socket(re.compile("/ws$"), self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        self.opened += 1
        if self.cut:
            route.close()
            return
        route.connect_to_server()
        self._routes.append(route)

    def break_off(self) -> None:
        """Close what is open, and refuse whatever comes until `cut` is False again."""
        self.cut = True
        for route in self._routes:
            route.close()
        self._routes.clear()


def test_the_page_comes_back_after_the_connection_was_lost(
    browser: Browser, stack: Stack, at_rest: None
) -> None:
    page = browser.new_page()
    line = Line(page)
    page.goto(stack.url)
    connection = page.get_by_test_id("connection")
    expect(connection).to_have_text("connected")
    line.break_off()
    expect(connection).to_have_text("reconnecting")
    expect(page.get_by_text("The connection to the server is lost.")).to_be_visible()
    line.cut = False
    expect(connection).to_have_text("connected")
    expect(page.get_by_text("The connection to the server is lost.")).to_be_hidden()
    assert line.opened >= 3
    page.get_by_test_id("train-n-count").fill("5")
    page.get_by_test_id("train-n").click()
    expect(page.locator("[data-part=run-error]")).to_be_hidden()
    page.close()


def test_a_problem_that_the_server_reports_is_a_banner(
    browser: Browser, stack: Stack, at_rest: None
) -> None:
    page = browser.new_page()

    def tell(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        server.on_message(
            lambda message: route.send(
                re.sub(r'"problem":\s*null', '"problem":"Redis is away."', str(message))
            )
        )

    page.route_web_socket(re.compile("/ws$"), tell)
    page.goto(stack.url)
    expect(page.get_by_role("alert").get_by_text("Redis is away.")).to_be_visible()
    page.close()
