"""How the page behaves in a real Chromium while the running stack trains at full speed.

    make run                                             # in one terminal
    .venv/bin/python bench/page.py [--url http://localhost:8080] [--minutes 10]

Prints one line for each figure: what was measured, and what it should be. Starts training at
the stack, draws on the page, and stops both at the end.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

DRAW_S = 60.0
STREAM_S = 10.0
FRAMES = 300
LONG_TASK_MS = 50
MIB = 2**20

# Frame times, from inside the page: how many milliseconds lie between two frames.
FRAME_TIMES = """(count) => new Promise((done) => {
  const times = [];
  const step = (now) => {
    times.push(now);
    if (times.length > count) done(times);
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""

# Each task of the main thread over 50 ms.
WATCH_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((one) => one.duration)))
    .observe({type: "longtask"});
}"""

# When the pen moved, when each question was asked, and when its answer was on the screen.
WATCH_PEN = """() => {
  window.pen = {moves: [], guesses: []};
  const grid = document.querySelector("[data-testid=grid]");
  grid.addEventListener("pointermove", (event) => event.buttons && pen.moves.push(event.timeStamp));
  const ask = window.fetch;
  window.fetch = async (...request) => {
    if (!String(request[0]).startsWith("/infer")) return ask(...request);
    const asked = performance.now();
    const response = await ask(...request);
    // The page reads the body and renders in its next frame, which is shown when another begins.
    const read = response.json.bind(response);
    response.json = async () => {
      const answer = await read();
      const frame = requestAnimationFrame;
      frame(() => frame((shown) => pen.guesses.push([asked, shown])));
      return answer;
    };
    return response;
  };
}"""


def main() -> None:
    """Measure and print."""
    options = _options()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        _first_load(browser, options.url)
        empty = _frame_rate(browser.new_page())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(options.url)
        page.get_by_test_id("connection").get_by_text("connected").wait_for()
        page.get_by_test_id("start").click()
        try:
            _training(page, empty)
            _stream(page)
            if options.minutes:
                _memory(page, options.minutes)
        finally:
            page.get_by_test_id("stop").click()
            browser.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--url", default="http://localhost:8080", help="a running stack")
    parser.add_argument("--minutes", type=float, default=10, help="of watching the memory; 0: none")
    return parser.parse_args()


def _tell(what: str, measured: str, goal: str) -> None:
    print(f"{what:<42} {measured:<44} {goal}", flush=True)


def _first_load(browser: Browser, url: str) -> None:
    """Bytes over the wire, hosts that were asked, and time until one can draw."""
    hosts: set[str] = set()
    usable: list[float] = []
    size = 0
    for _ in range(5):
        page = browser.new_page()
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.goto(url, wait_until="commit")
        page.wait_for_function(
            "() => document.querySelector('[data-testid=connection]')?.textContent === 'connected'",
            polling=5,
        )
        usable.append(page.evaluate("performance.now()"))
        page.wait_for_load_state("load")
        size = page.evaluate(
            """["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
                 .filter((entry) => entry.initiatorType !== "fetch")
                 .reduce((sum, entry) => sum + entry.transferSize, 0)"""
        )
        page.close()
    _tell(
        "first load", f"{size / 1000:.0f} kB, from {len(hosts)} host", "under 150 kB, from one host"
    )
    _tell("until one can draw", f"{statistics.median(usable):.0f} ms", "under 1,000 ms")


def _frame_rate(page: Page) -> float:
    """Return the median frames a second of this page."""
    times: list[float] = page.evaluate(FRAME_TIMES, FRAMES)
    gaps = [after - before for before, after in pairwise(times)]
    return 1000 / statistics.median(gaps)


def _training(page: Page, empty: float) -> None:
    """A minute of training and drawing."""
    page.evaluate(WATCH_TASKS)
    page.evaluate(WATCH_PEN)
    rate = _frame_rate(page)
    _tell("frames a second while training", f"{rate:.1f}", f"as an empty page: {empty:.1f}")
    _draw_for(page, DRAW_S)
    tasks: list[float] = page.evaluate("longTasks")
    longest = f", the longest {max(tasks):.0f} ms" if tasks else ""
    _tell(f"tasks over {LONG_TASK_MS} ms in a minute", f"{len(tasks)}{longest}", "none")
    waits = _pen_to_guess(page.evaluate("pen"))
    median, worst = statistics.median(waits), _quantile(waits, 0.99)
    _tell(
        "pen to guess on the screen",
        f"median {median:.0f} ms, 99 % {worst:.0f} ms of {len(waits)} moves",
        "median under 50 ms, 99 % under 120 ms",
    )


def _draw_for(page: Page, seconds: float) -> None:
    """Draw circles, and clear the sheet now and then."""
    box = page.get_by_test_id("grid").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page.mouse.move(middle[0], middle[1] - box["height"] / 4)
        page.mouse.down()
        for step in range(90):
            angle = step / 14
            x = middle[0] + math.sin(angle) * box["width"] / 4
            page.mouse.move(x, middle[1] - math.cos(angle) * box["height"] / 4)
            page.wait_for_timeout(16)
        page.mouse.up()
        page.get_by_test_id("clear").click()


def _pen_to_guess(pen: dict[str, Any]) -> list[float]:
    """Return for each move of the pen how long it took until a guess that knew of it was shown."""
    guesses = sorted(pen["guesses"])
    waits = []
    for moved in pen["moves"]:
        shown = next((shown for asked, shown in guesses if asked >= moved), None)
        if shown is not None:
            waits.append(shown - moved)
    return waits


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _stream(page: Page) -> None:
    """Bytes of weights a second, with the tiles on the screen and without."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.webSocketFrameReceived", lambda event: sizes.append(_binary_size(event)))
    panel = page.locator("[data-panel=network]")
    for where, show in (
        ("seen", panel.scroll_into_view_if_needed),
        ("not seen", lambda: page.evaluate("scrollTo(0, 0)")),
    ):
        rate = _rate_of(page, show, sizes)
        goal = "under 2.5 MB/s" if where == "seen" else "nothing"
        _tell(f"weights, the tiles {where}", f"{rate / 1e6:.2f} MB/s", goal)


def _rate_of(page: Page, show: Callable[[], object], sizes: list[int]) -> float:
    show()
    page.wait_for_timeout(1500)  # what was asked for before is still on its way
    sizes.clear()
    began = time.monotonic()
    page.wait_for_timeout(STREAM_S * 1000)
    return sum(sizes) / (time.monotonic() - began)


def _binary_size(event: dict[str, Any]) -> int:
    """Return the bytes of a binary frame, which the browser tells as base64; 0 for text."""
    frame = event["response"]
    return len(frame["payloadData"]) * 3 // 4 if frame["opcode"] == 2 else 0


def _memory(page: Page, minutes: float) -> None:
    """Growth of the heap, what can be collected taken off."""
    session = page.context.new_cdp_session(page)
    page.locator("[data-panel=network]").scroll_into_view_if_needed()
    page.wait_for_timeout(20_000)  # the curve is full, and all panels have been seen
    before = _heap(session)
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(5000)
        page.evaluate("scrollTo(0, 0)")
        _draw_for(page, 5)
    growth = (_heap(session) - before) / MIB
    nodes = page.evaluate("document.querySelectorAll('*').length")
    _tell(
        f"growth of the heap in {minutes:g} min",
        f"{growth:+.2f} MiB, from {before / MIB:.1f} MiB; {nodes} elements",
        "under 5 MB",
    )


def _heap(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"])


if __name__ == "__main__":
    main()
