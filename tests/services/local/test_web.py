"""The edge of `make run`: routes, files and headers, the same as those of frontend/Caddyfile."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ops.headers import CONTENT_SECURITY_POLICY, HEADERS, PAGE_PATHS
from ops.settings import Settings
from services.local.docs import service_apps
from services.local.web import create_web
from tests.running import ROOT, RedisServer
from tests.services.data.samples import put, small_set
from tests.serving import detail_of, served
from wire.bus import Bus

CADDYFILE = (ROOT / "frontend" / "Caddyfile").read_text()


@pytest.fixture(scope="module")
def client(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("web")
    settings = Settings(
        data_dir=put(folder / "files", small_set(3)),
        cache_dir=folder / "cache",
        weights_dir=folder / "weights",
    )
    bus = Bus(redis_server.url, "web")
    with (
        served(create_web(bus, settings)) as place,
        httpx.Client(base_url=f"http://{place}", timeout=30) as client,
    ):
        yield client
    bus.close()


# --- security -------------------------------------------------------------------------------
def directives_of(answer: httpx.Response) -> dict[str, str]:
    """Return the Content-Security-Policy of an answer, by directive; check what goes with it."""
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    (policy,) = answer.headers.get_list("content-security-policy")
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/main.js", 200), ("/docs", 200), ("/healthz", 200), ("/weights/versions", 200),
     ("/nothing", 404), ("/weights/versions/7", 404), ("/weights", 503), ("/data?split=x", 422)],
)  # fmt: skip
def test_every_answer_says_what_the_browser_may_do_with_it(
    client: httpx.Client, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    directives = directives_of(answer)
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert not [part for part in directives.values() if "unsafe" in part or "*" in part]


@pytest.mark.parametrize("path", ["/?embed=1", "/index.html?embed=1", "/?raw=1&embed=1"])
def test_the_page_made_for_it_may_be_shown_in_a_frame(client: httpx.Client, path: str) -> None:
    directives = directives_of(client.get(path))
    assert directives.pop("frame-ancestors") == "*"
    plain = directives_of(client.get("/"))
    plain.pop("frame-ancestors")
    assert directives == plain


@pytest.mark.parametrize(
    "path", ["/?embed=", "/?embed=2", "/?embed=1&embed=0", "/docs?embed=1", "/status?embed=1"]
)
def test_nothing_else_may(client: httpx.Client, path: str) -> None:
    assert directives_of(client.get(path))["frame-ancestors"] == "'none'"


def test_neither_page_has_scripts_or_styles_within(client: httpx.Client) -> None:
    for path in ("/", "/docs"):
        html = client.get(path).text
        assert not re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<base", html)
        assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", html))


def test_the_edge_of_the_containers_says_the_same() -> None:
    (policy,) = re.findall(r'Content-Security-Policy "(.*)"', CADDYFILE)
    assert policy == CONTENT_SECURITY_POLICY  # the same name stands for the frames' owners in both
    for name, value in HEADERS.items():
        assert re.search(rf"^\t\t{name} {value}$", CADDYFILE, re.MULTILINE)
    framed = re.findall(r'^\t\t"(.*)\?embed=1" \*$', CADDYFILE, re.MULTILINE)
    assert tuple(framed) == PAGE_PATHS
    assert "\t\tdefault 'none'\n" in CADDYFILE
    assert "\t\tdefer\n" in CADDYFILE  # in place of what a service says, not beside it
    assert CADDYFILE.count("import security") == 2  # also where something went wrong


# --- routes ---------------------------------------------------------------------------------
def paths_in_caddyfile(service: str) -> set[str]:
    """Return what the edge of the containers sends to a service."""
    several = " ".join(re.findall(rf"@{service} path (.*)", CADDYFILE)).split()
    alone: list[str] = re.findall(rf"handle (/\S+) {{\n\t\tvars service {service}", CADDYFILE)
    return {*several, *alone}


def test_both_edges_know_every_route(client: httpx.Client, bus: Bus, tmp_path: Path) -> None:
    apps = service_apps(bus, Settings(weights_dir=tmp_path))
    routed = {name: paths_in_caddyfile(name) for name in apps}
    for name, app in apps.items():
        for path in app.openapi()["paths"]:
            first = "/" + path.split("/")[1]
            assert path in routed[name] or f"{first}/*" in routed[name], path
            unknown = f"there is no {path}: /docs lists what there is"
            answer = client.get(path.replace("{version}", "1"))
            assert answer.status_code != 404 or answer.json()["detail"] != unknown, path


# --- files ----------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/main.js", "/core/store.js", "/styles/base.css"])
def test_a_file_is_sent_once_and_then_only_if_it_changed(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert "content-encoding" not in answer.headers or answer.headers["content-encoding"] == "gzip"
    tag = answer.headers["etag"]
    again = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    other = client.get(path, headers={"If-None-Match": '"another"'})
    assert (other.status_code, other.content) == (200, answer.content)


def test_files_are_sent_compressed_to_who_takes_it(client: httpx.Client) -> None:
    packed = client.get("/main.js", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/main.js", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2


def test_scripts_have_a_type_that_browsers_run(client: httpx.Client) -> None:
    types = {"text/javascript", "application/javascript"}
    assert client.get("/main.js").headers["content-type"].partition(";")[0] in types


@pytest.mark.parametrize("name", ["package.json", "package-lock.json", "Caddyfile", ".npmrc"])
def test_what_is_no_part_of_the_page_is_not_sent(client: httpx.Client, name: str) -> None:
    assert detail_of(client.get(f"/{name}"), 404) == (
        f"there is no /{name}: /docs lists what there is"
    )


# --- memory ---------------------------------------------------------------------------------
def test_what_few_people_ask_for_is_not_loaded_at_the_start() -> None:
    loaded = "import services.local.web, sys; print('onnx' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False\n"
