"""/evaluation: how good weights are on the test set, and the images that show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from nn.evaluation import confusion
from nn.model import CLASSES, Floats
from ops.etags import etag_of, has_already
from services.data.reports import Report, Reports

MAX_EXAMPLES = 200

Version = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="One version; without it the newest live one evaluated"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_EXAMPLES, description="Examples at most")]
AskedLabel = Annotated[int | None, Query(ge=0, lt=CLASSES, description="What they are")]
AskedDigit = Annotated[int | None, Query(ge=0, lt=CLASSES, description="What they are taken for")]


class Evaluation(BaseModel):
    """Accuracy (0 to 1) and loss (mean cross entropy in nats) on the `count` test images.

    `confusion` has a row for each label, and in it a column for each digit that the network sees.
    """

    version: int
    iteration: int
    dataset: str
    test_acc: float
    loss: float | None
    count: int
    confusion: list[list[int]]


class Example(BaseModel):
    """A test image: `index` is its number in the test set, for GET /data."""

    index: int
    label: int
    digit: int
    probability: float | None
    label_probability: float | None
    image: list[float]


class Examples(BaseModel):
    """The first of `total` examples."""

    version: int
    total: int
    examples: list[Example]


def evaluation_routes(reports_now: Callable[[], Reports]) -> APIRouter:
    """Return the routes; `reports_now()` raises Problem as long as there is no data set."""
    router = APIRouter(prefix="/evaluation", tags=["evaluation"])

    def find(version: int | None) -> tuple[Reports, Report]:
        reports = reports_now()
        return reports, reports.newest() if version is None else reports.of(version)

    @router.get(
        "",
        summary="How good the weights are on the test set",
        response_model=Evaluation,
        responses={304: {"description": "The version in If-None-Match is still the newest"}},
    )
    def evaluation(request: Request, version: Version = None) -> Response:
        """Return accuracy, loss and confusion matrix on the test images, never trained on.

        Live weights are evaluated once a second at most; a version of the history when somebody
        asks for it. The ETag is the version.
        """
        reports, report = find(version)
        headers = {"ETag": etag_of(report.version), "Cache-Control": "no-cache"}
        if has_already(request.headers.get("if-none-match"), report.version):
            return Response(status_code=304, headers=headers)
        return _json(evaluation_fields(reports, report), headers)

    @router.get("/examples", summary="Test images by what they are taken for",
                response_model=Examples)  # fmt: skip
    def examples(
        version: Version = None,
        label: AskedLabel = None,
        digit: AskedDigit = None,
        limit: Limit = 48,
    ) -> Response:
        """Return images of one field of the confusion matrix, the most confident first.

        Without `label`, `digit` or both: the mistakes, for which the network was surest of the
        wrong digit.
        """
        reports, report = find(version)
        rows = reports.rows(report, label, digit)
        shown = examples_fields(reports, report, rows[:limit])
        return _json({"version": report.version, "total": len(rows), "examples": shown})

    return router


def evaluation_fields(reports: Reports, report: Report) -> dict[str, Any]:
    """Return the fields of Evaluation."""
    labels = reports.test.labels
    return {
        "version": report.version,
        "iteration": report.iteration,
        "dataset": reports.dataset,
        "test_acc": report.outcome.accuracy,
        "loss": report.outcome.loss,
        "count": len(labels),
        "confusion": confusion(labels, report.outcome.digits),
    }


def examples_fields(
    reports: Reports, report: Report, rows: npt.NDArray[np.intp]
) -> list[dict[str, Any]]:
    """Return the fields of an Example for each of the `rows` of the test set."""
    outcome = report.outcome
    images, labels = reports.test.take(rows)
    return [
        {
            "index": int(row),
            "label": int(label),
            "digit": int(outcome.digits[row]),
            "probability": float(outcome.probabilities[row]),
            "label_probability": float(outcome.label_probabilities[row]),
            "image": image,
        }
        for row, label, image in zip(rows, labels, unit_range(images), strict=True)
    ]


def unit_range(images: npt.NDArray[np.uint8]) -> Floats:
    """Return the pixels 0 to 255 as numbers 0 to 1 with four decimals, as they are sent."""
    scaled: Floats = (images / np.float32(255)).round(4)
    return scaled


def _json(fields: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    # Numbers that are not finite, as of a network whose weights are huge, become null.
    content = orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json", headers=headers)
