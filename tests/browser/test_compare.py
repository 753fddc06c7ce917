"""Two versions side by side: their readings of the drawing, and what they read on the test set."""

from __future__ import annotations

import re
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from nn.model import Weights, predict
from tests.browser.conftest import PHONE, OpenPage
from tests.browser.sheet import SEVEN, draw, expect_guess, ink
from tests.running import wait_until

NOTHING = "\N{EN DASH}"
Versions = tuple[int, int]


@pytest.fixture
def versions(api: httpx.Client, at_rest: None) -> Versions:
    """Two versions of the history: one that has learnt next to nothing, and one that has."""
    kept = {one["name"]: one["version"] for one in api.get("/weights/versions").json()["versions"]}
    if "poor" in kept and "good" in kept:
        return kept["poor"], kept["good"]
    api.delete("/weights").raise_for_status()
    train(api, 10)
    poor = api.post("/weights/versions", json={"name": "poor"}).json()["version"]
    train(api, 150)
    good = api.post("/weights/versions", json={"name": "good"}).json()["version"]
    return poor, good


def train(api: httpx.Client, iterations: int) -> None:
    """Train so many iterations and stop."""
    target = api.get("/status").json()["iteration"] + iterations
    api.post("/control", json={"type": "Start", "iterations": iterations}).raise_for_status()
    wait_until(
        lambda: (
            (now := api.get("/status").json())["iteration"] == target and now["training"] is False
        )
    )


def evaluation(api: httpx.Client, version: int) -> dict[str, Any]:
    """Return how good a version of the history is on the test set."""
    answer: dict[str, Any] = (
        api.get("/evaluation", params={"version": version}).raise_for_status().json()
    )
    return answer


def look_at(page: Page) -> None:
    """Scroll to what compares."""
    page.get_by_test_id("compare-a").scroll_into_view_if_needed()


def compare(page: Page, first: int | str, second: int | str) -> None:
    """Choose two versions, as a person does."""
    look_at(page)
    page.get_by_test_id("compare-a").select_option(str(first))
    page.get_by_test_id("compare-b").select_option(str(second))


def readings(api: httpx.Client, page: Page, version: int) -> list[float]:
    """Return the ten probabilities of a version for what is drawn, computed here."""
    sent = {"image": [value for row in ink(page) for value in row]}
    given = api.post("/infer", params={"normalize": True, "input": True}, json=sent).json()["input"]
    matrices = api.get(f"/weights/versions/{version}").json()["weights"]
    weights = Weights(tuple(np.array(matrix, np.float32) for matrix in matrices))
    image = np.array([given], np.float32)
    return [float(value) for value in predict(weights, image)[0]]


def column(page: Page, table: str, side: str) -> list[float]:
    """Return the ten numbers on one side of a table."""
    cells = page.get_by_test_id(table).locator(f"td.{side} .value").all_text_contents()
    return [float(cell) for cell in cells]


def test_two_versions_read_the_drawing_as_their_weights_do(
    page: Page, api: httpx.Client, versions: Versions
) -> None:
    look_at(page)
    expect(page.get_by_test_id("compare-digit-a")).not_to_be_visible()
    draw(page, SEVEN)
    expect_guess(page)
    compare(page, *versions)
    for side, name, version in (("a", "first", versions[0]), ("b", "second", versions[1])):
        expected = readings(api, page, version)
        digit = page.get_by_test_id(f"compare-digit-{side}")
        expect(digit).to_have_text(str(int(np.argmax(expected))))
        assert column(page, "compare-drawing", name) == pytest.approx(expected, abs=0.002)
    expect(page.get_by_test_id("compare-drawing").locator("thead")).to_contain_text(
        f"version {versions[1]}"
    )


