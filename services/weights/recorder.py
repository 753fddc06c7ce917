"""What the weights service does by itself: keeps checkpoints, notes accuracies, answers calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias, cast

import structlog

from ops.errors import as_problem
from ops.problems import Problem
from services.weights.adoption import Adoption
from services.weights.evaluations import Evaluations
from services.weights.formats import Format
from services.weights.replacement import Replacement
from services.weights.store import Store
from wire.bus import Bus
from wire.calls import Call, Fetch, Reply, Restore, Upload
from wire.codec import MalformedError, UnusableError, encode_snapshot
from wire.connection import RECONNECT_S, RedisAwayError
from wire.messages import Evaluation, Snapshot
from wire.request_id import working_for

TICK_S = 0.5  # how soon after the end of a training its last weights are kept
RETRY_S = 5.0  # after the disk was full
CALL_WAIT_S = 0.5
_Request: TypeAlias = Restore | Upload | Fetch
_REQUESTS = cast("type[_Request]", _Request)
_TROUBLES = (RedisAwayError, UnusableError, Problem)  # which pass, of Redis and the disk

log = structlog.get_logger()


class Recorder:
    """Follows the live weights and keeps some of them.

    Kept are weights that somebody put in place of the run's or tuned, at once; and those of a
    training, every `checkpoint_s` seconds while its iteration advances, and when it has stopped.
    """

    def __init__(
        self,
        bus: Bus,
        store: Store,
        replacement: Replacement,
        adoption: Adoption,
        evaluations: Evaluations,
        checkpoint_s: float,
    ) -> None:
        self._bus = bus
        self._store = store
        self._replacement = replacement
        self._adoption = adoption
        self._evaluations = evaluations
        self._checkpoint_s = checkpoint_s
        self._live: Snapshot | None = None
        self._kept: tuple[int, float | None] | None = None  # iteration and loss
        self._unkept_since: float | None = None
        self._troubles: set[str] = set()  # what each thread last complained of
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; each survives Redis and the disk being away."""
        self._stop.clear()
        work: dict[str, Callable[[], None]] = {
            "follow weights": self._follow,
            "keep checkpoints": self._keep_checkpoints,
            "follow frames": lambda: self._adoption.follow(self._stop),
            "follow evaluations": self._follow_evaluations,
            "serve calls": self._serve,
        }
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True) for name, target in work.items()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads; takes about a second."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    # --- keeping ----------------------------------------------------------------------------
    def _follow(self) -> None:
        """Rebind the live weights, and keep at once what people did."""
        known = None  # versions up to here were in the history, and may have been deleted
        for news in self._bus.live.follow(self._stop):
            try:
                if isinstance(news, RedisAwayError):
                    raise news
                if known is None:
                    known = self._recall()
                self._live = news
                if news.info.origin != "checkpoint" and news.info.version > known:
                    self._keep(news)
                self._clear("follow")
            except _TROUBLES as error:
                self._complain("follow", error)

    def _recall(self) -> int:
        """Return the highest version ever kept, and remember how far the newest had come."""
        newest = next(iter(self._store.entries()), None)
        self._kept = (newest.iteration, newest.loss) if newest else None
        return self._store.highest()

    def _keep_checkpoints(self) -> None:
        previous: Snapshot | None = None
        wait_s = TICK_S
        while not self._stop.wait(wait_s):
            live, wait_s = self._live, TICK_S
            try:
                if live is not None and self._is_due(live, quiet=live is previous):
                    self._keep(live)
                    self._clear("checkpoint")
            except Problem as error:
                self._complain("checkpoint", error)
                wait_s = RETRY_S
            previous = live

    def _is_due(self, live: Snapshot, *, quiet: bool) -> bool:
        """Return whether these weights are to be kept now; `quiet` if they are not just in."""
        is_progress = live.info.origin == "checkpoint" and live.info.iteration > 0
        if not is_progress or _place(live) == self._kept:
            self._unkept_since = None
            return False
        now = time.monotonic()
        if self._unkept_since is None:
            self._unkept_since = now
        stopped = quiet and not self._adoption.training
        return stopped or now - self._unkept_since >= self._checkpoint_s

    def _keep(self, snapshot: Snapshot) -> None:
        if self._store.add(snapshot):
            info = snapshot.info
            log.info("kept", version=info.version, iteration=info.iteration, origin=info.origin)
            self._evaluations.ask(snapshot)
        self._kept = _place(snapshot)
        self._unkept_since = None

    def _follow_evaluations(self) -> None:
        """Write down test accuracies; remind Redis, whenever it is back, of what it may lack."""
        for news in self._bus.live.follow_evaluations(self._stop):
            try:
                if isinstance(news, Evaluation):
                    self._store.note_test_accuracy(news.version, news.test_acc)
                    if not news.live:  # one that is in the history, which asked for it
                        log.info("test accuracy", version=news.version, iteration=news.iteration,
                                 test_acc=round(news.test_acc, 4))  # fmt: skip
                else:
                    self._bus.live.raise_version(self._store.highest())
                    self._replacement.put_back()
                    self._evaluations.ask_again()
                self._clear("evaluations")
            except _TROUBLES as error:
                self._complain("evaluations", error)

    # --- calls ------------------------------------------------------------------------------
    def _serve(self) -> None:
        """Answer the calls of other services."""
        while not self._stop.is_set():
            try:
                call = self._bus.calls.take("weights", _REQUESTS, CALL_WAIT_S)
                self._clear("calls")
                if isinstance(call, MalformedError):
                    log.warning("dropped a call", error=str(call))
                elif call is not None:
                    with working_for(call.request_id):
                        self._bus.calls.answer(call.name, self._reply(call))
            except RedisAwayError as error:
                self._complain("calls", error)
                self._stop.wait(RECONNECT_S)

    def _reply(self, call: Call[_Request]) -> Reply:
        request = call.request
        try:
            if isinstance(request, Fetch):
                _, snapshot = self._replacement.find(request.stored)
                return Reply(snapshot=encode_snapshot(snapshot))
            if isinstance(request, Restore):
                return Reply(version=self._replacement.restore(request.stored))
            return Reply(version=self._replacement.upload(request.weights, Format.JSON))
        except Problem as problem:
            return Reply(status=problem.status, detail=problem.detail)
        except MalformedError as error:
            return Reply(status=422, detail=str(error))
        except RedisAwayError as error:
            told = as_problem(error)
            return Reply(status=told.status, detail=told.detail)

    # --- trouble ----------------------------------------------------------------------------
    def _complain(self, work: str, error: Exception) -> None:
        """Log why `work` cannot go on, once until it goes on again."""
        if work not in self._troubles:
            self._troubles.add(work)
            log.warning("the history of weights is not kept up", work=work, reason=str(error))

    def _clear(self, work: str) -> None:
        self._troubles.discard(work)


def _place(snapshot: Snapshot) -> tuple[int, float | None]:
    return snapshot.info.iteration, snapshot.info.loss
