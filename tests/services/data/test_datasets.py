"""Data sets from the folder, the cache and the program's pen, and what is said about them."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.data.datasets import prepare
from services.data.idx import DataSetError
from tests.services.data.samples import TEST_COUNT, TRAIN_COUNT, Scene, put, small_set

IMAGES = "train-images-idx3-ubyte"


def pixels(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8, offset=16).reshape(-1, 784)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("choice", ["auto", "mnist"])
def test_mnist_comes_from_the_folder(
    scene: Scene, tmp_path: Path, choice: str, packed: bool
) -> None:
    folder = put(tmp_path / "data", scene.mnist, packed=packed)
    data = prepare(choice, scene.places(folder), scene.progress)
    assert (data.name, data.reason) == ("mnist", f"MNIST from the folder {folder}")
    assert len(data.train.labels) == TRAIN_COUNT
    assert len(data.test.labels) == TEST_COUNT
    np.testing.assert_array_equal(data.train.images, pixels(scene.mnist[IMAGES]))


@pytest.mark.parametrize("choice", ["auto", "fashion-mnist"])
@pytest.mark.parametrize("below", ["", "fashion-mnist"])
def test_the_sums_tell_fashion_mnist_from_mnist(
    scene: Scene, tmp_path: Path, choice: str, below: str
) -> None:
    folder = put(tmp_path / "data" / below, scene.fashion)
    data = prepare(choice, scene.places(tmp_path / "data"), scene.progress)
    assert (data.name, data.reason) == ("fashion-mnist", f"Fashion-MNIST from the folder {folder}")


def test_a_folder_may_have_both(scene: Scene, tmp_path: Path) -> None:
    put(tmp_path / "mnist", scene.mnist)
    put(tmp_path / "fashion-mnist", scene.fashion)
    places = scene.places(tmp_path)
    names = [prepare(c, places, scene.progress).name for c in ("auto", "mnist", "fashion-mnist")]
    assert names == ["mnist", "mnist", "fashion-mnist"]


def test_the_other_data_set_in_the_folder_is_not_used(scene: Scene, tmp_path: Path) -> None:
    folder = put(tmp_path / "data", scene.fashion)
    with pytest.raises(DataSetError, match=r"There is no MNIST in INKLING_DATA_DIR .*data\) or "):
        prepare("mnist", scene.places(folder), scene.progress)
    assert f"The folder {folder} has Fashion-MNIST, which is not what is asked for" in scene.said


def test_files_of_ones_own_are_used_with_a_warning(scene: Scene, tmp_path: Path) -> None:
    own = small_set(9)
    folder = put(tmp_path / "data", own)
    for _ in range(2):
        data = prepare("auto", scene.places(folder), scene.progress)
        assert data.name == "mnist"
        assert data.reason == (
            f"IDX files from the folder {folder}, which are not the published ones"
        )
        assert scene.said[-1] == f"Warning: {data.reason}"
    np.testing.assert_array_equal(data.train.images, pixels(own[IMAGES]))


def test_files_of_ones_own_never_become_the_cached_mnist(scene: Scene, tmp_path: Path) -> None:
    prepare("mnist", scene.places(put(tmp_path / "data", small_set(9))), scene.progress)
    with pytest.raises(DataSetError, match="There is no MNIST"):
        prepare("mnist", scene.places(), scene.progress)


def test_the_folder_is_read_only(scene: Scene, tmp_path: Path) -> None:
    folder = put(tmp_path / "data", scene.mnist)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o555)
    prepare("auto", scene.places(folder), scene.progress)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_what_was_unpacked_once_is_not_unpacked_again(scene: Scene, tmp_path: Path) -> None:
    places = scene.places(put(tmp_path / "data", scene.mnist))
    prepare("auto", places, scene.progress)
    assert scene.said == [f"Unpacking the files in {tmp_path / 'data'}"]
    first = (scene.cache_dir / "mnist" / IMAGES).stat().st_ino
    prepare("auto", places, scene.progress)
    assert len(scene.said) == 1
    assert (scene.cache_dir / "mnist" / IMAGES).stat().st_ino == first


def test_new_files_in_the_folder_replace_the_old(scene: Scene, tmp_path: Path) -> None:
    folder = put(tmp_path / "data", small_set(8))
    prepare("auto", scene.places(folder), scene.progress)
    newer = small_set(9)
    put(folder, newer)
    data = prepare("auto", scene.places(folder), scene.progress)
    np.testing.assert_array_equal(data.train.images, pixels(newer[IMAGES]))


def test_mnist_comes_from_the_cache_when_the_folder_is_gone(scene: Scene, tmp_path: Path) -> None:
    prepare("auto", scene.places(put(tmp_path / "data", scene.mnist)), scene.progress)
    data = prepare("auto", scene.places(), scene.progress)
    assert (data.name, data.reason) == ("mnist", "MNIST from the cache")


@pytest.mark.parametrize("choice", ["auto", "mnist"])
def test_a_broken_file_in_the_folder_is_never_passed_over(
    scene: Scene, tmp_path: Path, choice: str
) -> None:
    folder = put(tmp_path / "data", scene.mnist)
    broken = folder / f"{IMAGES}.gz"
    broken.write_bytes(broken.read_bytes()[:-20])
    with pytest.raises(DataSetError, match="is not a whole gzip file") as caught:
        prepare(choice, scene.places(folder), scene.progress)
    assert str(caught.value).startswith(str(broken))
    assert sorted(path.name for path in scene.cache_dir.iterdir()) == ["lock"]


def test_a_missing_file_is_named(scene: Scene, tmp_path: Path) -> None:
    folder = put(tmp_path / "data", scene.mnist)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataSetError, match=r"lacks t10k-labels-idx1-ubyte \(or the same with .gz"):
        prepare("auto", scene.places(folder), scene.progress)


def test_labels_that_do_not_belong_to_the_images_are_told(scene: Scene, tmp_path: Path) -> None:
    mixed = scene.mnist | {"train-labels-idx1-ubyte": scene.mnist["t10k-labels-idx1-ubyte"]}
    folder = put(tmp_path / "data", mixed)
    with pytest.raises(DataSetError, match="has 600 images but train-labels-idx1-ubyte has 50"):
        prepare("auto", scene.places(folder), scene.progress)


def test_a_folder_that_is_none_is_told(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"INKLING_DATA_DIR=.*nowhere is not a folder"):
        prepare("auto", scene.places(tmp_path / "nowhere"), scene.progress)


def test_a_file_that_cannot_be_read_is_told(scene: Scene, tmp_path: Path) -> None:
    folder = put(tmp_path / "data", scene.mnist)
    (folder / f"{IMAGES}.gz").unlink()
    (folder / f"{IMAGES}.gz").symlink_to("/proc/self/mem")  # not even root can read its beginning
    with pytest.raises(DataSetError, match=r"cannot be read \(Input/output error\)"):
        prepare("auto", scene.places(folder), scene.progress)


def test_a_cache_that_cannot_be_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.cache_dir = tmp_path / "file" / "cache"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataSetError, match=r"INKLING_CACHE_DIR=.*cannot be written to"):
        prepare("synthetic", scene.places(), scene.progress)


def test_an_unknown_choice_is_told(scene: Scene) -> None:
    with pytest.raises(DataSetError, match="'letters' is not one of auto, mnist, fashion-mnist, s"):
        prepare("letters", scene.places(), scene.progress)


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "manifest"])
def test_a_damaged_cache_is_noticed_and_made_again(
    scene: Scene, tmp_path: Path, damage: str
) -> None:
    places = scene.places(put(tmp_path / "data", scene.mnist))
    prepare("auto", places, scene.progress)
    victim = scene.cache_dir / "mnist" / ("manifest.json" if damage == "manifest" else IMAGES)
    data = bytearray(victim.read_bytes())
    if damage == "gone":
        victim.unlink()
    elif damage == "changed":
        data[5000] ^= 1
        victim.write_bytes(data)
    else:
        victim.write_bytes(data[: len(data) // 2])
    again = prepare("auto", places, scene.progress)
    np.testing.assert_array_equal(again.train.images, pixels(scene.mnist[IMAGES]))
    assert any(f"mnist is damaged ({victim.name}); it is made again" in s for s in scene.said)


def test_what_a_killed_process_left_is_no_obstacle(scene: Scene, tmp_path: Path) -> None:
    staging = scene.cache_dir / "staging"
    staging.mkdir(parents=True)
    (staging / IMAGES).write_bytes(b"half")
    prepare("auto", scene.places(put(tmp_path / "data", scene.mnist)), scene.progress)
    assert not staging.exists()


def test_auto_draws_digits_where_there_is_nothing_and_says_why(scene: Scene) -> None:
    data = prepare("auto", scene.places(), scene.progress)
    assert data.name == "synthetic"
    assert data.reason == (
        "Digits drawn by the program: no MNIST in INKLING_DATA_DIR (not set) or the cache, "
        "and no mirror gave it (there is none)"
    )
    assert f"Using digits {data.reason[7:]}" in scene.said
    assert (len(data.train.labels), len(data.test.labels)) == (700, 40)


@pytest.mark.parametrize(
    ("choice", "title"), [("mnist", "MNIST"), ("fashion-mnist", "Fashion-MNIST")]
)
def test_the_other_choices_fail_clearly(scene: Scene, choice: str, title: str) -> None:
    with pytest.raises(DataSetError) as caught:
        prepare(choice, scene.places(), scene.progress)
    message = str(caught.value)
    assert message.startswith(f"There is no {title} in INKLING_DATA_DIR (not set) or the cache")
    assert "name it in INKLING_DATA_DIR, or set INKLING_DATASET=synthetic." in message


def test_synthetic_is_drawn_once_with_progress(scene: Scene) -> None:
    data = prepare("synthetic", scene.places(), scene.progress)
    assert data.reason == "Digits drawn by the program: as INKLING_DATASET asks"
    assert "Drawing 700 digits to train with: 100 %" in scene.said
    assert "Drawing 40 digits to test with: 100 %" in scene.said
    scene.said.clear()
    again = prepare("synthetic", scene.places(), scene.progress)
    assert scene.said == []
    np.testing.assert_array_equal(again.train.images, data.train.images)
    np.testing.assert_array_equal(again.test.labels, data.test.labels)


def test_another_drawing_is_drawn_anew(scene: Scene) -> None:
    places = scene.places()
    first = prepare("synthetic", places, scene.progress)
    other = replace(places, drawing=replace(places.drawing, seed=6))
    second = prepare("synthetic", other, scene.progress)
    assert (first.train.images != second.train.images).any()


def test_digits_of_an_older_program_are_drawn_anew(scene: Scene) -> None:
    prepare("synthetic", scene.places(), scene.progress)
    path = scene.cache_dir / "synthetic" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sources"]["style"] = "0"
    path.write_text(json.dumps(manifest))
    scene.said.clear()
    prepare("synthetic", scene.places(), scene.progress)
    assert "Drawing 700 digits to train with: 100 %" in scene.said


def test_synthetic_ignores_the_folder(scene: Scene, tmp_path: Path) -> None:
    folder = put(tmp_path / "data", {IMAGES: gzip.compress(b"broken")})
    assert prepare("synthetic", scene.places(folder), scene.progress).name == "synthetic"
