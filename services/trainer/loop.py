"""The trainer: ticket, batch, step, publish. One is active; any further one stands by."""

from __future__ import annotations

import math
import threading
import time
import uuid

import numpy as np
import structlog

from nn.model import Weights, fresh_weights
from nn.training import Descent, descend, loss_and_gradients
from ops.settings import Settings
from services.trainer import metrics
from services.trainer.feed import START, Feed, Place
from services.trainer.reporter import Reporter
from services.trainer.state import State
from wire.bus import Bus
from wire.calls import Reply, Tune
from wire.codec import MalformedError
from wire.connection import RedisAwayError, RedisSilentError
from wire.messages import Batch, MarkKind, Origin, RunSettings, Snapshot
from wire.request_id import working_for

STANDBY_S = 0.5
LEAVE_S = 4.0  # a trainer that ends waits for Redis, within the 5 s in which processes end
LEAVE_RETRY_S = 0.1
LOOK_S = 1.0  # the trainer looks at what is wanted that often, even if nothing wakes it
DEAD_ITERATIONS = 50  # without any hidden unit that is on: a network that is dead, not unlucky
REPLACEMENTS: dict[Origin, MarkKind] = {
    "upload": "upload", "reset": "reset", "restore": "restore",
}  # fmt: skip

log = structlog.get_logger()


