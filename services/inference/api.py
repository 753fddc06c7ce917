"""POST /infer: which digit is it?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from fastapi import FastAPI, Query, Request, Response
from prometheus_client import Counter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from nn.model import CLASSES, IMAGE_SIDE, INPUTS, Floats
from nn.normalize import normalize, normalize_pictures
from ops.errors import EXPECTED, as_problem, install_problems, mistake_response
from ops.health import health_routes
from ops.problems import Problem, problem_response, receive_body
from ops.requests import ROUTE
from ops.settings import Settings
from services.inference.images import (
    BYTES_TYPE,
    MAX_IMAGES,
    PICTURE_TYPES,
    read_bytes,
    read_json,
    read_picture,
)
from services.inference.predictor import Predictor
from wire.bus import Bus

MAX_BODY_BYTES = 32 * 2**20  # 1024 images, each number with 17 digits
JSON_TYPES = ("application/json", "application/x-www-form-urlencoded")  # the latter: plain curl -d
# Up to here the answer takes less than a millisecond, and handing it to a thread not much less:
# some 32 images as JSON, 334 as uint8. Pictures take longer than their length tells.
SMALL_BYTES = {**dict.fromkeys(JSON_TYPES, 64 * 2**10), BYTES_TYPE: 256 * 2**10}
VERSION_HEADER, ITERATION_HEADER = "Inkling-Version", "Inkling-Iteration"

IMAGES = Counter("inkling_inference_images", "Images classified")


class Options(BaseModel):
    """What the query of POST /infer may say."""

    normalize: bool | None = Field(
        None, description="Scale and centre as MNIST does; default: only for PNG and JPEG"
    )
    input: bool = Field(
        False, description="Answer also with what the network is given of each image"
    )


class Guess(BaseModel):
    """The most probable digit, and the probability of each.

    `input`, only with ?input=true: the 784 numbers from which the network guessed.
    """

    digit: int
    probabilities: list[float]
    input: list[float] | None = None


class InferAnswer(Guess):
    """The guess for one image, and the weights that made it."""

    version: int
    iteration: int


class InferAnswers(BaseModel):
    """The guesses for many images, and the weights that made them."""

    results: list[Guess]
    version: int
    iteration: int


_IMAGE_SCHEMA = {
    "description": f"{INPUTS} numbers from 0 (paper) to 1 (ink), row by row; "
    f"or {IMAGE_SIDE} lists of {IMAGE_SIDE}",
    "type": "array",
    "items": {},
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    {"type": "object", "required": ["image"], "additionalProperties": False,
                     "properties": {"image": _IMAGE_SCHEMA}},
                    {"type": "object", "required": ["images"], "additionalProperties": False,
                     "properties": {"images": {"type": "array", "maxItems": MAX_IMAGES,
                                               "minItems": 1, "items": _IMAGE_SCHEMA}}},
                ]
            }
        },
        **{
            f"{BYTES_TYPE}; dtype={dtype}": {
                "schema": {"type": "string", "format": "binary", "description": words}
            }
            for dtype, words in (
                ("uint8", f"1 to {MAX_IMAGES} images of {INPUTS} bytes, 0 (paper) to 255 (ink); "
                          "answered as images are. The default dtype"),
                ("float32", f"1 to {MAX_IMAGES} images of {INPUTS} little-endian floats, 0 to 1"),
            )
        },
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURE_TYPES},
    },
}  # fmt: skip
_BYTES_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            BYTES_TYPE: {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": f"If Accept names {BYTES_TYPE}: the {CLASSES} probabilities of "
                    "each image as little-endian float32; the version and the iteration of the "
                    f"weights are in the headers {VERSION_HEADER} and {ITERATION_HEADER}",
                }
            }
        }
    }
}


def create_app(bus: Bus, settings: Settings) -> FastAPI:
    """Return the inference service as an ASGI application."""
    predictor = Predictor(bus)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        predictor.start()
        yield
        await run_in_threadpool(predictor.stop)

    app = Inference(
        predictor, title="Inkling inference", lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.reasons = predictor.reasons
    install_problems(app)
    app.router.routes.extend(health_routes(predictor.reasons))

    @app.post(
        "/infer",
        summary="Classify images",
        response_model=InferAnswer | InferAnswers,
        responses=_BYTES_ANSWER,
        openapi_extra={"requestBody": _BODY},
    )
    async def infer(request: Request, options: Annotated[Options, Query()]) -> Response:
        """Return the digit, the ten probabilities, and the version of the weights that say so.

        Takes one image or up to 1024 as numbers or as bare bytes, or a PNG or JPEG.
        """
        raise AssertionError("the application has answered")

    return app


class Inference(FastAPI):
    """The application; it answers POST /infer itself, which its route only declares.

    FastAPI's middlewares, routing, parsing and checking take longer than the network does.
    """

    def __init__(self, predictor: Predictor, **options: Any) -> None:
        super().__init__(**options)
        self._predictor = predictor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to classify; leave any other to FastAPI."""
        if scope["type"] != "http" or scope["path"] != "/infer" or scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        scope[ROUTE] = "/infer"
        try:
            answer = await self._infer(scope, receive)
        except EXPECTED as error:
            problem = as_problem(error)
            response = problem_response(problem.status, problem.detail, problem.headers)
            await response(scope, receive, send)
            return
        except Exception:  # our own mistakes; the server logs them
            await mistake_response()(scope, receive, send)
            raise
        await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _infer(self, scope: Scope, receive: Receive) -> Answer:
        wanted = wanted_of(scope)
        body = await receive_body(receive, MAX_BODY_BYTES)
        if len(body) <= SMALL_BYTES.get(wanted.kind, 0):
            return classify(self._predictor, body, wanted)
        return await run_in_threadpool(classify, self._predictor, body, wanted)


