"""Synthetic digits: the same everywhere, shaped as MNIST's, varied, quick and small."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from nn.evaluation import evaluate
from nn.model import init_weights
from nn.training import descend, loss_and_gradients
from services.data import synthetic
from services.data.drawing import DRAWN_SHA256
from services.data.glyphs import WAYS, compile_paths
from services.data.idx import file_sha256
from services.data.synthetic import CHUNK, Bytes, draw

ROOT = Path(__file__).parents[3]
SAMPLE_SHA256 = "4607e2bf47cd4ec3e9b9c66283c4aa29371ac40a925d073e09a4035b19b1146f"
MAX_RESIDENT_MB = 120

DIGEST = """
import hashlib
from services.data.synthetic import draw
for images, labels in draw(3, 0, 500):
    print(hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest())
"""
WHOLE_SET = """
import json, sys, time
from pathlib import Path
import numpy as np
from services.data.datasets import Places, prepare
begun, said = time.process_time(), []
data = prepare("synthetic", Places(None, Path(sys.argv[1])), said.append)
drawn_s = time.process_time() - begun
for seed in range(50):
    data.train.take(np.random.default_rng([seed]).integers(0, 60_000, 4096))
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "drawn_s": drawn_s, "said": said, "counts": [len(data.train.labels), len(data.test.labels)],
    "resident_mb": (int(status["VmRSS"].split()[0]) - int(status["RssFile"].split()[0])) / 1024,
    "peak_mb": int(status["VmHWM"].split()[0]) / 1024,
}))
"""


def drawn(seed: int, split: int, count: int) -> tuple[Bytes, Bytes]:
    """Return images (count, 784) and labels (count,)."""
    images, labels = zip(*draw(seed, split, count), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def run(program: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.check_output(command, cwd=ROOT, env=os.environ | environment, text=True)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Pinned: a change here is a change of the drawing, and STYLE must change with it."""
    images, labels = drawn(3, 0, CHUNK)
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == SAMPLE_SHA256


def test_the_bytes_do_not_depend_on_the_processor() -> None:
    """Without the vector instructions that numpy finds here, nothing changes."""
    config = np.show_config(mode="dicts")
    assert config is not None
    found = " ".join(config["SIMD Extensions"]["found"])
    assert run(DIGEST, NPY_DISABLE_CPU_FEATURES=found).split() == [SAMPLE_SHA256]


def test_seed_and_split_each_change_the_digits() -> None:
    first = drawn(1, 0, 10)[0].tobytes()
    assert len({first, drawn(2, 0, 10)[0].tobytes(), drawn(1, 1, 10)[0].tobytes()}) == 3


def test_a_shorter_split_is_the_beginning_of_a_longer_one() -> None:
    images, labels = drawn(4, 0, 2 * CHUNK + 20)
    short_images, short_labels = drawn(4, 0, CHUNK + 10)
    assert short_images.shape == (CHUNK + 10, 784)
    np.testing.assert_array_equal(short_images, images[: CHUNK + 10])
    np.testing.assert_array_equal(short_labels, labels[: CHUNK + 10])


def test_digits_are_scaled_and_centred_as_mnists_are() -> None:
    pictures = drawn(5, 0, 3 * CHUNK)[0].reshape(-1, 28, 28)
    inked = pictures > 10
    rows, columns = np.any(inked, axis=2), np.any(inked, axis=1)
    longer = np.maximum(
        28 - rows.argmax(axis=1) - rows[:, ::-1].argmax(axis=1),
        28 - columns.argmax(axis=1) - columns[:, ::-1].argmax(axis=1),
    )
    assert set(longer.tolist()) <= {19, 20, 21}
    assert np.median(longer) == 20
    mass = pictures.sum(axis=(1, 2))
    for axis in (1, 2):
        centre = pictures.sum(axis=3 - axis) @ np.arange(28) / mass
        assert np.abs(centre - 14).max() <= 0.5 + 1e-9


def test_ink_is_dark_inside_and_soft_at_its_edge() -> None:
    images = drawn(6, 0, CHUNK)[0]
    assert (images == 255).any(axis=1).mean() > 0.9
    assert ((images > 20) & (images < 235)).any(axis=1).all()
    share = (images > 0).mean(axis=1)
    assert np.min(share) > 0.02
    assert np.max(share) < 0.5


def test_no_two_digits_are_the_same_and_all_ten_are_there() -> None:
    images, labels = drawn(7, 0, 2 * CHUNK)
    assert len({image.tobytes() for image in images}) == len(images)
    assert np.min(np.bincount(labels, minlength=10)) > 60
    assert set(labels.tolist()) == set(range(10))


def test_every_digit_is_written_in_several_ways_all_of_them_used() -> None:
    paths = compile_paths()
    assert np.min(np.bincount([way.digit for way in WAYS])) >= 4
    chance = np.random.default_rng([8]).random(20_000)
    labels = np.arange(20_000) % 10
    ways = synthetic._choose_ways(chance, labels, paths)
    assert (paths.digits[ways] == labels).all()
    assert set(ways.tolist()) == set(range(len(WAYS)))


def test_a_path_starts_and_ends_where_its_pen_does() -> None:
    paths = compile_paths()
    for index, way in enumerate(WAYS):
        places = (paths.points[index][paths.sources[index]] * paths.weights[index][:, :, None]).sum(
            axis=1
        )  # (SAMPLES, 2)
        np.testing.assert_allclose(places[0], way.strokes[0][0], atol=1e-12)
        np.testing.assert_allclose(places[-1], way.strokes[-1][-1], atol=1e-12)


def test_a_network_learns_them() -> None:
    images, labels = drawn(0, 0, 20_000)
    test_images, test_labels = drawn(0, 1, 2000)
    scaled = images.astype(np.float32) / 255
    weights = init_weights(np.random.default_rng([0]), (784, 128, 10))
    with threadpool_limits(1):
        for step in range(1200):
            rows = np.arange(step * 128, step * 128 + 128) % len(labels)
            _, _, gradients = loss_and_gradients(weights, scaled[rows], labels[rows])
            descend(weights, gradients, 0.1)
    assert evaluate(weights, test_images, test_labels).accuracy > 0.95


def test_the_whole_set_is_drawn_quickly_in_little_memory_the_same_as_everywhere(
    tmp_path: Path,
) -> None:
    report = json.loads(run(WHOLE_SET, str(tmp_path)))
    assert report["counts"] == [60_000, 10_000]
    assert report["drawn_s"] < 60
    assert report["peak_mb"] < MAX_RESIDENT_MB
    assert report["resident_mb"] < MAX_RESIDENT_MB - 50  # pages of the file are everybody's
    assert not [text for text in report["said"] if "Warning" in text]
    sums = {name: file_sha256(tmp_path / "synthetic" / name) for name in DRAWN_SHA256}
    assert sums == DRAWN_SHA256
