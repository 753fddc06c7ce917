"""/weights/versions: the history of weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from ops.problems import read_body
from services.weights.formats import MEDIA_TYPES, Format, dump_json, encode, json_fields
from services.weights.negotiation import negotiate
from services.weights.replacement import Replacement, missing
from services.weights.samples import NameBody, SaveBody
from services.weights.store import Entry, Store
from wire.bus import Bus

MAX_NAME_BODY_BYTES = 64 * 2**10

Version = Annotated[int, Path(ge=1, lt=2**63, description="Number of a version")]
_SAVE = {"requestBody": {"content": {"application/json": {"schema": SaveBody.model_json_schema()}}}}
_NAME = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": NameBody.model_json_schema()}},
    }
}


class VersionAnswer(BaseModel):
    """The number of the version that was made."""

    version: int


class VersionList(BaseModel):
    """All versions of the history, newest first, and the version that is live (null: none)."""

    versions: list[Entry]
    live: int | None


class VersionWeights(BaseModel):
    """One version with its matrices, and its biases if the network has them."""

    version: int
    iteration: int
    loss: float | None
    test_acc: float | None
    origin: str
    name: str | None
    created: str
    weights: list[list[list[float]]]


def version_routes(bus: Bus, store: Store, replacement: Replacement) -> APIRouter:
    """Return the routes of the history: long, because it declares all of them."""
    router = APIRouter(prefix="/weights/versions", tags=["versions"])

    @router.get("", summary="The history of weights")
    def get_versions() -> VersionList:
        """Return every version that is kept, newest first, and which version is live."""
        live = bus.live.latest()
        return VersionList(versions=store.entries(), live=live.info.version if live else None)

    @router.post("", summary="Save the live weights", openapi_extra=_SAVE)
    async def post_version(request: Request) -> VersionAnswer:
        """Keep the live weights for good, under a name of up to 80 characters."""
        body = await read_body(request, MAX_NAME_BODY_BYTES)
        name = SaveBody.model_validate_json(body or b"{}").name
        return VersionAnswer(version=await run_in_threadpool(replacement.save, name))

    @router.get("/{version}", summary="One version", response_model=VersionWeights)
    def get_version(
        request: Request,
        version: Version,
        format: Annotated[Format | None, Query(description="Only the weights, like this")] = None,
    ) -> Response:
        """Return a version and its weights; with a format, the weights alone in it."""
        entry, snapshot = replacement.find(version)
        kind = format or negotiate(request.headers.get("accept"))
        if format is None and kind is Format.JSON:
            body = dump_json({**asdict(entry), **json_fields(snapshot.weights)})
            return Response(body, media_type=MEDIA_TYPES[kind])
        headers = {"Vary": "Accept"}
        if kind is not Format.JSON:
            headers["Content-Disposition"] = f'attachment; filename="inkling-{version}.{kind}"'
        return Response(encode(snapshot, kind), media_type=MEDIA_TYPES[kind], headers=headers)

    @router.patch("/{version}", summary="Name a version", openapi_extra=_NAME)
    async def patch_version(request: Request, version: Version) -> Entry:
        """Give a version a name of up to 80 characters, or with null take it away.

        A checkpoint that has a name stays in the history, however many come after it.
        """
        body = await read_body(request, MAX_NAME_BODY_BYTES)
        name = NameBody.model_validate_json(body).name
        return await run_in_threadpool(replacement.rename, version, name)

    @router.post("/{version}/restore", summary="Go back to a version")
    def restore(version: Version) -> VersionAnswer:
        """Make a version the live one, under a new number; the iteration goes back, too."""
        return VersionAnswer(version=replacement.restore(version))

    @router.delete("/{version}", summary="Forget a version", status_code=204)
    def delete_version(version: Version) -> Response:
        """Take a version out of the history; live weights stay live."""
        if not store.remove(version):
            raise missing(version)
        return Response(status_code=204)

    return router
