"""The run as this gateway knows it: the latest frame, the curve, the test accuracies."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec
import structlog

from wire.bus import Bus
from wire.codec import MalformedError, encode
from wire.connection import RedisAwayError, RedisFullError
from wire.curve import Curve, PackedHistory, merge, pack, spread, with_tests
from wire.messages import Evaluation, Frame, History, ResponseSignal, TestPoint

LATE_S = 1.5  # a trainer sends a frame a second at least, unless Redis takes no writes
SILENT_S = 3.0  # after so long there is no trainer
TICK_S = 0.5
MAX_RECENT = 1200  # frames, a minute at full speed; whoever is further behind gets all, thinned
REDIS_AWAY = "Redis is away: training pauses, and goes on by itself when it is back."
WHEN_THERE_IS_ROOM = "Training pauses, and goes on by itself when there is room."
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
        self._full = ""  # why Redis takes no writes
        self._evaluation: Evaluation | None = None
        self._curve = Curve()
        self._tests: list[TestPoint] = []
        self._untold: TestPoint | None = None  # of an iteration that no frame has told yet
        self._recent: deque[PackedHistory] = deque(maxlen=MAX_RECENT)
        self._frame_number = 0  # of the last frame
        self._gap: tuple[int, int] | None = None  # in the curve, that Redis has, too
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
        trouble = self._away or self._full
        return [trouble] if trouble else []

    # --- the viewers' side ------------------------------------------------------------------
    def status(self) -> ResponseSignal:
        """Return the state of the run, without history."""
        with self._changed:
            return self._present(History(), self._iteration)

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
            if behind is None or behind > len(self._recent):
                history, start = self._whole(), 0
            else:
                frames = [self._recent[k] for k in range(-behind, 0)]
                history, start = merge(frames)
            return self.number, encode(self._present(history, start))

    def _present(self, history: History, start: int) -> ResponseSignal:
        """Return the state as it is now, whatever the trainer said last."""
        signal = msgspec.structs.replace(
            self._signal,
            problem=self._problem(),
            test_acc=self._test_acc(),
            history=history,
            history_from=start,
        )
        if not self._is_silent():
            return signal
        return msgspec.structs.replace(signal, trainer="none", samples_per_second=0.0)

    def _whole(self) -> History:
        """Return all that is drawn of the run, thinned."""
        return msgspec.structs.replace(self._curve.history(), tests=spread(self._tests))

    @property
    def _iteration(self) -> int:
        """Where the run is: nothing that is drawn lies after it."""
        return max(self._signal.iteration, self._curve.last_iteration)

    def _test_acc(self) -> float | None:
        """Return the last measured test accuracy; None if it is of weights since replaced."""
        evaluation = self._evaluation
        if evaluation is None or evaluation.version < self.generation:
            return None
        return evaluation.test_acc

    def _problem(self) -> str | None:
        if self._away:
            return self._away
        if self._full:
            return self._full
        if self._is_silent():
            return NO_TRAINER
        return self._signal.problem

    def _is_silent(self) -> bool:
        return time.monotonic() - self._frame_at > SILENT_S

    # --- the bus's side ---------------------------------------------------------------------
    def _tell(self, history: History | None = None, start: int | None = None) -> None:
        """Number and keep the news; call with the lock held."""
        history = history or History()
        start = self._iteration if start is None else start
        self._recent.append(pack(history, start))
        self.number += 1
        self._changed.notify_all()
        self.on_news()

    def _follow_frames(self) -> None:
        for news in self._bus.training.follow_frames(self._stop):
            try:
                if isinstance(news, RedisAwayError):
                    raise news
                # What could not be read may have been mended.
                if news is None or self._away or self._shows_gap(news):
                    self._catch_up()
                else:
                    self._take(news)
            except RedisAwayError as error:
                self._lose(REDIS_AWAY, error)
            except MalformedError as error:
                self._lose(f"What Redis holds of the run is not usable: {error}.", error)

    def _lose(self, why: str, error: Exception) -> None:
        with self._changed:
            if why != self._away:
                log.warning("the run is out of sight", error=str(error))
                self._away = why
                self._tell()

    def _catch_up(self) -> None:
        """Take over the whole run, after a (re)connection, and tell what was missed of it.

        The run may have gone back and on meanwhile, so that points told before are no longer true.
        """
        is_led = self._bus.training.is_led()
        frame, curve = self._bus.training.latest()
        with self._changed:
            history, start = curve.since(self._curve)
            self._curve, self._away = curve, ""
            if is_led:  # the trainer gets time for its next frame before it counts as silent
                self._frame_at = time.monotonic()
            self._frame_number = 0
            if frame is not None:
                self._set_signal(frame)
            self._tests = [point for point in self._tests if point.iteration <= self._iteration]
            lost = [point for point in self._tests if point.iteration > start]
            self._tell(msgspec.structs.replace(history, tests=spread(lost)), start)

    def _shows_gap(self, frame: Frame) -> bool:
        """Return whether something was told between what is known and `frame`; once for each gap.

        A Redis that lost its last second is asked before the trainer has told it again. A run that
        jumped ahead, to weights of a later iteration, has such a gap for good.
        """
        gap = (self._curve.last_iteration, frame.signal.history_from)
        if gap[0] >= gap[1] or gap == self._gap:
            return False
        self._gap = gap
        return True

    def _take(self, frame: Frame) -> None:
        """Take the next frame; one that was caught up with already is passed over."""
        with self._changed:
            if 0 < frame.number <= self._frame_number:
                return
            self._set_signal(frame)
            self._frame_at, self._full = time.monotonic(), ""
            history, start = frame.signal.history, frame.signal.history_from
            self._curve.extend(history, start)
            self._tests = [point for point in self._tests if point.iteration <= start]
            tests = self._new_tests()
            self._tell(msgspec.structs.replace(history, tests=tests) if tests else history, start)

    def _set_signal(self, frame: Frame) -> None:
        self.revision, self.generation = frame.revision, frame.generation
        self._frame_number = frame.number
        self._signal = msgspec.structs.replace(frame.signal, history=History())

    def _follow_evaluations(self) -> None:
        for news in self._bus.live.follow_evaluations(self._stop):
            try:
                if news is None:
                    self._catch_up_tests()
                elif news.live:
                    self._take_evaluation(news)
            except (RedisAwayError, MalformedError) as error:
                log.warning("test accuracies cannot be read", error=str(error))

    def _catch_up_tests(self) -> None:
        """Take over all test accuracies, after a (re)connection, and tell them."""
        evaluation, tests = self._bus.live.evaluation(), self._bus.live.tests()
        with self._changed:
            self._evaluation, self._untold, self._tests = evaluation, None, tests
            self._tell(History(tests=spread(tests)))

    def _take_evaluation(self, evaluation: Evaluation) -> None:
        with self._changed:
            self._evaluation = evaluation
            self._untold = TestPoint(evaluation.version, evaluation.iteration, evaluation.test_acc)
            self._tell(History(tests=self._new_tests()))

    def _new_tests(self) -> list[TestPoint]:
        """Take the test point that is to be told, if the run is there; call with the lock held.

        Weights may be measured before the frame of their iteration is here, whose history would
        make viewers forget the point; and they may have been replaced meanwhile.
        """
        point = self._untold
        if point is None or point.iteration > self._iteration:
            return []
        self._untold = None
        if point.version < self.generation:
            return []
        self._tests = with_tests(self._tests, [point])
        return [point]

    def _watch(self) -> None:
        """Tell it once when Redis takes no writes, or a trainer has gone silent."""
        told = None
        while not self._stop.wait(TICK_S):
            asked_at = time.monotonic()
            is_late = asked_at - self._frame_at > LATE_S and not self._away
            full = self._why_full() if is_late else ""
            with self._changed:
                if self._frame_at < asked_at:  # else a frame has come meanwhile
                    self._full = full
                problem = self._problem() if self._full or self._is_silent() else None
                if problem not in (told, None) and not self._away:
                    self._tell()
                told = problem

    def _why_full(self) -> str:
        """Return why Redis takes no writes; "" where it does, or is away."""
        try:
            self._bus.check_writes()
        except RedisFullError as error:
            return f"{error}. {WHEN_THERE_IS_ROOM}"
        except RedisAwayError as error:  # whoever follows the frames tells it
            log.debug("cannot ask whether redis takes writes", error=str(error))
        return ""
