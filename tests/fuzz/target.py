"""The stack that is fuzzed: how it is asked, what of it must not change, how it must be after."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.running import RedisServer, Stack, wait_until
from wire.codec import decode_weights
from wire.keys import Keys

KEYS = Keys()
MODULES = ("services.local.web", "services.trainer", "services.data.worker")
REFUSALS = {400, 404, 405, 406, 409, 413, 415, 422}  # what an answer to a bad request may say
PROBLEM = "application/problem+json"
DEADLINE_S = 20.0
QUIET_S = 1.5


class Answer(NamedTuple):
    """An answer over HTTP."""

    status: int
    kind: str  # its content type
    body: bytes


class Version(NamedTuple):
    """A version of the history."""

    version: int
    iteration: int
    name: str | None


class State(NamedTuple):
    """What a bad input must not change."""

    iteration: int
    training: bool
    settings: dict[bytes, bytes]
    weights: str  # digest of the live numbers
    versions: tuple[Version, ...]  # those kept, the newest first


@dataclass
class Target:
    """A stack on a Redis that the test reaches, too."""

    stack: Stack
    redis: RedisServer
    headers: Mapping[str, str] = field(default_factory=dict)  # of what is asked of it in order
    tally: Counter[str] = field(default_factory=Counter)  # inputs by kind
    outcomes: Counter[str] = field(default_factory=Counter)  # answers by status

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=30)
        self._pids = {module: self.stack.pids(module) for module in MODULES}
        self._log_seen = 0
        self.stack.client.headers.update(self.headers)
        self.expected = self.settled()

    # --- asking ---------------------------------------------------------------------------------
    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer; the connection is kept."""
        try:
            return self._ask(method, path, body, headers or {})
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()  # the server may have closed it after the last answer
            return self._ask(method, path, body, headers or {})

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, body, {**self.headers, **headers})
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.headers.get("content-type", ""), answer.read())

    def give(
        self,
        kind: str,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a bad input of this kind, and look at the answer.

        What was bad may have turned out well: then the state that is expected is the one after it.
        """
        answer = self.ask(method, path, body, headers)
        self.judge(kind, answer, f"{method} {path} {dict(headers or {})} {body[:300]!r}")
        if answer.status < 400 and method != "GET" and path.partition("?")[0] != "/infer":
            self.expected = self.settled()

    def judge(self, kind: str, answer: Answer, told: str) -> None:
        """Count an input, and fail unless its answer is a success or a documented refusal."""
        self.tally[kind] += 1
        self.outcomes[str(answer.status)] += 1
        assert answer.status < 400 or answer.status in REFUSALS, f"{answer} to {told}"
        if answer.status >= 400:
            assert answer.kind == PROBLEM, f"{answer} to {told}"
            assert json.loads(answer.body)["detail"], f"{answer} to {told}"

    # --- the state ------------------------------------------------------------------------------
    def state(self) -> State:
        """Return the state as it is now."""
        status = json.loads(self.ask("GET", "/status").body)
        versions = json.loads(self.ask("GET", "/weights/versions").body)["versions"]
        live = self.redis.client.hget(KEYS.weights, "bytes")
        assert isinstance(live, bytes)
        arrays = decode_weights(live)[0].arrays
        settings: Any = self.redis.client.hgetall(KEYS.settings)
        return State(
            status["iteration"],
            status["training"],
            settings,
            hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest(),
            tuple(Version(one["version"], one["iteration"], one["name"]) for one in versions),
        )

    def settled(self) -> State:
        """Stop what trains; return the state when nothing moves any more."""
        self.stack.control(type="Stop")
        seen, since = self.state(), time.monotonic()

        def rests() -> bool:
            nonlocal seen, since
            before, seen = seen, self.state()
            if seen != before or seen.training:
                since = time.monotonic()
                return False
            # The last weights of a training are kept as soon as it is seen to have stopped.
            kept = bool(seen.versions) and seen.versions[0].iteration == seen.iteration
            return kept or time.monotonic() - since > QUIET_S

        wait_until(rests, DEADLINE_S, "rest")
        return seen

    def check(self) -> None:
        """Fail unless everything is as before: alive, ready, the same state, no traceback."""
        wait_until(self._is_ready, DEADLINE_S, "readiness")
        seen: list[State] = []

        def is_as_before() -> bool:
            seen[:] = [self.state()]
            return seen[0] == self.expected

        with suppress(AssertionError):
            wait_until(is_as_before, DEADLINE_S)
        now, before = seen[0]._asdict(), self.expected._asdict()
        changed = {name: (before[name], now[name]) for name in now if now[name] != before[name]}
        assert not changed, changed
        assert {module: self.stack.pids(module) for module in MODULES} == self._pids
        log = self.stack.log.read_bytes()
        news, self._log_seen = log[self._log_seen :], len(log)
        at = min((k for k in (news.find(b"Traceback"), news.find(b"Exception in")) if k >= 0),
                 default=-1)  # fmt: skip
        assert at < 0, news[max(0, at - 500) : at + 3000].decode(errors="replace")

    def _is_ready(self) -> bool:
        return self.ask("GET", "/readyz").status == 200

    def report(self) -> str:
        """Return how many inputs of each kind were tried, and how they were answered."""
        lines = [f"  {count:7,}  {kind}" for kind, count in self.tally.items()]
        answers = ", ".join(f"{status}: {n:,}" for status, n in sorted(self.outcomes.items()))
        return "\n".join([*lines, f"  {self.tally.total():7,}  in all; answered {answers}"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
