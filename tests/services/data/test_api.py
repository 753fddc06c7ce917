"""GET /data and POST /datablock over a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ops.settings import Settings
from services.data import api, cache
from services.data.api import create_app
from services.data.datasets import DataSet, Places, prepare
from tests.running import ROOT, RedisServer, free_port
from tests.services.data.samples import TEST_COUNT, TRAIN_COUNT, put, small_set
from tests.serving import detail_of, served
from wire.bus import Bus
from wire.keys import Keys
from wire.messages import DataSetInfo

KEYS = Keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small data set, and the cache beside it."""
    folder = tmp_path_factory.mktemp("data")
    put(folder / "files", small_set(3))
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return Settings(data_dir=folder / "files", cache_dir=folder / "cache", dataset="mnist")


@pytest.fixture(scope="module")
def dataset(settings: Settings) -> DataSet:
    places = Places(settings.data_dir, settings.cache_dir)
    return prepare("mnist", places, lambda _: None)


@pytest.fixture(scope="module")
def client(
    redis_server: RedisServer, settings: Settings, wait_until: Callable[..., Any]
) -> Iterator[httpx.Client]:
    """A client of a data API that is ready."""
    bus = Bus(redis_server.url, "data")
    with (
        served(create_app(bus, settings)) as place,
        httpx.Client(base_url=f"http://{place}", timeout=30) as client,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client
    bus.close()


def known(dataset: DataSet, split: str) -> set[tuple[int, bytes]]:
    """Return each example of a split, as its label and its pixels."""
    source = dataset.train if split == "train" else dataset.test
    return {
        (int(label), image.tobytes())
        for label, image in zip(source.labels, source.images, strict=True)
    }


def example_of(sample: dict[str, Any]) -> tuple[int, bytes]:
    """Return a sample as its label and its pixels, 0 to 255."""
    assert set(sample) == {"target", "image"}
    image = np.array(sample["image"])
    assert image.shape == (784,)
    assert image.min() >= 0
    assert image.max() <= 1
    return sample["target"], np.rint(image * 255).astype(np.uint8).tobytes()


# --- samples --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "split"), [("", "train"), ("?split=train", "train"), ("?split=test", "test")]
)
def test_one_random_sample(client: httpx.Client, dataset: DataSet, query: str, split: str) -> None:
    examples = known(dataset, split)
    answers = [client.get(f"/data{query}").json() for _ in range(12)]
    for answer in answers:
        assert set(answer) == {"data"}
        (sample,) = answer["data"]
        assert example_of(sample) in examples
    assert len({str(answer) for answer in answers}) > 1


@pytest.mark.parametrize(
    ("split", "indices"),
    [
        ("test", [3, 17]),
        ("test", [TEST_COUNT - 1, 0, 0]),
        ("train", [TRAIN_COUNT - 1]),
        ("train", list(range(200))),
    ],
)
def test_samples_by_number(
    client: httpx.Client, dataset: DataSet, split: str, indices: list[int]
) -> None:
    query = "&".join(f"index={index}" for index in indices)
    samples = client.get(f"/data?split={split}&{query}").json()["data"]
    source = dataset.train if split == "train" else dataset.test
    assert [example_of(sample) for sample in samples] == [
        (int(source.labels[index]), source.images[index].tobytes()) for index in indices
    ]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (
            f"split=test&index=0&index={TEST_COUNT}",
            "index = 50 is not allowed: the split 'test' has 50 samples, 0 to 49",
        ),
        ("index=-1", "index = -1 is not allowed: the split 'train' has 600 samples, 0 to 599"),
        (f"index={10**30}", f"index = {10**30} is not allowed: the split 'train' has 600 samples"),
        ("index=x", "index.0 = 'x' is not allowed: Input should be a valid integer"),
        ("index=", "index.0 = '' is not allowed: Input should be a valid integer"),
        ("&".join(["index=1"] * 201), "List should have at most 200 items"),
    ],
)
def test_a_wrong_number_is_told(client: httpx.Client, query: str, detail: str) -> None:
    assert detail in detail_of(client.get(f"/data?{query}"), 422)


