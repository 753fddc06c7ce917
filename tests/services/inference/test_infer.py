"""POST /infer over a real server: what it answers, and what it says of what it refuses."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from nn.model import Floats, predict
from nn.normalize import normalize, normalize_pictures
from ops.problems import Problem
from ops.settings import Settings
from services.inference import api as inference_api
from services.inference.api import MAX_BODY_BYTES, create_app
from services.inference.images import read_picture
from tests.examples import snapshot_of
from tests.running import RedisServer
from tests.serving import detail_of, served
from wire.bus import Bus

VERSION, ITERATION = 3, 40
SHAPES = "784 numbers in 0..1, or 28 lists of 28"
LIVE = snapshot_of(VERSION, ITERATION, "upload")


@pytest.fixture(scope="module")
def client(redis_server: RedisServer, wait_until: Callable[..., Any]) -> Iterator[httpx.Client]:
    """A client of an inference service that has weights."""
    bus = Bus(redis_server.url, "inference")
    bus.live.replace(LIVE)
    with (
        served(create_app(bus, Settings())) as place,
        httpx.Client(base_url=f"http://{place}", timeout=30) as client,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client
    bus.close()


def random_images(count: int) -> Floats:
    return np.random.default_rng([7]).random((count, 784)).astype(np.float32)


def check(guess: dict[str, Any], image: Floats) -> None:
    """Check that the guess is what the network says of `image` (784,)."""
    expected = predict(LIVE.weights, image[None])[0]
    np.testing.assert_allclose(guess["probabilities"], expected, rtol=1e-4, atol=1e-6)
    assert guess["digit"] == int(expected.argmax())
    assert sum(guess["probabilities"]) == pytest.approx(1, abs=1e-5)


# --- numbers --------------------------------------------------------------------------------
def test_one_image(client: httpx.Client) -> None:
    image = random_images(1)[0]
    answer = client.post("/infer", json={"image": image.tolist()})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    guess = answer.json()
    assert list(guess) == ["digit", "probabilities", "version", "iteration"]
    assert (guess["version"], guess["iteration"]) == (VERSION, ITERATION)
    check(guess, image)


def test_one_image_as_28_lists_of_28(client: httpx.Client) -> None:
    image = random_images(1)[0]
    nested = client.post("/infer", json={"image": image.reshape(28, 28).tolist()})
    assert nested.json() == client.post("/infer", json={"image": image.tolist()}).json()


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_range_and_whole_numbers_are_allowed(
    client: httpx.Client, value: float
) -> None:
    answer = client.post("/infer", json={"image": [value] * 784})
    check(answer.json(), np.full(784, value, np.float32))


@pytest.mark.parametrize("count", [1, 3, 1024])
def test_many_images_are_each_guessed_as_alone(client: httpx.Client, count: int) -> None:
    images = random_images(count)
    answer = client.post("/infer", json={"images": images.tolist()})
    assert answer.status_code == 200
    fields = answer.json()
    assert list(fields) == ["results", "version", "iteration"]
    assert (fields["version"], fields["iteration"]) == (VERSION, ITERATION)
    assert len(fields["results"]) == count
    for guess, image in zip(fields["results"], images, strict=True):
        assert list(guess) == ["digit", "probabilities"]
        check(guess, image)


def test_many_images_may_be_of_both_shapes(client: httpx.Client) -> None:
    flat, nested = random_images(2)
    body = {"images": [flat.tolist(), nested.reshape(28, 28).tolist()]}
    results = client.post("/infer", json=body).json()["results"]
    check(results[0], flat)
    check(results[1], nested)


def test_numbers_are_normalised_only_if_asked_for(client: httpx.Client) -> None:
    small = np.zeros((28, 28), np.float32)
    small[2:8, 3:6] = 0.8
    image = small.reshape(784)
    body = {"image": image.tolist()}
    check(client.post("/infer", json=body).json(), image)
    check(client.post("/infer?normalize=false", json=body).json(), image)
    scaled = normalize(image[None])[0]
    check(client.post("/infer?normalize=true", json=body).json(), scaled)
    many = client.post("/infer?normalize=true", json={"images": [body["image"]] * 2}).json()
    for guess in many["results"]:
        check(guess, scaled)


def test_what_the_network_was_given_is_told_if_asked_for(client: httpx.Client) -> None:
    small = np.zeros((28, 28), np.float32)
    small[2:8, 3:6] = 0.8
    image = random_images(1)[0]
    for query, wanted in (("", image), ("&normalize=true", normalize(image[None])[0])):
        told = client.post(f"/infer?input=true{query}", json={"image": image.tolist()}).json()
        np.testing.assert_allclose(told["input"], wanted, atol=0.5001e-4)
        assert all(len(str(number)) <= 6 for number in told["input"])  # four decimals
        plain = client.post(f"/infer?{query}", json={"image": image.tolist()}).json()
        assert {**plain, "input": told["input"]} == told
    body = {"images": [image.tolist(), small.reshape(784).tolist()]}
    told = client.post("/infer?input=true&normalize=true", json=body).json()
    assert list(told) == ["results", "version", "iteration"]
    for result, sent in zip(told["results"], [image, small.reshape(784)], strict=True):
        assert list(result) == ["digit", "probabilities", "input"]
        np.testing.assert_allclose(result["input"], normalize(sent[None])[0], atol=0.5001e-4)


def test_a_blank_image_is_guessed_too(client: httpx.Client) -> None:
    body = {"image": [0] * 784}
    plain, scaled = (client.post(f"/infer{q}", json=body) for q in ("", "?normalize=true"))
    assert plain.status_code == 200
    assert plain.json() == scaled.json()


@pytest.mark.parametrize(
    "kind", [None, "application/json", "Application/JSON; charset=utf-8",
             "application/x-www-form-urlencoded"],
)  # fmt: skip
def test_json_is_taken_by_these_names(client: httpx.Client, kind: str | None) -> None:
    body = json.dumps({"image": [0.5] * 784})
    headers = {} if kind is None else {"Content-Type": kind}
    assert client.post("/infer", content=body, headers=headers).status_code == 200


def with_number(number: Any, place: int = 5) -> list[Any]:
    return [0.5] * place + [number] + [0.5] * (783 - place)


def nested_with(number: Any, row: int, column: int) -> list[list[Any]]:
    rows: list[list[Any]] = [[0.5] * 28 for _ in range(28)]
    rows[row][column] = number
    return rows


BAD: list[tuple[Any, str]] = [
    ([], 'the body has list; allowed is {"image": ...} or {"images": ...}'),
    (5, 'the body has int; allowed is {"image": ...} or {"images": ...}'),
    ({}, 'the body has []; allowed is {"image": ...} or {"images": ...}'),
    (
        {"picture": [0] * 784},
        'the body has [\'picture\']; allowed is {"image": ...} or {"images": ...}',
    ),
    (
        {"image": [0] * 784, "colour": 1},
        "the body has ['colour', 'image']; allowed is {\"image\": ...} or {\"images\": ...}",
    ),
    (
        {"image": [0] * 784, "images": []},
        "the body has ['image', 'images']; allowed is {\"image\": ...} or {\"images\": ...}",
    ),
    ({"image": None}, f"image is null; allowed are {SHAPES}"),
    ({"image": "784 zeros"}, f'image is "784 zeros"; allowed are {SHAPES}'),
    ({"image": {"a": 1}}, f'image is {{"a":1}}; allowed are {SHAPES}'),
    ({"image": []}, f"image has 0 items; allowed are {SHAPES}"),
    ({"image": [0] * 783}, f"image has 783 items; allowed are {SHAPES}"),
    ({"image": [0] * 785}, f"image has 785 items; allowed are {SHAPES}"),
    ({"image": [[0] * 28] * 27}, f"image has 27 items; allowed are {SHAPES}"),
    ({"image": [[0] * 28] * 27 + [[0] * 29]}, f"image[27] has 29 numbers; allowed are {SHAPES}"),
    ({"image": [[0] * 28] * 27 + [[]]}, f"image[27] has 0 numbers; allowed are {SHAPES}"),
    ({"image": [[0] * 28] * 27 + [0]}, f"image has 28 items; allowed are {SHAPES}"),
    ({"image": with_number(1.01)}, f"image[5] = 1.01; allowed are {SHAPES}"),
    ({"image": with_number(-0.5)}, f"image[5] = -0.5; allowed are {SHAPES}"),
    ({"image": with_number(255, 0)}, f"image[0] = 255; allowed are {SHAPES}"),
    ({"image": with_number(10**30)}, f"image[5] = 1e+30; allowed are {SHAPES}"),
    ({"image": with_number(2**63)}, f"image[5] = 9223372036854775808; allowed are {SHAPES}"),
    ({"image": with_number("0.5")}, f'image[5] is "0.5"; allowed are {SHAPES}'),
    ({"image": with_number(True)}, f"image[5] is true; allowed are {SHAPES}"),
    ({"image": with_number(None, 783)}, f"image[783] is null; allowed are {SHAPES}"),
    ({"image": with_number([1])}, f"image[5] is [1]; allowed are {SHAPES}"),
    ({"image": nested_with(2, 3, 4)}, f"image[3][4] = 2; allowed are {SHAPES}"),
    ({"image": nested_with("x", 27, 0)}, f'image[27][0] is "x"; allowed are {SHAPES}'),
    ({"images": []}, "images has 0 items; allowed are 1 to 1024 images"),
    ({"images": {}}, "images has dict items; allowed are 1 to 1024 images"),
    ({"images": [[]] * 1025}, "images has 1025 items; allowed are 1 to 1024 images"),
    ({"images": [0] * 784}, f"images[0] is 0; allowed are {SHAPES}"),
    ({"images": [[0] * 784, with_number(9)]}, f"images[1][5] = 9; allowed are {SHAPES}"),
    ({"images": [[0] * 784, nested_with(9, 1, 2)]}, f"images[1][1][2] = 9; allowed are {SHAPES}"),
]


@pytest.mark.parametrize(("body", "detail"), BAD)
def test_a_wrong_body_is_told_with_value_and_what_is_allowed(
    client: httpx.Client, body: Any, detail: str
) -> None:
    assert detail_of(client.post("/infer", json=body), 422) == detail


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"image": [NaN]}', b'{"image": [Infinity]}', b'{"image": [1e999]}'],
)
def test_what_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    detail = detail_of(client.post("/infer", content=body), 400)
    assert detail.startswith("the body is not JSON: ")


def test_a_long_value_is_told_in_short(client: httpx.Client) -> None:
    detail = detail_of(client.post("/infer", json={"image": "x" * 5000}), 422)
    assert detail == f'image is str "{"x" * 39}...; allowed are {SHAPES}'


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    answer = client.post("/infer", content=b" " * (MAX_BODY_BYTES + 1))
    assert detail_of(answer, 413) == "the body is over the limit of 33,554,432 bytes"


@pytest.mark.parametrize("kind", ["text/plain", "image/gif", "multipart/form-data; boundary=x", ""])
def test_other_content_types_are_refused(client: httpx.Client, kind: str) -> None:
    answer = client.post("/infer", content=b"x", headers={"Content-Type": kind})
    assert detail_of(answer, 415) == (
        f"the content type '{kind.partition(';')[0]}' is not among "
        "application/json, application/octet-stream, image/png, image/jpeg"
    )


def test_a_wrong_parameter_is_told(client: httpx.Client) -> None:
    answer = client.post("/infer?normalize=perhaps", json={"image": [0] * 784})
    assert detail_of(answer, 422).startswith("normalize = 'perhaps' is not allowed: ")
    answer = client.post("/infer?input=all", json={"image": [0] * 784})
    assert detail_of(answer, 422).startswith("input = 'all' is not allowed: ")
    assert detail_of(client.get("/infer"), 405) == "GET is not allowed for /infer: see /docs"


def test_a_mistake_of_ours_is_a_problem_and_logged(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError("stumbled")

    monkeypatch.setattr(inference_api, "classify", stumble)
    bus = Bus(redis_server.url, "mistake")
    with served(create_app(bus, Settings())) as place:
        answer = httpx.post(f"http://{place}/infer", json={"image": [0] * 784})
        assert httpx.get(f"http://{place}/healthz").status_code == 200
    bus.close()
    assert detail_of(answer, 500).startswith("The service failed at this request")
    assert answer.headers["connection"] == "close"
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["stumbled"]


# --- bare bytes -----------------------------------------------------------------------------
def infer_bytes(
    client: httpx.Client, body: bytes, kind: str = "application/octet-stream", **headers: str
) -> httpx.Response:
    return client.post("/infer", content=body, headers={"Content-Type": kind, **headers})


FLOAT32 = "application/octet-stream; dtype=float32"


@pytest.mark.parametrize("count", [1, 4, 1024])
@pytest.mark.parametrize(
    "kind",
    ["application/octet-stream", "application/octet-stream;dtype=uint8",
     'Application/Octet-Stream; charset=binary; DTYPE="uint8"'],
)  # fmt: skip
def test_bytes_are_pixels(client: httpx.Client, kind: str, count: int) -> None:
    pixels = np.random.default_rng([8]).integers(0, 256, (count, 784), np.uint8)
    fields = infer_bytes(client, pixels.tobytes(), kind).json()
    assert list(fields) == ["results", "version", "iteration"]
    assert (fields["version"], fields["iteration"]) == (VERSION, ITERATION)
    for guess, image in zip(fields["results"], pixels / np.float32(255), strict=True):
        assert list(guess) == ["digit", "probabilities"]
        check(guess, image)


@pytest.mark.parametrize("count", [1, 3])
def test_floats_are_told_by_the_content_type(client: httpx.Client, count: int) -> None:
    images = random_images(count)
    told = infer_bytes(client, images.astype("<f4").tobytes(), FLOAT32).json()
    assert told == client.post("/infer", json={"images": images.tolist()}).json()
    pixels = infer_bytes(client, images.astype("<f4").tobytes()).json()
    assert len(pixels["results"]) == 4 * count  # the same bytes are four images of uint8


def test_bytes_may_be_normalised_and_told(client: httpx.Client) -> None:
    small = np.asarray(drawn((28, 28)))
    headers = {"Content-Type": "application/octet-stream"}
    query = "/infer?normalize=true&input=true"
    (guess,) = client.post(query, content=small.tobytes(), headers=headers).json()["results"]
    wanted = normalize(small.reshape(1, 784).astype(np.float32) / np.float32(255))[0]
    check(guess, wanted)
    np.testing.assert_allclose(guess["input"], wanted, atol=0.5001e-4)


@pytest.mark.parametrize("accept", ["application/octet-stream", "Application/Octet-Stream, */*"])
def test_the_answer_may_be_bytes(client: httpx.Client, accept: str) -> None:
    images = random_images(5)
    answer = infer_bytes(client, images.tobytes(), FLOAT32, Accept=accept)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["inkling-version"] == str(VERSION)
    assert answer.headers["inkling-iteration"] == str(ITERATION)
    probabilities = np.frombuffer(answer.content, "<f4").reshape(5, 10)
    np.testing.assert_allclose(probabilities, predict(LIVE.weights, images), rtol=1e-4, atol=1e-6)
    one = client.post("/infer", json={"image": images[0].tolist()}, headers={"Accept": accept})
    assert len(one.content) == 40


@pytest.mark.parametrize("length", [0, 1, 783, 785, 1025 * 784])
def test_bytes_of_another_length_are_refused(client: httpx.Client, length: int) -> None:
    assert detail_of(infer_bytes(client, bytes(length)), 422) == (
        f"the body has {length:,} bytes; allowed are 784 for each image (784 numbers, "
        "dtype=uint8), 1 to 1024 images"
    )


def test_floats_of_another_length_are_refused(client: httpx.Client) -> None:
    assert detail_of(infer_bytes(client, bytes(784), FLOAT32), 422) == (
        "the body has 784 bytes; allowed are 3,136 for each image (784 numbers, "
        "dtype=float32), 1 to 1024 images"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1.5, "1.5"), (-0.25, "-0.25"),
     (np.nextafter(np.float32(1), np.float32(2)), "1")],
)  # fmt: skip
def test_floats_out_of_range_are_told(client: httpx.Client, value: float, shown: str) -> None:
    images = random_images(3)
    images[1, 7] = value
    detail = detail_of(infer_bytes(client, images.tobytes(), FLOAT32), 422)
    assert detail.startswith(f"images[1][7] = {shown}")
    assert detail.endswith("; allowed are numbers in 0..1")


def test_another_dtype_is_refused(client: httpx.Client) -> None:
    answer = infer_bytes(client, bytes(784), "application/octet-stream; dtype=float64")
    assert detail_of(answer, 415) == (
        "the content type says dtype=float64; allowed are application/octet-stream; dtype=uint8 "
        "(the default) and dtype=float32"
    )


# --- pictures -------------------------------------------------------------------------------
def drawn(size: tuple[int, int] = (120, 90), ink: int = 255, paper: int = 0) -> Image.Image:
    """Return a picture of a 7."""
    picture = Image.new("L", size, paper)
    width, height = size
    points = [
        (width * 0.3, height * 0.2),
        (width * 0.7, height * 0.2),
        (width * 0.45, height * 0.8),
    ]
    ImageDraw.Draw(picture).line(points, fill=ink, width=max(2, height // 12))
    return picture


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def infer(client: httpx.Client, body: bytes, kind: str = "png", query: str = "") -> httpx.Response:
    return client.post(f"/infer{query}", content=body, headers={"Content-Type": f"image/{kind}"})


def scaled(picture: Image.Image) -> Floats:
    """Return what MNIST would hold for a picture of bright ink on black, of any size."""
    side = max(picture.size)
    canvas = np.zeros((side, side), np.float32)
    canvas[: picture.height, : picture.width] = np.asarray(picture, np.float32) / 255
    image: Floats = normalize_pictures(canvas[None])[0]
    return image


def test_a_png_is_scaled_and_centred(client: httpx.Client) -> None:
    answer = infer(client, file_of(drawn()))
    assert list(answer.json()) == ["digit", "probabilities", "version", "iteration"]
    check(answer.json(), scaled(drawn()))
    assert infer(client, file_of(drawn()), query="?normalize=true").json() == answer.json()


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_what_the_network_was_given_of_a_picture(client: httpx.Client, kind: str) -> None:
    body = file_of(drawn(), kind.upper())
    told = infer(client, body, kind, "?input=true").json()
    expected = normalize_pictures(read_picture(body, f"image/{kind}")[None])[0]
    np.testing.assert_allclose(told["input"], expected, atol=0.5001e-4)
    assert infer(client, body, kind).json() == {k: told[k] for k in told if k != "input"}


def test_the_content_type_may_be_written_in_any_case(client: httpx.Client) -> None:
    assert infer(client, file_of(drawn()), "PNG").status_code == 200


@pytest.mark.parametrize(
    "variant",
    [
        drawn(ink=0, paper=255),
        drawn().convert("RGB"),
        drawn(ink=0, paper=255).convert("P"),
        drawn().convert("1"),
        drawn().convert("LA"),
        Image.fromarray(np.asarray(drawn()).astype(np.uint16) * 257),
        Image.fromarray(65535 - np.asarray(drawn()).astype(np.uint16) * 257),
    ],
    ids=["dark on bright", "RGB", "palette", "one bit", "alpha", "16 bit", "16 bit, dark"],
)
def test_the_same_drawing_in_another_form_is_the_same_digit(
    client: httpx.Client, variant: Image.Image
) -> None:
    plain, other = infer(client, file_of(drawn())).json(), infer(client, file_of(variant)).json()
    np.testing.assert_allclose(other["probabilities"], plain["probabilities"], atol=1e-4)
    assert other["digit"] == plain["digit"]


def test_16_bits_of_grey_are_read_whole() -> None:
    grey = np.zeros((40, 40), np.uint8)
    grey[10:30, 10:30] = np.arange(20, 220, 10)
    deep = file_of(Image.fromarray(grey.astype(np.uint16) * 257))
    np.testing.assert_allclose(
        read_picture(deep, "image/png"), read_picture(file_of(Image.fromarray(grey)), "image/png")
    )


@pytest.mark.parametrize(("ink", "paper"), [(255, 0), (0, 255), (20, 200), (230, 60)])
def test_a_jpeg_of_any_ink_is_nearly_the_same(client: httpx.Client, ink: int, paper: int) -> None:
    plain = infer(client, file_of(drawn())).json()
    jpeg = infer(client, file_of(drawn(ink=ink, paper=paper), "JPEG", quality=95), "jpeg").json()
    assert jpeg["digit"] == plain["digit"]


def test_a_photo_is_read_as_the_phone_was_held(client: httpx.Client) -> None:
    upright = infer(client, file_of(drawn((300, 200)), "JPEG", quality=95), "jpeg").json()
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: to be turned by 90 degrees clockwise
    turned = drawn((300, 200)).transpose(Image.Transpose.ROTATE_90)
    photo = infer(client, file_of(turned, "JPEG", quality=95, exif=exif), "jpeg").json()
    np.testing.assert_allclose(photo["probabilities"], upright["probabilities"], atol=0.02)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_large_photo_is_made_small_before_it_costs_memory(kind: str) -> None:
    picture = drawn().resize((4000, 3000)).convert("RGB")
    height, width = read_picture(file_of(picture, kind.upper()), f"image/{kind}").shape
    assert 560 <= max(height, width) < 1200
    assert width / height == pytest.approx(4 / 3, rel=0.01)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16"])
def test_a_large_picture_of_any_mode_is_made_small(mode: str) -> None:
    ink = drawn().resize((1800, 1200))
    wide = np.asarray(ink, np.uint16) * 257
    picture = Image.fromarray(wide) if mode == "I;16" else ink.convert(mode)
    small = read_picture(file_of(picture), "image/png")
    plain = read_picture(file_of(ink), "image/png")
    assert small.shape == plain.shape == (400, 600)
    assert np.abs(small - plain).mean() < 0.02


def test_a_bomb_among_the_words_of_a_png_is_refused(client: httpx.Client) -> None:
    words = b"Comment\0\0" + zlib.compress(bytes(50_000_000))
    body = png_of_size(20, 20, (b"zTXt", words))
    detail = detail_of(infer(client, body), 422)
    assert "Decompressed data too large" in detail


def test_what_is_transparent_is_paper(client: httpx.Client) -> None:
    ink = drawn()
    picture = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    picture.putalpha(ink)  # black ink on nothing
    plain = infer(client, file_of(ink)).json()
    np.testing.assert_allclose(
        infer(client, file_of(picture)).json()["probabilities"], plain["probabilities"], atol=1e-4
    )


def test_grey_paper_is_paper(client: httpx.Client) -> None:
    ink = np.asarray(drawn(), np.float32) / 255
    brightness = read_picture(file_of(drawn(ink=255, paper=100)), "image/png")
    assert brightness[0, 0] == 0
    assert ((brightness > 0) == (ink > 0)).all()


def test_28_by_28_may_be_taken_as_it_is(client: httpx.Client) -> None:
    picture = drawn((28, 28))
    body = file_of(picture)
    pixels = (np.asarray(picture, np.float32) / 255).reshape(784)
    check(infer(client, body, query="?normalize=false").json(), pixels)
    check(infer(client, body).json(), scaled(picture))


def test_another_size_cannot_be_taken_as_it_is(client: httpx.Client) -> None:
    answer = infer(client, file_of(drawn((120, 90))), query="?normalize=false")
    assert detail_of(answer, 422) == (
        "the picture has 120 x 90 pixels; with normalize=false allowed are 28 x 28"
    )


def png_of_size(width: int, height: int, *others: tuple[bytes, bytes]) -> bytes:
    """Return a PNG that announces so many pixels and holds few; `others` go after them."""

    def chunk(name: bytes, data: bytes) -> bytes:
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    parts = ((b"IHDR", header), (b"IDAT", pixels), *others, (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_a_png_whose_parts_are_broken_is_refused(client: httpx.Client) -> None:
    assert infer(client, png_of_size(20, 20)).status_code == 200
    detail = detail_of(infer(client, png_of_size(20, 20, (b"iCCP", b""))), 422)
    assert detail.startswith("the body is no PNG that can be read: ")


@pytest.mark.parametrize(
    ("width", "height"), [(4001, 4000), (10_000, 10_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_refused(client: httpx.Client, width: int, height: int) -> None:
    detail = detail_of(infer(client, png_of_size(width, height)), 413)
    assert detail == f"the PNG has {width} x {height} pixels; allowed are 16,000,000 in all"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_picture_that_is_cut_off_is_refused(client: httpx.Client, kind: str) -> None:
    body = file_of(drawn((400, 400)), kind.upper())
    detail = detail_of(infer(client, body[: len(body) // 2], kind), 422)
    assert detail.startswith(f"the body is no {kind.upper()} that can be read: ")
    assert "truncated" in detail


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (b"", "png", "the body is no PNG: it starts with b''"),
        (b"GIF89a nonsense", "png", "the body is no PNG: it starts with b'GIF89a n'"),
        (file_of(drawn()), "jpeg", r"the body is no JPEG: it starts with b'\x89PNG\r\n\x1a\n'"),
        (b"\x89PNG\r\n\x1a\n", "png", r"the body is no PNG: it starts with b'\x89PNG\r\n\x1a\n'"),
    ],
)
def test_what_is_no_picture_is_refused(
    client: httpx.Client, body: bytes, kind: str, detail: str
) -> None:
    assert detail_of(infer(client, body, kind), 422) == detail


FILES = {
    "image/png": file_of(drawn((60, 60))),
    "image/jpeg": file_of(drawn((60, 60)), "JPEG"),
}


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_any_damage_is_survived_or_refused(
    kind: str, damage: list[tuple[float, int]], length: float
) -> None:
    body = bytearray(FILES[kind])
    for place, value in damage:
        body[int(place * len(body))] = value
    try:
        picture = read_picture(bytes(body[: int(length * len(body)) + 1]), kind)
    except Problem:
        return
    assert picture.dtype == np.float32
    assert ((picture >= 0) & (picture <= 1)).all()


# --- weights come and go --------------------------------------------------------------------
def guess_version(place: str) -> int | None:
    answer = httpx.post(f"http://{place}/infer", json={"image": [0.5] * 784})
    return int(answer.json()["version"]) if answer.status_code == 200 else None


def test_before_any_weights_the_reason_is_told(bus: Bus, wait_until: Callable[..., Any]) -> None:
    with served(create_app(bus, Settings())) as place:
        body = {"image": [0.5] * 784}
        answer = httpx.post(f"http://{place}/infer", json=body)
        why = "there are no weights yet: the trainer makes the first ones as it starts"
        assert detail_of(answer, 503) == f"Nothing can be classified: {why}."
        assert answer.headers["retry-after"] == "1"
        ready = httpx.get(f"http://{place}/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, [why])
        wrong = httpx.post(f"http://{place}/infer", json={"image": 5})
        assert detail_of(wrong, 422).startswith("image is 5;")
        bus.live.replace(snapshot_of(1, origin="reset"))
        wait_until(lambda: guess_version(place) == 1)
        assert httpx.get(f"http://{place}/readyz").status_code == 200


def test_new_weights_are_in_use_within_a_second(bus: Bus, wait_until: Callable[..., Any]) -> None:
    bus.live.replace(snapshot_of(1, 10, "upload"))
    image = random_images(1)
    with served(create_app(bus, Settings())) as place:
        wait_until(lambda: guess_version(place) == 1)
        token = bus.training.acquire()
        assert token is not None
        bus.live.publish(snapshot_of(2, 20), token=token, generation=1, keep=False)
        wait_until(lambda: guess_version(place) == 2, 1.0)
        guess = httpx.post(f"http://{place}/infer", json={"image": image[0].tolist()}).json()
        assert (guess["version"], guess["iteration"]) == (2, 20)
        expected = predict(snapshot_of(2).weights, image)[0]
        np.testing.assert_allclose(guess["probabilities"], expected, rtol=1e-4, atol=1e-6)
        bus.live.replace(snapshot_of(3, 0, "reset"))
        wait_until(lambda: guess_version(place) == 3, 1.0)


def test_guesses_go_on_while_redis_is_away_and_swaps_when_it_is_back(
    own_redis: RedisServer, wait_until: Callable[..., Any]
) -> None:
    bus = Bus(own_redis.url)
    bus.live.replace(snapshot_of(1, origin="upload"))
    with served(create_app(bus, Settings())) as place:
        wait_until(lambda: guess_version(place) == 1)
        own_redis.stop()
        assert guess_version(place) == 1
        own_redis.start()
        bus.live.replace(snapshot_of(2, origin="upload"))
        wait_until(lambda: guess_version(place) == 2)
    bus.close()


def test_redis_away_from_the_start_is_the_reason(
    own_redis: RedisServer, wait_until: Callable[..., Any]
) -> None:
    own_redis.stop()
    bus = Bus(own_redis.url)
    with served(create_app(bus, Settings())) as place:

        def detail() -> str:
            return detail_of(httpx.post(f"http://{place}/infer", json={"image": [0] * 784}), 503)

        wait_until(lambda: detail().startswith("Nothing can be classified: Redis is away: "))
        own_redis.start()
        bus.live.replace(snapshot_of(1, origin="upload"))
        wait_until(lambda: guess_version(place) == 1)
    bus.close()


def test_the_version_in_use_is_measured(client: httpx.Client) -> None:
    client.post("/infer", json={"images": [[0] * 784] * 5})
    metrics = client.get("/metrics").text
    assert "inkling_inference_version" in metrics
    assert "inkling_inference_images_total" in metrics
    assert (
        'inkling_http_request_duration_seconds_count{method="POST",route="/infer",status="200"}'
        in metrics
    )
