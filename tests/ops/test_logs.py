"""The logs: text or JSON lines, on standard error, the service in each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.running import ROOT

# A process of its own, since logging is set up for a whole process.
PROGRAM = """
import logging, structlog
from ops.logs import start_logs
from ops.settings import read_settings
from wire.request_id import working_for
early = structlog.get_logger()
start_logs(read_settings(), "tester")
log = structlog.get_logger()
log.debug("far down", depth=3)
log.info("hello", version=7, name="ink")
early.warning("from a logger that is older than the set-up")
logging.getLogger("uvicorn.error").error("from the server")
logging.getLogger("uvicorn.error").info("chatter of the server")
try:
    {}["key"]
except KeyError:
    log.exception("it broke")
with working_for("call-7"):
    log.info("for somebody")
    logging.getLogger("uvicorn.error").error("the server for somebody")
"""


def lines(**settings: str) -> list[str]:
    """Return what the program writes with these settings."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=ROOT,
        env={**environment, **{f"INKLING_{k}": v for k, v in settings.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == ""
    return ended.stderr.splitlines()


def parsed(**settings: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(**settings)]


def test_json_lines_where_nobody_reads_along() -> None:
    hello, early, server, broke, *_ = parsed()
    assert hello["event"] == "hello"
    assert (hello["version"], hello["name"], hello["level"]) == (7, "ink", "info")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", hello["timestamp"])
    assert early["event"] == "from a logger that is older than the set-up"
    assert server["event"] == "from the server"
    assert server["level"] == "error"
    assert broke["event"] == "it broke"
    assert "KeyError: 'key'" in broke["exception"]


def test_every_line_names_the_service() -> None:
    assert {line["service"] for line in parsed()} == {"tester"}
    text = [line for line in lines(LOG_FORMAT="text") if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(text) == 6
    assert all("service=tester" in line for line in text)


def test_a_json_line_names_the_run() -> None:
    assert {line["run"] for line in parsed()} == {"default"}
    assert not any("run=" in line for line in lines(LOG_FORMAT="text"))


def test_what_belongs_to_a_call_has_its_id() -> None:
    ids = [line.get("request_id") for line in parsed()]
    assert ids == [None, None, None, None, "call-7", "call-7"]
    assert sum("request_id=call-7" in line for line in lines(LOG_FORMAT="text")) == 2


def test_text_is_for_people() -> None:
    hello = lines(LOG_FORMAT="text")[0]
    assert re.match(r"\d\d:\d\d:\d\d \[info +\] hello +name=ink service=tester version=7", hello)


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3)]
)
def test_the_level_is_the_least_that_is_logged(level: str, count: int) -> None:
    assert len(parsed(LOG_LEVEL=level)) == count


def test_a_name_that_is_no_setting_is_told_first() -> None:
    first = parsed(LOGLEVEL="debug")[0]
    assert first["event"].startswith("INKLING_LOGLEVEL is not a setting and has no effect")
    assert first["event"].endswith("did you mean INKLING_LOG_LEVEL?")
    assert first["level"] == "warning"
