"""Weights and teaching from the page, their effect read at the server."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file

from tests.browser.conftest import Status
from tests.browser.sheet import SEVEN, draw
from tests.conftest import wait_until


def train(page: Page, status: Status, iterations: int) -> int:
    """Train so many iterations from the page; return the iteration that is reached."""
    target = int(status()["iteration"]) + iterations
    page.get_by_test_id("train-n-count").fill(str(iterations))
    page.get_by_test_id("train-n").click()
    wait_until(lambda: status()["iteration"] == target and not status()["training"])
    return target


def download(page: Page, kind: str, folder: Path) -> Path:
    """Download the live weights in one format."""
    page.get_by_test_id("weights-format").select_option(kind)
    with page.expect_download() as started:
        page.get_by_test_id("weights-download").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def reset(page: Page, status: Status) -> None:
    """Start afresh from random weights."""
    page.get_by_test_id("weights-reset").click()
    wait_until(lambda: status()["iteration"] == 0)


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


def test_delete_removes_the_chosen_version(page: Page, api: httpx.Client) -> None:
    page.get_by_test_id("weights-name").fill("to be deleted")
    page.get_by_test_id("weights-save").click()
    row = page.get_by_test_id("weights-versions").locator("tr", has_text="to be deleted").first
    row.get_by_role("radio").check()
    page.get_by_test_id("version-delete").click()
    expect(page.get_by_text("is deleted")).to_be_visible()
    names = [entry["name"] for entry in api.get("/weights/versions").json()["versions"]]
    assert "to be deleted" not in names
    expect(page.get_by_test_id("weights-versions").get_by_text("to be deleted")).to_have_count(0)


def test_reset_starts_afresh_and_what_was_learnt_can_be_restored(
    page: Page, status: Status, api: httpx.Client
) -> None:
    reached = train(page, status, 10)
    reset(page, status)
    expect(page.get_by_test_id("iteration")).to_have_text("0")
    expect(page.get_by_text("Started afresh with version")).to_be_visible()
    versions = api.get("/weights/versions").json()["versions"]
    kept = next(entry for entry in versions if entry["iteration"] == reached)
    row = page.get_by_test_id("weights-versions").locator("tr", has_text=str(kept["version"])).first
    row.get_by_role("radio").check()
    page.get_by_test_id("weights-restore").click()
    expect(page.get_by_test_id("iteration")).to_have_text(str(reached))


@pytest.mark.parametrize("kind", ["json", "safetensors", "npz", "onnx"])
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
