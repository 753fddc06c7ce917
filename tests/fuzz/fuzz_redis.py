"""What comes in from Redis: every key and channel filled with what does not belong there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tests.examples import (
    accuracy_at,
    batch_of,
    checkpoint_of,
    frame_of,
    history_of,
    snapshot_of,
    ticket_of,
)
from tests.fuzz.mutation import Mutation
from tests.fuzz.target import DEADLINE_S, KEYS, Target
from tests.running import wait_until
from wire.calls import Call, Fetch, Restore, Tune, Upload
from wire.codec import (
    MalformedError,
    checked_count,
    encode,
    encode_batch,
    encode_checkpoint,
    encode_snapshot,
)
from wire.curve import Curve
from wire.messages import DataSetInfo, Evaluation

PORTION = 100  # items that are put into a list or a channel together


def calls_of(*requests: Any) -> list[bytes]:
    """Return calls as they wait in a list."""
    return [msgspec.msgpack.encode(Call("nobody", request)) for request in requests]


def curve_of(*iterations: int) -> bytes:
    """Return the bytes of a curve."""
    curve = Curve()
    curve.extend(history_of(*iterations), 0)
    return curve.encode()


SNAPSHOT = encode_snapshot(snapshot_of(5, 7))
EVALUATION = encode(Evaluation(5, 7, 0.5, live=True))
TICKETS = [encode(ticket_of(3, dataset="mnist")), encode(ticket_of(10**6, position=59_990))]
BATCHES = [encode_batch(batch_of(3)), encode_batch(batch_of(4, 100))]
FRAMES = [encode(frame_of(1, 2, 3)), encode(frame_of(5, history_from=2, revision=3))]
# No call that would be obeyed, were it as it is: Redis gives it a version or samples there are not.
NO_WEIGHTS_CALLS = calls_of(Restore(2**40), Fetch(2**40), Upload(b"[[[1, 2], [3, 4]]]"))
NO_TRAINER_CALLS = calls_of(Tune(bytes(4 * 783), [3]), Tune(bytes(4 * 784), [12]))


# --- lists and channels, which services empty --------------------------------------------------
LISTS: list[tuple[str, list[bytes], int]] = [
    (KEYS.tickets, TICKETS, 800),
    (KEYS.batches, BATCHES, 400),
    (KEYS.calls("weights"), NO_WEIGHTS_CALLS, 1200),
    (KEYS.calls("trainer"), NO_TRAINER_CALLS, 400),
    (KEYS.to_evaluate, [SNAPSHOT], 400),
    (KEYS.wake, [b"1"], 200),
]
CHANNELS: list[tuple[str, list[bytes], int]] = [
    (KEYS.frames, FRAMES, 2500),
    (KEYS.evaluations, [EVALUATION], 1000),
    (KEYS.weights_news, [b"1", b"999999"], 1000),
]


@pytest.mark.parametrize(("key", "valid", "count"), LISTS)
def test_lists_of_what_does_not_belong_there(
    target: Target, key: str, valid: list[bytes], count: int
) -> None:
    mutation, client = Mutation(20), target.redis.client
    for _ in range(count // PORTION):
        client.rpush(key, *(spoilt(mutation, valid) for _ in range(PORTION)))
        target.tally[f"items of {key.rpartition('}:')[2]}"] += PORTION
        client.lpush(KEYS.wake, 1)
        if key == KEYS.batches:  # taken by a trainer who trains, and dropped with their stream
            continue
        wait_until(lambda: client.llen(key) == 0, DEADLINE_S, f"an empty {key}")


@pytest.mark.parametrize(("channel", "valid", "count"), CHANNELS)
def test_news_that_are_none(target: Target, channel: str, valid: list[bytes], count: int) -> None:
    mutation, client = Mutation(21), target.redis.client
    for _ in range(count // PORTION):
        pipe = client.pipeline(transaction=False)
        for _ in range(PORTION):
            pipe.publish(channel, spoilt(mutation, valid))
        assert all(pipe.execute()), "nobody hears them"
        target.tally[f"news on {channel.rpartition('}:')[2]}"] += PORTION
    reconnect(target)  # some were well formed: whoever believed them looks again


def spoilt(mutation: Mutation, valid: list[bytes]) -> bytes:
    """Return a message changed at its beginning or anywhere, or any bytes."""
    if mutation.rng.random() < 0.1:
        return mutation.noise()
    one = mutation.choice(valid)
    return mutation.data(one, first=mutation.choice((None, 30, 200)))


def reconnect(target: Target) -> None:
    """Cut the connections of all who follow channels, who then fetch the latest of everything."""
    client = target.redis.client
    channels = [KEYS.frames, KEYS.evaluations, KEYS.weights_news]
    before = client.pubsub_numsub(*channels)
    client.client_kill_filter(_type="pubsub")
    wait_until(lambda: client.pubsub_numsub(*channels) == before, DEADLINE_S, "the followers")


def test_training_goes_its_way_through_all_of_it(target: Target) -> None:
    undisturbed = trained(target, lambda: None)
    mutation, client = Mutation(22), target.redis.client
    lists = [(KEYS.tickets, TICKETS), (KEYS.batches, BATCHES), (KEYS.wake, [b"1"]),
             (KEYS.calls("trainer"), NO_TRAINER_CALLS)]  # fmt: skip

    rounds = iter(range(10))

    def disturb() -> None:
        if next(rounds, None) is None:
            return
        for key, valid in lists:
            client.lpush(key, *(spoilt(mutation, valid) for _ in range(3)))
            target.tally["items while it trains"] += 3

    assert trained(target, disturb) == undisturbed
    target.expected = target.settled()


def trained(target: Target, meanwhile: Callable[[], None]) -> str:
    """Train 200 iterations from the start; return the digest of the weights."""
    status, _, body = target.ask("DELETE", "/weights?train=200")
    assert status == 200, body

    def done() -> bool:
        meanwhile()
        state = target.state()
        return state.iteration == 200 and not state.training

    wait_until(done, 60, "200 iterations")
    return target.state().weights


# --- keys that are read again and again --------------------------------------------------------
STRINGS: list[tuple[str, bytes]] = [
    (KEYS.frame, FRAMES[0]),
    (KEYS.curve, curve_of(1, 2, 9)),
    (KEYS.evaluation, EVALUATION),
    (KEYS.dataset, encode(DataSetInfo("mnist", "because", 60_000, 10_000))),
]


@contextmanager
def spoiling(target: Target, key: str) -> Iterator[None]:
    """Let a key be spoilt, and mend it again."""
    client = target.redis.client
    before: Any = client.dump(key)
    try:
        yield
    finally:
        client.delete(key)
        if before is not None:
            client.restore(key, 0, before, replace=True)  # its owner may have set it anew
        target.tally[f"values of {key.rpartition('}:')[2]}"] += 1


@pytest.mark.parametrize(("key", "valid"), STRINGS)
def test_values_that_are_none(target: Target, key: str, valid: bytes) -> None:
    mutation, client = Mutation(23), target.redis.client
    for _ in range(40):
        with spoiling(target, key):
            client.set(key, spoilt(mutation, [valid]))
            client.lpush(KEYS.wake, 1)
            reconnect(target)
            look_around(target)
    reconnect(target)


FIELDS: list[tuple[str, str, bytes]] = [
    (KEYS.settings, "batch_size", b"128"),
    (KEYS.settings, "learning_rate", b"0.1"),
    (KEYS.settings, "cache_size", b"16"),
    (KEYS.settings, "training", b"0"),
    (KEYS.settings, "strange", b"1"),
    (KEYS.weights, "bytes", SNAPSHOT),
    (KEYS.weights, "version", b"7"),
    (KEYS.weights, "generation", b"7"),
    (KEYS.worker_batches, "strange", b"5"),
]


@pytest.mark.parametrize(("key", "name", "valid"), FIELDS)
def test_fields_that_are_none(target: Target, key: str, name: str, valid: bytes) -> None:
    mutation, client = Mutation(24), target.redis.client
    for _ in range(20):
        with spoiling(target, key):
            value = spoilt(mutation, [valid])
            if name == "generation" and is_count(value):
                continue  # believed: what is newer in the history is put back, as after a loss
            client.hset(key, name, value)
            client.lpush(KEYS.wake, 1)
            if key == KEYS.weights:
                reconnect(target)
            look_around(target)
    reconnect(target)


def is_count(value: bytes) -> bool:
    """Return whether this is read as a number after all."""
    try:
        checked_count("a number", value)
    except MalformedError:
        return False
    return True


def test_members_that_are_none(target: Target) -> None:
    mutation, client = Mutation(25), target.redis.client
    point = encode(accuracy_at(2, 1))
    for key, valid in ((KEYS.tests, point), (KEYS.workers, b"host:1")):
        for _ in range(40):
            with spoiling(target, key):
                score = mutation.choice((0, -1, 1e18, float("inf"), 5.5))
                client.zadd(key, {spoilt(mutation, [valid]): score})
                if key == KEYS.tests:
                    reconnect(target)
                look_around(target)
    for _ in range(40):
        with spoiling(target, KEYS.recent):
            client.rpush(KEYS.recent, spoilt(mutation, FRAMES))
            reconnect(target)
            look_around(target)
    reconnect(target)


def look_around(target: Target) -> None:
    """Ask for what is made of what Redis holds: it may be unusable, and then that is the answer."""
    for path in ("/status", "/weights?format=json", "/weights/versions", "/evaluation", "/data"):
        status, kind, body = target.ask("GET", path)
        assert status in (200, 503), (path, status, kind, body[:500])
    status, kind, body = target.ask("POST", "/infer", bytes(784),
                                    {"Content-Type": "application/octet-stream"})  # fmt: skip
    assert status == 200, (status, kind, body)


def test_keys_of_another_type(target: Target) -> None:
    client = target.redis.client
    names = [name for name, value in vars(type(KEYS)).items() if isinstance(value, property)]
    keys = [getattr(KEYS, name) for name in names] + [KEYS.calls("weights"), KEYS.calls("trainer")]
    for key in keys:
        if key in (KEYS.lease, KEYS.frames, KEYS.weights_news, KEYS.evaluations):
            continue
        with spoiling(target, key):
            kind = client.type(key)
            client.delete(key)
            if kind == b"string":
                client.rpush(key, b"x")
            else:
                client.set(key, b"x")
            client.lpush(KEYS.wake, 1) if key != KEYS.wake else None
            look_around_whatever_comes(target)
    reconnect(target)


def look_around_whatever_comes(target: Target) -> None:
    """Ask for everything once; what Redis does not give is answered with 503."""
    for method, path in (("GET", "/status"), ("GET", "/weights"), ("GET", "/weights/versions")):
        status, kind, body = target.ask(method, path)
        assert status in (200, 503), (path, status, kind, body[:500])


# --- who leads ---------------------------------------------------------------------------------
def test_a_lead_that_is_taken_and_given_back(target: Target) -> None:
    """Each new leader reads checkpoint, curve and weights: here, what does not belong there."""
    mutation, client = Mutation(26), target.redis.client
    valid = encode_checkpoint(checkpoint_of(3, dataset="mnist"))
    for _ in range(6):
        with spoiling(target, KEYS.checkpoint):
            client.set(KEYS.checkpoint, mutation.data(valid, first=300)[:-1])
            client.incr(KEYS.tokens)  # so that whoever leads next goes by the checkpoint
            client.set(KEYS.lease, "somebody", px=100)
            wait_until(lambda: client.get(KEYS.lease) not in (None, b"somebody"), DEADLINE_S)
    with spoiling(target, KEYS.tokens):
        client.set(KEYS.tokens, b"many")
        client.set(KEYS.lease, "somebody", px=100)
        wait_until(lambda: client.get(KEYS.lease) is None, DEADLINE_S)
    wait_until(lambda: client.get(KEYS.lease) is not None, DEADLINE_S, "a leader")
