"""The run as this gateway knows it: the latest frame, the curve, the test accuracy."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec
import structlog

from wire.bus import Bus
from wire.codec import MalformedError, encode
from wire.connection import RedisAwayError
from wire.curve import Curve, merge
from wire.messages import Evaluation, Frame, History, ResponseSignal

SILENT_S = 3.0  # a trainer sends a frame a second at least; after so long there is none
TICK_S = 0.5
MAX_RECENT = 1200  # frames, a minute at full speed; whoever is further behind gets all, thinned
NO_TRAINER = "No trainer is running: training goes on when one is back."

log = structlog.get_logger()


class Run:
    """Follows one run over the bus, in threads; `on_news` is called after each change."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._signal = ResponseSignal(None, None, 0, 0.0, 0, 0, 0, 0)
        self._frame_at = float("-inf")
        self._away = "Redis has not answered yet."
        self._curve = Curve()
        self._recent: deque[tuple[History, int]] = deque(maxlen=MAX_RECENT)
        self._encoded = b""
        self.revision = self.generation = 0  # of the trainer's last frame
        self.number = 0  # of the last news
        self.on_news: Callable[[], None] = lambda: None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to follow the run."""
        self._stop.clear()
        self._threads = [
            threading.Thread(target=target, name=target.__name__, daemon=True)
            for target in (self._follow_frames, self._follow_evaluations, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End following."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=3)

    def reasons(self) -> list[str]:
        """Return why viewers cannot be served."""
        return [self._away] if self._away else []

    # --- the viewers' side ------------------------------------------------------------------
    def status(self) -> ResponseSignal:
        """Return the state of the run, without history."""
        with self._changed:
            return msgspec.structs.replace(self._signal, problem=self._problem())

    def wait_until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Block until `holds()`, `timeout_s` seconds at most; return whether it does."""
        with self._changed:
            return self._changed.wait_for(holds, timeout_s)

    def news_since(self, number: int | None) -> tuple[int, bytes]:
        """Return the number of the last news, and JSON of all that happened after `number`.

        With None, or if that is too long ago: of the whole curve, thinned.
        """
        with self._changed:
            behind = None if number is None else self.number - number
            if behind == 1:
                return self.number, self._encoded  # shared by all who keep up
            if behind is None or behind > len(self._recent):
                history, start = self._curve.history(), 0
            else:
                frames = [self._recent[k] for k in range(-behind, 0)]
                history, start = merge(frames)
            return self.number, self._encode(history, start)

    def _encode(self, history: History, start: int) -> bytes:
        return encode(
            msgspec.structs.replace(
                self._signal, problem=self._problem(), history=history, history_from=start
            )
        )

    def _problem(self) -> str | None:
        if self._away:
            return self._away
        if self._is_silent():
            return NO_TRAINER
        return self._signal.problem

    def _is_silent(self) -> bool:
        return time.monotonic() - self._frame_at > SILENT_S

    # --- the bus's side ---------------------------------------------------------------------
    def _tell(self, history: History | None = None, start: int | None = None) -> None:
        """Number and keep the news; call with the lock held."""
        history = history or History()
        start = self._signal.iteration if start is None else start
        self._recent.append((history, start))
        self.number += 1
        self._encoded = self._encode(history, start)
        self._changed.notify_all()
        self.on_news()

    def _follow_frames(self) -> None:
        for news in self._bus.training.follow_frames(self._stop):
            if isinstance(news, RedisAwayError):
                self._lose(news)
            elif isinstance(news, Frame):
                self._take(news)
            else:
                try:
                    self._catch_up(self._bus.training.frame(), self._bus.training.curve())
                except RedisAwayError as error:
                    self._lose(error)
                except MalformedError as error:
                    log.error("what Redis holds of the run is not usable", error=str(error))

    def _lose(self, error: RedisAwayError) -> None:
        with self._changed:
            if not self._away:
                log.warning("redis is away", error=str(error))
            told = self._away
            self._away = "Redis is away: training pauses, and goes on by itself when it is back."
            if told != self._away:
                self._tell()

    def _catch_up(self, frame: Frame | None, curve: Curve) -> None:
        """Take over the whole run, after a (re)connection; tell what is new about it."""
        evaluation = self._bus.live.evaluation()
        with self._changed:
            start = min(self._curve.last_iteration, curve.last_iteration)
            self._curve, self._away = curve, ""
            if frame is not None:
                self._set_signal(frame)
            if evaluation is not None:
                self._set_test_acc(evaluation)
            self._tell(curve.since(start), start)

    def _take(self, frame: Frame) -> None:
        with self._changed:
            self._set_signal(frame)
            self._frame_at = time.monotonic()
            history, start = frame.signal.history, frame.signal.history_from
            self._curve.extend(history, start)
            self._tell(history, start)

    def _set_signal(self, frame: Frame) -> None:
        self.revision, self.generation = frame.revision, frame.generation
        self._signal = msgspec.structs.replace(
            frame.signal, history=History(), test_acc=self._signal.test_acc
        )

    def _set_test_acc(self, evaluation: Evaluation) -> None:
        self._signal = msgspec.structs.replace(self._signal, test_acc=evaluation.test_acc)

    def _follow_evaluations(self) -> None:
        for evaluation in self._bus.live.follow_evaluations(self._stop):
            with self._changed:
                if evaluation is not None and evaluation.live:
                    self._set_test_acc(evaluation)
                    self._tell()

    def _watch(self) -> None:
        """Notice a trainer that has gone silent."""
        silent = False
        while not self._stop.wait(TICK_S):
            with self._changed:
                if self._is_silent() and not silent and not self._away:
                    self._signal = msgspec.structs.replace(
                        self._signal, trainer="none", samples_per_second=0.0
                    )
                    self._tell()
                silent = self._is_silent()
