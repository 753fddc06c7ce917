"""GET /evaluation and /evaluation/examples over a real server, with a small test set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import httpx
import numpy as np
import pytest

from nn.model import Weights, predict
from ops.settings import Settings
from services.data import reports as reports_module
from services.data.api import create_app
from services.data.datasets import DataSet, Places, prepare
from services.data.reports import Reports
from tests.examples import snapshot_of
from tests.services.data.samples import TEST_COUNT, put, small_set
from tests.serving import detail_of, served
from wire.bus import Bus
from wire.calls import Call, Fetch, Reply
from wire.codec import encode_snapshot
from wire.messages import Snapshot, WeightsInfo


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("evaluation")
    files = put(folder / "files", small_set(6))
    return Settings(data_dir=files, cache_dir=folder / "cache", dataset="mnist")


@pytest.fixture(scope="module")
def dataset(settings: Settings) -> DataSet:
    return prepare("mnist", Places(settings.data_dir, settings.cache_dir), lambda _: None)


@pytest.fixture
def client(
    bus: Bus, settings: Settings, dataset: DataSet, wait_until: Callable[..., Any]
) -> Iterator[httpx.Client]:
    """A client of a data API that is ready; its cache has the data set already."""
    with (
        served(create_app(bus, settings)) as place,
        httpx.Client(base_url=f"http://{place}", timeout=30) as client,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client


@contextmanager
def weights_service(bus: Bus, answers: Callable[[int], Reply]) -> Iterator[list[int]]:
    """Play the weights service; give the versions that it was asked for."""
    stop = threading.Event()
    asked: list[int] = []

    def serve() -> None:
        with ThreadPoolExecutor() as answering:
            while not stop.is_set():
                call = bus.calls.take("weights", Fetch, 0.1)
                if isinstance(call, Call):
                    asked.append(call.request.stored)
                    answering.submit(answer, call)

    def answer(call: Call[Fetch]) -> None:
        bus.calls.answer(call.name, answers(call.request.stored))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()


def stored(version: int) -> Reply:
    """Answer as for a version that is kept."""
    return Reply(snapshot=encode_snapshot(snapshot_of(version, 10 * version)))


def expected(version: int, dataset: DataSet) -> dict[str, Any]:
    """Return what GET /evaluation says of a version, but for the loss, which is rounded."""
    labels = dataset.test.labels
    digits = probabilities_of(version, dataset).argmax(axis=1)
    confusion = [[0] * 10 for _ in range(10)]
    for label, digit in zip(labels, digits, strict=True):
        confusion[label][digit] += 1
    return {
        "version": version,
        "iteration": 10 * version,
        "dataset": "mnist",
        "test_acc": sum(confusion[k][k] for k in range(10)) / TEST_COUNT,
        "count": TEST_COUNT,
        "confusion": confusion,
    }


def probabilities_of(version: int, dataset: DataSet) -> np.ndarray:
    return predict(snapshot_of(version).weights, dataset.test.images.astype(np.float32) / 255)


def make_live(bus: Bus, client: httpx.Client, version: int, wait_until: Callable[..., Any]) -> None:
    """Let this version be live, and wait until it is evaluated."""
    assert bus.live.replace(snapshot_of(version, 10 * version, "upload"))
    wait_until(lambda: version_of(client.get("/evaluation")) == version)


def version_of(answer: httpx.Response) -> int | None:
    return cast(int, answer.json()["version"]) if answer.status_code == 200 else None


# --- /evaluation ----------------------------------------------------------------------------
def test_the_newest_live_weights_are_told(
    client: httpx.Client, bus: Bus, dataset: DataSet, wait_until: Callable[..., Any]
) -> None:
    for path in ("/evaluation", "/evaluation/examples"):
        answer = client.get(path)
        assert detail_of(answer, 503).startswith("No weights are evaluated yet: ")
        assert answer.headers["retry-after"] == "1"
    for version in (3, 4):
        make_live(bus, client, version, wait_until)
        answer = client.get("/evaluation")
        assert answer.headers["etag"] == f'"{version}"'
        assert answer.headers["cache-control"] == "no-cache"
        fields = answer.json()
        probabilities = probabilities_of(version, dataset)
        of_labels = probabilities[np.arange(TEST_COUNT), dataset.test.labels]
        assert fields.pop("loss") == pytest.approx(-np.log(of_labels).mean(), rel=1e-4)
        assert fields == expected(version, dataset)
    with weights_service(bus, stored) as asked:
        assert client.get("/evaluation?version=3").json()["version"] == 3  # still remembered
        assert asked == []


def test_what_the_client_has_is_not_sent_again(
    client: httpx.Client, bus: Bus, wait_until: Callable[..., Any]
) -> None:
    make_live(bus, client, 3, wait_until)
    for tag in ('"3"', 'W/"3"', '"2", "3"', "*"):
        answer = client.get("/evaluation", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == '"3"'
    answer = client.get("/evaluation", headers={"If-None-Match": '"2"'})
    assert answer.status_code == 200


def test_a_version_of_the_history_is_evaluated_when_asked_for_and_remembered(
    client: httpx.Client, bus: Bus, dataset: DataSet
) -> None:
    with weights_service(bus, stored) as asked:
        for version in (7, 5, 7):
            answer = client.get(f"/evaluation?version={version}")
            assert answer.headers["etag"] == f'"{version}"'
            fields = answer.json()
            fields.pop("loss")
            assert fields == expected(version, dataset)
        assert client.get("/evaluation/examples?version=5").status_code == 200
        assert asked == [7, 5]
    assert bus.live.evaluation() is None  # it is nobody's live accuracy
    assert client.get("/evaluation").status_code == 503


def test_while_a_version_is_fetched_others_are_answered_and_it_is_fetched_once(
    client: httpx.Client, bus: Bus, wait_until: Callable[..., Any]
) -> None:
    go_on = threading.Event()

    def slowly(version: int) -> Reply:
        if version == 7:
            go_on.wait(20)
        return stored(version)

    def get(version: int) -> int | None:
        return version_of(httpx.get(f"{client.base_url}/evaluation?version={version}", timeout=30))

    make_live(bus, client, 3, wait_until)
    with weights_service(bus, slowly) as asked, ThreadPoolExecutor() as people:
        waiting = [people.submit(get, 7) for _ in range(4)]
        wait_until(lambda: asked == [7])
        assert get(8) == 8
        assert version_of(client.get("/evaluation")) == 3
        assert client.get("/data").status_code == 200
        assert not any(one.done() for one in waiting)
        go_on.set()
        assert [one.result() for one in waiting] == [7] * 4
        assert asked == [7, 8]


@pytest.mark.parametrize("path", ["/evaluation", "/evaluation/examples"])
def test_a_version_that_there_is_not(client: httpx.Client, bus: Bus, path: str) -> None:
    refusal = Reply(status=404, detail="there is no version 99")
    with weights_service(bus, lambda _: refusal) as asked:
        assert detail_of(client.get(f"{path}?version=99"), 404) == (
            "there is no version 99 to evaluate: ask GET /evaluation for the live weights again, "
            "or GET /weights/versions for those that are kept"
        )
        assert client.get(f"{path}?version=99").status_code == 404
        assert asked == [99, 99]  # it may be there the next time


def test_other_refusals_of_the_weights_service_are_passed_on(
    client: httpx.Client, bus: Bus
) -> None:
    with weights_service(bus, lambda _: Reply(status=507, detail="the disk is gone")):
        assert detail_of(client.get("/evaluation?version=7"), 507) == "the disk is gone"


@pytest.mark.parametrize(
    ("snapshot", "detail"),
    [
        (b"nonsense", "version 7 cannot be evaluated: no safetensors: "),
        (
            encode_snapshot(
                Snapshot(Weights((np.ones((784, 3), np.float32),)), WeightsInfo(7, 0, "upload"))
            ),
            "version 7 cannot be evaluated: a network from 784 to 3 cannot be evaluated on",
        ),
    ],
)
def test_weights_that_cannot_be_evaluated(
    client: httpx.Client, bus: Bus, snapshot: bytes, detail: str
) -> None:
    with weights_service(bus, lambda _: Reply(snapshot=snapshot)):
        answer = client.get("/evaluation?version=7")
        assert detail_of(answer, 422).startswith(detail)


def test_without_a_weights_service(client: httpx.Client) -> None:
    assert detail_of(client.get("/evaluation?version=7"), 503) == (
        "no weights service took the call: is one running? Nothing was changed."
    )


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_numbers_that_are_too_large_become_null(client: httpx.Client, bus: Bus) -> None:
    huge = Weights((np.full((784, 10), 3e38, np.float32),))
    reply = Reply(snapshot=encode_snapshot(Snapshot(huge, WeightsInfo(7, 0, "upload"))))
    with weights_service(bus, lambda _: reply):
        assert client.get("/evaluation?version=7").json()["loss"] is None
        examples = client.get("/evaluation/examples?version=7").json()["examples"]
        assert {example["probability"] for example in examples} == {None}


# --- /evaluation/examples -------------------------------------------------------------------
def surest_first(examples: list[dict[str, Any]]) -> bool:
    found = [example["probability"] for example in examples]
    return found == sorted(found, reverse=True)


def test_each_field_of_the_matrix_has_its_examples(
    client: httpx.Client, bus: Bus, dataset: DataSet, wait_until: Callable[..., Any]
) -> None:
    make_live(bus, client, 3, wait_until)
    probabilities = probabilities_of(3, dataset)
    confusion = client.get("/evaluation").json()["confusion"]
    seen: list[int] = []
    for label, digit in np.ndindex(10, 10):
        answer = client.get(f"/evaluation/examples?version=3&label={label}&digit={digit}").json()
        assert answer["version"] == 3
        assert answer["total"] == len(answer["examples"]) == confusion[label][digit]
        assert surest_first(answer["examples"])
        for example in answer["examples"]:
            index = example["index"]
            seen.append(index)
            assert example["label"] == dataset.test.labels[index] == label
            assert example["digit"] == probabilities[index].argmax() == digit
            of_both = [example["probability"], example["label_probability"]]
            np.testing.assert_allclose(of_both, probabilities[index, [digit, label]], rtol=1e-4)
            assert np.rint(np.array(example["image"]) * 255).tolist() == (
                dataset.test.images[index].tolist()
            )
    assert sorted(seen) == list(range(TEST_COUNT))


def test_without_a_field_the_worst_mistakes_come_first(
    client: httpx.Client, bus: Bus, wait_until: Callable[..., Any]
) -> None:
    make_live(bus, client, 3, wait_until)
    confusion = np.array(client.get("/evaluation").json()["confusion"])
    np.fill_diagonal(confusion, 0)
    for query, total in (
        ("", confusion.sum()), ("&label=4", confusion[4].sum()), ("&digit=9", confusion[:, 9].sum())
    ):  # fmt: skip
        answer = client.get(f"/evaluation/examples?limit=200{query}").json()
        assert answer["total"] == len(answer["examples"]) == total
        assert surest_first(answer["examples"])
        assert all(example["label"] != example["digit"] for example in answer["examples"])
    few = client.get("/evaluation/examples?limit=5").json()
    assert few["total"] == confusion.sum() > 5
    assert few["examples"] == client.get("/evaluation/examples").json()["examples"][:5]


def test_the_index_is_that_of_get_data(
    client: httpx.Client, bus: Bus, wait_until: Callable[..., Any]
) -> None:
    make_live(bus, client, 3, wait_until)
    examples = client.get("/evaluation/examples?limit=8").json()["examples"]
    query = "&".join(f"index={example['index']}" for example in examples)
    samples = client.get(f"/data?split=test&{query}").json()["data"]
    assert samples == [{"target": e["label"], "image": e["image"]} for e in examples]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("label=10", "label = '10' is not allowed: Input should be less than 10"),
        ("digit=-1", "digit = '-1' is not allowed: Input should be greater than or equal to 0"),
        ("limit=0", "limit = '0' is not allowed: Input should be greater than or equal to 1"),
        ("limit=201", "limit = '201' is not allowed: Input should be less than or equal to 200"),
        ("version=0", "version = '0' is not allowed: Input should be greater than or equal to 1"),
        ("version=x", "version = 'x' is not allowed: Input should be a valid integer"),
    ],
)
def test_a_wrong_parameter_is_told(client: httpx.Client, query: str, detail: str) -> None:
    assert detail_of(client.get(f"/evaluation/examples?{query}"), 422).startswith(detail)


# --- memory ---------------------------------------------------------------------------------
def test_a_bounded_number_of_reports_is_kept(
    bus: Bus, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "KEPT_LIVE", 3)
    monkeypatch.setattr(reports_module, "KEPT_ASKED", 2)
    reports = Reports(bus, "mnist", dataset.test)
    with weights_service(bus, stored) as asked:
        for version in (1, 2, 3, 4):
            reports.keep_live(reports.measure(snapshot_of(version)))
        assert reports.newest().version == 4
        for version in (4, 3, 2, 21, 22, 23, 23, 22, 21, 1):
            assert reports.of(version).version == version
        assert asked == [21, 22, 23, 21, 1]  # the oldest were forgotten
    assert reports.newest().version == 4
    assert len(reports._live) == 3
    assert len(reports._asked) == 2
    assert reports._under_way == {}


def test_a_failure_is_told_to_all_who_wait_and_then_forgotten(bus: Bus, dataset: DataSet) -> None:
    reports = Reports(bus, "mnist", dataset.test)
    broken = Reply(status=500, detail="broken")
    with weights_service(bus, lambda _: broken), ThreadPoolExecutor() as people:
        waiting = [people.submit(reports.of, 7) for _ in range(3)]
        assert [str(one.exception()) for one in waiting] == ["broken"] * 3
    with weights_service(bus, stored):
        assert reports.of(7).version == 7
