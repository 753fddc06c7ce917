"""The routes of /weights on a real port and a real Redis: what they answer and what they refuse."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from nn.model import Weights, init_weights
from nn.normalize import normalize
from ops.settings import Settings
from services.weights.formats import MEDIA_TYPES, Format, decode, encode
from wire.bus import Bus
from wire.calls import Reply
from wire.messages import RunSettings, Snapshot

Make = Callable[..., Any]


def seeded(seed: int = 0) -> Weights:
    return init_weights(np.random.default_rng([seed]), (784, 128, 10))


def assert_problem(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    for word in words:
        assert word in detail


def version_of(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    (field,) = answer.json().items()
    assert field[0] == "version"
    return int(field[1])


def live_of(bus: Bus) -> Snapshot:
    live = bus.live.latest()
    assert live is not None
    return live


def history(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/weights/versions").json()["versions"]
    return found


# --- GET ----------------------------------------------------------------------------------------
def test_before_there_are_weights(client: httpx.Client) -> None:
    answer = client.get("/weights")
    assert_problem(answer, 503, "there are no weights yet: the trainer makes the first ones")
    assert answer.headers["retry-after"] == "1"
    assert_problem(client.post("/weights/versions", json={"name": "x"}), 503, "no weights yet")
    assert client.get("/weights/versions").json() == {"versions": [], "live": None}


def test_json_is_the_default_and_has_the_original_shape(client: httpx.Client) -> None:
    version = version_of(client.delete("/weights"))
    answer = client.get("/weights")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == f'"{version}"'
    assert "content-disposition" not in answer.headers
    body = answer.json()
    assert body.keys() == {"weights"}
    assert [np.shape(matrix) for matrix in body["weights"]] == [(784, 128), (128, 10)]


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("how", ["query", "accept"])
def test_every_format_goes_out_and_comes_in(
    client: httpx.Client, bus: Bus, kind: Format, how: str
) -> None:
    version = version_of(client.delete("/weights"))
    media_type = MEDIA_TYPES[kind]
    asked = {"params": {"format": kind}} if how == "query" else {"headers": {"Accept": media_type}}
    answer = client.get("/weights", **asked)
    assert answer.headers["content-type"] == media_type
    if kind is not Format.JSON:
        name = f'attachment; filename="inkling-{version}.{kind}"'
        assert answer.headers["content-disposition"] == name

    typed = (
        {"params": {"format": kind}}
        if how == "query"
        else {"headers": {"Content-Type": media_type}}
    )
    uploaded = version_of(client.post("/weights", content=answer.content, **typed))
    assert uploaded > version
    live = live_of(bus)
    assert (live.info.version, live.info.origin) == (uploaded, "upload")
    for before, after in zip(seeded().matrices, live.weights.matrices, strict=True):
        np.testing.assert_array_equal(before, after)


def test_safetensors_are_handed_out_as_they_were_published(bus: Bus, client: httpx.Client) -> None:
    version = version_of(client.delete("/weights"))
    answer = client.get("/weights?format=safetensors")
    assert bus.live.latest_bytes() == (version, answer.content)
    assert answer.headers["etag"] == f'"{version}"'


@pytest.mark.parametrize("path", ["/weights", "/weights?format=npz", "/weights/versions"])
def test_live_weights_that_are_none_are_not_the_fault_of_who_asks(
    redis_server: Any, client: httpx.Client, path: str
) -> None:
    client.delete("/weights")
    redis_server.client.hset("inkling:{default}:weights", "bytes", b"nonsense")
    assert_problem(client.get(path), 503, "What Redis holds is not usable: no safetensors")


def test_the_query_wins_over_the_header(client: httpx.Client) -> None:
    client.delete("/weights")
    answer = client.get("/weights?format=npz", headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == "application/x-npz"
    answer = client.post(
        "/weights?format=npz", content=answer.content, headers={"Content-Type": "text/plain"}
    )
    version_of(answer)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", Format.JSON),
        ("", Format.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.JSON),
        ("application/vnd.onnx;q=0.5, application/x-npz;q=0.9", Format.NPZ),
        ("application/json;q=0.1, application/vnd.safetensors;q=0.2", Format.SAFETENSORS),
        ("application/*, application/json;q=0.5", Format.SAFETENSORS),
        ("application/json;q=0, */*", Format.SAFETENSORS),
        ("APPLICATION/VND.ONNX; Q=1", Format.ONNX),
        ("application/x-npz;q=none, application/vnd.onnx;q=0.1", Format.ONNX),
    ],
)
def test_accept_picks_the_format(client: httpx.Client, accept: str, kind: Format) -> None:
    client.delete("/weights")
    answer = client.get("/weights", headers={"Accept": accept})
    assert answer.headers["content-type"] == MEDIA_TYPES[kind]
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["text/html", "image/*", "*/*;q=0", "application/json;q=0"])
def test_accept_of_nothing_there_is(client: httpx.Client, accept: str) -> None:
    client.delete("/weights")
    assert_problem(
        client.get("/weights", headers={"Accept": accept}),
        406,
        repr(accept),
        "application/json, application/vnd.safetensors, application/x-npz, application/vnd.onnx",
    )


def test_an_unknown_format(client: httpx.Client) -> None:
    words = ("format = 'xml' is not allowed", "'safetensors'")
    assert_problem(client.get("/weights?format=xml"), 422, *words)
    assert_problem(client.post("/weights?format=xml", content=b"{}"), 422, *words)


@pytest.mark.parametrize("pattern", ['"{}"', 'W/"{}"', '"0", "{}"', "*"])
def test_a_client_that_has_the_version(client: httpx.Client, pattern: str) -> None:
    version = version_of(client.delete("/weights"))
    answer = client.get("/weights", headers={"If-None-Match": pattern.format(version)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{version}"'


def test_a_client_that_has_another_version(client: httpx.Client) -> None:
    etag = {"If-None-Match": f'"{version_of(client.delete("/weights"))}"'}
    client.delete("/weights")
    assert client.get("/weights", headers=etag).status_code == 200
    etag = {"If-None-Match": client.get("/weights", headers=etag).headers["etag"].strip('"')}
    assert client.get("/weights", headers=etag).status_code == 200  # a tag has quotes


# --- POST ---------------------------------------------------------------------------------------
def test_an_upload_keeps_the_iteration_and_is_in_the_history(
    client: httpx.Client, bus: Bus, trainer: Any
) -> None:
    trainer.lead()
    trainer.publish(iteration=321)
    trainer.leave()
    matrices = [matrix.tolist() for matrix in seeded(4).matrices]
    version = version_of(client.post("/weights", json={"weights": matrices}))
    assert live_of(bus).info.iteration == 321
    entry, replaced = history(client)
    assert (entry["version"], entry["origin"], entry["iteration"]) == (version, "upload", 321)
    assert (replaced["origin"], replaced["iteration"]) == ("checkpoint", 321)  # nothing is lost
    assert (entry["loss"], entry["test_acc"], entry["name"]) == (None, None, None)
    again = version_of(client.post("/weights", json=matrices))  # as a bare list
    assert again > version
    assert live_of(bus).weights.matrices[0].tolist() == matrices[0]


def small_json(shape1: tuple[int, int], shape2: tuple[int, int]) -> bytes:
    return json.dumps({"weights": [np.zeros(shape1).tolist(), np.zeros(shape2).tolist()]}).encode()


FITTING = "This run's network has w1 784 x 128, w2 128 x 10."


@pytest.mark.parametrize(
    ("content", "content_type", "status", "words"),
    [
        (b"not JSON", "application/json", 400, ("the body is not JSON: ",)),
        (b"", "application/json", 400, ("the body is not JSON: ",)),
        (b'{"weights": [[["1"]]]}', "application/json", 422, ("$.weights[0][0][0]", FITTING)),
        (b'{"weights": [[[1], [2, 3]]]}', "application/json", 422, ("row 1 of w1 has 2", FITTING)),
        (b'{"weights": [[[1e99]]]}', "application/json", 422, ("w1[0, 0] is inf", FITTING)),
        (small_json((784, 64), (64, 10)), "application/json", 422,
         ("w1 is 784 x 64; allowed is 784 x 128", FITTING)),
        (small_json((784, 64), (128, 10)), "application/json", 422,
         ("shapes (784, 64) and (128, 10) do not chain", FITTING)),
        (b"\x10\0\0\0\0\0\0\0{}", "application/vnd.safetensors", 422, ("no safetensors", FITTING)),
        (b"PK\x03\x04", "application/x-npz", 422, ("no npz file", FITTING)),
        (b"\x08\x08\xff", "application/vnd.onnx", 422, ("no ONNX model", FITTING)),
        (b"weights=1", "application/x-www-form-urlencoded", 415, ("'application/x-www-form",)),
        (b"???", "application/octet-stream", 415, ("cannot be read as weights",)),
        (b" " * (8 * 2**20 + 1), "application/json", 413, ("over the limit of 8,388,608 bytes",)),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_an_upload_that_is_refused_changes_nothing(
    client: httpx.Client, content: bytes, content_type: str, status: int, words: tuple[str, ...]
) -> None:
    before = version_of(client.delete("/weights"))
    answer = client.post("/weights", content=content, headers={"Content-Type": content_type})
    assert_problem(answer, status, *words)
    assert client.get("/weights").headers["etag"] == f'"{before}"'
    assert [entry["version"] for entry in history(client)] == [before]


def test_uploads_fit_the_live_network_whatever_the_settings_say(
    client: httpx.Client, bus: Bus, make_network: Make, make_snapshot: Make
) -> None:
    wider = make_network((784, 32, 10), biases=True)
    assert bus.live.replace(make_snapshot(wider, bus.live.next_version()))
    assert_problem(
        client.post("/weights", content=encode(make_snapshot(seeded()), Format.NPZ)),
        422,
        "w1 is 784 x 128; allowed is 784 x 32",
        "has w1 784 x 32, w2 32 x 10, b1 32, b2 10",
    )
    version_of(client.post("/weights", content=encode(make_snapshot(wider), Format.NPZ)))
    assert client.get("/weights").json().keys() == {"weights", "biases"}


@pytest.mark.parametrize("path", ["/weights", "/weights/versions/1"])
def test_methods_that_there_are_not(client: httpx.Client, path: str) -> None:
    assert_problem(client.put(path), 405, "PUT is not allowed for " + path)


# --- DELETE -------------------------------------------------------------------------------------
def test_a_reset_starts_from_the_seed(client: httpx.Client, bus: Bus) -> None:
    first = version_of(client.delete("/weights"))
    live = live_of(bus)
    assert (live.info.version, live.info.iteration, live.info.origin) == (first, 0, "reset")
    for given, wanted in zip(live.weights.matrices, seeded(0).matrices, strict=True):
        assert given.tobytes() == wanted.tobytes()
    second = version_of(client.delete("/weights"))
    assert second > first
    assert live_of(bus).weights.matrices[0].tobytes() == live.weights.matrices[0].tobytes()


@pytest.mark.parametrize(("seed", "units", "biases"), [(9, 16, False), (9, 16, True)])
def test_a_reset_is_as_the_settings_say(
    serve: Callable[[Settings], httpx.Client],
    settings: Settings,
    seed: int,
    units: int,
    biases: bool,
) -> None:
    changed = settings.model_copy(update={"seed": seed, "hidden_units": units, "biases": biases})
    client = serve(changed)
    version_of(client.delete("/weights"))
    weights = decode(client.get("/weights?format=safetensors").content, Format.SAFETENSORS)
    rng = np.random.default_rng([seed])
    wanted = init_weights(rng, (784, units, 10), biases=biases)
    assert [a.tobytes() for a in weights.arrays] == [a.tobytes() for a in wanted.arrays]


def test_a_reset_may_start_a_training(client: httpx.Client, bus: Bus) -> None:
    defaults = RunSettings(batch_size=128, learning_rate=0.1, cache_size=16, seed=0)
    before, _ = bus.wanted.look(defaults)
    assert not before.training
    version = version_of(client.delete("/weights?train=500"))
    wanted, generation = bus.wanted.look(defaults)
    assert (wanted.training, wanted.iterations, generation) == (True, 500, version)
    assert wanted.started == before.started + 1


@pytest.mark.parametrize("train", ["0", "-1", "10000001", "x", "1.5", "9" * 30])
def test_a_training_of_a_wrong_length(client: httpx.Client, train: str) -> None:
    assert_problem(
        client.delete(f"/weights?train={train}"), 422, f"train = '{train[:5]}", "is not allowed"
    )
    assert history(client) == []


# --- the history --------------------------------------------------------------------------------
def test_a_version_that_was_saved_comes_back(client: httpx.Client, bus: Bus, trainer: Any) -> None:
    trainer.lead()
    trainer.weights = seeded(7)
    live = trainer.publish(iteration=100, loss=0.25)
    trainer.leave()
    saved = version_of(client.post("/weights/versions", json={"name": "  before the test "}))
    assert saved == live
    version_of(client.delete("/weights"))

    (_, entry) = history(client)
    assert entry["name"] == "before the test"
    assert (entry["origin"], entry["iteration"], entry["loss"]) == ("save", 100, 0.25)
    one = client.get(f"/weights/versions/{saved}").json()
    for given, wanted in zip(one.pop("weights"), seeded(7).matrices, strict=True):
        np.testing.assert_array_equal(np.array(given, np.float32), wanted)
    assert one == entry

    restored = version_of(client.post(f"/weights/versions/{saved}/restore"))
    now = live_of(bus)
    assert now.info.version == restored > saved
    assert (now.info.iteration, now.info.loss, now.info.origin) == (100, 0.25, "restore")
    assert now.weights.matrices[0].tobytes() == seeded(7).matrices[0].tobytes()
    newest = history(client)[0]
    assert (newest["version"], newest["origin"]) == (restored, "restore")
    assert (newest["name"], newest["iteration"]) == ("before the test", 100)
    assert client.get("/weights/versions").json()["live"] == restored


def test_what_is_saved_twice_is_there_twice(client: httpx.Client) -> None:
    reset = version_of(client.delete("/weights"))
    first = version_of(client.post("/weights/versions", json={"name": "one"}))
    second = version_of(client.post("/weights/versions", json={"name": "two"}))
    third = version_of(client.post("/weights/versions", json={"name": None}))
    assert reset < first < second < third
    assert [(e["name"], e["origin"]) for e in history(client)] == [
        (None, "save"), ("two", "save"), ("one", "save"), (None, "reset"),
    ]  # fmt: skip
    assert client.get("/weights").headers["etag"] == f'"{reset}"'  # nothing was replaced


@pytest.mark.parametrize("kind", Format)
def test_a_version_in_every_format(client: httpx.Client, kind: Format) -> None:
    version = version_of(client.delete("/weights"))
    answer = client.get(f"/weights/versions/{version}?format={kind}")
    assert answer.headers["content-type"] == MEDIA_TYPES[kind]
    weights = decode(answer.content, kind)
    np.testing.assert_array_equal(weights.matrices[0], seeded().matrices[0])
    if kind is not Format.JSON:
        assert f"inkling-{version}.{kind}" in answer.headers["content-disposition"]
        by_header = client.get(
            f"/weights/versions/{version}", headers={"Accept": MEDIA_TYPES[kind]}
        )
        assert by_header.headers["content-type"] == MEDIA_TYPES[kind]
        assert len(by_header.content) == len(answer.content)


def test_a_version_is_forgotten(client: httpx.Client) -> None:
    version = version_of(client.delete("/weights"))
    answer = client.delete(f"/weights/versions/{version}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert history(client) == []
    assert client.get("/weights").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/weights/versions/{}"),
        ("GET", "/weights/versions/{}?format=npz"),
        ("DELETE", "/weights/versions/{}"),
        ("POST", "/weights/versions/{}/restore"),
    ],
)
def test_versions_that_there_are_not(client: httpx.Client, method: str, path: str) -> None:
    assert_problem(
        client.request(method, path.format(99)),
        404,
        "there is no version 99: GET /weights/versions",
    )
    for wrong in ("0", "-1", "x", str(2**63), "1.5"):
        assert_problem(
            client.request(method, path.format(wrong)), 422, f"version = '{wrong}' is not"
        )


def test_a_restore_that_does_not_fit_the_live_network(
    client: httpx.Client, bus: Bus, make_network: Make, make_snapshot: Make
) -> None:
    version = version_of(client.delete("/weights"))
    other = make_snapshot(make_network((784, 32, 10)), bus.live.next_version())
    assert bus.live.replace(other)
    assert_problem(
        client.post(f"/weights/versions/{version}/restore"),
        422,
        "w1 is 784 x 128; allowed is 784 x 32",
    )
    assert live_of(bus).info.version == other.info.version


def test_a_version_is_named_later(client: httpx.Client, bus: Bus) -> None:
    reset = version_of(client.delete("/weights"))
    saved = version_of(client.post("/weights/versions", json={"name": "one"}))
    answer = client.patch(f"/weights/versions/{reset}", json={"name": "  the start ☃ "})
    assert answer.status_code == 200
    assert answer.json() == history(client)[1]
    assert [(e["version"], e["name"]) for e in history(client)] == [
        (saved, "one"), (reset, "the start ☃"),
    ]  # fmt: skip
    client.patch(f"/weights/versions/{saved}", json={"name": "two"}).raise_for_status()
    assert client.patch(f"/weights/versions/{reset}", json={"name": None}).json()["name"] is None
    assert [e["name"] for e in history(client)] == ["two", None]
    assert live_of(bus).info.version == reset  # nothing else changes


def test_a_version_that_there_is_not_cannot_be_named(client: httpx.Client) -> None:
    answer = client.patch("/weights/versions/99", json={"name": "x"})
    assert_problem(answer, 404, "there is no version 99: GET /weights/versions")
    answer = client.patch("/weights/versions/x", json={"name": "x"})
    assert_problem(answer, 422, "version = 'x' is not")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"name": ""}', ("name", "is not allowed", "at least 1 character")),
        (b'{"name": "   "}', ("at least 1 character",)),
        (json.dumps({"name": "x" * 81}).encode(), ("at most 80 characters",)),
        (b'{"name": 5}', ("name", "5", "valid string")),
        (b'{"nam": "x"}', ("nam = 'x' is not allowed",)),
        (b"[]", ("is not allowed",)),
        (b"{", ("the body is not JSON",)),
        (b'{"name": "\\ud800"}', ("the body is not JSON",)),
        (b"\xff", ("the body is not JSON",)),
    ],
)
def test_a_name_that_is_refused(
    client: httpx.Client, content: bytes, words: tuple[str, ...]
) -> None:
    version_of(client.delete("/weights"))
    assert_problem(client.post("/weights/versions", content=content), 422, *words)
    (entry,) = history(client)
    path = f"/weights/versions/{entry['version']}"
    assert_problem(client.patch(path, content=content), 422, *words)
    assert history(client) == [entry]


@pytest.mark.parametrize(
    ("content", "detail"), [(b"{}", "name is missing"), (b"", "the body is not JSON: ")]
)
def test_to_rename_takes_a_name(client: httpx.Client, content: bytes, detail: str) -> None:
    version = version_of(client.delete("/weights"))
    assert_problem(client.patch(f"/weights/versions/{version}", content=content), 422, detail)


def test_a_name_of_eighty_characters_is_allowed(client: httpx.Client) -> None:
    version_of(client.delete("/weights"))
    version_of(client.post("/weights/versions", json={"name": "☃" * 80}))
    assert history(client)[0]["name"] == "☃" * 80


def test_a_name_in_too_large_a_body(client: httpx.Client) -> None:
    version_of(client.delete("/weights"))
    answer = client.post("/weights/versions", content=b" " * 65_537)
    assert_problem(answer, 413, "over the limit of 65,536 bytes")


# --- PATCH --------------------------------------------------------------------------------------
PIXELS = np.linspace(0, 1, 784, dtype=np.float32)


@pytest.mark.parametrize("nested", [False, True])
def test_a_tune_reaches_the_trainer(client: httpx.Client, trainer: Any, nested: bool) -> None:
    thread, taken = trainer.answer_tune(Reply(version=12, loss=1.5))
    image: Any = PIXELS.reshape(28, 28).tolist() if nested else PIXELS.tolist()
    body = {"data": [{"target": 3, "image": image}, {"target": 9, "image": [0] * 784}]}
    answer = client.patch("/weights", json=body)
    thread.join()
    assert (answer.status_code, answer.json()) == (200, {"loss": 1.5, "version": 12})
    (call,) = taken
    assert call.request.labels == [3, 9]
    images = np.frombuffer(call.request.images, "<f4").reshape(2, 784)
    np.testing.assert_array_equal(images, [PIXELS, np.zeros(784)])


def test_a_tune_may_be_normalised(client: httpx.Client, trainer: Any) -> None:
    picture = np.zeros((28, 28), np.float32)
    picture[:9, :4] = 1.0
    thread, taken = trainer.answer_tune(Reply(version=1, loss=0.1))
    body = {"data": [{"target": 1, "image": picture.ravel().tolist()}]}
    assert client.patch("/weights?normalize=true", json=body).status_code == 200
    thread.join()
    images = np.frombuffer(taken[0].request.images, "<f4").reshape(1, 784)
    np.testing.assert_array_equal(images, normalize(picture.reshape(1, 784)))
    assert not np.array_equal(images[0], picture.ravel())


def test_a_tune_that_the_trainer_refuses(client: httpx.Client, trainer: Any) -> None:
    thread, _ = trainer.answer_tune(Reply(status=422, detail="this step diverges"))
    answer = client.patch("/weights", json={"data": [{"target": 1, "image": [0] * 784}]})
    thread.join()
    assert_problem(answer, 422, "this step diverges")


def test_a_tune_that_nobody_takes(client: httpx.Client) -> None:
    answer = client.patch("/weights", json={"data": [{"target": 1, "image": [0] * 784}]})
    assert_problem(answer, 503, "no trainer took the call: is one running? Nothing was changed.")


def with_pixel(value: str) -> bytes:
    return b'{"data": [{"target": 1, "image": [' + value.encode() + b", 0" * 783 + b"]}]}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", ("the body is not JSON",)),
        (b"\xff\xff", ("the body is not JSON",)),
        (b"{}", ("data is missing",)),
        (b"[]", ("is not allowed",)),
        (b'{"data": []}', ("at least 1 item",)),
        (b'{"data": [{"target": 1}]}', ("data.0.image is missing",)),
        (b'{"data": [{"target": 10, "image": []}]}', ("data.0.target = 10", "less than 10")),
        (b'{"data": [{"target": -1, "image": []}]}', ("data.0.target = -1",)),
        (b'{"data": [{"target": "3", "image": []}]}', ("data.0.target = '3'", "valid integer")),
        (b'{"data": [{"target": 1.5, "image": []}]}', ("data.0.target = 1.5",)),
        (b'{"data": [{"target": true, "image": []}]}', ("data.0.target = True",)),
        (b'{"data": [{"target": 1, "image": []}]}', ("0 numbers; allowed are 784",)),
        (b'{"data": [{"target": 1, "image": "x"}]}', ("an image is 784 numbers in 0..1",)),
        (b'{"data": [{"target": 1, "image": [[0, 1], [0]]}]}', ("2 rows of [1, 2]; allowed",)),
        (with_pixel("1.01"), ("number 0 is 1.01; allowed are 784 numbers in 0..1",)),
        (with_pixel("-0.5"), ("number 0 is -0.5",)),
        (with_pixel("NaN"), ("number 0 is nan",)),
        (with_pixel("Infinity"), ("number 0 is inf",)),
        (with_pixel("1e999"), ("number 0 is inf",)),
        (with_pixel("9" * 400), ("number 0 is 9999",)),
        (with_pixel('"1"'), ("number 0 is '1'",)),
        (with_pixel("true"), ("number 0 is True",)),
        (with_pixel("null"), ("number 0 is None",)),
        (with_pixel("[0]"), ("number 0 is [0]",)),
        (b'{"data": [{"target": 1, "image": [], "extra": 1}]}', ("data.0.extra = 1 is not",)),
        (b'{"data": [{"target": 1, "image": []}], "more": 1}', ("is not allowed",)),
        (b'{"data": ' + b"[" * 5000, ("the body is not JSON",)),
        (b'{"data": [' + b"0," * 2000 + b"0]}", ("data.0 = 0 is not allowed",)),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_a_tune_that_is_refused(
    client: httpx.Client, bus: Bus, content: bytes, words: tuple[str, ...]
) -> None:
    answer = client.patch("/weights", content=content)
    assert_problem(answer, 422, *words)
    assert len(answer.json()["detail"]) < 1000
    assert bus.calls.take("trainer", object) is None


def test_a_tune_of_too_many_samples(client: httpx.Client) -> None:
    sample = {"target": 1, "image": [0] * 784}
    assert_problem(
        client.patch("/weights", json={"data": [sample] * 1025}), 422, "at most 1024 items"
    )
    assert_problem(
        client.patch("/weights", content=b" " * (8 * 2**20 + 1)), 413, "over the limit of 8,388,608"
    )


# --- what else may be away ----------------------------------------------------------------------
def test_redis_away_changes_nothing(own_redis: Any, own_client: httpx.Client) -> None:
    client = own_client
    version = version_of(client.delete("/weights"))
    body = client.get("/weights?format=npz").content
    own_redis.stop()
    away = "Redis is away; nothing was changed. Try again in a few seconds."
    assert_problem(client.get("/weights"), 503, away)
    assert_problem(client.post("/weights?format=npz", content=body), 503, away)
    assert_problem(client.delete("/weights"), 503, away)
    assert_problem(client.post(f"/weights/versions/{version}/restore"), 503, away)
    assert_problem(client.post("/weights/versions", json={}), 503, away)
    assert_problem(
        client.patch("/weights", json={"data": [{"target": 1, "image": [0] * 784}]}), 503, away
    )
    assert client.get("/healthz").status_code == 200
    reasons = client.get("/readyz")
    assert reasons.status_code == 503
    assert "Redis is away" in reasons.json()["reasons"][0]
    own_redis.start()
    assert [entry["version"] for entry in history(client)] == [version]
    assert client.get("/weights").headers["etag"] == f'"{version}"'
    assert client.get("/readyz").status_code == 200


def test_redis_that_fails_after_the_history_was_written(client: httpx.Client, bus: Bus) -> None:
    version = version_of(client.delete("/weights"))
    redis = bus._client
    redis.rename("inkling:{default}:weights", "elsewhere")
    redis.set("inkling:{default}:weights", "no hash")  # replace() will get an error from Redis
    answer = client.delete("/weights")
    assert_problem(answer, 503, "nothing was changed")
    redis.rename("elsewhere", "inkling:{default}:weights")
    assert [entry["version"] for entry in history(client)] == [version]


def test_a_disk_that_cannot_be_written(client: httpx.Client, bus: Bus, settings: Settings) -> None:
    folder: Path = settings.weights_dir
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file in the way")
    assert_problem(
        client.delete("/weights"), 507, "nothing was changed", "make the folder writable"
    )
    assert bus.live.latest() is None
    assert "cannot be kept" in client.get("/readyz").json()["reasons"][0]
    folder.unlink()
    version_of(client.delete("/weights"))
    assert client.get("/readyz").json() == {"ready": True, "reasons": []}


def test_redis_that_lost_its_memory_gets_no_old_numbers(client: httpx.Client, bus: Bus) -> None:
    for _ in range(12):
        last = version_of(client.delete("/weights"))
    bus._client.flushall()
    assert version_of(client.delete("/weights")) == last + 1
    assert [entry["version"] for entry in history(client)] == list(range(13, 0, -1))


# --- waiting for the trainer --------------------------------------------------------------------
def test_an_answer_comes_when_the_trainer_has_adopted(
    serve: Callable[[Settings], httpx.Client], settings: Settings, trainer: Any, wait_until: Make
) -> None:
    client = serve(settings)
    trainer.lead()
    trainer.tell(training=False)
    wait_until(lambda: client.get("/readyz").status_code == 200)

    def adopt() -> None:
        wait_until(lambda: trainer.bus.live.latest() is not None)
        time.sleep(0.3)  # the answer has every reason to come sooner, and must not
        trainer.generation = trainer.bus.live.latest().info.version
        trainer.tell(training=False)

    thread = threading.Thread(target=adopt)
    thread.start()
    started = time.monotonic()
    version_of(client.delete("/weights"))
    took = time.monotonic() - started
    thread.join()
    assert 0.3 <= took < 1.5


def test_an_answer_comes_though_the_trainer_does_nothing(
    serve: Callable[[Settings], httpx.Client], settings: Settings, trainer: Any
) -> None:
    client = serve(settings)
    version_of(client.delete("/weights"))  # nobody leads: no waiting
    trainer.lead()
    started = time.monotonic()
    version_of(client.delete("/weights"))
    assert 1.9 < time.monotonic() - started < 4


# --- what people see of it ----------------------------------------------------------------------
def test_the_api_describes_itself(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    references: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            references.update(v for k, v in value.items() if k == "$ref")
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                walk(one)

    walk(described)
    for reference in references:
        place = described
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    routes = {(m, p) for p, methods in described["paths"].items() for m in methods}
    assert routes == {
        ("get", "/weights"), ("post", "/weights"), ("patch", "/weights"), ("delete", "/weights"),
        ("get", "/weights/versions"), ("post", "/weights/versions"),
        ("get", "/weights/versions/{version}"), ("delete", "/weights/versions/{version}"),
        ("patch", "/weights/versions/{version}"),
        ("post", "/weights/versions/{version}/restore"),
    }  # fmt: skip
    for methods in described["paths"].values():
        for route in methods.values():
            assert route["summary"]
            assert route["description"]


def test_metrics(client: httpx.Client) -> None:
    version_of(client.delete("/weights"))
    client.post("/weights", json=[[[1]]])
    text = client.get("/metrics").text
    assert "inkling_weights_versions 1.0" in text
    assert "inkling_weights_refused_total" in text
    assert (
        'inkling_http_request_duration_seconds_count{method="DELETE",route="/weights",status="200"}'
        in text
    )
