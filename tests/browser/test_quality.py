"""How good is it: the panel shows what the server measured, and the images behind it."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.conftest import OpenPage, Status
from tests.browser.sheet import ink
from tests.running import wait_until

STRIP = 20
FIRST_IMAGES = 32


@pytest.fixture
def trained(api: httpx.Client, at_rest: None) -> dict[str, Any]:
    """A network that reads most digits, and its evaluation."""
    if api.get("/status").json()["iteration"] < 150:
        return train(api, 150)
    return evaluation_now(api)


def train(api: httpx.Client, iterations: int) -> dict[str, Any]:
    """Train so many iterations and stop; return the evaluation of where that led."""
    target = api.get("/status").json()["iteration"] + iterations
    api.post("/control", json={"type": "Start", "iterations": iterations}).raise_for_status()
    wait_until(lambda: api.get("/status").json()["iteration"] == target)
    return evaluation_now(api)


def evaluation_now(api: httpx.Client) -> dict[str, Any]:
    """Return the evaluation of the weights that are live now, in a run that is stopped."""
    wait_until(
        lambda: api.get("/evaluation").json().get("version") == api.get("/status").json()["version"]
    )
    report: dict[str, Any] = api.get("/evaluation").json()
    return report


def look_at(page: Page) -> None:
    """Scroll the panel into the window."""
    page.locator("[data-panel=quality]").scroll_into_view_if_needed()
    page.get_by_test_id("confusion").scroll_into_view_if_needed()


def worst_field(report: dict[str, Any]) -> tuple[int, int, int]:
    """Return the mistake that is made most often: (label, digit, count)."""
    confusion = np.array(report["confusion"])
    np.fill_diagonal(confusion, 0)
    label, digit = np.unravel_index(confusion.argmax(), confusion.shape)
    return int(label), int(digit), int(confusion[label, digit])


def images(page: Page) -> Locator:
    """Return the images of the gallery that are shown."""
    return page.get_by_test_id("gallery").get_by_role("button")


def test_the_figures_are_those_that_the_server_measured(
    page: Page, trained: dict[str, Any]
) -> None:
    look_at(page)
    expect(page.get_by_test_id("quality-iteration")).to_have_text(str(trained["iteration"]))
    expect(page.get_by_test_id("quality-version")).to_have_text(str(trained["version"]))
    expect(page.get_by_test_id("quality-accuracy")).to_have_text(f"{trained['test_acc']:.2%}"[:-1])
    expect(page.get_by_test_id("quality-loss")).to_have_text(f"{trained['loss']:.4f}")
    right = sum(trained["confusion"][digit][digit] for digit in range(10))
    expect(page.get_by_test_id("quality-wrong")).to_have_text(str(trained["count"] - right))
    shares = page.locator(".confusion .share").all_text_contents()
    rows = np.array(trained["confusion"])
    assert shares == [f"{share * 100:.1f}" for share in rows.diagonal() / rows.sum(axis=1)]


def test_every_field_of_the_matrix_says_what_it_counts(page: Page, trained: dict[str, Any]) -> None:
    look_at(page)
    expect(page.get_by_test_id("quality-version")).to_have_text(str(trained["version"]))
    names = (
        page.get_by_test_id("confusion")
        .get_by_role("button")
        .evaluate_all("(buttons) => buttons.map((button) => button.ariaLabel)")
    )
    assert len(names) == 100
    for (label, digit), count in np.ndenumerate(np.array(trained["confusion"])):
        kind = "read rightly" if label == digit else f"read as {digit}"
        noun = "image" if count == 1 else "images"
        assert names[label * 10 + digit] == f"{label} {kind}: {count} {noun}"


def test_a_field_shows_its_images_and_one_of_them_goes_onto_the_sheet(
    page: Page, api: httpx.Client, trained: dict[str, Any]
) -> None:
    label, digit, count = worst_field(trained)
    look_at(page)
    expect(page.get_by_test_id("quality-version")).to_have_text(str(trained["version"]))
    page.get_by_test_id(f"field-{label}-{digit}").click()
    expect(page.get_by_test_id("gallery-title")).to_have_text(f"{label} read as {digit}")
    expect(images(page).first).to_have_accessible_name(re.compile(f"^A {label}, read as {digit}, "))
    expect(images(page)).to_have_count(min(count, FIRST_IMAGES))
    expect(page.get_by_test_id(f"field-{label}-{digit}")).to_have_attribute("aria-pressed", "true")
    first = images(page).first
    name = first.locator(".sr-only").inner_text()
    assert name.startswith(f"A {label}, read as {digit}, ")
    number = re.search(r"Test image (\d+)", name)
    assert number is not None
    first.click()
    expect(page.get_by_test_id("grid")).to_be_in_viewport()
    expect(page.get_by_text(f"its label says {label}")).to_be_visible()
    [sample] = api.get("/data", params={"split": "test", "index": number[1]}).json()["data"]
    assert sample["target"] == label
    assert np.abs(np.array(ink(page)).ravel() - np.array(sample["image"])).max() < 0.01
    expect(page.get_by_test_id("quality-note")).to_contain_text(f"Test image {number[1]}")
    look_at(page)
    page.get_by_test_id("gallery-worst").click()
    expect(page.get_by_test_id(f"field-{label}-{digit}")).to_be_focused()
    expect(page.get_by_test_id("gallery-title")).to_have_text("The worst mistakes")
    expect(images(page)).to_have_count(FIRST_IMAGES)


def test_the_worst_mistakes_are_the_surest_and_there_are_more(
    page: Page, api: httpx.Client, trained: dict[str, Any]
) -> None:
    look_at(page)
    expect(page.get_by_test_id("gallery-words")).to_contain_text(f"after {trained['iteration']} ")
    answer = api.get(
        "/evaluation/examples", params={"version": trained["version"], "limit": 96}
    ).json()
    expected = [f"{one['label']} → {one['digit']}" for one in answer["examples"]]
    words = images(page).locator(".thumb-words")
    expect(words).to_have_text(expected[:FIRST_IMAGES])
    page.get_by_test_id("gallery-more").click()
    expect(words).to_have_text(expected)
    expect(images(page).nth(FIRST_IMAGES - 1)).to_be_focused()


def test_the_matrix_by_keyboard_alone(page: Page, trained: dict[str, Any]) -> None:
    look_at(page)
    expect(page.get_by_test_id("quality-version")).to_have_text(str(trained["version"]))
    expect(page.get_by_test_id("strip").get_by_role("button")).to_have_count(STRIP)
    page.get_by_test_id("other-digits").focus()
    for _ in range(STRIP + 2):  # past the digits and the help, to the one stop of the matrix
        page.keyboard.press("Tab")
    expect(page.get_by_test_id("field-0-0")).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("field-1-8")).to_be_focused()
    readout = page.get_by_test_id("confusion-readout")
    expect(readout).to_contain_text(f"1 read as 8: {trained['confusion'][1][8]} image")
    page.keyboard.press("PageDown")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("gallery-title")).to_have_text("9 read as 8")
    expect(page.get_by_test_id("quality-note")).to_contain_text("9 read as 8")
    page.keyboard.press("Enter")  # once more lets go of it
    expect(page.get_by_test_id("gallery-title")).to_have_text("The worst mistakes")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.closest('.confusion') !== null")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_test_id("field-9-8")).to_be_focused()


def test_held_still_it_does_not_change_until_released(
    page: Page, api: httpx.Client, trained: dict[str, Any]
) -> None:
    look_at(page)
    iteration = page.get_by_test_id("quality-iteration")
    expect(iteration).to_have_text(str(trained["iteration"]))
    page.get_by_test_id("quality-hold").check()
    for _ in range(
        3
    ):  # each is measured a second after the one before: it had its chance to change
        report = train(api, 30)
    expect(page.get_by_test_id("iteration")).to_have_text(str(report["iteration"]))
    expect(iteration).to_have_text(str(trained["iteration"]))
    page.get_by_test_id("quality-hold").uncheck()
    expect(iteration).to_have_text(str(report["iteration"]))


def test_it_is_measured_once_a_second_and_only_while_it_can_be_seen(
    page: Page, api: httpx.Client, status: Status, trained: dict[str, Any]
) -> None:
    asked: list[float] = []

    def note(request: Request) -> None:
        if request.url.endswith(("/evaluation", "/infer")) or "/evaluation/" in request.url:
            asked.append(time.monotonic())

    page.on("request", note)
    expect(page.locator("[data-panel=quality]")).not_to_be_in_viewport()
    api.post("/control", json={"type": "Start"}).raise_for_status()
    begun = status()["version"]
    wait_until(lambda: status()["version"] > begun + 20)  # about two seconds
    expect(page.get_by_test_id("iteration")).not_to_have_text(str(trained["iteration"]))
    assert asked == []
    page.remove_listener("request", note)
    evaluations: list[float] = []
    page.on(
        "request",
        lambda request: (
            evaluations.append(time.monotonic()) if request.url.endswith("/evaluation") else None
        ),
    )
    look_at(page)
    wait_until(lambda: page.evaluate("1") == 1 and len(evaluations) >= 4)
    api.post("/control", json={"type": "Stop"}).raise_for_status()
    gaps = np.diff(evaluations)
    assert gaps.min() > 0.8  # a second, less what the browser tells late


def test_the_strip_reads_twenty_digits_as_the_network_does(
    page: Page, api: httpx.Client, trained: dict[str, Any]
) -> None:
    look_at(page)
    words = page.get_by_test_id("strip-words")
    expect(words).to_contain_text(f"after {trained['iteration']} iterations")
    expect_readings_of(page, api)
    strip = page.get_by_test_id("strip")
    strip.evaluate("(strip) => { window.nodes = [...strip.querySelectorAll('*')]; }")
    first = page.get_by_test_id("strip").get_by_role("button").first
    before = first.get_attribute("title") or ""
    page.get_by_test_id("other-digits").click()
    expect(first).not_to_have_attribute("title", before)
    expect_readings_of(page, api)
    report = train(api, 30)
    expect(words).to_contain_text(f"after {report['iteration']} iterations")
    expect_readings_of(page, api)
    assert strip.evaluate(  # none is made anew, none is lost
        """(strip) => strip.querySelectorAll('*').length === window.nodes.length
                      && window.nodes.every((node) => strip.contains(node))"""
    )


def expect_readings_of(page: Page, api: httpx.Client) -> None:
    """Compare what stands under the digits with what POST /infer says of them."""
    buttons = page.get_by_test_id("strip").get_by_role("button")
    expect(buttons).to_have_count(STRIP)
    titles = buttons.evaluate_all("(all) => all.map((button) => button.title)")
    indices = [title.removeprefix("Test image ") for title in titles]
    samples = api.get("/data", params={"split": "test", "index": indices}).json()["data"]
    answers = api.post("/infer", json={"images": [one["image"] for one in samples]}).json()
    expected = [
        f"{'✓' if answer['digit'] == sample['target'] else '✗'} {answer['digit']}"
        for answer, sample in zip(answers["results"], samples, strict=True)
    ]
    expect(buttons.locator(".thumb-words")).to_have_text(expected)


def test_images_of_an_evaluation_too_old_are_those_of_the_newest(
    page: Page, api: httpx.Client, trained: dict[str, Any]
) -> None:
    look_at(page)
    shown = page.get_by_test_id("quality-version")
    expect(shown).to_have_text(str(trained["version"]))
    api.post("/control", json={"type": "Start"}).raise_for_status()
    expect(shown).not_to_have_text(str(trained["version"]))  # now one that nobody keeps
    page.get_by_test_id("quality-hold").check()
    held = int(shown.inner_text())

    def is_forgotten() -> bool:
        answer = api.get("/evaluation/examples", params={"version": held, "limit": 1})
        return answer.status_code == 404

    wait_until(is_forgotten, 60)
    api.post("/control", json={"type": "Stop"}).raise_for_status()
    page.get_by_test_id("field-3-3").click()
    expect(page.get_by_test_id("gallery-title")).to_have_text("3 read rightly")
    expect(shown).not_to_have_text(str(held))
    expect(images(page).first).to_have_accessible_name(re.compile("^A 3, read rightly"))


def test_on_a_phone_by_finger(phone: Page, trained: dict[str, Any]) -> None:
    label, digit, _ = worst_field(trained)
    look_at(phone)
    expect(phone.get_by_test_id("quality-version")).to_have_text(str(trained["version"]))
    phone.get_by_test_id(f"field-{label}-{digit}").tap()
    expect(phone.get_by_test_id("gallery-title")).to_have_text(f"{label} read as {digit}")
    expect(images(phone).first).to_have_accessible_name(re.compile(f"read as {digit}"))
    images(phone).first.tap()
    expect(phone.get_by_test_id("grid")).to_be_in_viewport()
    expect(phone.get_by_text(f"its label says {label}")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


def test_what_a_link_hides_is_not_measured(open_page: OpenPage, api: httpx.Client) -> None:
    page = open_page()
    page.goto(f"{page.url.split('#')[0]}?hide=quality")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    page.mouse.wheel(0, 20_000)
    report = train(api, 20)
    expect(page.get_by_test_id("iteration")).to_have_text(str(report["iteration"]))
    assert not any("/evaluation" in url for url in asked)
