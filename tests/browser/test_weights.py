"""Weights and teaching from the page, their effect read at the server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from safetensors.numpy import load_file

from tests.browser.conftest import DESKTOP, PHONE, OpenPage, Status
from tests.browser.sheet import SEVEN, draw
from tests.running import wait_until

FORMATS = ["json", "safetensors", "npz", "onnx"]
PAGE_SIZE = 50  # rows of a long history that are shown at once, see frontend/core/versions.js
# Puts a file into a drag and drops it: Playwright has no files of the desktop to drag.
DRAG = """([selector, files, kinds]) => {
    const data = new DataTransfer();
    for (const {name, text} of files) {
        data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
    }
    const target = document.querySelector(selector);
    for (const kind of kinds) {
        const event = {dataTransfer: data, bubbles: true, cancelable: true};
        target.dispatchEvent(new DragEvent(kind, event));
    }
}"""


def train(page: Page, status: Status, iterations: int) -> int:
    """Train so many iterations from the page; return the iteration that is reached."""
    target = int(status()["iteration"]) + iterations
    page.get_by_test_id("train-n-count").fill(str(iterations))
    page.get_by_test_id("train-n").click()
    wait_until(lambda: status()["iteration"] == target and not status()["training"])
    return target


def train_at_server(api: httpx.Client, status: Status, iterations: int) -> int:
    """Train so many iterations without the page; return the iteration that is reached."""
    target = int(status()["iteration"]) + iterations
    api.post("/control", json={"type": "Start", "iterations": iterations}).raise_for_status()
    wait_until(lambda: status()["iteration"] == target and not status()["training"])
    return target


def download(page: Page, kind: str, folder: Path, button: str = "weights-download") -> Path:
    """Download weights in one format: the live ones, or by another button."""
    page.get_by_test_id("weights-format").select_option(kind)
    with page.expect_download() as started:
        page.get_by_test_id(button).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def reset(page: Page, status: Status) -> None:
    """Start afresh from random weights."""
    page.get_by_test_id("weights-reset").click()
    wait_until(lambda: status()["iteration"] == 0)
    expect(page.get_by_text("Started afresh with version")).to_be_visible()  # or it were said later


def save(api: httpx.Client, name: str | None = None) -> int:
    """Save the live weights at the server; return the version."""
    answer = api.post("/weights/versions", json={"name": name}).raise_for_status()
    return int(answer.json()["version"])


def history(api: httpx.Client) -> dict[int, dict[str, Any]]:
    """Return the versions that the server has."""
    entries = api.get("/weights/versions").raise_for_status().json()["versions"]
    return {entry["version"]: entry for entry in entries}


def row_of(page: Page, version: int) -> Locator:
    """Return the row of one version."""
    radio = page.locator(f'input[type=radio][value="{version}"]')
    return page.get_by_test_id("weights-versions").locator("tr").filter(has=radio)


def live_row(page: Page) -> Locator:
    """Return the row that is marked as the live one."""
    tag = page.locator("[data-cell=live]:visible")
    return page.get_by_test_id("weights-versions").locator("tr").filter(has=tag)


def place_in_list(page: Page, version: int) -> float:
    """Return how far below the upper edge of the list, as it is scrolled, a row is seen (px)."""
    place: float = row_of(page, version).evaluate(
        """(row) => row.getBoundingClientRect().top
                    - row.closest(".versions-scroll").getBoundingClientRect().top"""
    )
    return place


def look(page: Page) -> None:
    """Bring the panel before one's eyes: its list is fetched only then."""
    page.locator("[data-panel=weights]").scroll_into_view_if_needed()


def choose(page: Page, version: int) -> None:
    """Choose a version in the list."""
    look(page)
    row_of(page, version).get_by_role("radio").check()


def shown(page: Page) -> list[int]:
    """Return the numbers of the versions in the order in which they are shown."""
    radios = page.locator("[data-part=version-rows] input[type=radio]")
    return [int(value) for value in radios.evaluate_all("(all) => all.map((one) => one.value)")]


def drop(page: Page, *paths: Path, kinds: tuple[str, ...] = ("dragover", "drop")) -> None:
    """Drag files over the panel, and drop them on it."""
    files = [
        {"name": path.name, "text": base64.b64encode(path.read_bytes()).decode()} for path in paths
    ]
    page.evaluate(DRAG, ["[data-part=version-rows]", files, ["dragenter", *kinds]])


