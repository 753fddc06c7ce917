"""Putting other weights in place of the run's: upload, reset, restore. And keeping them by name."""

from __future__ import annotations

import threading

import structlog
from prometheus_client import Counter

from nn.model import Weights, fresh_weights
from ops.problems import Problem
from ops.settings import Settings
from services.weights.adoption import Adoption
from services.weights.evaluations import Evaluations
from services.weights.formats import Format, check_fit, decode, shapes_of
from services.weights.store import Entry, Store
from wire.bus import Bus
from wire.codec import MalformedError
from wire.connection import RedisAwayError
from wire.messages import Origin, Snapshot, WeightsInfo

MAX_TRIES = 10  # the trainer takes a version ten times a second: a second collision is rare

REFUSED = Counter("inkling_weights_refused", "Uploaded weights that were refused")
log = structlog.get_logger()


class Replacement:
    """Replaces the live weights, durably and with the trainer's knowledge.

    Each method raises Problem or RedisAwayError, and then has changed nothing.
    """

    def __init__(
        self,
        bus: Bus,
        store: Store,
        settings: Settings,
        adoption: Adoption,
        evaluations: Evaluations,
    ) -> None:
        self._bus = bus
        self._store = store
        self._settings = settings
        self._adoption = adoption
        self._evaluations = evaluations
        self._decoding = threading.Lock()  # one at a time, so that memory is bounded
        self._replacing = threading.RLock()  # held from the history until the weights are live

    def upload(self, body: bytes, kind: Format) -> int:
        """Go on from somebody's weights at the run's iteration; return the new version."""
        live = self._bus.live.latest()
        wanted = self._wanted(live)
        try:
            with self._decoding:
                weights = decode(body, kind)
            check_fit(weights, wanted)
        except MalformedError as error:
            REFUSED.inc()
            allowed = ", ".join(f"{name} {shape}" for name, shape in shapes_of(wanted).items())
            raise MalformedError(f"{error}. This run's network has {allowed}.") from error
        return self._replace(weights, "upload", live.info.iteration if live else 0)

    def reset(self, train: int | None = None) -> int:
        """Start afresh from the seed; with `train`, train so many iterations; return the version.

        The same seed always gives the same weights.
        """
        return self._replace(self._fresh(), "reset", 0, train=train)

    def restore(self, stored: int) -> int:
        """Go back to a version of the history; return its new version number."""
        entry, snapshot = self.find(stored)
        check_fit(snapshot.weights, self._wanted(self._bus.live.latest()))
        return self._replace(snapshot.weights, "restore", entry.iteration, known=entry)

    def save(self, name: str | None) -> int:
        """Keep the live weights for good, under a name if one is given; return their version.

        A version that is in the history already is copied under a new number.
        """
        live = self.live()
        version = live.info.version
        while True:
            info = WeightsInfo(version, live.info.iteration, "save", live.info.loss)
            saved = Snapshot(live.weights, info)
            if self._store.add(saved, name=name):
                log.info("saved", version=version, name=name)
                self._evaluations.ask(saved)
                return version
            version = self._bus.live.next_version()

    def live(self) -> Snapshot:
        """Return the live weights; raise Problem 503 before there are any."""
        live = self._bus.live.latest()
        if live is None:
            raise _none_yet()
        return live

    def live_bytes(self) -> tuple[int, bytes]:
        """Return version and safetensors of the live weights; raise Problem 503 without any."""
        live = self._bus.live.latest_bytes()
        if live is None:
            raise _none_yet()
        return live

    def find(self, version: int) -> tuple[Entry, Snapshot]:
        """Return a version of the history; raise Problem 404 if there is none of this number."""
        found = self._store.load(version)
        if found is None:
            raise missing(version)
        return found

    def rename(self, version: int, name: str | None) -> Entry:
        """Give a version of the history this name or none; raise Problem 404 if there is none."""
        entry = self._store.rename(version, name)
        if entry is None:
            raise missing(version)
        log.info("named", version=version, name=name)
        return entry

    def put_back(self) -> None:
        """Make the newest replacement live again, if Redis has lost it.

        Redis may lose its last second when its machine fails. What was acknowledged then is in the
        history, and so is what was about to be acknowledged when this process was killed.
        """
        with self._replacing:
            newest = self._store.newest_replacement()
            found = self._store.load(newest) if newest > self._bus.live.generation() else None
            if found is not None:
                entry, snapshot = found
                log.warning("puts back what Redis has lost", version=newest, origin=entry.origin)
                self._replace(snapshot.weights, entry.origin, entry.iteration, known=entry)

    def _keep_live(self) -> None:
        """Put the live weights into the history, if training has changed them since they were."""
        live = self._bus.live.latest()
        trained = live is not None and live.info.iteration > 0 and live.info.origin == "checkpoint"
        if live is not None and trained and self._store.add(live):
            self._evaluations.ask(live)

    def _wanted(self, live: Snapshot | None) -> Weights:
        """Return weights of the shapes that the run takes: the live ones, or as settings say."""
        return live.weights if live is not None else self._fresh()

    def _fresh(self) -> Weights:
        settings = self._settings
        return fresh_weights(settings.seed, settings.hidden_units, settings.biases)

    def _replace(
        self,
        weights: Weights,
        origin: Origin,
        iteration: int,
        *,
        known: Entry | None = None,
        train: int | None = None,
    ) -> int:
        """Store the weights, make them live, and wait for the trainer; return their version.

        What was learnt until now goes into the history first, so that anybody can go back.
        `known` is the version that the weights are a copy of.
        """
        self._keep_live()
        loss, name, test_acc = (known.loss, known.name, known.test_acc) if known else (None,) * 3
        for _ in range(MAX_TRIES):
            version = self._bus.live.next_version()
            snapshot = Snapshot(weights, WeightsInfo(version, iteration, origin, loss))
            with self._replacing:
                if not self._store.add(snapshot, name=name, test_acc=test_acc, replaces=True):
                    self._bus.live.raise_version(self._store.highest())  # Redis lost its memory
                    continue
                try:
                    replaced = self._bus.live.replace(snapshot, train=train)
                except RedisAwayError:
                    self._store.remove(version)
                    raise
                if not replaced:
                    self._store.remove(version)
                    continue
            log.info("replaced the weights", version=version, origin=origin)
            if test_acc is None:
                self._evaluations.ask(snapshot)
            self._adoption.wait_for(version)
            return version
        raise Problem(503, "newer weights came in again and again; nothing was changed. Try again.")


def _none_yet() -> Problem:
    return Problem(
        503,
        "there are no weights yet: the trainer makes the first ones when it starts, "
        "or POST or DELETE /weights does",
        {"Retry-After": "1"},
    )


def missing(version: int) -> Problem:
    """Return the answer for a version that is not in the history."""
    return Problem(404, f"there is no version {version}: GET /weights/versions lists those kept")
