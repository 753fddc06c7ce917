"""Who uses the cluster all the time: viewers, somebody who draws, somebody who saves weights."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from websockets.exceptions import WebSocketException

from nn.model import Weights, fresh_weights
from tests.chaos.oracle import Oracle, same_weights
from tests.cluster import Cluster, asker
from tests.services.gateway.people import Page
from wire.codec import decode_weights, encode_weights

ANSWER_S = 15.0  # nobody waits longer for an answer, whatever has failed
KEPT_VERSIONS = 20  # the oldest acknowledged ones are checked and deleted beyond these
GO_BACK_S = 6.0  # so soon after another lease a viewer hears that the run went back


@dataclass
class Findings:
    """What was seen. `broken` are breaches of a promise, each one sentence."""

    broken: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    lost: int = 0  # acknowledged versions
    skipped: int = 0  # iterations that a viewer was not told
    doubled: int = 0  # iterations that a viewer was told twice, though the run did not go back
    told: int = 0  # iterations that viewers were told
    taken_back: int = 0  # iterations that were told, then taken back by a run that went back
    acknowledged: int = 0  # versions

    def breach(self, sentence: str) -> None:
        """Write down that a promise was broken."""
        self.broken.append(sentence)


class Person(threading.Thread):
    """Somebody who does the same thing again and again until told to stop."""

    def __init__(self, cluster: Cluster, findings: Findings) -> None:
        super().__init__(daemon=True, name=type(self).__name__)
        self.cluster = cluster
        self.findings = findings
        self.stopping = threading.Event()
        self.client = asker(ANSWER_S)

    def run(self) -> None:
        """Work until stopped; what goes wrong here is a breach, too."""
        while not self.stopping.is_set():
            try:
                self.act()
            except Exception as error:  # noqa: BLE001
                self.findings.breach(f"{self.name} got {error!r}")
                self.stopping.wait(0.5)

    def act(self) -> None:
        """Do it once."""
        raise NotImplementedError

    def ask(self, method: str, url: str, **options: Any) -> httpx.Response | None:
        """Return the answer of a service; None where it is not there, or says when to try again."""
        begun = time.monotonic()
        try:
            answer = self.client.request(method, url, **options)
        except httpx.ReadTimeout:
            self.findings.breach(f"{method} {url} had no answer within {ANSWER_S:g} s")
            return None
        except httpx.TransportError:
            self.findings.answers["no connection"] += 1
            return None
        self.findings.slowest_s = max(self.findings.slowest_s, time.monotonic() - begun)
        self.findings.answers[str(answer.status_code)] += 1
        if answer.status_code in (503, 504, 507):
            if answer.status_code == 503 and "retry-after" not in answer.headers:
                self.findings.breach(f"{method} {url} answered 503 without Retry-After")
            return None
        if answer.status_code >= 400:
            self.findings.breach(f"{method} {url} answered {answer.status_code}: {answer.text}")
            return None
        return answer


class Guesser(Person):
    """Asks for guesses."""

    def act(self) -> None:
        """Ask once."""
        image = {"image": np.random.default_rng(1).random(784).round(2).tolist()}
        answer = self.ask("POST", f"{self.cluster['inference'].url}/infer", json=image)
        if answer is not None and not 0 <= answer.json()["digit"] <= 9:
            self.findings.breach(f"a guess was {answer.text}")
        self.stopping.wait(0.05)


class Keeper(Person):
    """Saves the live weights by name; with `replaces`, uploads and restores, too.

    Whatever was acknowledged has to be there from then on.
    """

    def __init__(self, cluster: Cluster, findings: Findings, oracle: Oracle, seed: int) -> None:
        super().__init__(cluster, findings)
        self._oracle = oracle
        self._random = random.Random(seed)
        self.replaces = False
        self.exact = False  # the run follows the oracle
        self.kept: dict[int, Weights | None] = {}  # by version; None: as the live ones were
        self.newest = 0  # acknowledged version that took the place of the run's weights
        self.lock = threading.Lock()  # held while something is being acknowledged
        self._count = 0

    @property
    def _url(self) -> str:
        return f"{self.cluster['weights'].url}/weights"

    def act(self) -> None:
        """Save, upload or restore once, and look for all that was acknowledged."""
        with self.lock:
            what = self._random.choice(["save", "upload", "restore"] if self.replaces else ["save"])
            getattr(self, f"_{what}")()
            self.check()
        self.stopping.wait(0.2)

    def _save(self) -> None:
        self._count += 1
        name = {"name": f"save {self._count}"}
        answer = self.ask("POST", f"{self._url}/versions", json=name)
        if answer is not None:
            self._acknowledge(answer.json()["version"], None)
            self.look_at(answer.json()["version"])

    def _upload(self) -> None:
        self._count += 1
        weights = fresh_weights(1000 + self._count, self._hidden_units, False)
        answer = self.ask(
            "POST", self._url, params={"format": "safetensors"},
            content=encode_weights(weights, {}),
        )  # fmt: skip
        if answer is not None:
            self._acknowledge(answer.json()["version"], weights, replaces=True)

    def _restore(self) -> None:
        if not self.kept:
            return
        stored = self._random.choice(list(self.kept))
        answer = self.ask("POST", f"{self._url}/versions/{stored}/restore")
        if answer is not None:
            self._acknowledge(answer.json()["version"], self.kept[stored], replaces=True)

    @property
    def _hidden_units(self) -> int:
        return int(self.cluster.environment["INKLING_HIDDEN_UNITS"])

    def _acknowledge(
        self, version: int, weights: Weights | None, *, replaces: bool = False
    ) -> None:
        self.findings.acknowledged += 1
        self.kept[version] = weights
        if replaces:
            self.newest = max(self.newest, version)

    def check(self) -> None:
        """See whether all that was acknowledged is there, and whether one of them is as it was."""
        answer = self.ask("GET", f"{self._url}/versions")
        if answer is None:
            return
        there = {entry["version"] for entry in answer.json()["versions"]}
        for version in [version for version in self.kept if version not in there]:
            self.findings.lost += 1
            self.findings.breach(f"version {version} was acknowledged and is not in the history")
            del self.kept[version]
        if self.kept:
            self.look_at(self._random.choice(list(self.kept)))
        if len(self.kept) > KEPT_VERSIONS:
            self._forget(min(self.kept))

    def look_at(self, version: int) -> Weights | None:
        """Return the weights of a version, which must be those that were acknowledged."""
        url = f"{self._url}/versions/{version}"
        answer = self.ask("GET", url, params={"format": "safetensors"})
        if answer is None:
            return None
        weights, metadata = decode_weights(answer.content)
        if self.kept[version] is None and self.exact:
            iteration = int(metadata["iteration"])
            if not same_weights(weights, self._oracle.weights(iteration)):
                self.findings.breach(f"version {version} at {iteration} is not on the run's path")
        expected = self.kept[version] = self.kept[version] or weights
        if not same_weights(weights, expected):
            self.findings.lost += 1
            self.findings.breach(f"version {version} has other weights than were acknowledged")
        return weights

    def _forget(self, version: int) -> None:
        self.ask("DELETE", f"{self._url}/versions/{version}")
        del self.kept[version]


class Watcher(Person):
    """Looks at the page: keeps what it is told, and sees whether anything is missing or double."""

    def __init__(self, cluster: Cluster, findings: Findings) -> None:
        super().__init__(cluster, findings)
        self.page: Page | None = None
        self.went_back_at = 0.0  # when the run last had a reason to go back
        self.exact = False  # nobody replaces weights

    def act(self) -> None:
        """Watch until the connection ends."""
        try:
            with Page(f"127.0.0.1:{self.cluster['gateway'].port}", open_timeout=5) as page:
                page.read(5)
                self.page = page
                while not self.stopping.is_set():
                    self._read(page)
        except (OSError, TimeoutError, WebSocketException):
            self.findings.answers["viewers cut off"] += 1
            self.stopping.wait(0.1)
        finally:
            self.page = None

    def _read(self, page: Page) -> None:
        known = len(page.told)
        have = page.points[-1][0] if page.points else 0
        try:
            page.read(0.5)
        except TimeoutError:
            return
        new, start = page.told[known:], page.last["history_from"]
        self.findings.told += len(new)
        if self.exact and new and new != list(range(start + 1, start + 1 + len(new))):
            self.findings.skipped += 1
            self.findings.breach(f"a frame from {start} on told {new[:3]} ... {new[-3:]}")
        if self.exact and new and start > have:
            self.findings.skipped += start - have
            self.findings.breach(f"after iteration {have} a viewer was told {new[0]}")
        if self.exact and start < have:
            self.findings.taken_back += have - start
            self._check_told_again(min(have - start, len(new)))
        del page.frames[:-1]

    def _check_told_again(self, count: int) -> None:
        if count and time.monotonic() - self.went_back_at > GO_BACK_S:
            self.findings.doubled += count
            self.findings.breach(f"{count} iterations were told twice, and the run was undisturbed")