@contextmanager
def slow_uploads(page: Page, bytes_per_second: int) -> Iterator[None]:
    """Let the page send slowly."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": bytes_per_second})
    try:
        yield
    finally:
        session.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
        session.detach()


def test_save_then_train_on_then_restore(page: Page, api: httpx.Client, status: Status) -> None:
    saved_at = train(page, status, 20)
    weights = api.get("/weights").json()
    page.get_by_test_id("weights-name").fill("before more")
    page.get_by_test_id("weights-save").click()
    row = page.get_by_test_id("weights-versions").locator("tr", has_text="before more").first
    expect(row).to_be_visible()
    entries = api.get("/weights/versions").json()["versions"]
    assert next(e for e in entries if e["name"] == "before more")["iteration"] == saved_at
    train(page, status, 20)
    row.get_by_role("radio").check()
    page.get_by_test_id("weights-restore").click()
    wait_until(lambda: status()["iteration"] == saved_at)
    assert api.get("/weights").json() == weights
    expect(page.get_by_test_id("iteration")).to_have_text(str(saved_at))
    expect(live_row(page).get_by_text("restored")).to_be_visible()
    expect(live_row(page)).to_contain_text("before more")


def test_delete_asks_and_removes_the_chosen_version(page: Page, api: httpx.Client) -> None:
    version, other = save(api, "to be deleted"), save(api, "to stay")
    choose(page, version)
    delete = page.get_by_test_id("version-delete")
    delete.click()
    expect(delete).to_have_text(f"Really delete {version}?")
    choose(page, other)
    expect(delete).to_have_text("Delete")  # another choice takes the question back
    choose(page, version)
    delete.dblclick()
    expect(delete).to_have_text(f"Really delete {version}?")  # a double click is one press
    assert version in history(api)
    delete.click()
    expect(page.get_by_text(f"Version {version} is deleted.")).to_be_visible()
    assert version not in history(api)
    assert other in history(api)
    expect(row_of(page, version)).to_have_count(0)
    expect(page.locator("[data-part=version-rows] input:checked")).to_have_count(1)


def test_a_version_is_renamed_in_its_row(page: Page, api: httpx.Client) -> None:
    version = save(api, "first name")
    choose(page, version)
    rename = page.get_by_test_id("version-rename")
    name = page.get_by_test_id("version-new-name")
    rename.click()
    expect(name).to_be_focused()
    expect(name).to_have_value("first name")
    page.keyboard.type("second name")  # what was there is selected
    page.keyboard.press("Enter")
    expect(row_of(page, version)).to_contain_text("second name")
    assert history(api)[version]["name"] == "second name"
    expect(row_of(page, version).get_by_role("radio")).to_be_focused()
    rename.click()
    name.fill("third name")
    name.press("Escape")
    expect(name).to_be_hidden()
    assert history(api)[version]["name"] == "second name"
    rename.click()
    name.fill("")
    page.get_by_test_id("version-keep-name").click()
    expect(row_of(page, version)).not_to_contain_text("second name")
    wait_until(lambda: history(api)[version]["name"] is None)


def test_reset_starts_afresh_and_what_was_learnt_can_be_restored(
    page: Page, status: Status, api: httpx.Client
) -> None:
    reached = train(page, status, 10)
    reset(page, status)
    expect(page.get_by_test_id("iteration")).to_have_text("0")
    expect(page.get_by_text("Started afresh with version")).to_be_visible()
    kept = next(entry for entry in history(api).values() if entry["iteration"] == reached)
    choose(page, kept["version"])
    page.get_by_test_id("weights-restore").click()
    expect(page.get_by_test_id("iteration")).to_have_text(str(reached))


def test_undo_brings_back_what_was_live(page: Page, status: Status, api: httpx.Client) -> None:
    reached = train(page, status, 10)
    weights = api.get("/weights").json()
    reset(page, status)
    page.get_by_test_id("weights-undo").click()
    expect(page.locator("[data-part=weights-note]")).to_contain_text("is live again")
    wait_until(lambda: status()["iteration"] == reached)
    assert api.get("/weights").json() == weights
    expect(page.get_by_test_id("weights-undo")).to_be_hidden()


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_downloaded_can_be_uploaded_again(
    page: Page, api: httpx.Client, status: Status, tmp_path: Path, kind: str
) -> None:
    train(page, status, 5)
    weights = api.get("/weights").json()
    path = download(page, kind, tmp_path)
    assert path.suffix == f".{kind}"
    reset(page, status)
    before = status()["version"]
    page.get_by_test_id("weights-upload").set_input_files(path)
    expect(page.get_by_text("is now version")).to_be_visible()
    wait_until(lambda: status()["version"] > before)
    assert api.get("/weights").json() == weights


def test_a_safetensors_download_holds_both_matrices(page: Page, tmp_path: Path) -> None:
    tensors = load_file(download(page, "safetensors", tmp_path))
    assert tensors["w1"].shape == (784, 128)
    assert tensors["w2"].shape == (128, 10)


def test_any_version_is_downloaded_in_any_format(
    page: Page, api: httpx.Client, status: Status, tmp_path: Path
) -> None:
    version = save(api, "to fetch")
    train(page, status, 3)
    choose(page, version)
    for kind in FORMATS:
        path = download(page, kind, tmp_path, "version-download")
        assert path.name == f"inkling-{version}.{kind}"
        there = api.get(f"/weights/versions/{version}", params={"format": kind}).content
        assert len(there) > 100_000
        assert len(path.read_bytes()) == len(there)
        if kind in ("json", "onnx"):  # the others hold their time or their fields in any order
            assert path.read_bytes() == there
    expect(page.get_by_test_id("version-download")).to_have_text("Download as onnx")


def test_a_dropped_file_goes_live(
    page: Page, api: httpx.Client, status: Status, tmp_path: Path
) -> None:
    train_at_server(api, status, 3)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(api.get("/weights", params={"format": "safetensors"}).content)
    weights = api.get("/weights").json()
    reached = train_at_server(api, status, 3)
    panel = page.locator("[data-panel=weights]")
    look(page)
    drop(page, path, kinds=("dragover",))
    expect(panel).to_have_attribute("data-inviting", "")
    expect(panel).to_have_attribute("data-over", "")
    drop(page, path)
    expect(page.get_by_text("mine.safetensors is now version")).to_be_visible()
    expect(panel).not_to_have_attribute("data-inviting", "")
    assert api.get("/weights").json() == weights
    assert any(  # what was live before can be had back
        entry["iteration"] == reached and entry["origin"] == "checkpoint"
        for entry in history(api).values()
    )


def test_only_one_file_is_taken(page: Page, status: Status, tmp_path: Path) -> None:
    before = status()["version"]
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in paths:
        path.write_text("{}")
    look(page)
    drop(page, *paths)
    expect(page.get_by_text("One file at a time")).to_be_visible()
    assert status()["version"] == before


def test_the_progress_of_an_upload_is_shown(
    page: Page, api: httpx.Client, status: Status, tmp_path: Path
) -> None:
    path = tmp_path / "slow.safetensors"
    path.write_bytes(api.get("/weights", params={"format": "safetensors"}).content)
    before = status()["version"]
    bar = page.get_by_test_id("upload-progress")
    with slow_uploads(page, 300_000):
        page.get_by_test_id("weights-upload").set_input_files(path)
        expect(bar).to_be_visible()
        shares: list[float] = []

        def is_under_way() -> bool:
            shares.append(bar.evaluate("(bar) => bar.value"))
            return 0 < shares[-1] < 1

        wait_until(is_under_way, what="a share of the file")
        expect(page.get_by_text(f"Uploading {path.name}…")).to_be_visible()
        expect(page.get_by_text("is now version")).to_be_visible()
    expect(bar).to_be_hidden()
    assert shares == sorted(shares)
    wait_until(lambda: status()["version"] > before)


def test_an_upload_can_be_cancelled(
    page: Page, api: httpx.Client, status: Status, tmp_path: Path
) -> None:
    path = tmp_path / "slow.safetensors"
    path.write_bytes(api.get("/weights", params={"format": "safetensors"}).content)
    before = status()["version"], set(history(api))
    with slow_uploads(page, 40_000):
        page.get_by_test_id("weights-upload").set_input_files(path)
        page.get_by_test_id("upload-cancel").click()
        expect(page.get_by_text("Cancelled: nothing was changed.")).to_be_visible()
    expect(page.get_by_test_id("upload-progress")).to_be_hidden()
    assert (status()["version"], set(history(api))) == before
    page.get_by_test_id("weights-upload").set_input_files(path)  # and it can be sent after all
    expect(page.get_by_text("is now version")).to_be_visible()


def test_a_broken_upload_shows_the_servers_reason(
    page: Page, status: Status, tmp_path: Path
) -> None:
    before = status()["version"]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"weights": [[1, 2], [3]]}))
    page.get_by_test_id("weights-upload").set_input_files(broken)
    with httpx.Client(base_url=page.url) as client:
        refused = client.post(
            "/weights", content=broken.read_bytes(), headers={"Content-Type": "application/json"}
        )
    assert refused.status_code >= 400
    expect(page.locator("[data-part=weights-error]")).to_have_text(refused.json()["detail"])
    assert status()["version"] == before


def test_a_file_of_another_kind_is_not_sent(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "weights.txt"
    text.write_text("no weights")
    page.get_by_test_id("weights-upload").set_input_files(text)
    expect(
        page.get_by_text("weights.txt is not one of json, safetensors, npz, onnx")
    ).to_be_visible()


def test_the_list_is_sorted_by_a_press_on_a_head(
    page: Page, api: httpx.Client, status: Status
) -> None:
    api.delete("/weights").raise_for_status()
    train_at_server(api, status, 40)
    save(api, "rather good")
    wait_until(lambda: all(entry["test_acc"] is not None for entry in history(api).values()))
    look(page)
    head = page.get_by_role("columnheader", name="Test accuracy")
    expect(page.get_by_role("columnheader", name="Version")).to_have_attribute(
        "aria-sort", "descending"
    )
    wait_until(lambda: shown(page) == sorted(history(api), reverse=True)[:PAGE_SIZE])
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    order = sorted(history(api).values(), key=lambda entry: (-entry["test_acc"], -entry["version"]))
    wait_until(lambda: shown(page) == [entry["version"] for entry in order][:PAGE_SIZE])
    for entry in order[:2]:
        tag = row_of(page, entry["version"]).get_by_text("best", exact=True)
        expect(tag).to_be_visible(visible=entry is order[0])
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(head.get_by_role("button")).to_be_focused()
    assert history(api)[shown(page)[0]]["test_acc"] == order[-1]["test_acc"]


def test_compare_puts_the_chosen_version_beside_the_live_one(page: Page, api: httpx.Client) -> None:
    version = save(api, "to compare")
    choose(page, version)
    page.get_by_test_id("version-compare").click()
    expect(page.get_by_test_id("compare-a")).to_have_value(str(version))
    expect(page.get_by_test_id("compare-b")).to_have_value("live")
    expect(page.get_by_test_id("compare-a")).to_be_in_viewport()
    expect(page).to_have_url(re.compile(f"compare={version}-live"))


def test_two_browsers_see_the_same_history(
    open_page: OpenPage, api: httpx.Client, status: Status
) -> None:
    reached = train_at_server(api, status, 5)
    kept = [save(api, f"kept {k}") for k in range(14)]
    one, other = open_page(), open_page(PHONE)
    choose(one, kept[0])
    choose(other, kept[3])
    row_of(other, kept[3]).get_by_role("radio").focus()
    place = place_in_list(other, kept[3])
    one.get_by_test_id("weights-restore").click()
    expect(one.get_by_text("is live again")).to_be_visible()
    expect(live_row(other)).to_contain_text("kept 0")
    wait_until(lambda: status()["iteration"] == reached)
    # The other one loses neither its choice nor its place nor the focus.
    expect(row_of(other, kept[3]).get_by_role("radio")).to_be_checked()
    expect(row_of(other, kept[3]).get_by_role("radio")).to_be_focused()
    assert place_in_list(other, kept[3]) == pytest.approx(place, abs=1)
    # What is gone meanwhile is said by the server, and leaves the list.
    api.delete(f"/weights/versions/{kept[3]}").raise_for_status()
    other.get_by_test_id("weights-restore").click()
    expect(other.locator("[data-part=weights-error]")).to_contain_text(
        f"there is no version {kept[3]}"
    )
    expect(row_of(other, kept[3])).to_have_count(0)


def test_a_save_elsewhere_appears_by_itself(page: Page, api: httpx.Client) -> None:
    look(page)
    expect(page.locator("[data-part=version-rows] tr").first).to_be_visible()
    version = save(api, "by somebody else")
    expect(row_of(page, version)).to_contain_text("by somebody else")


def test_everything_works_by_keyboard(page: Page, api: httpx.Client, status: Status) -> None:
    older, newer = save(api, "older"), save(api, "newer")
    choose(page, newer)
    row_of(page, newer).get_by_role("radio").focus()
    page.keyboard.press("ArrowDown")
    expect(row_of(page, older).get_by_role("radio")).to_be_checked()
    focused = "() => document.activeElement.dataset.testid"
    visited: list[str | None] = []
    while not visited or visited[-1] != "version-delete":
        page.keyboard.press("Tab")
        visited.append(page.evaluate(focused))
    actions = ["weights-restore", "version-compare", "version-rename", "version-download"]
    assert visited[-5:-1] == actions
    assert len(visited) <= 7  # the ways to other pages come before
    for _ in actions:
        page.keyboard.press("Shift+Tab")
    before = status()["version"]
    page.keyboard.press("Enter")
    wait_until(lambda: status()["version"] > before)
    expect(page.get_by_text("is live again")).to_be_visible()
    expect(page.get_by_test_id("weights-restore")).to_be_focused()  # although it had to wait
    page.get_by_test_id("version-delete").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    wait_until(lambda: older not in history(api))
    page.get_by_test_id("weights-name").focus()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    wait_until(lambda: "by keyboard" in [entry["name"] for entry in history(api).values()])


@pytest.mark.parametrize("width", [390, 360])
def test_on_a_phone_everything_is_there(
    open_page: OpenPage, api: httpx.Client, status: Status, width: int
) -> None:
    version = save(api, "a name that is long enough to need a second line on a phone")
    phone = open_page(PHONE, viewport={"width": width, "height": 740})
    look(phone)
    row = row_of(phone, version)
    row.locator("time").tap()  # anywhere on the row
    expect(row.get_by_role("radio")).to_be_checked()
    entry = history(api)[version]
    for text in (f"{entry['iteration']}", "saved", "just now"):
        expect(row.get_by_text(text).first).to_be_visible()
    panel = phone.locator("[data-panel=weights]")
    room = panel.bounding_box()
    assert room is not None
    for control in panel.locator("button:visible:not(.help):not([data-sort]), select").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 44, control
        assert box["x"] >= room["x"], control
        assert box["x"] + box["width"] <= room["x"] + room["width"], control
    before = status()["version"]
    phone.get_by_test_id("weights-restore").tap()
    wait_until(lambda: status()["version"] > before)


def test_a_long_history_has_pages(open_page: OpenPage, api: httpx.Client) -> None:
    for _ in range(PAGE_SIZE + 5 - len(history(api))):
        save(api)
    page = open_page(DESKTOP)
    look(page)
    rows = page.locator("[data-part=version-rows] tr")
    expect(rows).to_have_count(PAGE_SIZE)
    order = sorted(history(api), reverse=True)
    label = page.get_by_test_id("versions-shown")
    expect(label).to_have_text(f"1 to {PAGE_SIZE} of {len(order)}")
    page.get_by_test_id("versions-on").click()
    last = min(2 * PAGE_SIZE, len(order))
    expect(label).to_have_text(f"{PAGE_SIZE + 1} to {last} of {len(order)}")
    assert shown(page) == order[PAGE_SIZE : 2 * PAGE_SIZE]
    page.get_by_role("columnheader", name="Iteration").get_by_role("button").click()
    expect(label).to_have_text(f"1 to {PAGE_SIZE} of {len(order)}")
    most = max(entry["iteration"] for entry in history(api).values())
    assert history(api)[shown(page)[0]]["iteration"] == most


def test_tune_takes_a_step_on_the_drawing(page: Page, status: Status) -> None:
    draw(page, SEVEN)
    before = status()["version"]
    page.get_by_test_id("tune-label").select_option("7")
    losses = []
    for _ in range(3):
        with page.expect_response(lambda response: response.request.method == "PATCH") as answer:
            page.get_by_test_id("tune").click()
        losses.append(answer.value.json()["loss"])
        expect(page.get_by_test_id("tune-loss")).to_have_text(f"{losses[-1]:.4f}")
        expect(page.get_by_test_id("tune")).to_be_enabled()
    assert losses[2] < losses[0]
    wait_until(lambda: status()["version"] > before)


def test_tune_without_a_drawing_asks_for_one(page: Page) -> None:
    page.get_by_test_id("tune").click()
    expect(page.get_by_text("Draw a digit first.")).to_be_visible()