class Wanted(NamedTuple):
    """What a request says of its body and of the answer."""

    kind: str  # the body's content type, without parameters
    dtype: str  # of bare bytes
    bare: bool  # whether to answer with bare bytes, too
    options: Options


def wanted_of(scope: Scope) -> Wanted:
    """Return what the query and the headers of a request say; raise ValidationError."""
    headers = dict(scope["headers"])
    content_type = headers.get(b"content-type", b"application/json")
    return _wanted(content_type, headers.get(b"accept", b""), scope["query_string"])


@lru_cache(maxsize=64)  # the same few again and again
def _wanted(content_type: bytes, accept: bytes, query: bytes) -> Wanted:
    kind, _, parameters = content_type.decode("latin-1").lower().partition(";")
    given = dict(parse_qsl(parameters.replace(" ", ""), separator=";"))
    options = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    return Wanted(
        kind.strip(),
        given.get("dtype", "uint8").strip('"'),
        BYTES_TYPE in accept.decode("latin-1").lower(),
        Options.model_validate(options),
    )


class Answer(NamedTuple):
    """The answer to a request that could be obeyed."""

    body: bytes
    headers: list[tuple[bytes, bytes]]


def classify(predictor: Predictor, body: bytes, wanted: Wanted) -> Answer:
    """Return the answer for a body; raise Problem."""
    images, many = read_images(body, wanted)
    outcome = predictor.predict(images)
    if outcome is None:
        detail = f"Nothing can be classified: {predictor.trouble}."
        raise Problem(503, detail, {"Retry-After": "1"})
    IMAGES.inc(len(images))
    probabilities, snapshot = outcome
    info = {"version": snapshot.info.version, "iteration": snapshot.info.iteration}
    if wanted.bare:
        content, kind = probabilities.astype("<f4", copy=False).tobytes(), BYTES_TYPE
    else:
        results = results_of(probabilities, images if wanted.options.input else None)
        answer = {"results": results, **info} if many else {**results[0], **info}
        content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        kind = "application/json"
    headers = [
        (b"content-length", str(len(content)).encode()),
        (b"content-type", kind.encode()),
    ]
    if wanted.bare:
        headers += [
            (VERSION_HEADER.lower().encode(), str(info["version"]).encode()),
            (ITERATION_HEADER.lower().encode(), str(info["iteration"]).encode()),
        ]
    return Answer(content, headers)


def results_of(probabilities: Floats, images: Floats | None) -> list[dict[str, Any]]:
    """Return the guess for each row of `probabilities` (B, 10), with its image if there are any."""
    results: list[dict[str, Any]] = [
        {"digit": digit, "probabilities": row}
        for digit, row in zip(probabilities.argmax(axis=1).tolist(), probabilities, strict=True)
    ]
    if images is not None:
        for result, image in zip(results, images.round(4), strict=True):
            result["input"] = image
    return results


def read_images(body: bytes, wanted: Wanted) -> tuple[Floats, bool]:
    """Return the images (B, 784) in a body, and whether it asked for many; raise Problem."""
    kind, scaled = wanted.kind, wanted.options.normalize
    if kind in PICTURE_TYPES:
        picture = read_picture(body, kind)
        if scaled is not False:
            return normalize_pictures(picture[None]), False
        if picture.shape != (IMAGE_SIDE, IMAGE_SIDE):
            height, width = picture.shape
            raise Problem(
                422,
                f"the picture has {width} x {height} pixels; with normalize=false allowed are "
                f"{IMAGE_SIDE} x {IMAGE_SIDE}",
            )
        return picture.reshape(1, INPUTS), False
    if kind == BYTES_TYPE:
        images, many = read_bytes(body, wanted.dtype), True
    elif kind in JSON_TYPES:
        images, many = read_json(body)
    else:
        allowed = ", ".join(["application/json", BYTES_TYPE, *PICTURE_TYPES])
        raise Problem(415, f"the content type {kind!r} is not among {allowed}")
    return (normalize(images) if scaled else images), many
