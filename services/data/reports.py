"""How good weights are on the test set: the newest reports, and others made when asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from prometheus_client import Histogram

from nn.evaluation import Outcome, evaluate
from ops.problems import Problem
from services.data.idx import Split
from wire.bus import Bus
from wire.calls import Fetch
from wire.codec import decode_snapshot
from wire.messages import Snapshot

KEPT_LIVE = 8
KEPT_ASKED = 8

SECONDS = Histogram(
    "inkling_data_evaluation_seconds", "Time to evaluate weights on the test set",
    buckets=(0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """What the network of one version makes of the test set."""

    version: int
    iteration: int
    outcome: Outcome


class Reports:
    """The reports of the test set `test` of the data set `dataset`, a bounded number of them.

    Kept are those of the newest live weights, and of the versions that were last asked for.
    """

    def __init__(self, bus: Bus, dataset: str, test: Split) -> None:
        self.dataset = dataset
        self.test = test
        self._bus = bus
        self._lock = threading.Lock()
        self._live: OrderedDict[int, Report] = OrderedDict()  # the newest last
        self._asked: OrderedDict[int, Report] = OrderedDict()
        self._under_way: dict[int, Future[Report]] = {}

    def measure(self, snapshot: Snapshot) -> Report:
        """Return the report of these weights, kept nowhere; raise ValueError if there can be none.

        It takes about 30 ms for MNIST and the default network.
        """
        with SECONDS.time():
            outcome = evaluate(snapshot.weights, self.test.images, self.test.labels)
        return Report(snapshot.info.version, snapshot.info.iteration, outcome)

    def keep_live(self, report: Report) -> None:
        """Keep the report of the newest live weights."""
        with self._lock:
            _keep(self._live, report, KEPT_LIVE)

    def newest(self) -> Report:
        """Return the newest report of live weights; raise Problem 503 before there is one."""
        with self._lock:
            if self._live:
                return next(reversed(self._live.values()))
        raise Problem(
            503,
            "No weights are evaluated yet: the trainer makes the first ones as it starts.",
            {"Retry-After": "1"},
        )

    def of(self, version: int) -> Report:
        """Return the report of a version of the history, or of live weights of late.

        What is not kept is measured now, once for all who ask for it meanwhile. Raises Problem,
        RedisAwayError, NoAnswerError or NoReplyError.
        """
        with self._lock:
            kept = self._live.get(version) or self._asked.get(version)
            if kept is not None:
                return kept
            waiting = self._under_way.get(version)
            mine: Future[Report] = Future()
            if waiting is None:
                self._under_way[version] = mine
        return self._fulfil(version, mine) if waiting is None else waiting.result()

    def _fulfil(self, version: int, promise: Future[Report]) -> Report:
        try:
            report = self._measure_stored(version)
        except BaseException as error:
            promise.set_exception(error)
            raise
        else:
            promise.set_result(report)
            return report
        finally:
            with self._lock:
                del self._under_way[version]

    def _measure_stored(self, version: int) -> Report:
        reply = self._bus.calls.call("weights", Fetch(version))
        if reply.status == 404:
            raise Problem(
                404,
                f"there is no version {version} to evaluate: ask GET /evaluation for the live "
                "weights again, or GET /weights/versions for those that are kept",
            )
        if reply.status != 200:
            raise Problem(reply.status, reply.detail)
        try:
            report = self.measure(decode_snapshot(reply.snapshot))
        except ValueError as error:
            raise Problem(422, f"version {version} cannot be evaluated: {error}") from error
        with self._lock:
            _keep(self._asked, report, KEPT_ASKED)
        return report

    def rows(self, report: Report, label: int | None, digit: int | None) -> npt.NDArray[np.intp]:
        """Return the examples of this label that were taken for this digit, the surest first.

        Where one of the two is None, only mistakes count: with any label, with any digit.
        """
        outcome = report.outcome
        mistakes_only = label is None or digit is None
        chosen = outcome.digits != self.test.labels if mistakes_only else np.True_
        if label is not None:
            chosen = chosen & (self.test.labels == label)
        if digit is not None:
            chosen = chosen & (outcome.digits == digit)
        found = np.flatnonzero(chosen)
        return found[np.argsort(-outcome.probabilities[found], kind="stable")]


def _keep(kept: OrderedDict[int, Report], report: Report, limit: int) -> None:
    kept[report.version] = report
    kept.move_to_end(report.version)
    while len(kept) > limit:
        kept.popitem(last=False)
