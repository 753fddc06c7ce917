"""REST: requests that the OpenAPI description forbids, and bodies of every kind that are broken."""

from __future__ import annotations

import io
import json
import socket
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image
from schemathesis import Case, GenerationMode

from nn.model import fresh_weights
from ops.settings import Settings
from services.local.docs import service_apps
from services.weights.formats import MEDIA_TYPES, Format, encode
from tests.fuzz.conftest import HIDDEN_UNITS
from tests.fuzz.mutation import Mutation
from tests.fuzz.target import Answer, Target
from wire.bus import Bus
from wire.messages import Snapshot, WeightsInfo

JSON = {"Content-Type": "application/json"}
IMAGE = [0.0, 0.25, 1, 0.5] * 196


# --- from the description ----------------------------------------------------------------------
def operations() -> dict[str, Any]:
    """Return every operation of every service that can be asked wrongly."""
    apps = service_apps(Bus("redis://127.0.0.1:1/0"), Settings())
    found = {}
    for app in apps.values():
        for result in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]
            if operation.body or operation.query or operation.path_parameters:
                found[operation.label] = operation
    return found


OPERATIONS = operations()


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_the_description_forbids_is_refused(target: Target, label: str) -> None:
    strategy = OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=20, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy)
    def send(case: Case[Any]) -> None:
        answer = case.call(base_url=target.stack.url)
        (kind,) = answer.headers.get("content-type", [""])
        told = f"{case.method} {answer.request.url} {answer.request.body!r:.300}"
        target.judge("from the OpenAPI description", Answer(answer.status_code, kind,
                     answer.content), told)  # fmt: skip
        if answer.status_code < 400 and case.method != "GET":
            target.expected = target.settled()

    send()


# --- bodies of JSON ----------------------------------------------------------------------------
SIGNALS: list[Any] = [
    {"type": "Start", "iterations": 5},
    {"type": "Stop"},
    {"type": "GetStatus"},
    {"type": "SetBatchSize", "value": 128},
    {"type": "SetLearningRate", "value": 0.1},
    {"type": "SetCacheSize", "value": 16},
    {"type": "SetWeights", "version": 10**9},
    {"type": "SetWeights", "weights": [[[0.5, 1], [2, 3]], [[1], [2]]]},
    {"type": "Subscribe", "weights": "f32", "weights_hz": 5},
]
JSON_BODIES: list[tuple[str, str, list[Any], int]] = [
    ("POST", "/infer", [{"image": IMAGE}, {"images": [IMAGE]}, {"image": [[0.5] * 28] * 28}], 2500),
    ("POST", "/control", SIGNALS, 2500),
    ("PATCH", "/weights", [{"data": [{"target": 7, "image": IMAGE}]}], 700),
    ("POST", "/weights/versions", [{"name": "x" * 90}], 300),
    ("PATCH", "/weights/versions/999999", [{"name": "x"}, {"name": None}], 400),
    ("POST", "/datablock", [{"block": 3}], 700),
]


@pytest.mark.parametrize(("method", "path", "valid", "count"), JSON_BODIES)
def test_json_that_is_broken(
    target: Target, method: str, path: str, valid: list[Any], count: int
) -> None:
    mutation = Mutation(1)
    for _ in range(count):
        body = mutation.text(mutation.choice(valid))
        if may_do_something(path, body):
            continue
        target.give(f"JSON to {method} {path}", method, path, body, JSON)


