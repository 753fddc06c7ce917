"""Downloads, from a real server on the loopback: in turn, checked, and once for all processes."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from services.data import cache, fetch
from services.data.datasets import prepare
from services.data.idx import FILE_NAMES, DataSetError
from tests.services.data.samples import Mirror, Scene, small_set

IMAGES = "train-images-idx3-ubyte"
ROOT = Path(__file__).parents[3]
ONCE_EACH = {f"{name}.gz": 1 for name in FILE_NAMES}

# Another process that prepares MNIST and prints what it is told, then the sum of its pixels.
PREPARE = """
import json, sys
from pathlib import Path
from services.data.datasets import Places, prepare
from services.data.published import Published
cache, mirror, published = sys.argv[1:]
published = Published(**json.loads(published))
places = Places(None, Path(cache), (mirror,), {"mnist": published})
data = prepare("mnist", places, lambda text: print(text, flush=True))
print("sum", int(data.train.images.sum()), flush=True)
"""


def start(scene: Scene, mirror: Mirror) -> subprocess.Popen[str]:
    published = json.dumps(asdict(scene.places().published["mnist"]))
    command = [sys.executable, "-c", PREPARE, str(scene.cache_dir), mirror.url, published]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Return the lines that a process prints, up to one that has the words."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if words in line:
            return lines
    raise AssertionError(f"{words!r} is not in {lines}")


def closed_port() -> str:
    """Return the URL of a mirror that nobody runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.mark.parametrize("choice", ["auto", "mnist", "fashion-mnist"])
def test_a_mirror_gives_the_data_set(scene: Scene, mirror: Mirror, choice: str) -> None:
    files = scene.fashion if choice == "fashion-mnist" else scene.mnist
    mirror.serve(files)
    data = prepare(choice, scene.places(mirrors=(mirror.url,)), scene.progress)
    title = "Fashion-MNIST" if choice == "fashion-mnist" else "MNIST"
    assert data.reason == f"{title}, downloaded from {mirror.host}"
    assert data.train.images.tobytes() == files[IMAGES][16:]
    assert f"Downloading {IMAGES}.gz from {mirror.host}: 100 %" in scene.said
    assert sum(f"Downloading {IMAGES}" in said for said in scene.said) <= 11
    assert mirror.requests == ONCE_EACH


def test_what_was_downloaded_is_kept(scene: Scene, mirror: Mirror) -> None:
    mirror.serve(scene.mnist)
    places = scene.places(mirrors=(mirror.url,))
    prepare("auto", places, scene.progress)
    assert prepare("auto", places, scene.progress).reason == "MNIST from the cache"
    assert mirror.requests == ONCE_EACH


def test_the_next_mirror_is_tried(scene: Scene, mirror: Mirror, second_mirror: Mirror) -> None:
    mirror.serve(scene.mnist)
    del mirror.files[f"{IMAGES}.gz"]
    second_mirror.serve(scene.mnist)
    places = scene.places(mirrors=(closed_port(), mirror.url, second_mirror.url))
    data = prepare("mnist", places, scene.progress)
    assert data.train.images.tobytes() == scene.mnist[IMAGES][16:]
    assert f"{IMAGES}.gz from {mirror.host}: 404 Not Found" in scene.said
    assert second_mirror.requests == {f"{IMAGES}.gz": 1}


def test_other_content_than_the_published_is_refused(
    scene: Scene, mirror: Mirror, second_mirror: Mirror
) -> None:
    mirror.serve(small_set(77))
    second_mirror.serve(scene.mnist)
    data = prepare("mnist", scene.places(mirrors=(mirror.url, second_mirror.url)), scene.progress)
    assert data.train.images.tobytes() == scene.mnist[IMAGES][16:]
    assert f"{mirror.host}: {IMAGES}.gz has another SHA-256 than MNIST's" in scene.said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("another", "has another SHA-256 than MNIST's"),
        ("cut", "broke off after 100 of "),
        ("missing", "404 Not Found"),
        ("page", "is not a whole gzip file"),
    ],
)
def test_each_fault_of_a_mirror_is_told_and_nothing_is_kept(
    scene: Scene, mirror: Mirror, fault: str, words: str
) -> None:
    mirror.serve(small_set(77) if fault == "another" else scene.mnist)
    if fault == "cut":
        mirror.cut_off_at = 100
    elif fault == "missing":
        mirror.files.clear()
    elif fault == "page":
        mirror.files[f"{IMAGES}.gz"] = b"<html>Log in to the hotel</html>"
    places = scene.places(mirrors=(mirror.url,))
    with pytest.raises(DataSetError, match=words) as caught:
        prepare("mnist", places, scene.progress)
    assert mirror.host in str(caught.value)
    assert sorted(path.name for path in scene.cache_dir.iterdir()) == ["lock"]
    drawn = prepare("auto", places, scene.progress)
    assert drawn.name == "synthetic"
    assert words in drawn.reason


