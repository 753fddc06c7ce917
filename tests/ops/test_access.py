"""Who may do what, asked over a real server: names, origins, tokens, other sites, the warning."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ops import http, limits
from ops.access import (
    SUBPROTOCOL,
    TOKEN_SUBPROTOCOL,
    is_loopback,
    may_change,
    subprotocol_for,
    warn_if_exposed,
)
from ops.headers import CONTENT_SECURITY_POLICY, HEADERS
from ops.health import health_routes
from ops.settings import Settings
from tests.serving import detail_of, served

TOKEN, READ_TOKEN, WRONG = "the-token-0123456789", "for-reading-0123456789", "wrong-0123456789abc"
SITE = "https://lab.example"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app() -> Starlette:
    """Return an application that says yes to everything that comes through to it."""

    async def yes(request: Request) -> Response:
        with contextlib.suppress(ClientDisconnect):
            await request.body()
        return JSONResponse({"reached": request.method})

    async def converse(client: WebSocket) -> None:
        await client.accept(subprotocol_for(client.scope))
        await client.send_json({"may_change": may_change(client.scope)})
        await client.close()

    async def fail(_: Request) -> Response:
        raise ZeroDivisionError

    return Starlette(
        routes=[
            *health_routes(lambda: []),
            Route("/mistake", fail),
            WebSocketRoute("/ws", converse),
            Route("/{path:path}", yes, methods=METHODS),
        ]
    )


@contextlib.contextmanager
def client_of(**settings: Any) -> Iterator[httpx.Client]:
    """Give a client of a server with these settings."""
    with (
        served(create_app(), **settings) as place,
        httpx.Client(base_url=f"http://{place}", timeout=20) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def free() -> Iterator[httpx.Client]:
    """A service with which nothing is set."""
    with client_of() as client:
        yield client


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    """A service with INKLING_TOKEN."""
    with client_of(token=TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def closed() -> Iterator[httpx.Client]:
    """A service with both tokens."""
    with client_of(token=TOKEN, read_token=READ_TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def shared() -> Iterator[httpx.Client]:
    """A service with which the pages of another site may work."""
    with client_of(origins=SITE, token=TOKEN) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def socket_of(client: httpx.Client, **options: Any) -> ClientConnection:
    """Open the WebSocket of a service."""
    opened: ClientConnection = connect(f"ws://{client.base_url.netloc.decode()}/ws", **options)
    return opened


def may_change_over(client: httpx.Client, **options: Any) -> bool:
    """Return what the application is told of who opened its WebSocket."""
    with socket_of(client, **options) as opened:
        answer: bool = json.loads(opened.recv(10))["may_change"]
        return answer


def refused_socket(client: httpx.Client, status: int, **options: Any) -> dict[str, Any]:
    """Return the problem with which a WebSocket is refused; its headers under `headers`."""
    with pytest.raises(InvalidStatus) as caught, socket_of(client, **options):
        pass
    response = caught.value.response
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.body)
    assert problem["status"] == status
    return {**problem, "headers": response.headers}


# --- tokens ---------------------------------------------------------------------------------
CHANGES = [
    ("POST", "/control"), ("POST", "/weights"), ("PATCH", "/weights"), ("DELETE", "/weights"),
    ("POST", "/weights/versions"), ("PATCH", "/weights/versions/3"),
    ("DELETE", "/weights/versions/3"), ("POST", "/weights/versions/3/restore"),
    ("PUT", "/weights"), ("POST", "/what-comes-later"), ("POST", "/"), ("POST", "/infer/"),
    ("PATCH", "/infer"),
]  # fmt: skip
READS = [
    ("GET", "/weights"), ("HEAD", "/weights"), ("GET", "/weights/versions/3"), ("GET", "/data"),
    ("GET", "/%77eights"), ("GET", "/evaluation/examples"),
    ("GET", "/status"), ("POST", "/infer"), ("POST", "/infer?normalize=true"),
    ("POST", "/datablock"), ("GET", "/metrics"),
]  # fmt: skip
ALWAYS_OPEN = [("GET", path) for path in ("/healthz", "/readyz", "/", "/main.js", "/core/link.js")]


@pytest.mark.parametrize(("method", "path"), CHANGES + READS + ALWAYS_OPEN)
def test_everything_is_open_where_no_token_is_set(
    free: httpx.Client, method: str, path: str
) -> None:
    assert free.request(method, path).status_code == 200
    assert free.request(method, path, headers=bearer(WRONG)).status_code == 200


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_what_changes_something_needs_the_token(
    guarded: httpx.Client, method: str, path: str
) -> None:
    without = guarded.request(method, path)
    assert detail_of(without, 401) == (
        f"{method} {path} needs a token: send it as `Authorization: Bearer TOKEN`."
    )
    assert without.headers["www-authenticate"] == "Bearer"
    wrong = guarded.request(method, path, headers=bearer(WRONG))
    assert detail_of(wrong, 401) == (
        f"The token sent is not the right one. {method} {path} needs one: "
        "send it as `Authorization: Bearer TOKEN`."
    )
    assert wrong.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    right = guarded.request(method, path, headers=bearer(TOKEN))
    assert (right.status_code, right.json()) == (200, {"reached": method})


@pytest.mark.parametrize(("method", "path"), READS + ALWAYS_OPEN)
def test_reading_stays_open_beside_it(guarded: httpx.Client, method: str, path: str) -> None:
    assert guarded.request(method, path).status_code == 200
    assert guarded.request(method, path, headers=bearer(WRONG)).status_code == 200


@pytest.mark.parametrize(("method", "path"), READS)
def test_reading_needs_either_token_once_it_has_one(
    closed: httpx.Client, method: str, path: str
) -> None:
    for headers in ({}, bearer(WRONG), bearer(TOKEN[:-1]), bearer(READ_TOKEN + "x")):
        refused = closed.request(method, path, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
    for token in (TOKEN, READ_TOKEN):
        assert closed.request(method, path, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_the_token_for_reading_changes_nothing(
    closed: httpx.Client, method: str, path: str
) -> None:
    assert closed.request(method, path).status_code == 401
    refused = closed.request(method, path, headers=bearer(READ_TOKEN))
    assert detail_of(refused, 403) == (
        f"{method} {path} needs the token of INKLING_TOKEN; the one sent is for reading."
    )
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert closed.request(method, path, headers=bearer(TOKEN)).status_code == 200


@pytest.mark.parametrize(("method", "path"), ALWAYS_OPEN)
def test_health_and_the_files_of_the_page_are_open_always(
    closed: httpx.Client, method: str, path: str
) -> None:
    assert closed.request(method, path).status_code == 200


def test_no_spelling_of_a_path_goes_round_it(closed: httpx.Client) -> None:
    for path in ("//weights", "///weights", "//infer"):
        assert httpx.get(own(closed) + path).status_code == 401
    assert httpx.post(own(closed) + "//infer").status_code == 401


def test_behind_an_edge_prometheus_needs_no_token() -> None:
    with client_of(token=TOKEN, read_token=READ_TOKEN, bind="127.0.0.1") as client:
        assert client.get("/metrics", headers={"Host": "gateway:8000"}).status_code == 200
        assert client.get("/status").status_code == 401


@pytest.mark.parametrize(
    ("header", "status"),
    [(f"bearer {TOKEN}", 200), (f"Bearer   {TOKEN}", 200), (f"Basic {TOKEN}", 401), (TOKEN, 401),
     ("Bearer", 401), ("", 401), (f"Bearer {TOKEN}x", 401),
     (f"Bearer {TOKEN.upper()}", 401), ("Bearer \xe4\xf6", 401)],
)  # fmt: skip
def test_the_forms_of_the_header(guarded: httpx.Client, header: str, status: int) -> None:
    headers = {b"Authorization": header.encode("latin-1")}
    assert guarded.post("/control", headers=headers).status_code == status


# --- guessing -------------------------------------------------------------------------------
@pytest.fixture
def slow() -> Iterator[httpx.Client]:
    """A service with both tokens behind an edge, which takes one wrong one in 50 s."""
    with client_of(
        token=TOKEN, read_token=READ_TOKEN, behind_edge=True, change_rate=0.02
    ) as client:
        yield client


def of(client: str, token: str | None = None) -> dict[str, str]:
    return {"X-Forwarded-For": client, **({} if token is None else bearer(token))}


def test_tokens_cannot_be_guessed_faster_than_things_may_be_changed(slow: httpx.Client) -> None:
    before = limits.REFUSED.labels("wrong_tokens")._value.get()
    assert slow.get("/status", headers=of("192.0.2.1", WRONG)).status_code == 401
    for right_or_wrong in (WRONG, READ_TOKEN, TOKEN):  # nobody learns by it which one is right
        refused = slow.get("/status", headers=of("192.0.2.1", right_or_wrong))
        after_s = refused.headers["retry-after"]
        assert 30 < int(after_s) <= 50
        assert detail_of(refused, 429) == (
            "192.0.2.1 has sent too many wrong tokens (INKLING_CHANGE_RATE). Nothing was changed. "
            f"Try again in {after_s} s."
        )
        assert refused.headers["www-authenticate"] == "Bearer"  # the page asks for another one
        assert slow.post("/weights", headers=of("192.0.2.1", right_or_wrong)).status_code == 429
    assert limits.REFUSED.labels("wrong_tokens")._value.get() == before + 6
    assert slow.get("/status", headers=of("192.0.2.1")).status_code == 401  # that was no guess
    assert slow.get("/", headers=of("192.0.2.1", WRONG)).status_code == 200  # nor could it help
    assert slow.get("/status", headers=of("192.0.2.2", READ_TOKEN)).status_code == 200


def test_nor_over_the_websocket(slow: httpx.Client) -> None:
    wrong = {"subprotocols": by_subprotocol(WRONG), "additional_headers": of("192.0.2.3")}
    refused_socket(slow, 401, **wrong)
    assert 30 < int(refused_socket(slow, 429, **wrong)["headers"]["Retry-After"]) <= 50
    right = {"additional_headers": of("192.0.2.3", TOKEN)}
    assert refused_socket(slow, 429, **right)["detail"].startswith("192.0.2.3 has sent too many")
    assert slow.get("/status", headers=of("192.0.2.3", TOKEN)).status_code == 429


def test_nor_by_what_it_may_do_once_it_is_open() -> None:
    with client_of(token=TOKEN, behind_edge=True, change_rate=0.02) as client:
        wrong = {"additional_headers": of("192.0.2.4", WRONG)}
        assert not may_change_over(client, **wrong)
        refused_socket(client, 429, **wrong)
        refused_socket(client, 429, additional_headers=of("192.0.2.4", TOKEN))
        assert not may_change_over(client, additional_headers=of("192.0.2.4"))
        for token in (WRONG, TOKEN):
            assert client.get("/status", headers=of("192.0.2.4", token)).status_code == 200


def test_right_tokens_are_no_guesses(slow: httpx.Client) -> None:
    for _ in range(5):
        assert slow.get("/status", headers=of("192.0.2.5", TOKEN)).status_code == 200
        refused = slow.post("/weights", headers=of("192.0.2.5", READ_TOKEN))
        assert refused.status_code == 403


def test_no_token_is_ever_told(closed: httpx.Client) -> None:
    for token in (TOKEN, READ_TOKEN, WRONG):
        answer = closed.post("/control", headers=bearer(token), content=b"x" * 100_000)
        assert token not in answer.text + str(answer.headers)
        assert TOKEN not in answer.text
    settings = Settings(token=SecretStr(TOKEN))
    assert TOKEN not in repr(settings) + str(settings) + settings.model_dump_json()


# --- the WebSocket --------------------------------------------------------------------------
def by_subprotocol(token: str) -> list[Any]:
    return [SUBPROTOCOL, TOKEN_SUBPROTOCOL + token]


def test_a_websocket_is_told_whether_its_signals_may_change_something(
    free: httpx.Client, guarded: httpx.Client
) -> None:
    assert may_change_over(free)
    assert may_change_over(free, subprotocols=by_subprotocol(WRONG))
    assert not may_change_over(guarded)
    assert not may_change_over(guarded, additional_headers=bearer(WRONG))
    assert not may_change_over(guarded, subprotocols=by_subprotocol(WRONG))
    assert may_change_over(guarded, additional_headers=bearer(TOKEN))
    assert may_change_over(guarded, subprotocols=by_subprotocol(TOKEN))


def test_opening_it_needs_either_token_once_reading_does(closed: httpx.Client) -> None:
    without = refused_socket(closed, 401)
    assert without["detail"] == (
        "The WebSocket /ws needs a token: open the WebSocket with `Authorization: Bearer TOKEN` "
        "or, in a browser, with the subprotocols `inkling` and `inkling.token.TOKEN`."
    )
    assert without["headers"]["WWW-Authenticate"] == "Bearer"
    wrong = refused_socket(closed, 401, subprotocols=by_subprotocol(WRONG))
    assert wrong["detail"].startswith("The token sent is not the right one.")
    assert WRONG not in str(wrong)
    assert may_change_over(closed, subprotocols=by_subprotocol(TOKEN))
    assert not may_change_over(closed, subprotocols=by_subprotocol(READ_TOKEN))
    assert not may_change_over(closed, additional_headers=bearer(READ_TOKEN))


def test_the_answer_names_the_subprotocol_without_the_token(guarded: httpx.Client) -> None:
    with socket_of(guarded, subprotocols=by_subprotocol(TOKEN)) as opened:
        assert opened.subprotocol == SUBPROTOCOL
        assert opened.response is not None
        assert TOKEN not in str(opened.response.headers)
    with socket_of(guarded) as opened:  # as clients without tokens do
        assert opened.subprotocol is None


# --- origins --------------------------------------------------------------------------------
def own(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def test_pages_of_our_own_may_do_everything(free: httpx.Client) -> None:
    tls = own(free).replace("http:", "https:")  # something in front may end the TLS
    for headers in ({"Origin": own(free)}, {"Origin": tls}, {"Sec-Fetch-Site": "same-origin"},
                    {"Sec-Fetch-Site": "none"}, {}):  # fmt: skip
        assert free.post("/control", headers=headers).status_code == 200
        headers.pop("Sec-Fetch-Site", None)
        assert may_change_over(free, additional_headers=headers)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://127.0.0.1", "http://localhost:1",
               "http://127.0.0.1.evil.example", "file://", "chrome-extension://abc"],
)  # fmt: skip
def test_a_page_of_another_site_changes_nothing(free: httpx.Client, origin: str) -> None:
    for method, path in [("POST", "/control"), ("DELETE", "/weights"), ("PATCH", "/weights")]:
        answer = free.request(method, path, headers={"Origin": origin})
        assert detail_of(answer, 403) == (
            f"Origin = {origin!r} is not allowed: a page of another site may not do this, unless "
            "INKLING_ORIGINS names it"
        )
        assert "access-control-allow-origin" not in answer.headers
    refused = refused_socket(free, 403, additional_headers={"Origin": origin})
    assert refused["detail"].startswith(f"Origin = {origin!r} is not allowed")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_nor_where_the_browser_says_it_in_another_way(free: httpx.Client, site: str) -> None:
    answer = free.post("/control", headers={"Sec-Fetch-Site": site})
    assert detail_of(answer, 403).startswith(f"Sec-Fetch-Site = {site!r} is not allowed")
    assert free.get("/status", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link


def test_the_right_token_does_not_excuse_the_wrong_origin(guarded: httpx.Client) -> None:
    headers = {**bearer(TOKEN), "Origin": "https://evil.example"}
    assert guarded.post("/control", headers=headers).status_code == 403
    refused_socket(guarded, 403, additional_headers=headers)


@pytest.mark.parametrize(
    ("origin", "host"),
    [("http://localhost", "localhost"), ("http://localhost", "localhost:80"),
     ("https://localhost", "localhost:443"), ("http://[::1]:8080", "[::1]:8080"),
     ("http://LOCALHOST:9", "localhost:9")],
)  # fmt: skip
def test_the_port_of_the_scheme_may_be_left_out(free: httpx.Client, origin: str, host: str) -> None:
    headers = {"Origin": origin, "Host": host}
    assert free.post("/control", headers=headers).status_code == 200


# --- other sites that are named -------------------------------------------------------------
def test_a_site_that_is_named_gets_what_it_needs(shared: httpx.Client) -> None:
    answer = shared.post("/control", headers={**bearer(TOKEN), "Origin": SITE})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "Origin" in answer.headers["vary"]
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    refused = shared.post("/control", headers={"Origin": SITE})
    assert detail_of(refused, 401)
    assert refused.headers["access-control-allow-origin"] == SITE  # so that it can read why
    assert may_change_over(shared, origin=SITE, subprotocols=by_subprotocol(TOKEN))
    assert shared.get("/status").headers.get("access-control-allow-origin") is None


def preflight(client: httpx.Client, origin: str, method: str) -> httpx.Response:
    return client.options(
        "/weights",
        headers={"Origin": origin, "Access-Control-Request-Method": method,
                 "Access-Control-Request-Headers": "authorization,content-type"},
    )  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_its_browser_may_ask_first(shared: httpx.Client, method: str) -> None:
    answer = preflight(shared, SITE, method)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SITE
    assert method in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]


def test_no_other_site_gets_any_of_it(shared: httpx.Client, free: httpx.Client) -> None:
    for client, origin in [(shared, "https://evil.example"), (shared, SITE + ".evil"),
                           (free, SITE)]:  # fmt: skip
        for answer in (preflight(client, origin, "POST"),
                       client.get("/status", headers={"Origin": origin})):  # fmt: skip
            assert "access-control-allow-origin" not in answer.headers
        assert preflight(client, origin, "POST").status_code >= 400


# --- names ----------------------------------------------------------------------------------
OURS = ["localhost", "localhost:8080", "LOCALHOST:8080", "localhost.:8080", "a.localhost",
        "127.0.0.1:8080", "127.8.9.1", "[::1]:8080"]  # fmt: skip
NOT_OURS = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.1.5:8080",
    "gateway:8000",
    "0.0.0.0",
    "",
    "[::1",
    "x@localhost.evil",
]


@pytest.mark.parametrize("host", OURS)
def test_a_service_for_this_machine_answers_to_its_names(free: httpx.Client, host: str) -> None:
    assert free.get("/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", NOT_OURS)
def test_and_to_no_others_which_could_be_bound_to_our_address(
    free: httpx.Client, host: str
) -> None:
    for path in ("/status", "/", "/metrics"):
        detail = detail_of(free.get(path, headers={"Host": host}), 403)
        assert detail.startswith(f"Host = {host!r} is not allowed: ")
        assert "INKLING_ORIGINS" in detail
    for path in ("/healthz", "/readyz"):
        assert free.get(path, headers={"Host": host}).status_code == 200


def test_a_name_that_something_in_front_serves_is_ours(shared: httpx.Client) -> None:
    headers = {"Host": "lab.example", "Origin": SITE, **bearer(TOKEN)}
    assert shared.post("/control", headers=headers).status_code == 200
    assert shared.get("/status", headers={"Host": "evil.example"}).status_code == 403


def test_a_service_for_others_answers_to_every_name() -> None:
    with client_of(bind="0.0.0.0") as client:
        assert client.get("/status", headers={"Host": "evil.example"}).status_code == 200


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.5", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine_alone(address: str, local: bool) -> None:
    assert is_loopback(address) is local


# --- headers --------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/status", "/healthz", "/metrics", "/docs"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
def test_every_answer_has_the_security_headers(
    closed: httpx.Client, method: str, path: str
) -> None:
    answer = closed.request(method, path)
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    policy = CONTENT_SECURITY_POLICY.format(frame_ancestors="'none'")
    assert answer.headers.get_list("content-security-policy") == [policy]


HOST = b"Host: localhost\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NONSENSE\r\n", 400),
        (b"GET /status HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 101, 431),
        (b"GET /status HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n", 431),
        (b"GET /slow HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n", 408),
        (b"POST /status HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n", 401),
        # What refuses a handshake: websockets, the limit of heads, the token, nobody.
        (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE.replace(b"==", b""), 400),
        (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE.replace(b"n: 13", b"n: 12"), 400),
        (b"POST /ws HTTP/1.1\r\n" + HOST + UPGRADE, 405),
        (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE + b"Content-Length: 2\r\n\r\n", 400),
        (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE + b"X: y\r\n" * 101, 431),
        (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE + b"X: " + b"y" * 9000 + b"\r\n", 431),
        (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE, 401),
        (b"GET /there-is-none HTTP/1.1\r\n" + HOST + UPGRADE, 403),
    ],
)  # fmt: skip
def test_every_refusal_has_them_and_an_id(
    closed: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    head: bytes,
    status: int,
) -> None:
    monkeypatch.setattr(http, "CHECK_S", 0.05)
    monkeypatch.setattr(http, "BODY_S", 0.2)
    with socket.create_connection((closed.base_url.host, closed.base_url.port or 0), 10) as raw:
        raw.sendall(head + b"\r\n")
        line, _, rest = raw.makefile("rb").read().partition(b"\r\n")
    assert line.startswith(b"HTTP/1.1 %d " % status)
    lines, _, body = rest.partition(b"\r\n\r\n")
    told = message_from_bytes(lines)
    policy = CONTENT_SECURITY_POLICY.format(frame_ancestors="'none'")
    for name, value in {**HEADERS, "Content-Security-Policy": policy}.items():
        assert told.get_all(name) == [value]
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["detail"]
    assert told.get_all("X-Request-ID") == [problem["request_id"]]
    assert told.get_all("Content-Length") == [str(len(body))]
    assert told["Content-Type"] == "application/problem+json"
    assert [line for line in caplog.records if line.levelname == "ERROR"] == []  # no fault of ours


def test_so_is_a_mistake_of_ours(free: httpx.Client) -> None:
    answer = free.get("/mistake")
    assert answer.status_code == 500
    assert {answer.headers[name] for name in HEADERS} == set(HEADERS.values())
    assert "content-security-policy" in answer.headers


# --- the warning ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({}, None),
        ({"host": "localhost"}, None),
        ({"host": "::1"}, None),
        ({"host": "0.0.0.0"}, "INKLING_HOST=127.0.0.1"),
        ({"host": "192.168.1.5"}, "INKLING_HOST=127.0.0.1"),
        ({"host": "0.0.0.0", "token": TOKEN}, None),
        ({"host": "0.0.0.0", "bind": "127.0.0.1"}, None),  # as in docker compose
        ({"host": "0.0.0.0", "bind": "0.0.0.0"}, "INKLING_BIND=127.0.0.1"),
        ({"host": "0.0.0.0", "bind": "0.0.0.0", "token": TOKEN}, None),
    ],
)
def test_whoever_is_open_to_others_is_warned_once(
    settings: dict[str, Any], remedy: str | None
) -> None:
    with structlog.testing.capture_logs() as lines:
        warn_if_exposed(Settings(**settings))
    assert len(lines) == (remedy is not None)
    for line in lines:
        assert line["log_level"] == "warning"
        assert line["address"] == settings.get("bind", settings["host"])
        assert remedy is not None
        assert "INKLING_TOKEN" in line["event"]
        assert remedy in line["event"]
