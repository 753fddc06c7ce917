"""/weights: the live weights, in and out, tuned and reset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from nn.normalize import normalize
from ops.disk import measure_disk
from ops.errors import install_problems
from ops.etags import etag_of, has_already
from ops.health import health_routes
from ops.problems import Problem, read_body
from ops.settings import Settings
from services.weights.adoption import Adoption
from services.weights.evaluations import Evaluations
from services.weights.formats import ANY_BYTES, MEDIA_TYPES, Format, encode, format_of
from services.weights.negotiation import negotiate
from services.weights.recorder import Recorder
from services.weights.replacement import Replacement
from services.weights.samples import TUNE_SCHEMA, TuneBody
from services.weights.store import Store
from services.weights.versions import VersionAnswer, version_routes
from wire.bus import Bus
from wire.calls import Tune
from wire.codec import MalformedError, UnusableError, decode_snapshot
from wire.connection import RedisAwayError
from wire.messages import Snapshot

MAX_BODY_BYTES = 8 * 2**20
MAX_TRAIN = 10_000_000

AskedFormat = Annotated[Format | None, Query(description="The format; without it the headers tell")]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_JSON_WEIGHTS: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["weights"],
        "properties": {
            "weights": {
                "description": "One matrix for each layer: 784 x 128 and 128 x 10 by default",
                "type": "array",
                "items": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            },
            "biases": {
                "description": "One list for each layer, only of a network that has biases",
                "type": "array",
                "items": {"type": "array", "items": {"type": "number"}},
            },
        },
    }
}
_CONTENT = {
    media_type: _JSON_WEIGHTS if kind is Format.JSON else _BINARY
    for kind, media_type in MEDIA_TYPES.items()
}
_UPLOAD = {"requestBody": {"required": True, "content": {**_CONTENT, ANY_BYTES: _BINARY}}}
_TUNE = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": TUNE_SCHEMA}},
    }
}


class TuneAnswer(BaseModel):
    """The loss on the samples before the step, and the version of the weights after it."""

    loss: float | None
    version: int


def create_app(bus: Bus, settings: Settings) -> FastAPI:
    """Return the weights service as an ASGI application."""
    store = Store(settings.weights_dir)
    measure_disk("weights", settings.weights_dir)
    adoption, evaluations = Adoption(bus), Evaluations(bus, store)
    replacement = Replacement(bus, store, settings, adoption, evaluations)
    recorder = Recorder(bus, store, replacement, adoption, evaluations, settings.checkpoint_s)

    def reasons() -> list[str]:
        return [reason for reason in (_store_trouble(store), _redis_trouble(bus)) if reason]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        recorder.start()
        yield
        await run_in_threadpool(recorder.stop)
        store.close()

    app = FastAPI(title="Inkling weights", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.reasons, app.state.store = reasons, store
    install_problems(app)
    app.router.routes.extend(health_routes(reasons))
    app.include_router(_live_routes(bus, replacement))
    app.include_router(version_routes(bus, store, replacement))
    return app


def _live_routes(bus: Bus, replacement: Replacement) -> APIRouter:
    """Return the routes of the live weights: long, because it declares all of them."""
    router = APIRouter(tags=["weights"])

    @router.get(
        "/weights",
        summary="The live weights",
        response_class=Response,
        responses={
            200: {"description": "The weights; the ETag is their version", "content": _CONTENT},
            304: {"description": "The version in If-None-Match is still the live one"},
        },
    )
    def get_weights(request: Request, format: AskedFormat = None) -> Response:
        """Return the live weights as JSON, safetensors, npz or ONNX.

        `?format=` or else `Accept` picks the format; `If-None-Match` saves the transfer of
        a version that the client has.
        """
        kind = format or negotiate(request.headers.get("accept"))
        version, data = replacement.live_bytes()
        headers = _headers(version, kind)
        if has_already(request.headers.get("if-none-match"), version):
            return Response(status_code=304, headers=headers)
        # What is live is safetensors already: only other formats are made of the numbers in it.
        if kind is not Format.SAFETENSORS:
            data = encode(_live(data), kind)
        return Response(data, headers=headers)

    @router.post("/weights", summary="Replace the weights", openapi_extra=_UPLOAD)
    async def post_weights(request: Request, format: AskedFormat = None) -> VersionAnswer:
        """Go on from these weights; trainer and inference adopt them.

        `Content-Type` or `?format=` tells the format. The shapes must be those of the run's
        network. The iteration stays.
        """
        body = await read_body(request, MAX_BODY_BYTES)
        kind = format or format_of(request.headers.get("content-type"), body)
        return VersionAnswer(version=await run_in_threadpool(replacement.upload, body, kind))

    @router.patch("/weights", summary="Tune the weights", openapi_extra=_TUNE)
    async def patch_weights(
        request: Request,
        normalize: Annotated[bool, Query(description="Scale and centre as MNIST does")] = False,
    ) -> TuneAnswer:
        """Let the trainer take one step on 1 to 1024 samples, training or not."""
        body = await read_body(request, MAX_BODY_BYTES)
        return await run_in_threadpool(tune, bus, body, scaled=normalize)

    @router.delete("/weights", summary="Start afresh")
    def delete_weights(
        train: Annotated[
            int | None, Query(ge=1, le=MAX_TRAIN, description="Train so many iterations, then stop")
        ] = None,
    ) -> VersionAnswer:
        """Go back to iteration 0 and the random weights of the run's seed."""
        return VersionAnswer(version=replacement.reset(train))

    return router


def _live(data: bytes) -> Snapshot:
    """Return the live weights in the bytes that Redis holds; raise UnusableError if they are none.

    That is not the fault of whoever asks for them.
    """
    try:
        return decode_snapshot(data)
    except MalformedError as error:
        raise UnusableError(str(error)) from error


def tune(bus: Bus, body: bytes, *, scaled: bool) -> TuneAnswer:
    """Hand the samples in `body` to the trainer; `scaled` normalises the drawings first.

    Raises ValidationError, Problem, RedisAwayError, NoAnswerError or NoReplyError.
    """
    samples = TuneBody.model_validate_json(body)
    images = normalize(samples.images) if scaled else samples.images
    request = Tune(images.astype("<f4").tobytes(), samples.targets)
    reply = bus.calls.call("trainer", request)
    if reply.status != 200:
        raise Problem(reply.status, reply.detail)
    return TuneAnswer(loss=reply.loss, version=reply.version)


def _headers(version: int, kind: Format) -> dict[str, str]:
    headers = {
        "Content-Type": MEDIA_TYPES[kind],
        "ETag": etag_of(version),
        "Vary": "Accept",
        "Cache-Control": "no-cache",  # keep, but ask each time whether it is still the live one
    }
    if kind is not Format.JSON:
        headers["Content-Disposition"] = f'attachment; filename="inkling-{version}.{kind}"'
    return headers


def _store_trouble(store: Store) -> str | None:
    try:
        store.check()
    except Problem as problem:
        return problem.detail
    return None


def _redis_trouble(bus: Bus) -> str | None:
    try:
        bus.check_writes()
    except RedisAwayError as error:
        return str(error)
    return None
