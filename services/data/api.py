"""The data API: samples and evaluations, over HTTP; and the test accuracy, over Redis."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import numpy as np
import orjson
import structlog
from fastapi import FastAPI, Query, Request, Response
from numpy.typing import NDArray
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ops.disk import measure_disk
from ops.errors import install_problems
from ops.health import health_routes
from ops.problems import Problem, read_body
from ops.settings import Settings
from services.data.datasets import DataSet, Places, prepare
from services.data.evaluation import evaluation_routes, unit_range
from services.data.evaluator import Evaluator
from services.data.idx import DataSetError, Split
from services.data.reports import Reports
from wire.bus import Bus
from wire.codec import MalformedError
from wire.connection import RedisAwayError
from wire.messages import DataSetInfo

MAX_BLOCK = 4096
MAX_INDICES = 200
MAX_BODY_BYTES = 64 * 2**10
ANNOUNCE_S = 2.0
STOP_S = 3.0

SAMPLES = Counter("inkling_data_samples", "Samples given out over HTTP")
SplitName = Literal["train", "test"]
Indices = Annotated[
    list[int],
    Query(
        max_length=MAX_INDICES,
        description=f"Number of a sample in its split, from 0; up to {MAX_INDICES} of them",
    ),
]
log = structlog.get_logger()


class Block(BaseModel):
    """How many samples are wanted."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={
        "example": {"block": 128}})  # fmt: skip
    block: Annotated[int, Field(ge=1, le=MAX_BLOCK, description="Number of samples")]


class Sample(BaseModel):
    """A labelled image: 784 numbers from 0 (paper) to 1 (ink), row by row."""

    target: int
    image: list[float]


class Samples(BaseModel):
    """Some samples."""

    data: list[Sample]


class DataService:
    """The data set as this process has it: none yet, or one that is announced and evaluated."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._settings = settings
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._dataset: DataSet | None = None
        self._reports: Reports | None = None  # there as soon as the data set is
        self._progress = "the data set is being looked for"
        self._rng = np.random.default_rng()
        self.failure: str | None = None  # why the data set cannot be had at all

    def start(self) -> None:
        """Begin to make the data set ready."""
        self._stop.clear()
        thread = threading.Thread(target=self._prepare, name="prepare", daemon=True)
        self._threads = [thread]
        thread.start()

    def stop(self) -> None:
        """End all threads; one that is drawing or downloading ends with the process."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=STOP_S if self._dataset else 0)

    def reasons(self) -> list[str]:
        """Return why there are no samples to give."""
        if self._dataset is None:
            return [self.failure or self._progress]
        try:
            self._bus.ping()
        except RedisAwayError as error:
            return [str(error)]
        return []

    def samples(self, split: SplitName, count: int) -> bytes:
        """Return `count` random samples as the JSON of Samples; raise Problem before there are."""
        source = self._split(split)
        return samples_json(source, self._rng.integers(0, len(source.labels), count))

    def chosen(self, split: SplitName, indices: Sequence[int]) -> bytes:
        """Return the samples of these numbers as the JSON of Samples; raise Problem if it cannot.

        They come in the order of `indices`, and as often.
        """
        source = self._split(split)
        count = len(source.labels)
        wrong = next((index for index in indices if not 0 <= index < count), None)
        if wrong is not None:
            raise Problem(
                422,
                f"index = {wrong} is not allowed: the split {split!r} has {count:,} samples, "
                f"0 to {count - 1}",
            )
        return samples_json(source, np.array(indices))

    def reports(self) -> Reports:
        """Return what is known of weights; raise Problem before there is a data set."""
        if self._reports is None:
            raise self._no_data()
        return self._reports

    def _split(self, split: SplitName) -> Split:
        if self._dataset is None:
            raise self._no_data()
        return self._dataset.train if split == "train" else self._dataset.test

    def _no_data(self) -> Problem:
        return Problem(503, f"No data yet: {self._progress}.", {"Retry-After": "2"})

    def _prepare(self) -> None:
        settings = self._settings
        places = Places(settings.data_dir, settings.cache_dir, settings.mirrors)
        try:
            dataset = prepare(settings.dataset, places, self._say)
        except DataSetError as error:
            log.critical("no data set", error=str(error))
            self.failure = str(error)
            os.kill(os.getpid(), signal.SIGTERM)  # nothing can be done without: end in order
            return
        self._reports = Reports(self._bus, dataset.name, dataset.test)
        self._dataset = dataset
        self._threads += Evaluator(self._bus, self._reports).start(self._stop)
        counts = len(dataset.train.labels), len(dataset.test.labels)
        log.info(
            "data set", name=dataset.name, reason=dataset.reason, train=counts[0], test=counts[1]
        )
        self._keep_announced(DataSetInfo(dataset.name, dataset.reason, *counts))

    def _keep_announced(self, info: DataSetInfo) -> None:
        """Announce the data set; again whenever Redis does not know it, as after a loss."""
        while not self._stop.is_set():
            try:
                if self._announced() != info:
                    self._bus.flow.announce(info)
            except RedisAwayError as error:
                log.debug("cannot announce the data set", error=str(error))
            self._stop.wait(ANNOUNCE_S)

    def _announced(self) -> DataSetInfo | None:
        try:
            return self._bus.flow.dataset()
        except MalformedError as error:
            log.warning("announced anew what could not be read", error=str(error))
            return None

    def _say(self, progress: str) -> None:
        if progress != self._progress:
            log.info(progress)
        self._progress = progress


def samples_json(source: Split, rows: NDArray[np.integer]) -> bytes:
    """Return the JSON of Samples for the examples in `rows` (B,)."""
    images, labels = source.take(rows)
    SAMPLES.inc(len(rows))
    data = [
        {"target": int(label), "image": image}
        for label, image in zip(labels, unit_range(images), strict=True)
    ]
    return orjson.dumps({"data": data}, option=orjson.OPT_SERIALIZE_NUMPY)


def create_app(bus: Bus, settings: Settings) -> FastAPI:
    """Return the data API as an ASGI application."""
    service = DataService(bus, settings)
    measure_disk("datasets", settings.cache_dir)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(title="Inkling data", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.state.reasons = service.reasons
    install_problems(app)
    app.router.routes.extend(health_routes(service.reasons))
    app.include_router(evaluation_routes(service.reports))

    @app.get("/data", summary="One random sample, or those asked for", response_model=Samples)
    def data(
        split: Annotated[
            SplitName, Query(description="Which part of the data set it comes from")
        ] = "train",
        index: Indices = [],  # noqa: B006 (nobody changes it)
    ) -> Response:
        """Return labelled images of the data set in use: those of `index`, else a random one."""
        samples = service.chosen(split, index) if index else service.samples(split, 1)
        return Response(samples, media_type="application/json")

    @app.post(
        "/datablock",
        summary="Many random samples",
        response_model=Samples,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": Block.model_json_schema()}},
            }
        },
    )
    async def datablock(request: Request) -> Response:
        """Return `block` random labelled images of the training split."""
        block = Block.model_validate_json(await read_body(request, MAX_BODY_BYTES))
        samples = await run_in_threadpool(service.samples, "train", block.block)
        return Response(samples, media_type="application/json")

    return app
