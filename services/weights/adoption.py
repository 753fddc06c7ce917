"""What the trainer does with the run's weights, as its frames tell."""

from __future__ import annotations

import threading

from wire.bus import Bus
from wire.codec import MalformedError
from wire.connection import RedisAwayError
from wire.messages import Frame

ADOPTION_S = 2.0  # a trainer adopts within milliseconds, or is busy with something slow


class Adoption:
    """Follows the trainer's frames, so that whoever replaces weights can wait for the trainer."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._frame: Frame | None = None
        self._news = threading.Condition()

    @property
    def training(self) -> bool:
        """Whether the trainer trained when it was last heard."""
        return self._frame is not None and self._frame.signal.training

    def follow(self, stop: threading.Event) -> None:
        """Follow the frames until `stop` is set."""
        for news in self._bus.training.follow_frames(stop):
            try:
                frame = self._bus.training.frame() if news is None else news
            except (RedisAwayError, MalformedError):
                continue
            if isinstance(frame, Frame):
                with self._news:
                    self._frame = frame
                    self._news.notify_all()

    def wait_for(self, version: int, timeout_s: float = ADOPTION_S) -> None:
        """Return when the trainer has adopted `version`, or something newer that replaced it.

        Returns at once where nobody trains, and after `timeout_s` seconds in any case: the
        weights are live, and the trainer will come to them.
        """
        try:
            if not self._bus.training.is_led():
                return
        except RedisAwayError:
            return
        with self._news:
            self._news.wait_for(
                lambda: self._frame is not None and self._frame.generation >= version, timeout_s
            )