@pytest.mark.parametrize("count", [1, 128, 4096])
def test_a_block_of_random_samples(client: httpx.Client, dataset: DataSet, count: int) -> None:
    answer = client.post("/datablock", json={"block": count})
    assert answer.status_code == 200
    samples = answer.json()["data"]
    assert len(samples) == count
    examples = known(dataset, "train")
    assert all(example_of(sample) in examples for sample in samples)
    assert len({sample["target"] for sample in samples}) > min(count, 5) - 1


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{}", "block is missing"),
        (b"", "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"[5]", "the body = [5] is not allowed: Input should be an object"),
        (
            b'{"block": 0}',
            "block = 0 is not allowed: Input should be greater than or equal to 1",
        ),
        (
            b'{"block": 4097}',
            "block = 4097 is not allowed: Input should be less than or equal to 4096",
        ),
        (b'{"block": -1}', "block = -1 is not allowed: Input should be greater than or equal to 1"),
        (b'{"block": "5"}', "block = '5' is not allowed: Input should be a valid integer"),
        (b'{"block": 1.5}', "block = 1.5 is not allowed: Input should be a valid integer"),
        (b'{"block": true}', "block = True is not allowed: Input should be a valid integer"),
        (b'{"block": 5, "size": 1}', "size = 1 is not allowed: there is no such field"),
    ],
)
def test_a_wrong_block_is_told(client: httpx.Client, body: bytes, detail: str) -> None:
    assert detail_of(client.post("/datablock", content=body), 422) == detail


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    answer = client.post("/datablock", content=b" " * 65_537)
    assert detail_of(answer, 413) == "the body is over the limit of 65,536 bytes"


def test_another_split_is_refused(client: httpx.Client) -> None:
    assert detail_of(client.get("/data?split=all"), 422) == (
        "split = 'all' is not allowed: Input should be 'train' or 'test'"
    )


# --- the data set ---------------------------------------------------------------------------
def test_the_data_set_is_announced_and_again_when_redis_forgot_it(
    bus: Bus,
    settings: Settings,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., Any],
) -> None:
    monkeypatch.setattr(api, "ANNOUNCE_S", 0.1)
    expected = DataSetInfo(
        "mnist",
        f"IDX files from the folder {settings.data_dir}, which are not the published ones",
        TRAIN_COUNT,
        TEST_COUNT,
    )
    with served(create_app(bus, settings)):
        wait_until(lambda: bus.flow.dataset() == expected)
        redis_server.client.delete(KEYS.dataset)
        wait_until(lambda: bus.flow.dataset() == expected)
        redis_server.client.set(KEYS.dataset, b"nonsense")
        wait_until(lambda: redis_server.client.get(KEYS.dataset) != b"nonsense")
        assert bus.flow.dataset() == expected


def test_before_the_data_set_is_ready_the_reason_is_told(
    bus: Bus, settings: Settings, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    mine = settings.model_copy(update={"cache_dir": tmp_path})
    waiting = "Waiting for another process that makes the data set ready"
    app = create_app(bus, mine)
    with cache.locked(mine.cache_dir, lambda _: None, alone=True), served(app) as place:
        url = f"http://{place}"
        wait_until(lambda: httpx.get(f"{url}/readyz").json()["reasons"] == [waiting])
        assert httpx.get(f"{url}/readyz").status_code == 503
        for answer in (
            httpx.get(f"{url}/data"),
            httpx.get(f"{url}/data?index=0"),
            httpx.post(f"{url}/datablock", json={"block": 1}),
            httpx.get(f"{url}/evaluation"),
            httpx.get(f"{url}/evaluation/examples?version=1"),
        ):
            assert detail_of(answer, 503) == f"No data yet: {waiting}."
            assert answer.headers["retry-after"] == "2"


def test_samples_do_not_need_redis(
    own_redis: RedisServer, settings: Settings, wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    with served(create_app(bus, settings)) as place:
        url = f"http://{place}"
        wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        own_redis.stop()
        ready = httpx.get(f"{url}/readyz")
        assert ready.status_code == 503
        assert ready.json()["reasons"][0].startswith("Redis is away: ")
        assert httpx.get(f"{url}/data").status_code == 200
        own_redis.start()
        wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
    bus.close()


def test_a_data_set_that_cannot_be_had_ends_the_service_with_the_reason(
    redis_url: str, tmp_path: Path
) -> None:
    files = small_set(3)
    files["train-images-idx3-ubyte"] = files["train-images-idx3-ubyte"][:-1]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("INKLING_")},
        "INKLING_REDIS_URL": redis_url,
        "INKLING_PORT": str(free_port()),
        "INKLING_DATA_DIR": str(put(tmp_path / "files", files)),
        "INKLING_CACHE_DIR": str(tmp_path / "cache"),
        "INKLING_LOG_FORMAT": "json",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "services.data"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "train-images-idx3-ubyte.gz is cut off" in ended.stderr
    assert "Traceback" not in ended.stderr