def test_two_versions_on_the_test_set(page: Page, api: httpx.Client, versions: Versions) -> None:
    compare(page, *versions)
    reports = [evaluation(api, version) for version in versions]
    confusions = [np.array(report["confusion"]) for report in reports]
    accuracies = [each.diagonal() / each.sum(axis=1) for each in confusions]
    for side, name, nth in (("a", "first", 0), ("b", "second", 1)):
        accuracy = page.get_by_test_id(f"compare-accuracy-{side}")
        expect(accuracy).to_have_text(f"{reports[nth]['test_acc'] * 100:.2f}")
        loss = page.get_by_test_id(f"compare-loss-{side}")
        expect(loss).to_have_text(f"{reports[nth]['loss']:.4f}")
        shown = column(page, "compare-test", name)
        assert shown == pytest.approx([100 * value for value in accuracies[nth]], abs=0.051)
    fewer = round((reports[1]["test_acc"] - reports[0]["test_acc"]) * reports[0]["count"])
    words = page.get_by_test_id("compare-test-words")
    expect(words).to_contain_text(f"Version {versions[1]} misreads {fewer} digits fewer.")
    better = [digit for digit in range(10) if accuracies[1][digit] > accuracies[0][digit] + 0.001]
    listed = ", ".join(map(str, better[:-1])) + f" and {better[-1]}"
    expect(words).to_contain_text(f"Version {versions[1]} is better at {listed}.")
    changes = confusions[1] - confusions[0]
    np.fill_diagonal(changes, 0)
    rows = page.get_by_test_id("compare-differences").locator("tbody tr")
    expect(rows).to_have_count(6)
    first = rows.first.locator("th, td").all_text_contents()
    largest = int(np.abs(changes).max())
    assert int(first[2]) - int(first[1]) == int(first[3].replace("\N{MINUS SIGN}", "-"))
    assert abs(int(first[2]) - int(first[1])) == largest


def test_the_live_one_is_followed(page: Page, api: httpx.Client, versions: Versions) -> None:
    draw(page, SEVEN)
    expect_guess(page)
    look_at(page)
    page.get_by_test_id("compare-a").select_option(str(versions[0]))
    expect(page.get_by_test_id("compare-b")).to_have_value("live")
    digit = page.get_by_test_id("compare-digit-b")
    expect(digit).to_have_text(page.get_by_test_id("guess").inner_text())
    before = page.get_by_test_id("compare-accuracy-b").inner_text()
    train(api, 60)
    expect(page.get_by_test_id("compare-accuracy-b")).not_to_have_text(before)
    accuracy = api.get("/evaluation").json()["test_acc"]
    expect(page.get_by_test_id("compare-accuracy-b")).to_have_text(f"{accuracy * 100:.2f}")


def test_a_link_holds_what_is_compared(page: Page, open_page: OpenPage, versions: Versions) -> None:
    compare(page, *versions)
    pair = f"compare={versions[0]}-{versions[1]}"
    expect(page).to_have_url(re.compile(pair))
    other = open_page()
    other.goto(page.url)
    look_at(other)
    expect(other.get_by_test_id("compare-a")).to_have_value(str(versions[0]))
    expect(other.get_by_test_id("compare-b")).to_have_value(str(versions[1]))
    expect(other.get_by_test_id("compare-accuracy-a")).not_to_have_text(NOTHING)
    expect(other.get_by_text("Draw a digit, and see what each of them reads.")).to_be_visible()
    other.get_by_test_id("compare-end").click()
    expect(other).not_to_have_url(re.compile("compare="))
    expect(other.get_by_test_id("compare-a")).to_be_focused()
    expect(other.get_by_test_id("compare-accuracy-a")).not_to_be_visible()


def test_a_version_that_is_gone_is_said_and_another_one_can_be_chosen(
    page: Page, api: httpx.Client, versions: Versions
) -> None:
    api.delete(f"/weights/versions/{versions[0]}").raise_for_status()
    page.goto(f"{page.url.split('#')[0]}?#compare={versions[0]}-{versions[1]}")
    look_at(page)
    error = page.get_by_test_id("compare-error")
    expect(error).to_have_text(f"Version {versions[0]} is no longer kept: choose another one.")
    option = page.get_by_test_id("compare-a").locator(f"option[value='{versions[0]}']")
    expect(option).to_have_text(f"{versions[0]}, no longer kept")
    page.get_by_test_id("compare-a").select_option("live")
    expect(error).not_to_be_visible()
    expect(page.get_by_test_id("compare-accuracy-a")).not_to_have_text(NOTHING)


def test_on_a_phone(open_page: OpenPage, versions: Versions) -> None:
    phone = open_page(PHONE)
    compare(phone, *versions)
    expect(phone.get_by_test_id("compare-accuracy-b")).not_to_have_text(NOTHING)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
