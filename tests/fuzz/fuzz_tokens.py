"""Tokens that are none, and right ones where none belongs: nobody gets in, and nothing changes."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from ops.access import SUBPROTOCOL, TOKEN_SUBPROTOCOL
from tests.fuzz.conftest import HIDDEN_UNITS, REPORT
from tests.fuzz.fuzz_rest import received
from tests.fuzz.fuzz_websocket import AT_ONCE, expect_errors
from tests.fuzz.mutation import Mutation
from tests.fuzz.target import Target
from tests.running import RedisServer, running_stack

TOKEN, READ_TOKEN = "the-token-0123456789", "for-reading-0123456789"
SIGNAL = b'{"type": "Start", "iterations": 5}'  # it would be seen that it was obeyed
# What needs the token, and what needs one of the two.
CHANGES = (
    "POST /control", "POST /weights/versions", "DELETE /weights", "PATCH /weights", "POST /weights",
    "DELETE /weights/versions/1", "POST /weights/versions/1/restore", "PUT /weights",
)  # fmt: skip
READS = (
    "GET /status",
    "GET /weights",
    "GET /data",
    "GET /evaluation",
    "POST /infer",
    "GET /metrics",
)
REFUSED = ("400", "401", "403")  # of these three, 400 is for what is no HTTP
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def guarded(
    datasets: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Target]:
    """A stack with both tokens, on a Redis of its own."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    environment = {"INKLING_REDIS_URL": redis.url, "INKLING_HIDDEN_UNITS": HIDDEN_UNITS}
    tokens = {"INKLING_TOKEN": TOKEN, "INKLING_READ_TOKEN": READ_TOKEN}
    with running_stack(datasets, **environment, **tokens) as stack:
        target = Target(stack, redis, {"Authorization": f"Bearer {TOKEN}"})
        yield target
        request.config.stash[REPORT].append(target.report())
        assert TOKEN not in stack.log.read_text()
        assert READ_TOKEN not in stack.log.read_text()
        target.close()
    redis.stop()
    redis.client.close()


@pytest.fixture
def target(guarded: Target) -> Iterator[Target]:
    """The stack, which has to be after the test as it was before it."""
    yield guarded
    guarded.check()


def refuse(target: Target, kind: str, request: str, lines: bytes, body: bytes = SIGNAL) -> None:
    """Send a request with these lines in its head, each with its end: it has to be refused."""
    head = f"{request} HTTP/1.1\r\nHost: localhost\r\n".encode()
    if UPGRADE not in lines:
        lines += b"Connection: close\r\nContent-Length: %d\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", target.stack.port), timeout=10) as connection:
        connection.sendall(head + lines + b"\r\n" + body)
        answer = received(connection)
    status = answer[9:12].decode(errors="replace")
    target.tally[kind] += 1
    target.outcomes[status] += 1
    assert status in REFUSED, (request, lines, answer[:500])


def is_right(value: bytes) -> bool:
    """Return whether this is the right header, after all."""
    tokens = f"{re.escape(TOKEN)}|{re.escape(READ_TOKEN)}".encode()
    return re.fullmatch(rb"(?i:bearer) [ \t]*(%b)" % tokens, value.strip(b" \t")) is not None


def test_headers_that_are_malformed(target: Target) -> None:
    mutation = Mutation(30)
    valid = [f"Bearer {token}".encode() for token in (TOKEN, READ_TOKEN)]
    for _ in range(1500):
        value = mutation.data(mutation.choice(valid)).translate(None, b"\r\n")
        if not is_right(value):
            request = mutation.choice(CHANGES + READS)
            refuse(target, "malformed tokens", request, b"Authorization: %b\r\n" % value)


NAMES = (
    "X-Authorization", "Proxy-Authorization", "X-Api-Key", "Token", "Cookie", "WWW-Authenticate",
    "Authentication", "X-Forwarded-Authorization", "Sec-WebSocket-Key", "Referer", "X-Request-ID",
    "Authorization-", "Inkling-Token",
)  # fmt: skip
SCHEMES = (
    "", "Basic ", "Token ", "Digest ", "Bearer=", "Bearer:", "Bearer", 'Bearer "', "Bearer,",
    "Bearer\t", "Bearer Bearer ", "Bearer token=", f"Bearer {TOKEN_SUBPROTOCOL}", "Negotiate ",
)  # fmt: skip
ENDS = ("\0", "x", ",", ";", " x", '"', "=", ", Bearer x", "\r\nAuthorization: Bearer x")
FIELDS = ("token", "access_token", "Authorization", "authorization", "bearer", "key", "api_key")


