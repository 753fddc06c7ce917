"""Asks for the test accuracy of what is in the history."""

from __future__ import annotations

import structlog

from services.weights.store import Store
from wire.bus import Bus
from wire.connection import RedisAwayError
from wire.messages import Snapshot

ASKED_AGAIN = 32  # newest versions for which a lost answer is asked for again

log = structlog.get_logger()


class Evaluations:
    """Asks the data service, which measures when it has the time; the recorder hears of it."""

    def __init__(self, bus: Bus, store: Store) -> None:
        self._bus = bus
        self._store = store

    def ask(self, snapshot: Snapshot) -> None:
        """Ask for the test accuracy of a stored version; where Redis is away, it is asked later."""
        try:
            self._bus.live.ask_evaluation(snapshot)
        except RedisAwayError as error:
            log.debug("asks later for an evaluation", error=str(error))

    def ask_again(self) -> None:
        """Ask for the newest versions without one, as the first requests may have been lost."""
        for version in reversed(self._store.without_test_accuracy(ASKED_AGAIN)):
            found = self._store.load(version)
            if found is not None:
                self.ask(found[1])
