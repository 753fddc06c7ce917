"""Everything fails, again and again, under load, and the promises of docs/reliability.md hold.

`make test-chaos` runs this; pytest does not collect it by itself, because it takes two minutes.
CHAOS_SEED and CHAOS_FAULTS choose another sequence, and a longer one.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from services.data.datasets import Places, prepare
from tests.chaos.faults import Deck, Fault, Faults, held, small_disk
from tests.chaos.oracle import Oracle, same_weights
from tests.chaos.people import ANSWER_S, Findings, Guesser, Keeper, Person, Watcher
from tests.cluster import Cluster
from tests.running import wait_until
from wire.bus import Bus
from wire.curve import MAX_VIEWER_POINTS

SEED = int(os.environ.get("CHAOS_SEED", "29"))
FAULTS = int(os.environ.get("CHAOS_FAULTS", "64"))
ROUND = 11  # faults between one reset and the next
# From when what failed is back until all is well: what is promised, and what two at once may take.
RECOVERY_S = {"a process": 5.0, "Redis": 10.0, "two at once": 10.0}
HIDDEN_UNITS, BATCH_SIZE, LEARNING_RATE = 16, 64, 0.1
DISK_MB = 24
LATENCY_MS = 25  # of a batch: three workers then feed 120 iterations a second
TRAINS_S = 0.4  # between two faults, so that they do not all befall a run that has just begun
SETTLED_S = 1.2  # after which Redis does not forget a reset, though it may lose its last second

pytestmark = pytest.mark.timeout(120 + 8 * FAULTS)


class Chaos:
    """A cluster under load, what is done to it, and what was found."""

    def __init__(self, cluster: Cluster, faults: Faults, oracle: Oracle) -> None:
        self.cluster = cluster
        self.faults = faults
        self.oracle = oracle
        self.findings = Findings()
        self.rng = random.Random(SEED)
        self.deck = Deck(self.rng, list(cluster.processes), faults.kinds)
        self.next_fault = self.deck.draw()
        self.done: list[str] = []
        self.kinds: Counter[str] = Counter()
        self.recoveries: dict[str, list[float]] = {what: [] for what in RECOVERY_S}
        self.keeper = Keeper(cluster, self.findings, oracle, SEED)
        self.watchers = [Watcher(cluster, self.findings) for _ in range(3)]
        self.people: list[Person] = [self.keeper, *self.watchers, Guesser(cluster, self.findings)]
        self.over = threading.Event()
        self.poller = threading.Thread(target=self._poll, daemon=True)

    def _poll(self) -> None:
        """Note how Redis's file grows, and when a trainer takes the lease."""
        token = None
        while not self.over.wait(0.05):
            self.cluster.redis.note_size()
            now = held(self.cluster.redis.client, self.cluster.keys.tokens)
            if now is not None and now != token:
                token = now
                self._goes_back()

    def _goes_back(self) -> None:
        for watcher in self.watchers:
            watcher.went_back_at = time.monotonic()

    # --- asking for things until they are done ------------------------------------------------
    def insist(self, method: str, url: str, what: str, **options: Any) -> httpx.Response:
        """Ask until it is answered."""
        asker = self.people[-1]
        answer: httpx.Response = wait_until(lambda: asker.ask(method, url, **options), 30, what)
        return answer

    def control(self, **signal: Any) -> None:
        """Send a control signal until it has taken effect."""
        url = f"{self.cluster['gateway'].url}/control"
        self.insist("POST", url, f"an answer to {signal}", json=signal)

    def status(self) -> dict[str, Any]:
        """Return the ResponseSignal."""
        url = f"{self.cluster['gateway'].url}/status"
        answer: dict[str, Any] = self.insist("GET", url, "the status").json()
        return answer

    # --- a round --------------------------------------------------------------------------------
    def round(self, count: int, *, exact: bool) -> None:
        """Reset, train, do `count` faults meanwhile, stop, and look at all that came of it.

        An exact round has to follow the oracle; in another one, weights are replaced all the time.
        """
        self._set(exact=False, replaces=False)
        with self.keeper.lock:
            url = f"{self.cluster['weights'].url}/weights"
            self.keeper.newest = self.insist("DELETE", url, "a reset").json()["version"]
            self._goes_back()
        time.sleep(SETTLED_S)
        self.control(type="Start")
        self._set(exact=exact, replaces=not exact)
        while count > 0:
            time.sleep(TRAINS_S)
            count -= self._moment(count)
        self._set(exact=exact, replaces=False)
        self._end(exact)

    def _set(self, *, exact: bool, replaces: bool) -> None:
        with self.keeper.lock:
            self.keeper.exact, self.keeper.replaces = exact, replaces
        for watcher in self.watchers:
            watcher.exact = exact

    def _moment(self, most: int) -> int:
        """Do one or two faults at once, and wait for the recovery; return how many they were."""
        faults = [self.next_fault]
        self.next_fault = self.deck.draw()
        other = self.next_fault
        can_be = other != faults[0] and not (other.is_redis and faults[0].is_redis)
        if most > 1 and self.rng.random() < 0.3 and can_be:
            faults.append(self.next_fault)
            self.next_fault = self.deck.draw()
        self.done.append(" + ".join(map(str, faults)))
        print(f"{time.strftime('%X')}  {self.done[-1]}", end="", flush=True)
        threads = [threading.Thread(target=self._do, args=(fault,)) for fault in faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if any(fault.is_redis for fault in faults):
            self._goes_back()  # it may have lost what was told last
        self.kinds.update(fault.kind for fault in faults)
        self._recover(_what_failed(faults))
        assert not self.findings.broken
        return len(faults)

    def _do(self, fault: Fault) -> None:
        try:
            self.faults.do(fault)
        except Exception as error:  # noqa: BLE001
            self.findings.breach(f"{fault} could not be done: {error!r}")

    def _recover(self, what: str) -> None:
        """Wait until all is as it should be: every service ready, and the run training.

        The time is counted from when whatever died is back, that is, answers at all.
        """
        wait_until(self.cluster.is_alive, 30, "every process")
        begun = time.monotonic()
        lacking: list[str] = []

        def is_ready() -> bool:
            missing = self.cluster.missing()
            lacking[:] = missing or lacking
            return not missing

        try:
            wait_until(is_ready, 30, "recovery")
        except AssertionError as error:
            raise AssertionError(f"still missing: {lacking}") from error
        ready_s = time.monotonic() - begun
        before = self.status()
        wait_until(lambda: self._advances(before), 30, "training")
        took = time.monotonic() - begun
        self.recoveries[what].append(took)
        waited = f" ({', '.join(lacking)}: {ready_s:.1f} s)" if lacking else ""
        print(f": {took:.1f} s{waited}", flush=True)
        if took > RECOVERY_S[what]:
            self.findings.breach(f"{self.done[-1]}: recovery took {took:.1f} s")

    def _advances(self, before: dict[str, Any]) -> bool:
        now = self.status()
        if not now["training"] and now["trainer"] != "none":  # Redis lost the Start
            self.control(type="Start")
        return bool(now["training"] and now["iteration"] != before["iteration"])

    # --- what came of it ------------------------------------------------------------------------
    def _end(self, exact: bool) -> None:
        """Stop the training; look at weights, history and viewers."""
        self.control(type="Stop")
        wait_until(lambda: not self.status()["training"], 10, "the stop")
        last = int(self.status()["iteration"])
        with self.keeper.lock:
            self._check_live(exact, last)
            for version in list(self.keeper.kept):
                self.keeper.look_at(version)
        if exact:
            wait_until(
                lambda: all(self._knows_all(one, last) for one in self.watchers),
                10,
                "to every viewer, each iteration",
            )
        print(f"{time.strftime('%X')}  stopped at iteration {last}", flush=True)
        assert not self.findings.broken

    def _check_live(self, exact: bool, last: int) -> None:
        bus = Bus(self.cluster.redis.url)
        live, generation = bus.live.latest(), bus.live.generation()
        bus.close()
        assert live is not None
        if generation < self.keeper.newest:
            self.findings.lost += 1
            newest = self.keeper.newest
            self.findings.breach(
                f"{newest} was acknowledged, and live is what follows {generation}"
            )
        if live.info.iteration != last:
            self.findings.breach(f"live is iteration {live.info.iteration}, told was {last}")
        if exact and not same_weights(live.weights, self.oracle.weights(last)):
            self.findings.breach(f"the weights at iteration {last} are not those of the run")

    def _knows_all(self, watcher: Watcher, last: int) -> bool:
        """Whether a viewer has the loss of each iteration of the run, and nothing else."""
        page = watcher.page
        if page is None or page.iterations[-1:] != [last]:
            return False
        points = list(page.points)
        losses = self.oracle.losses(last)
        if last <= MAX_VIEWER_POINTS and [point[0] for point in points] != [*range(1, last + 1)]:
            return False
        return all(np.float32(loss) == np.float32(losses[k - 1]) for k, loss, _ in points)

    # --- the whole ------------------------------------------------------------------------------
    def run(self) -> None:
        """Do all faults, under load."""
        self.poller.start()
        for person in self.people:
            person.start()
        try:
            left, exact = FAULTS, True
            while left > 0:
                self.round(min(ROUND, left), exact=exact)
                left, exact = left - ROUND, not exact
        finally:
            for person in self.people:
                person.stopping.set()
            for person in self.people:
                person.join(ANSWER_S)
            self.over.set()
            self.poller.join()

    def report(self) -> str:
        """Return what was done and what was found."""
        found = self.findings
        kinds = ", ".join(f"{count} x {kind}" for kind, count in self.kinds.most_common())
        lines = [
            f"seed {SEED}: {sum(self.kinds.values())} faults: {kinds}",
            *(
                []
                if "disk full" in self.faults.kinds
                else ["no disk full: mounting is not allowed"]
            ),
            *(
                f"recovery from {what}: median {statistics.median(took):.1f} s, "
                f"worst {max(took):.1f} s of {len(took)}"
                for what, took in self.recoveries.items()
                if took
            ),
            f"versions acknowledged {found.acknowledged}, lost {found.lost}",
            f"iterations told to viewers {found.told:,}, taken back by a run that went back "
            f"{found.taken_back:,}, lost {found.skipped}, doubled {found.doubled}",
            f"answers: {dict(found.answers)}; the slowest took {found.slowest_s:.1f} s",
        ]
        if found.broken:
            lines += ["broken:", *found.broken, "the sequence was:", *self.done]
        return "\n".join(lines)


def _what_failed(faults: list[Fault]) -> str:
    """Return which promise of RECOVERY_S holds after these faults."""
    if len(faults) > 1:
        return "two at once"
    return "Redis" if faults[0].is_redis else "a process"


@pytest.fixture
def chaos(tmp_path: Path, datasets: Path) -> Iterator[Chaos]:
    with small_disk(tmp_path / "disk", DISK_MB) as disk, threadpool_limits(1, user_api="blas"):
        cluster = Cluster(
            tmp_path, datasets, trainers=2, workers=3, weights_dir=disk / "weights",
            INKLING_SEED=str(SEED), INKLING_HIDDEN_UNITS=str(HIDDEN_UNITS),
            INKLING_BATCH_SIZE=str(BATCH_SIZE), INKLING_LEARNING_RATE=str(LEARNING_RATE),
            INKLING_DATA_LATENCY_MS=str(LATENCY_MS), INKLING_CHECKPOINT_S="5",
        )  # fmt: skip
        try:
            cluster.start()
            data_dir = cluster.environment.get("INKLING_DATA_DIR")
            places = Places(Path(data_dir) if data_dir else None, datasets)
            name = wait_until(lambda: cluster.status()["dataset"], what="the data set")
            dataset = prepare(name, places, lambda *_, **__: None)
            oracle = Oracle(dataset, SEED, HIDDEN_UNITS, BATCH_SIZE, LEARNING_RATE)
            yield Chaos(cluster, Faults(cluster, disk), oracle)
        finally:
            cluster.close()


def test_the_promises_hold_whatever_fails(chaos: Chaos) -> None:
    try:
        chaos.run()
    finally:
        print(f"\n{chaos.report()}", flush=True)
    assert not chaos.findings.broken
    assert chaos.findings.acknowledged > 0
    assert chaos.findings.told > 0
