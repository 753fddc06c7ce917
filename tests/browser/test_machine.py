"""The machine, drawn live: what each part says, what moves, and what is drawn as away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, Status, open_on
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.running import ROOT, RedisServer, Stack, wait_until

MakeStack = Callable[..., Stack]
RUNNING = "document.getAnimations().filter((one) => one.playState === 'running').length"


def part(page: Page, name: str) -> Locator:
    """Return a part of the picture."""
    return page.locator(f"[data-part-id='{name}']")


def control(page: Page, name: str) -> Locator:
    """Return what takes the focus for a part."""
    return part(page, name).get_by_role("button")


def look_at(page: Page) -> None:
    """Bring the picture on the screen, and wait until it is drawn."""
    page.get_by_test_id("machine-diagram").scroll_into_view_if_needed()
    expect(part(page, "trainer")).to_be_visible()


def words(page: Page) -> Locator:
    """Return what is told of the part that is pointed at."""
    return page.get_by_test_id("machine-words")


def rate(page: Page, name: str) -> float:
    """Return the number that is drawn with a flow."""
    text = part(page, name).locator(".part-value").text_content() or ""
    return float(text.replace(",", "").replace("k", "e3"))


# --- what the parts say --------------------------------------------------------------------
def test_pointing_at_a_box_or_an_arrow_tells_what_it_is(page: Page, status: Status) -> None:
    look_at(page)
    expect(words(page)).to_contain_text(re.compile("Paused: 16 batches lie ready"))
    part(page, "redis").hover(position={"x": 20, "y": 12})
    expect(words(page)).to_contain_text(
        "It holds 16 batches ready, and 0 tickets not yet answered."
    )
    part(page, "batches").hover()
    expect(words(page)).to_contain_text("16 batches ready, of 16.")
    part(page, "asked").locator(".part-unit").hover()
    expect(words(page)).to_contain_text("Tickets, from the trainer to Redis", ignore_case=True)
    expect(words(page)).to_contain_text("Now: 0 tickets a second.")
    part(page, "weights").hover()
    expect(words(page)).to_contain_text(f"The live version is {status()['version']:,}.")
    page.mouse.move(0, 0)
    expect(words(page)).to_contain_text("Paused")


def test_a_part_that_was_pressed_stays_told(page: Page) -> None:
    look_at(page)
    part(page, "trainer").click()
    expect(control(page, "trainer")).to_have_attribute("aria-pressed", "true")
    page.mouse.move(0, 0)
    expect(words(page)).to_contain_text("It learns")
    part(page, "trainer").click()
    page.mouse.move(0, 0)
    expect(control(page, "trainer")).to_have_attribute("aria-pressed", "false")
    expect(words(page)).to_contain_text("Paused")


def test_the_parts_by_keyboard(page: Page) -> None:
    look_at(page)
    page.get_by_test_id("machine-diagram").locator("[tabindex='0']").focus()
    page.keyboard.press("Home")
    expect(words(page)).to_contain_text("asks the server for each guess")
    expect(control(page, "page")).to_have_attribute(
        "aria-label", re.compile("^this page. It draws")
    )
    page.keyboard.press("ArrowRight")
    expect(words(page)).to_contain_text("784 numbers")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(words(page)).to_contain_text("784 numbers")  # it was kept
    page.keyboard.press("Shift+Tab")
    expect(control(page, "guesses")).to_be_focused()  # one stop for the whole picture
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    expect(words(page)).to_contain_text("The same files, for samples and for the test.")
    page.keyboard.press("Tab")
    expect(words(page)).to_contain_text("Paused")


def test_on_a_phone_a_tap_tells_and_stays_in_view(phone: Page) -> None:
    look_at(phone)
    phone.get_by_test_id("machine-diagram").evaluate("(one) => one.scrollIntoView()")
    part(phone, "inference").tap()
    expect(words(phone)).to_contain_text("It reads drawings")
    expect(words(phone)).to_be_in_viewport(ratio=0.95)
    expect(part(phone, "dataset")).to_be_visible()
    expect(part(phone, "reports")).to_have_count(0)  # the narrow picture leaves some arrows out
    part(phone, "inference").tap()
    expect(words(phone)).to_contain_text("What happens now")


def test_the_same_in_words(page: Page, status: Status) -> None:
    table = page.get_by_test_id("machine-list")
    table.locator("summary").press("Enter")
    expect(table.get_by_role("row").filter(has_text="16 batches ready, of 16.")).to_have_count(1)
    expect(table.get_by_role("row", name="trainer It learns")).to_contain_text(
        f"It is at iteration {status()['iteration']:,}, paused."
    )
    for name in ("gateway", "inference", "edge", "data set", "data worker 1"):
        expect(table.get_by_role("rowheader", name=name, exact=True)).to_be_visible()


def test_a_picture_that_cannot_be_fetched_is_fetched_later(page: Page) -> None:
    page.route("**/machine_picture.js", lambda route: route.abort(), times=1)
    with page.expect_event("requestfailed"):
        page.get_by_test_id("machine-diagram").scroll_into_view_if_needed()
    expect(page.get_by_test_id("data-workers")).to_have_text("1")
    look_at(page)


# --- what moves ----------------------------------------------------------------------------
def test_what_flows_moves_and_rests_when_training_stops(page: Page, status: Status) -> None:
    look_at(page)
    draw(page, SEVEN)
    expect_guess(page)
    look_at(page)
    expect(part(page, "used")).not_to_have_attribute("data-flowing", "")
    page.get_by_test_id("start").evaluate("(button) => button.click()")
    for name in ("used", "asked", "taken", "cut", "frames", "published", "guesses"):
        expect(part(page, name)).to_have_attribute("data-flowing", "")
    wait_until(lambda: page.evaluate(RUNNING) >= 7)
    wait_until(
        lambda: rate(page, "used") > 1 and rate(page, "cut") > 1 and rate(page, "frames") > 1
    )
    expect(part(page, "trainer")).to_contain_text("training")
    expect(words(page)).to_contain_text(re.compile(r"the trainer uses [\d,.k]+ batches a second"))
    page.get_by_test_id("stop").evaluate("(button) => button.click()")
    for name in ("used", "asked", "taken", "cut", "published"):
        expect(part(page, name)).not_to_have_attribute("data-flowing", "")
    expect(part(page, "batches").locator(".part-value")).to_have_text(str(status()["cache_size"]))


def test_nothing_moves_where_it_cannot_be_seen(page: Page) -> None:
    page.get_by_test_id("start").click()
    look_at(page)
    wait_until(lambda: page.evaluate(RUNNING) > 0)
    page.get_by_test_id("view").click()
    page.get_by_test_id("view-machine").uncheck()
    wait_until(lambda: page.evaluate(RUNNING) == 0)


def test_nothing_moves_for_those_who_want_no_motion(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    page.get_by_test_id("start").click()
    look_at(page)
    expect(part(page, "used")).to_have_attribute("data-flowing", "")
    assert page.evaluate(RUNNING) == 0


@pytest.mark.parametrize("width", [360, 760, 1000, 1060, 1600])
def test_every_text_fits_its_box_and_the_picture_its_panel(open_page: OpenPage, width: int) -> None:
    page = open_page({"viewport": {"width": width, "height": 900}})
    look_at(page)
    over: list[str] = page.evaluate(
        """() => {
             const within = (a, b) => a.left >= b.left && a.right <= b.right;
             const card = document.querySelector("[data-panel=machine]").getBoundingClientRect();
             const picture = document.querySelector("[data-testid=machine-diagram]");
             return [...picture.querySelectorAll("text")]
               .map((text) => [text, text.getBoundingClientRect(),
                               text.closest(".part").querySelector(".part-frame")])
               .filter(([, box]) => box.width > 0)
               .filter(([, box, frame]) =>
                 !within(box, card) || (frame && !within(box, frame.getBoundingClientRect())))
               .map(([text]) => text.textContent);
           }"""
    )
    assert over == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


# --- what comes, goes and is away ----------------------------------------------------------
def look_at_machine_of(stack: Stack, window: Page) -> None:
    """Start a stack and look at its machine."""
    open_on(window, stack)
    look_at(window)


def scale(stack: Stack, count: int) -> None:
    """Set the number of data workers, as `make scale` does."""
    command = [sys.executable, "-m", "services.local.scale", str(count)]
    subprocess.run(command, cwd=ROOT, env=stack.environment, check=True, capture_output=True)


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """A process that does nothing for a while, as if its machine were cut off."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_workers_come_and_go_and_so_does_the_trainer(window: Page, make_stack: MakeStack) -> None:
    stack = make_stack()
    look_at_machine_of(stack, window)
    workers = window.locator("[data-part-id^='worker ']")
    count = window.get_by_test_id("data-workers")
    expect(workers).to_have_count(1)
    scale(stack, 3)
    expect(workers).to_have_count(3)
    expect(count).to_have_text("3")
    workers.first.hover()
    expect(words(window)).to_contain_text("data worker 1", ignore_case=True)
    scale(stack, 9)  # too many to be drawn one by one
    expect(count).to_have_text("9")
    expect(workers).to_have_count(0)
    expect(window.locator(".square")).to_have_count(9)

    window.get_by_test_id("start").click()
    look_at(window)
    scale(stack, 0)
    expect(part(window, "workers")).to_contain_text("none is running")
    notice = window.locator("[data-part=machine-shortage]")
    expect(notice).to_contain_text("no data worker is running. Add data workers: make scale")
    expect(part(window, "workers")).to_have_attribute("data-trouble", "")
    scale(stack, 1)
    expect(notice).to_be_hidden()
    expect(part(window, "workers")).not_to_have_attribute("data-trouble", "")

    with halted(stack.pids("services.trainer")[0]):
        expect(part(window, "trainer")).to_contain_text("no trainer")
        expect(part(window, "trainer")).to_have_attribute("data-trouble", "")
        expect(part(window, "used")).not_to_have_attribute("data-flowing", "")
    expect(part(window, "trainer")).to_contain_text("training")


def test_starved_training_and_redis_away_are_drawn_where_they_are(
    window: Page, make_stack: MakeStack, own_redis: RedisServer
) -> None:
    slow = {"INKLING_DATA_LATENCY_MS": "3000", "INKLING_CACHE_SIZE": "1"}
    look_at_machine_of(make_stack(INKLING_REDIS_URL=own_redis.url, **slow), window)
    window.get_by_test_id("start").click()
    look_at(window)
    expect(part(window, "trainer")).to_contain_text("waits for data")
    expect(window.locator("[data-part=machine-shortage]")).to_contain_text(
        "make scale DATA_WORKERS=4"
    )
    expect(part(window, "batches")).to_contain_text("ready, of 1")
    own_redis.stop()
    expect(part(window, "redis")).to_contain_text("away")
    expect(part(window, "redis")).to_have_attribute("data-trouble", "")
    expect(part(window, "trainer")).to_contain_text("cut off")
    expect(words(window)).to_contain_text("Redis is away")
    own_redis.start()
    expect(part(window, "redis")).not_to_have_attribute("data-trouble", "")
