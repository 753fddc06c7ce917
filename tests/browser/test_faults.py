"""What the page says when a part of the machine is away, on stacks of the tests' own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import open_on
from tests.browser.sheet import SEVEN, draw, expect_guess
from tests.running import RedisServer, Stack, wait_until

MakeStack = Callable[..., Stack]
LOST = "The connection to the server is lost."


def test_the_page_comes_back_by_itself_after_the_server_was_killed(
    window: Page, make_stack: MakeStack
) -> None:
    stack = make_stack()
    open_on(window, stack)
    os.kill(stack.pids("services.local.web")[0], signal.SIGKILL)
    expect(window.get_by_test_id("connection")).to_have_text("reconnecting")
    expect(window.get_by_test_id("connection")).to_have_text("connected")
    expect(window.get_by_text(LOST)).to_be_hidden()
    window.get_by_test_id("train-n-count").fill("10")
    window.get_by_test_id("train-n").click()
    expect(window.get_by_test_id("iteration")).to_have_text("10")
    draw(window, SEVEN)
    expect_guess(window)


def test_a_banner_says_that_redis_is_away_for_as_long_as_it_is(
    window: Page, make_stack: MakeStack, own_redis: RedisServer
) -> None:
    open_on(window, make_stack(INKLING_REDIS_URL=own_redis.url))
    own_redis.stop()
    banner = window.locator("[data-part=banner]")
    expect(banner).to_contain_text("Redis is away")
    own_redis.start()
    expect(banner).to_be_hidden()


def test_training_that_waits_for_data_says_so_and_how_to_add_workers(
    window: Page, make_stack: MakeStack
) -> None:
    stack = make_stack(INKLING_DATA_LATENCY_MS="3000", INKLING_CACHE_SIZE="1")
    open_on(window, stack)
    window.get_by_test_id("start").click()
    wait_until(lambda: stack.status()["trainer"] == "waiting for data")
    note = window.locator("[data-part=starved]")
    expect(note).to_contain_text("Training waits for data")
    expect(note).to_contain_text("make scale DATA_WORKERS=4")