def may_do_something(path: str, body: bytes) -> bool:
    """Return whether a body is still one that changes the run for good."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if path == "/control":
        return isinstance(fields, dict) and fields.get("type") in ("Start", "Stop")
    return path == "/weights/versions" and isinstance(fields, dict) and "name" not in fields


# --- images ------------------------------------------------------------------------------------
def picture(kind: str, mode: str = "L", size: tuple[int, int] = (28, 28)) -> bytes:
    """Return a valid picture with some ink in it."""
    image = Image.new(mode, size)
    image.paste(image.getpixel((0, 0)), (3, 3, 9, 20))  # type: ignore[arg-type]
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


IMAGES: list[tuple[str, list[bytes], int]] = [
    ("image/png", [picture("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
     1500),
    ("image/jpeg", [picture("JPEG", mode) for mode in ("L", "RGB", "CMYK")], 1000),
    ("application/octet-stream", [bytes(784), bytes(3 * 784)], 500),
    ("application/octet-stream; dtype=float32", [np.zeros(784, "<f4").tobytes()], 500),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "valid", "count"), IMAGES)
def test_images_that_are_broken(target: Target, kind: str, valid: list[bytes], count: int) -> None:
    mutation = Mutation(2)
    for _ in range(count):
        body = mutation.data(mutation.choice(valid), first=mutation.choice((None, 80)))
        target.give(f"{kind} to POST /infer", "POST", "/infer", body, {"Content-Type": kind})


# --- weights -----------------------------------------------------------------------------------
SNAPSHOT = Snapshot(fresh_weights(1, int(HIDDEN_UNITS), False), WeightsInfo(1, 0, "upload"))
# Broken are those bytes that are not the numbers themselves: others are still weights.
STRUCTURE_BYTES = {Format.SAFETENSORS: 320, Format.NPZ: 200, Format.ONNX: 60, Format.JSON: 100}


def broken_weights(mutation: Mutation, kind: Format, valid: bytes) -> bytes:
    """Return weights of this kind that are broken at the beginning, in the midst or at the end."""
    where = mutation.rng.randrange(3)
    if where == 0:
        return mutation.data(valid, first=STRUCTURE_BYTES[kind])
    if where == 1:
        return mutation.data(valid[-400:], first=400).join((valid[:-400], b""))
    return valid[: mutation.rng.randrange(len(valid))] + mutation.noise(20)


@pytest.mark.parametrize("kind", list(Format))
def test_weights_that_are_broken(target: Target, kind: Format) -> None:
    mutation, valid = Mutation(3), encode(SNAPSHOT, kind)
    for _ in range(400):
        body = broken_weights(mutation, kind, valid)
        content = mutation.choice((MEDIA_TYPES[kind], "application/octet-stream"))
        target.give(f"{kind} to POST /weights", "POST", "/weights", body, {"Content-Type": content})


def test_a_format_that_is_another(target: Target) -> None:
    mutation = Mutation(4)
    files = [encode(SNAPSHOT, kind) for kind in Format]
    for _ in range(200):
        body = mutation.data(mutation.choice(files), first=20)
        kind = mutation.choice(list(Format))
        target.give("weights of another format", "POST", f"/weights?format={kind}", body)


# --- what is not the body ----------------------------------------------------------------------
PATHS = (
    "/weights/versions/{}", "/weights/versions/{}/restore", "/weights?format={}", "/data?index={}",
    "/data?split={}", "/evaluation?version={}", "/evaluation/examples?label={}&digit={}", "/{}",
    "/infer?normalize={}&input={}", "/docs/{}", "/styles/{}", "/ws/{}", "/status?{}", "/data/{}",
)  # fmt: skip
WORDS = (
    "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2e%2e/", "-1", "0", "1e3",
    "1_0", "9" * 30, "9" * 5000, "NaN", "true", "", "a" * 3000, "%c3%28", "%ed%a0%80", "%0d%0aX:1",
    "%", "%zz", ";", "&", "=", "?", "//", "\\", "~root", "%252e", "'--", "*", "[]", "con", ".git",
    "package.json", "%F0%9F%98%80", "index.html%00.js",
)  # fmt: skip
HEADERS = (
    "Accept", "Content-Type", "If-None-Match", "Accept-Encoding", "Range", "Cookie", "Expect",
    "X-Forwarded-For", "If-Modified-Since", "Content-Encoding", "Upgrade", "Origin",
)  # fmt: skip


def test_paths_and_queries_that_are_strange(target: Target) -> None:
    mutation = Mutation(5)
    for _ in range(1000):
        path = mutation.choice(PATHS)
        words = [mutation.choice(WORDS) for _ in range(path.count("{}"))]
        method = mutation.choice(("GET", "GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE"))
        line = f"{method} {path.format(*words)} HTTP/1.1"
        raw(
            target,
            "paths and queries",
            f"{line}\r\nHost: localhost\r\nContent-Length: 0\r\n".encode(),
        )


def test_headers_that_are_strange(target: Target) -> None:
    mutation = Mutation(6)
    for _ in range(700):
        name = mutation.choice(HEADERS).encode()
        value = mutation.choice((
            mutation.noise(60).translate(None, b"\r\n\0"), b"", b"*/*;q=nan", b'W/"', b"a" * 4000,
            b"application/json;q=-1,*/*;q=9", b"text/html; charset=x", b'"1","2', b"bytes=0-,5-1",
        ))  # fmt: skip
        line = mutation.choice((b"GET /weights?format=npz", b"GET /", b"POST /infer", b"GET /ws"))
        head = b"%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n%b: %b\r\n"
        raw(target, "headers", head % (line, name, value))


def test_requests_that_are_no_http(target: Target) -> None:
    mutation = Mutation(7)
    valid = b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"  # fmt: skip
    for _ in range(500):
        raw(target, "requests that are no HTTP", mutation.data(valid), cut_short=True)


def raw(target: Target, kind: str, head: bytes, *, cut_short: bool = False) -> None:
    """Send a request as it is; whatever answer comes must not be a failure of the server.

    One that may be cut short ends where the client stops to send: a server would wait for the rest.
    """
    with socket.create_connection(("127.0.0.1", target.stack.port), timeout=10) as connection:
        connection.sendall(head + b"Connection: close\r\n\r\n")
        if cut_short:
            connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    target.tally[kind] += 1
    status = answer[9:12].decode(errors="replace") if answer else "no answer"
    target.outcomes[status] += 1
    assert not answer or (answer.startswith(b"HTTP/1.1 ") and status < "500"), (head, answer[:500])


def received(connection: socket.socket) -> bytes:
    """Return the beginning of what comes until the other end closes."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionError:  # a server that closes what it has not read to the end resets
        pass
    return b"".join(parts)[:2000]
