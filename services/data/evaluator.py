"""How good the live weights are, measured beside the training and not in its way."""

from __future__ import annotations

import threading
import time

import structlog
from prometheus_client import Gauge

from services.data.reports import Reports
from wire.bus import Bus
from wire.codec import MalformedError
from wire.connection import RedisAwayError
from wire.messages import Evaluation, Snapshot

INTERVAL_S = 1.0  # live weights are measured that often at most: about 3 % of a core
WAIT_S = 0.5

TEST_ACCURACY = Gauge(
    "inkling_data_test_accuracy_ratio", "Accuracy of the live weights on the test set, 0 to 1"
)
log = structlog.get_logger()


class Evaluator:
    """Measures the newest live weights, and whatever else is asked for, one after the other."""

    def __init__(self, bus: Bus, reports: Reports) -> None:
        self._bus = bus
        self._reports = reports
        self._newest: Snapshot | None = None
        self._news = threading.Event()
        self._measured_at = 0.0

    def start(self, stop: threading.Event) -> list[threading.Thread]:
        """Start to measure until `stop` is set; return the threads."""
        threads = [
            threading.Thread(target=self._follow, args=(stop,), name="follow", daemon=True),
            threading.Thread(target=self._measure, args=(stop,), name="evaluate", daemon=True),
        ]
        for thread in threads:
            thread.start()
        return threads

    def _follow(self, stop: threading.Event) -> None:
        for news in self._bus.live.follow(stop):
            if isinstance(news, Snapshot):
                self._newest = news
                self._news.set()

    def _measure(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._news.wait(WAIT_S)
            try:
                self._measure_requests(stop)
                self._measure_live(stop)
            except RedisAwayError:
                stop.wait(WAIT_S)
            except (MalformedError, ValueError) as error:
                log.warning("cannot evaluate these weights", error=str(error))

    def _measure_requests(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                asked = self._bus.live.pop_to_evaluate()
                if asked is None:
                    return
                self._publish(asked, live=False)
            except ValueError as error:  # the next one may be measured
                log.warning("cannot evaluate what was asked for", error=str(error))

    def _measure_live(self, stop: threading.Event) -> None:
        """Measure the newest live weights if there are any, but not too often."""
        if not self._news.is_set():
            return
        wait_s = self._measured_at + INTERVAL_S - time.monotonic()
        if wait_s > 0:
            stop.wait(min(wait_s, WAIT_S))
            return
        self._news.clear()
        snapshot = self._newest  # taken after clearing: what comes later is news again
        if snapshot is None:
            return
        try:
            self._publish(snapshot, live=True)
        except RedisAwayError:
            self._news.set()  # not told yet
            raise
        self._measured_at = time.monotonic()

    def _publish(self, snapshot: Snapshot, *, live: bool) -> None:
        report = self._reports.measure(snapshot)
        if live:
            self._reports.keep_live(report)
            TEST_ACCURACY.set(report.outcome.accuracy)
        test_acc = report.outcome.accuracy
        info = snapshot.info
        self._bus.live.publish_evaluation(Evaluation(info.version, info.iteration, test_acc, live))
        log.debug("evaluated", version=snapshot.info.version, test_acc=round(test_acc, 4))