class Trainer:
    """Trains one run as its settings say, for as long as it holds the lease."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._settings = settings
        self._defaults: RunSettings = settings.run_settings()
        weights = fresh_weights(settings.seed, settings.hidden_units, settings.biases)
        self._state = State(weights, self._defaults)
        self._descent = Descent()
        self._reporter = Reporter(bus, self._state)
        self._feed: Feed | None = None
        self._streams = 0
        self._last_token = 0
        self._looked_at = 0.0
        self._marked_version = 0  # of the last replacement that was marked
        self._trouble = ""
        self._name = uuid.uuid4().hex

    def reasons(self) -> list[str]:
        """Return why this process cannot do its job; standing by is a job, too."""
        return [self._trouble] if self._trouble else []

    def run(self, stop: threading.Event) -> None:
        """Lead whenever the lease can be had, until `stop` is set; then leave a checkpoint."""
        self._reporter.start()
        np.seterr(all="ignore")  # in this thread: a loss that diverges is told, not warned of
        while not stop.is_set():
            try:
                leads = self._take_lead()
                self._trouble = ""
                if leads:
                    self._lead(stop)
            except RedisAwayError as error:
                self._reporter.doubt()
                if not self._trouble:
                    log.warning("training pauses", error=str(error))
                self._trouble = str(error)
            except MalformedError as error:  # what stands in Redis is not ours to mend or delete
                self._trouble = f"what Redis holds is not usable: {error}"
                log.error("cannot train", error=str(error))
            stop.wait(STANDBY_S)
        self._leave()

    # --- the loop ---------------------------------------------------------------------------
    def _lead(self, stop: threading.Event) -> None:
        """Train, obey, rest: until the lease is lost or `stop` is set."""
        state, reporter = self._state, self._reporter
        while not stop.is_set() and reporter.leads:
            if self._look_is_due():
                self._look()
            feed = self._feed
            if feed is None:
                self._bus.flow.wait(LOOK_S, for_batch=False)
                self._looked_at = 0.0
            elif not state.training:
                feed.rest(state.settings.cache_size)
            elif (batch := feed.next_batch(state.settings.cache_size)) is not None:
                self._step(batch, feed)

    def _step(self, batch: Batch, feed: Feed) -> None:
        """Learn from one batch."""
        state = self._state
        loss, acc, gradients = self._descent.step(
            state.weights, batch.images, batch.labels, batch.ink, state.settings.learning_rate
        )
        state.iteration += 1
        state.place = feed.place
        state.loss, state.acc = loss, acc
        state.idle_iterations = state.idle_iterations + 1 if _is_idle(gradients, loss) else 0
        self._reporter.record(loss, acc, len(batch.labels))
        if not math.isfinite(loss):
            self._diverged()
        elif state.idle_iterations >= DEAD_ITERATIONS:
            self._died()
        elif state.at_target:
            self._finish()
        elif self._reporter.snapshot_due and state.is_finite:
            self._reporter.offer(state.checkpoint())

    def _finish(self) -> None:
        """Stop at the target, and tell."""
        with self._reporter.telling:  # no frame says so before the last weights are live
            self._state.training = False
            self._bus.wanted.finish(self._state.started, token=self._last_token)
            self._reporter.flush()

    def _diverged(self) -> None:
        """Stop, and go back to the last checkpoint, whose weights are still numbers."""
        state = self._state
        problem = (
            f"Training diverged at iteration {state.iteration}: the learning rate "
            f"{state.settings.learning_rate:g} is too high. Lower it, then start again."
        )
        log.warning("diverged", iteration=state.iteration, lrate=state.settings.learning_rate)
        with self._reporter.telling:
            self._reporter.tell()
            checkpoint = self._bus.training.checkpoint()
            self._bus.wanted.finish(state.started, token=self._last_token)
            if checkpoint is not None:
                state.go_back(checkpoint)
            state.training, state.problem = False, problem
            self._reporter.forget_after(state.iteration)
            self._reporter.mark("diverged", state.settings.learning_rate)
            self._cut_anew()
            self._reporter.flush()

    def _died(self) -> None:
        """Stop, for no training can revive the network; leave it as it is, to be looked at."""
        state = self._state
        log.warning("died", iteration=state.iteration, lrate=state.settings.learning_rate)
        with self._reporter.telling:
            state.training, state.died, state.idle_iterations = False, True, 0
            state.problem = (
                "The network has died: all its hidden units are off. "
                "Lower the learning rate, then reset."
            )
            self._reporter.mark("diverged", state.settings.learning_rate)
            self._bus.wanted.finish(state.started, token=self._last_token)
            self._reporter.flush()

    # --- what is wanted ---------------------------------------------------------------------
    def _look_is_due(self) -> bool:
        woken = self._feed is not None and self._feed.woken
        return woken or time.monotonic() - self._looked_at > LOOK_S

    def _look(self) -> None:
        """Follow what is wanted, then answer calls."""
        self._looked_at = time.monotonic()
        if self._feed is not None:
            self._feed.woken = False
        self._follow_wanted()
        while isinstance(call := self._bus.calls.take("trainer", Tune), MalformedError):
            log.warning("dropped a call", error=str(call))
        if call is not None:
            self._follow_wanted()  # what was wanted before the call comes before it
            with working_for(call.request_id):
                self._bus.calls.answer(call.name, self._tune(call.request))
            self._looked_at = 0.0  # there may be more: look again before any wait
            if self._feed is not None:
                self._feed.woken = True

    def _follow_wanted(self) -> None:
        """Follow the settings and the generation of weights that the run shall have."""
        settings, generation = self._bus.wanted.look(self._defaults)
        with self._reporter.telling:
            self._follow(settings, generation)

    def _follow(self, settings: RunSettings, generation: int) -> None:
        """Adopt replaced weights, obey the settings, notice a new data set; tell what changed."""
        state = self._state
        recut = False
        changed = generation != state.generation  # an older one: Redis forgot, and is told again
        if generation > state.generation:
            recut = self._adopt(generation)
        if settings != state.settings:
            for kind, value in state.changes(settings):
                self._reporter.mark(kind, value)
            if state.training and not settings.training:
                self._reporter.tell()  # the last iteration at once, its weights after it
            recut = state.obey(settings) or recut
            self._log_settings(settings)
            changed = True
        if self._follow_dataset() or recut:
            self._cut_anew()
        if changed:
            self._reporter.flush()

    def _log_settings(self, settings: RunSettings) -> None:
        """Log what is obeyed from now on, as part of the call that asked for it."""
        with working_for(settings.request_id):
            log.info(
                "obeying settings", revision=settings.revision, training=self._state.training,
                iterations=settings.iterations, batch_size=settings.batch_size,
                lrate=settings.learning_rate, cache_size=settings.cache_size,
            )  # fmt: skip

    def _adopt(self, generation: int) -> bool:
        """Go on from the weights that were put in place of the run's; return whether to recut."""
        snapshot = self._bus.live.latest()
        if snapshot is None:  # Redis lost its memory: ours is the newest
            self._state.generation = generation
            return False
        place = self._state.place
        self._reporter.tell()
        self._state.adopt(snapshot, generation)
        self._reporter.forget_after(self._state.iteration)
        self._mark_replaced(snapshot)
        with working_for(self._bus.live.replaced_by()):
            log.info("adopted weights", version=generation, iteration=self._state.iteration)
        return place != self._state.place

    def _mark_replaced(self, snapshot: Snapshot) -> None:
        """Leave a mark where the run's weights were replaced by these.

        One: what goes live while the lead is taken is found there, and adopted once more after it.
        """
        kind, version = REPLACEMENTS.get(snapshot.info.origin), snapshot.info.version
        if kind is not None and version != self._marked_version:
            self._marked_version = version
            self._reporter.mark(kind, version)

    def _follow_dataset(self) -> bool:
        """Notice the data set; return whether it is another one than before."""
        dataset = self._bus.flow.dataset()
        if dataset == self._reporter.dataset:
            return False
        self._reporter.dataset = dataset
        if dataset is not None and dataset.name != self._state.dataset:
            self._state.dataset = dataset.name
            self._state.place = START
        return True

    def _cut_anew(self) -> None:
        """Drop all batches and tickets: the next batch begins at the state's place."""
        dataset, state = self._reporter.dataset, self._state
        if dataset is not None and state.place.position >= dataset.train_count:
            state.place = Place(state.place.epoch + 1, 0)  # the set is smaller than it was
        self._streams += 1
        self._feed = self._reporter.feed = (
            None
            if dataset is None
            else Feed(
                flow=self._bus.flow,
                dataset=dataset,
                seed=state.settings.seed,
                batch_size=state.settings.batch_size,
                stream=(self._last_token << 20) + self._streams,
                place=state.place,
            )
        )

    def _tune(self, request: Tune) -> Reply:
        """Take one training step on somebody's own samples."""
        state = self._state
        try:
            images, labels = request.arrays()
        except MalformedError as error:
            return Reply(status=422, detail=str(error))
        weights = state.weights.copy()
        loss, _, gradients = loss_and_gradients(weights, images, labels)
        descend(weights, gradients, state.settings.learning_rate)
        if not all(np.isfinite(array).all() for array in weights.arrays):
            return Reply(status=422, detail="this step diverges: lower the learning rate first")
        before, state.weights = state.weights, weights
        if not self._reporter.flush("tune"):  # what is live now does not follow from these
            state.weights = before
            detail = "other weights came in at the same time; the step was not taken. Try again."
            return Reply(status=503, detail=detail)
        log.info("tuned", samples=len(request.labels), loss=loss, version=self._reporter.version)
        return Reply(version=self._reporter.version, loss=loss)

    # --- taking and leaving the lead --------------------------------------------------------
    def _take_lead(self) -> bool:
        """Take the lease, or keep the one that is still held; return whether this process leads."""
        reporter = self._reporter
        if reporter.token is not None and reporter.renew():
            self._go_on("checkpoint")  # what was to be told may not have got through
            return True
        reporter.token = None
        asked_at = time.monotonic()
        lease = self._bus.training.take(self._name)
        if lease is None:
            return False
        token = lease.token
        settings, generation = self._bus.wanted.look(self._defaults)
        # Nobody has led since this process did: what it remembers is the newest there is.
        goes_on = 0 < self._last_token >= lease.previous and self._state.is_finite
        fresh = not goes_on and self._resume(generation)
        self._last_token = token
        self._state.obey(settings)
        self._follow_dataset()
        reporter.lead(token, asked_at)
        self._go_on("reset" if fresh else "checkpoint")
        log.info("leading", token=token, iteration=self._state.iteration)
        return True

    def _go_on(self, origin: Origin) -> None:
        """Begin a stream of batches at the state's place, and tell where the run stands."""
        self._cut_anew()
        self._reporter.flush(origin)
        self._looked_at = 0.0

    def _resume(self, generation: int) -> bool:
        """Go on where the last trainer left off: its checkpoint, or weights put in its place.

        Returns whether there was neither, so that the run starts afresh.
        """
        state = self._state
        checkpoint, live = self._bus.training.checkpoint(), self._bus.live.latest()
        curve = self._bus.training.curve()
        self._reporter.forget()
        if checkpoint is not None:
            state.go_back(checkpoint)
        replaced = checkpoint is None or checkpoint.generation != generation
        if live is not None and replaced:
            state.adopt(live, generation)
        self._reporter.curve = curve
        self._reporter.forget_after(state.iteration)
        if live is not None and replaced:
            self._mark_replaced(live)
        if live is not None:
            self._reporter.version = live.info.version
        return live is None and checkpoint is None

    def _leave(self) -> None:
        """Leave a checkpoint and the lease to the next trainer, if this one has ever led.

        Redis may be away just now: `docker compose restart` restarts it at the same time.
        """
        self._reporter.stop()
        until = time.monotonic() + LEAVE_S
        try:
            while self._last_token and not self._hand_over(until):
                time.sleep(LEAVE_RETRY_S)
        except (RedisAwayError, MalformedError) as error:
            iteration = self._state.iteration
            log.warning("left without a checkpoint", iteration=iteration, error=str(error))
        finally:
            metrics.stand_by()

    def _hand_over(self, until: float) -> bool:
        """Save all and let go of the lease; return False if that is to be tried again.

        Raises RedisAwayError if Redis is away at `until` (monotonic), or takes its time to answer.
        """
        reporter = self._reporter
        try:
            if reporter.token is None and not self._take_lead():
                return True  # another one leads
            reporter.flush()
            if reporter.token is None:  # the lease had run out
                return False
            self._bus.training.release(reporter.token)
        except RedisAwayError as error:
            if isinstance(error, RedisSilentError) or time.monotonic() > until:
                raise
            return False
        log.info("left", iteration=self._state.iteration)
        return True


def _is_idle(gradients: Weights, loss: float) -> bool:
    """Return whether no hidden unit was on: then nothing reaches the last matrix.

    Where the loss is 0, its gradients are 0 because there is nothing left to learn.
    """
    return loss > 0 and not np.count_nonzero(gradients.matrices[-1])