def misplaced(token: str) -> list[tuple[str, bytes, bytes]]:
    """Return what follows a path, lines of a head, and a body, with a token where none belongs."""
    values = (f"Bearer {token}", token, f"token={token}", f"Authorization=Bearer {token}")
    basic = base64.b64encode(f"inkling:{token}".encode()).decode()
    others = (
        token.upper(), token[::-1], token[1:], token[:-1], token * 2, token.replace("-", "%2D"),
        token.replace("-", "_"), basic, "", "null", "*", "0" * len(token), "\xe4" * len(token),
    )  # fmt: skip
    heads = [
        *(f"{name}: {value}" for name in NAMES for value in values),
        *(f"Authorization: {scheme}{token}" for scheme in SCHEMES),
        *(f"Authorization: Bearer {token}{end}" for end in ENDS),
        *(f"Authorization: Bearer {other}" for other in others),
        f"Authorization: Basic {basic}",
        f"Authorization : Bearer {token}",
        f"Authorization: Bearer\r\n {token}",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}, {TOKEN_SUBPROTOCOL}{token}",
    ]
    queries = [f"?{field}={value}".replace(" ", "%20") for field in FIELDS for value in values]
    bodies = [SIGNAL[:-1] + f', "{field}": "{token}"}}'.encode() for field in FIELDS]
    return [
        *(("", f"{head}\r\n".encode("latin-1"), SIGNAL) for head in heads),
        *((query, b"", SIGNAL) for query in (*queries, f"#{token}")),
        *(("", b"", body) for body in bodies),
    ]


@pytest.mark.parametrize("token", [TOKEN, READ_TOKEN])
def test_right_tokens_in_wrong_places(target: Target, token: str) -> None:
    for request in (*CHANGES, *READS):
        for query, lines, body in misplaced(token):
            refuse(target, "misplaced tokens", request + query, lines, body)


def test_the_token_for_reading_changes_nothing(target: Target) -> None:
    mutation = Mutation(31)
    for _ in range(200):
        line = f"Authorization: Bearer {READ_TOKEN}\r\n".encode()
        refuse(target, "tokens for reading", mutation.choice(CHANGES), line)


def test_trailers_come_too_late(target: Target) -> None:
    for request in CHANGES:
        lines = b"Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (
            len(SIGNAL), SIGNAL, TOKEN.encode(),
        )  # fmt: skip
        with socket.create_connection(("127.0.0.1", target.stack.port), timeout=10) as connection:
            connection.sendall(f"{request} HTTP/1.1\r\nHost: localhost\r\n".encode() + lines
                               + b"Connection: close\r\n\r\n" + body)  # fmt: skip
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 401"), (request, answer)
        target.tally["misplaced tokens"] += 1
        target.outcomes["401"] += 1


# --- the WebSocket -----------------------------------------------------------------------------
def test_websockets_that_are_opened_with_what_is_no_token(target: Target) -> None:
    mutation = Mutation(32)
    offers = [
        f"{SUBPROTOCOL}, {TOKEN_SUBPROTOCOL}{token}".encode() for token in (TOKEN, READ_TOKEN)
    ]
    for _ in range(600):
        value = mutation.data(mutation.choice(offers)).translate(None, b"\r\n")
        items = [item.strip(b" \t") for item in value.split(b",")]
        if not any(
            TOKEN_SUBPROTOCOL.encode() + token.encode() in items for token in (TOKEN, READ_TOKEN)
        ):
            lines = UPGRADE + b"Sec-WebSocket-Protocol: %b\r\n" % value
            refuse(target, "malformed tokens of WebSockets", "GET /ws", lines, b"")
    for token in (TOKEN, READ_TOKEN):
        for query, lines, _ in misplaced(token):
            if not lines.startswith((b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Key")):
                refuse(
                    target,
                    "misplaced tokens of WebSockets",
                    f"GET /ws{query}",
                    UPGRADE + lines,
                    b"",
                )


def test_signals_of_somebody_who_may_only_read(target: Target) -> None:
    offer = [Subprotocol(SUBPROTOCOL), Subprotocol(TOKEN_SUBPROTOCOL + READ_TOKEN)]
    changes = [
        '{"type": "Start"}', '{"type": "Start", "iterations": 5}', '{"type": "Stop"}',
        '{"type": "SetBatchSize", "value": 7}', '{"type": "SetLearningRate", "value": 0.5}',
        '{"type": "SetCacheSize", "value": 3}', '{"type": "SetWeights", "version": 1}',
    ]  # fmt: skip
    mutation = Mutation(33)
    url = f"ws://127.0.0.1:{target.stack.port}/ws"
    with connect(url, subprotocols=offer, max_size=None) as viewer:
        for round_ in range(10):
            for _ in range(AT_ONCE):
                viewer.send(mutation.choice(changes))
            expect_errors(viewer, AT_ONCE, f"mark {round_}")
            target.tally["signals of those who may read"] += AT_ONCE
