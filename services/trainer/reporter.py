"""What the trainer tells: frames, weights and checkpoints, from a thread beside the training."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

import msgspec
import structlog

from services.trainer import metrics
from services.trainer.feed import Feed
from services.trainer.state import State
from services.trainer.workers import WorkerRates
from wire.bus import Bus
from wire.connection import RedisAwayError
from wire.curve import Curve
from wire.messages import (
    MAX_WORKERS,
    Checkpoint,
    DataSetInfo,
    Frame,
    History,
    Mark,
    MarkKind,
    Origin,
    ResponseSignal,
    Snapshot,
    TrainerState,
    WeightsInfo,
    Worker,
)
from wire.training import LEASE_S

FRAME_S = 0.05  # between frames while training
IDLE_FRAME_S = 0.5
WEIGHTS_S = 0.1  # between publications of weights while training
CHECKPOINT_S = 1.0
RENEW_S = 1.0
RATE_WINDOW_S = 1.0
MAX_UNSENT = 100  # frames that wait for Redis; what is new then waits to become a frame
STARVED_SHARE = 0.5  # of the time spent waiting: from here on the trainer waits for data

log = structlog.get_logger()


class Reporter:
    """Tells the world about one trainer's run while it holds the lease.

    The training thread calls `record` after each iteration, `mark` when somebody changes the run
    and, when `snapshot_due` says so, `offer`; all only leave something behind for the reporter's
    own thread. `flush` tells at once.
    """

    def __init__(self, bus: Bus, state: State) -> None:
        self._bus = bus
        self._state = state
        self.feed: Feed | None = None
        self.dataset: DataSetInfo | None = None
        self.curve = Curve()
        self.token: int | None = None  # of the lease; None while another trainer leads
        self.version = 0  # of the last weights published
        self.snapshot_due = False
        self._offered: Checkpoint | None = None
        self._unsent: list[Frame] = []  # what failed may have got through all the same
        self._in_doubt = False  # whether Redis holds all that it was told
        self._number = 0  # of the last frame
        self._points: deque[tuple[int, float, float, int]] = deque()
        self._marks: deque[Mark] = deque()
        self._marked_at = 0
        self._rates: deque[tuple[float, int]] = deque()
        # Held while something is told: who holds it changes the state and tells it in one.
        self.telling = threading.RLock()
        self._done = False
        self._stirred = threading.Event()  # the thread shall not sleep on
        self._last = ResponseSignal(None, None, 0, 0.0, 0, 0, 0, 0)
        self._told_at = self._weights_at = self._saved_at = self._renewed_at = 0.0
        self._waited_s = self._judged_at = 0.0
        self._workers: list[Worker] = []
        self._worker_rates = WorkerRates()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    # --- called by the training thread ------------------------------------------------------
    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._done = True
        self._stirred.set()
        self._thread.join()

    def lead(self, token: int, asked_at: float) -> None:
        """Begin to report under the lease of this token, asked for at `asked_at` (monotonic)."""
        self._number = token << 20  # in a millisecond, nobody sends so many frames
        self._renewed_at = asked_at
        self.token = token

    @property
    def leads(self) -> bool:
        """Whether the lease is this trainer's, as far as can be told without asking.

        A process that was stopped for longer than the lease lasts finds out by its own clock.
        """
        return self.token is not None and time.monotonic() - self._renewed_at < LEASE_S

    def renew(self) -> bool:
        """Hold the lease, if it is still this trainer's; return whether it is."""
        asked_at = time.monotonic()
        if self.token is not None and not self._bus.training.renew(self.token):
            self._lose_lease()
        self._renewed_at = asked_at
        return self.token is not None

    def doubt(self) -> None:
        """Take into account that Redis may have lost what it was told last: tell all of it again.

        What follows in the curve would else follow on a gap.
        """
        self._in_doubt = True

    def forget(self) -> None:
        """Drop what was recorded and not told: another trainer's run is gone on with."""
        self._points.clear()
        self._marks.clear()
        self._unsent.clear()
        self._offered = None

    def record(self, loss: float, acc: float, samples: int) -> None:
        """Leave behind the result of the iteration that `state` has just finished."""
        self._points.append((self._state.iteration, loss, acc, samples))

    def mark(self, kind: MarkKind, value: float) -> None:
        """Leave a mark at the iteration that `state` has reached; no two are of the same time."""
        self._marked_at = max(int(time.time() * 1000), self._marked_at + 1)
        self._marks.append(Mark(self._state.iteration, kind, value, self._marked_at))

    def offer(self, checkpoint: Checkpoint) -> None:
        """Leave behind a copy of the weights, as `snapshot_due` asked for."""
        self.snapshot_due = False
        self._offered = checkpoint

    def tell(self) -> None:
        """Send what was recorded now: the state is about to jump."""
        with self.telling:
            if self._points or self._marks or self._unsent:
                self._tell_frame(time.monotonic())

    def forget_after(self, iteration: int) -> None:
        """Drop the iterations after `iteration`: the run went back."""
        with self.telling:
            self.curve.cut(iteration)

    def flush(self, origin: Origin = "checkpoint") -> bool:
        """Publish the weights, save a checkpoint and send a frame now; return when it is done.

        Returns whether the weights are live now. Those that are no numbers are never.
        """
        with self.telling:
            self._offered = None
            is_live = self._state.is_finite and self._tell_weights(
                self._state.checkpoint(), origin, save=True
            )
            self._tell_frame(time.monotonic())
        self._stirred.set()  # training may have begun: frames are due more often
        return is_live

    # --- the thread -------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._done:
            if self._stirred.wait(FRAME_S if self._state.training else IDLE_FRAME_S):
                self._stirred.clear()
            if self.token is None or self._done:
                metrics.stand_by()
                continue
            try:
                with self.telling:
                    self._report(time.monotonic())
                self._away = False
            except RedisAwayError as error:
                self.doubt()
                if not self._away:
                    log.warning("cannot report", error=str(error))
                self._away = True

    def _report(self, now: float) -> None:
        if now - self._renewed_at >= RENEW_S:
            self._workers = self._worker_rates.follow(self._bus.flow.workers())
            metrics.DATA_WORKERS.set(len(self._workers))
            if not self.renew():
                return
        if self._offered is not None:
            checkpoint, self._offered = self._offered, None
            self._tell_weights(checkpoint, "checkpoint", now - self._saved_at >= CHECKPOINT_S)
        self._tell_frame(now)
        self.snapshot_due = self._state.training and now - self._weights_at >= WEIGHTS_S

    def _lose_lease(self) -> None:
        """Stop to lead: another trainer does."""
        log.warning("lost the lease", token=self.token)
        metrics.LEASES_LOST.inc()
        self.token = None

    def _tell_weights(self, checkpoint: Checkpoint, origin: Origin, save: bool) -> bool:
        """Publish weights under a new version; with `save`, keep the checkpoint, too.

        Returns whether they are live.
        """
        if self.token is None:
            return False
        version = self._bus.live.next_version()
        info = WeightsInfo(version, checkpoint.iteration, origin, checkpoint.loss)
        self._weights_at = time.monotonic()
        if not self._bus.live.publish(
            Snapshot(checkpoint.weights, info),
            token=self.token,
            generation=checkpoint.generation,
            keep=save,
        ):
            self._bus.wanted.wake()  # somebody replaced the weights, or leads
            return False
        self.version = version
        if origin == "tune":
            self.mark("tune", version)
        if save:
            self._make_frame(time.monotonic())  # so that the curve holds all up to the checkpoint
            self._save(checkpoint)
            self._saved_at = self._weights_at
            metrics.CHECKPOINTS.inc()
        return True

    def _collect(self) -> History:
        """Take what was recorded since the last frame, and add it to the curve."""
        # The marks first: a point that came before a mark would else be told after it, and its
        # history_from would make viewers forget the mark.
        marks = [self._marks.popleft() for _ in range(len(self._marks))]
        iteration: list[int] = []
        loss: list[float | None] = []
        acc: list[float] = []
        samples = 0
        for _ in range(len(self._points)):
            point = self._points.popleft()
            iteration.append(point[0])
            loss.append(point[1] if math.isfinite(point[1]) else None)
            acc.append(point[2])
            samples += point[3]
        history = History(iteration, loss, acc, marks)
        self._rates.append((time.monotonic(), samples))
        metrics.ITERATIONS.inc(len(iteration))
        metrics.SAMPLES.inc(samples)
        if iteration or marks:
            self.curve.extend(history, self._start_of(history))
        return history

    def _start_of(self, history: History) -> int:
        """Return the iteration after which `history` is all that there is."""
        return history.iteration[0] - 1 if history.iteration else self._state.iteration

    def _tell_frame(self, now: float) -> None:
        """Send what is new, and before it what did not get through."""
        self._make_frame(now)
        if self._in_doubt:
            self._save(None)
        while self._unsent and self.token is not None:
            if self._bus.training.publish_frame(self._unsent[0], token=self.token):
                del self._unsent[0]
            else:
                self._lose_lease()

    def _make_frame(self, now: float) -> None:
        """Put a frame of all that is new behind those that wait to be sent."""
        if len(self._unsent) < MAX_UNSENT:
            frame = self._next_frame(now)
            self._unsent += [frame] if frame is not None else []

    def _save(self, checkpoint: Checkpoint | None) -> None:
        """Save the curve, and a checkpoint if there is one, and send the frames that wait."""
        if self.token is None:
            return
        if self._bus.training.save(checkpoint, self.curve, token=self.token, frames=self._unsent):
            self._unsent.clear()
            self._in_doubt = False
        else:
            self._lose_lease()

    def _next_frame(self, now: float) -> Frame | None:
        """Return a frame of all that was recorded since the last; None if nothing is new."""
        if self.token is None:
            return None
        # Before the history: a frame that tells of a change must hold all that led to it.
        revision, generation = self._state.settings.revision, self._state.generation
        training = self._state.training
        history = self._collect()
        signal = self._signal(now, history, training)
        bare = msgspec.structs.replace(signal, history=History())
        nothing_new = bare == self._last and history == History()
        if nothing_new and now - self._told_at < RENEW_S:
            return None
        self._last, self._told_at = bare, now
        self._number += 1
        return Frame(revision, generation, signal, self._number)

    def _signal(self, now: float, history: History, training: bool) -> ResponseSignal:
        state, feed, dataset = self._state, self.feed, self.dataset
        tickets, queued = self._bus.flow.lengths() if feed else (0, 0)
        self._measure(tickets, queued, training)
        waiting, ready = (feed.waiting_count, feed.ready_count) if feed else (0, 0)
        iteration = history.iteration[-1] if history.iteration else state.iteration
        return ResponseSignal(
            loss=history.loss[-1] if history.loss else _finite(state.loss),
            acc=history.acc[-1] if history.acc else state.acc,
            batch_size=state.settings.batch_size,
            lrate=state.settings.learning_rate,
            data_len=ready + queued,
            data_futures_len=max(0, waiting - queued),
            iteration=iteration,
            cache_size=state.settings.cache_size,
            training=training,
            trainer=self._word(now, training),
            start_iteration=state.start_iteration if training else None,
            target_iteration=state.target_iteration if training else None,
            version=self.version,
            epoch=state.place.epoch,
            samples_per_second=self._rate(now),
            dataset=dataset.name if dataset else None,
            dataset_reason=dataset.reason if dataset else "No data set is ready yet.",
            data_workers=len(self._workers),
            workers=self._workers[:MAX_WORKERS],
            problem=state.problem,
            history=history,
            history_from=self._start_of(history),
        )

    def _measure(self, tickets: int, batches: int, training: bool) -> None:
        """Tell /metrics how the run stands."""
        metrics.LEADING.set(1)
        metrics.TRAINING.set(training)
        metrics.ITERATION.set(self._state.iteration)
        if self._state.loss is not None:
            metrics.LOSS.set(self._state.loss)
        metrics.TICKETS.set(tickets)
        metrics.BATCHES.set(batches)
        metrics.TICKET_AGE.set(self.feed.ticket_age_s if self.feed and training else 0)

    def _word(self, now: float, training: bool) -> TrainerState:
        """Return the trainer's state: starved if it mostly waited since last asked."""
        if not training:
            return "paused"
        if self.feed is None:
            return "waiting for data"
        waited_s = self.feed.waited_s
        newly_s = max(0.0, waited_s - self._waited_s)  # a new feed begins at 0
        metrics.WAIT_SECONDS.inc(newly_s)
        share = newly_s / max(now - self._judged_at, 1e-3)
        self._waited_s, self._judged_at = waited_s, now
        return "waiting for data" if share > STARVED_SHARE else "training"

    def _rate(self, now: float) -> float:
        """Return the samples a second over the last RATE_WINDOW_S seconds."""
        while self._rates and self._rates[0][0] < now - RATE_WINDOW_S:
            self._rates.popleft()
        return float(round(sum(samples for _, samples in self._rates) / RATE_WINDOW_S))


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None
