"""POST /infer: which digit is it?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request, Response
from prometheus_client import Counter, Histogram
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from nn.model import IMAGE_SIDE, INPUTS, Floats
from nn.normalize import normalize, normalize_pictures
from ops.health import health_routes
from ops.problems import Problem, install_problems, read_body
from ops.settings import Settings
from services.inference.images import MAX_IMAGES, PICTURE_TYPES, read_json, read_picture
from services.inference.predictor import Predictor
from wire.bus import Bus

MAX_BODY_BYTES = 32 * 2**20  # 1024 images, each number with 17 digits
SMALL_BYTES = 64 * 2**10  # up to here an answer is worked out faster than it is handed to a thread
JSON_TYPES = ("application/json", "application/x-www-form-urlencoded")  # the latter: plain curl -d

IMAGES = Counter("inkling_inference_images", "Images classified")
SECONDS = Histogram(
    "inkling_inference_seconds", "Time to answer POST /infer, body at hand",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)  # fmt: skip


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
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURE_TYPES},
    },
}  # fmt: skip


def create_app(bus: Bus, settings: Settings) -> FastAPI:
    """Return the inference service as an ASGI application."""
    predictor = Predictor(bus)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        predictor.start()
        yield
        await run_in_threadpool(predictor.stop)

    app = FastAPI(title="Inkling inference", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.reasons = predictor.reasons
    install_problems(app)
    app.router.routes.extend(health_routes(predictor.reasons))

    @app.post(
        "/infer",
        summary="Classify images",
        response_model=InferAnswer | InferAnswers,
        openapi_extra={"requestBody": _BODY},
    )
    async def infer(
        request: Request,
        normalize: Annotated[
            bool | None,
            Query(description="Scale and centre as MNIST does; default: only for PNG and JPEG"),
        ] = None,
        input: Annotated[
            bool, Query(description="Answer also with what the network is given of each image")
        ] = False,
    ) -> Response:
        """Return the digit, the ten probabilities, and the version of the weights that say so.

        Takes one image or up to 1024 as numbers, or a PNG or JPEG.
        """
        body = await read_body(request, MAX_BODY_BYTES)
        kind = request.headers.get("content-type", "application/json").partition(";")[0]
        kind = kind.strip().lower()
        if len(body) <= SMALL_BYTES and kind not in PICTURE_TYPES:
            answer = classify(predictor, body, kind, normalize, echoed=input)
        else:
            answer = await run_in_threadpool(
                classify, predictor, body, kind, normalize, echoed=input
            )
        return Response(answer, media_type="application/json")

    return app


def classify(
    predictor: Predictor, body: bytes, kind: str, scaled: bool | None, *, echoed: bool
) -> bytes:
    """Return the JSON answer for a body of content type `kind`.

    `scaled` says whether to normalise; None leaves it to the kind. `echoed` says whether to answer
    also with what the network was given. Raises Problem.
    """
    with SECONDS.time():
        images, many = read_images(body, kind, scaled)
        outcome = predictor.predict(images)
        if outcome is None:
            detail = f"Nothing can be classified: {predictor.trouble}."
            raise Problem(503, detail, {"Retry-After": "1"})
        IMAGES.inc(len(images))
        probabilities, snapshot = outcome
        results: list[dict[str, Any]] = [
            {"digit": int(digit), "probabilities": row}
            for digit, row in zip(probabilities.argmax(axis=1), probabilities, strict=True)
        ]
        if echoed:
            for result, image in zip(results, images.round(4), strict=True):
                result["input"] = image
        info = {"version": snapshot.info.version, "iteration": snapshot.info.iteration}
        answer = {"results": results, **info} if many else {**results[0], **info}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def read_images(body: bytes, kind: str, scaled: bool | None) -> tuple[Floats, bool]:
    """Return the images (B, 784) in a body, and whether it asked for many; raise Problem."""
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
    if kind not in JSON_TYPES:
        allowed = ", ".join(["application/json", *PICTURE_TYPES])
        raise Problem(415, f"the content type {kind!r} is not among {allowed}")
    images, many = read_json(body)
    return (normalize(images) if scaled else images), many