def test_a_mirror_that_sends_too_much_is_stopped(
    scene: Scene, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.serve(scene.mnist)
    monkeypatch.setattr(fetch, "MAX_DOWNLOAD_BYTES", 2 << 20)
    mirror.files[f"{IMAGES}.gz"] = bytes(3 << 20)
    with pytest.raises(DataSetError, match=rf"{IMAGES}.gz from {mirror.host}: over 2 MiB"):
        prepare("mnist", scene.places(mirrors=(mirror.url,)), scene.progress)


def test_a_mirror_that_is_no_address_is_told(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"'file:///etc' is not an http:// or https:// address"):
        prepare("mnist", scene.places(mirrors=("file:///etc",)), scene.progress)


def test_mirrors_that_never_answer_are_given_up_together(
    scene: Scene, mirror: Mirror, second_mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing comes through, `auto` goes on after one deadline, not one for each mirror."""
    monkeypatch.setattr(fetch, "ANSWER_DEADLINE_S", 1.0)
    mirror.dribbles = second_mirror.dribbles = True
    begun = time.monotonic()
    _, faults = fetch.answering([mirror.url, second_mirror.url])
    assert time.monotonic() - begun < 1.9
    assert faults == [f"{m.host}: no answer within 1 s" for m in (mirror, second_mirror)]
    data = prepare("auto", scene.places(mirrors=(mirror.url,)), scene.progress)
    assert data.name == "synthetic"
    assert f"({mirror.host}: no answer within 1 s)" in data.reason


def test_a_damaged_download_is_fetched_again(scene: Scene, mirror: Mirror) -> None:
    mirror.serve(scene.mnist)
    places = scene.places(mirrors=(mirror.url,))
    prepare("mnist", places, scene.progress)
    victim = scene.cache_dir / "mnist" / IMAGES
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    data = prepare("mnist", places, scene.progress)
    assert data.train.images.tobytes() == scene.mnist[IMAGES][16:]
    assert set(mirror.requests.values()) == {2}


def test_two_processes_at_once_download_once(scene: Scene, mirror: Mirror) -> None:
    mirror.serve(scene.mnist)
    mirror.go_on.clear()
    with start(scene, mirror) as first:
        read_until(first, "Asking")
        with start(scene, mirror) as second:
            read_until(second, "Waiting for another process that makes the data set ready")
            mirror.go_on.set()
            results = [read_until(process, "sum")[-1] for process in (first, second)]
    expected = int(np.frombuffer(scene.mnist[IMAGES], np.uint8, offset=16).sum())
    assert results == [f"sum {expected}"] * 2
    assert mirror.requests == ONCE_EACH


def test_two_processes_that_both_found_nothing_download_once(scene: Scene, mirror: Mirror) -> None:
    mirror.serve(scene.mnist)
    with cache.locked(scene.cache_dir, scene.progress, alone=False):  # they may look, not change
        processes = [start(scene, mirror), start(scene, mirror)]
        for process in processes:
            read_until(process, "Waiting for another process")
    with processes[0], processes[1]:
        for process in processes:
            read_until(process, "sum")
    assert mirror.requests == ONCE_EACH


def test_a_process_killed_in_a_download_is_followed_by_another(
    scene: Scene, mirror: Mirror
) -> None:
    mirror.serve(scene.mnist)
    mirror.go_on.clear()
    with start(scene, mirror) as first:
        read_until(first, "Asking")
        with start(scene, mirror) as second:
            read_until(second, "Waiting")
            first.kill()
            mirror.go_on.set()
            assert read_until(second, "sum")[-1].startswith("sum ")
            assert second.wait(20) == 0
