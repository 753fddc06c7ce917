"""What the tests of the wire share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wire.messages import Snapshot


class Follower:
    """What somebody who follows something has heard so far."""

    def __init__(self, follow: Callable[[threading.Event], Iterator[Any]]) -> None:
        self.stop = threading.Event()
        self.heard: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(follow,))
        self._thread.start()

    def _run(self, follow: Callable[[threading.Event], Iterator[Any]]) -> None:
        for news in follow(self.stop):
            self.heard.append(news)

    @property
    def versions(self) -> list[int]:
        """The versions of the weights among what was heard."""
        return [news.info.version for news in self.heard if isinstance(news, Snapshot)]

    def close(self) -> None:
        """End following."""
        self.stop.set()
        self._thread.join()


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def start(follow: Callable[[threading.Event], Iterator[Any]]) -> Follower:
        made.append(Follower(follow))
        return made[-1]

    yield start
    for follower in made:
        follower.close()
