"""The settings: each has an effect, a wrong one is told with its value and what is allowed."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from ops.settings import PREFIX, Settings, SettingsError, read_settings, unknown_names
from tests.running import ROOT


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take all INKLING_ variables out of the environment; what a test sets, goes at its end."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    return monkeypatch


# Setting, text in the environment, value that it must have.
GOOD: list[tuple[str, str, Any]] = [
    ("redis_url", "rediss://user:word@redis.example:6380/2", None),
    ("redis_url", "unix:///run/redis.sock", None),
    ("host", "0.0.0.0", None),
    ("bind", "0.0.0.0", None),
    ("token", "abcXYZ-0123_456.789~+", SecretStr("abcXYZ-0123_456.789~+")),
    ("read_token", "r" * 16, SecretStr("r" * 16)),
    ("origins", "https://a.example, http://localhost:3000,http://[::1]:80", (
        "https://a.example", "http://localhost:3000", "http://[::1]:80")),
    ("port", "0", 0),
    ("log_level", "debug", None),
    ("log_format", "json", None),
    ("dataset", "fashion-mnist", None),
    ("data_dir", "/data", Path("/data")),
    ("cache_dir", "/cache", Path("/cache")),
    ("mirrors", "http://one.example/a/, https://two.example ,", (
        "http://one.example/a/", "https://two.example")),
    ("data_latency_ms", "50", 50.0),
    ("seed", "4294967295", 2**32 - 1),
    ("hidden_units", "64", 64),
    ("biases", "true", True),
    ("batch_size", "4096", 4096),
    ("learning_rate", "0.035", 0.035),
    ("cache_size", "1024", 1024),
    ("blas_threads", "2", 2),
    ("state_dir", "/state", Path("/state")),
    ("weights_dir", "/weights", Path("/weights")),
    ("checkpoint_s", "2.5", 2.5),
    ("behind_edge", "true", True),
    ("infer_rate", "0.5", 0.5),
    ("change_rate", "0", 0.0),
    ("max_viewers", "10", 10),
    ("max_client_viewers", "2", 2),
]  # fmt: skip

# Setting, wrong text, what is said to be allowed.
BAD: list[tuple[str, str, str]] = [
    ("redis_url", "localhost:6379", "redis://, rediss://, unix://"),
    ("redis_url", "redis://localhost:abc/0", "Port could not be cast to integer value as 'abc'"),
    ("port", "65536", "it must be a whole number from 0 up to 65535"),
    ("port", "http", "it must be a whole number from 0 up to 65535"),
    ("log_level", "loud", "Input should be 'debug', 'info', 'warning' or 'error'"),
    ("log_format", "xml", "Input should be 'auto', 'json' or 'text'"),
    ("dataset", "cifar", "Input should be 'auto', 'mnist', 'fashion-mnist' or 'synthetic'"),
    ("mirrors", "http://one.example,ftp://two.example", "pattern '^https?://"),
    ("origins", "*", "pattern '^https?://"),
    ("origins", "https://a.example/", "pattern '^https?://"),
    ("origins", "https://a.example,a.example:80", "pattern '^https?://"),
    ("data_latency_ms", "-1", "it must be a number from 0 up to 60000"),
    ("seed", "-1", "it must be a whole number from 0 up to 4294967295"),
    ("seed", "4294967296", "it must be a whole number from 0 up to 4294967295"),
    ("hidden_units", "0", "it must be a whole number from 1 up to 4096"),
    ("biases", "perhaps", "Input should be a valid boolean"),
    ("batch_size", "0", "it must be a whole number from 1 up to 4096"),
    ("batch_size", "1.5", "it must be a whole number from 1 up to 4096"),
    ("learning_rate", "0", "it must be a number over 0, up to 10"),
    ("learning_rate", "nan", "it must be a number over 0, up to 10"),
    ("cache_size", "1025", "it must be a whole number from 1 up to 1024"),
    ("blas_threads", "65", "it must be a whole number from 1 up to 64"),
    ("checkpoint_s", "inf", "it must be a number from 1 up to 86400"),
    ("infer_rate", "-1", "it must be a number from 0 up to 1000000"),
    ("max_viewers", "1.5", "it must be a whole number from 0 up to 1000000"),
]


@pytest.mark.parametrize(("setting", "text", "value"), GOOD)
def test_a_setting_comes_from_the_environment(
    environment: pytest.MonkeyPatch, setting: str, text: str, value: Any
) -> None:
    if setting == "read_token":
        environment.setenv("INKLING_TOKEN", "t" * 16)  # without it, it would have no effect
    environment.setenv(PREFIX + setting.upper(), text)
    settings = read_settings()
    assert getattr(settings, setting) == (text if value is None else value)
    assert getattr(settings, setting) != getattr(Settings.model_construct(), setting)


def test_every_setting_is_tried_above() -> None:
    assert {setting for setting, _, _ in GOOD} == set(Settings.model_fields)


@pytest.mark.parametrize(("setting", "text", "allowed"), BAD)
def test_a_wrong_one_names_variable_value_and_what_is_allowed(
    environment: pytest.MonkeyPatch, setting: str, text: str, allowed: str
) -> None:
    name = PREFIX + setting.upper()
    environment.setenv(name, text)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    message = str(caught.value)
    assert message.startswith(f"{name}={text!r} is not allowed: ")
    assert allowed in message
    assert "\n" not in message


WEAK = "it must be 16 or more letters, digits or any of . _ ~ + -, as `openssl rand -hex 24`"
OTHER = "INKLING_TOKEN must be set, too, to another value"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"TOKEN": "short-secret-15"}, [("TOKEN", WEAK)]),
        ({"TOKEN": "secret with blanks"}, [("TOKEN", WEAK)]),
        ({"TOKEN": "secret/" * 5, "READ_TOKEN": "="}, [("TOKEN", WEAK), ("READ_TOKEN", WEAK)]),
        ({"READ_TOKEN": "secret" * 5}, [("READ_TOKEN", OTHER)]),
        ({"TOKEN": "secret" * 5, "READ_TOKEN": "secret" * 5}, [("READ_TOKEN", OTHER)]),
    ],
)  # fmt: skip
def test_a_wrong_secret_is_refused_without_showing_it(
    environment: pytest.MonkeyPatch, values: dict[str, str], told: list[tuple[str, str]]
) -> None:
    for name, value in values.items():
        environment.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    lines = str(caught.value).splitlines()
    assert len(lines) == len(told)
    for line, (name, why) in zip(lines, told, strict=True):
        assert line.startswith(f"{PREFIX}{name}=(a secret) is not allowed: {why}")
        assert "secret" not in line.replace("(a secret)", "")


@pytest.mark.parametrize(
    ("setting", "text", "shown"),
    [
        ("redis_url", "redis://me:secret@redis.example:port/0",
         "redis://(a secret)@redis.example:port/0"),
        ("redis_url", "redis://:sec/ret@redis.example/0", "redis://(a secret)@redis.example/0"),
        ("redis_url", "redis://me:se#cret:@ secret@redis.example:x",
         "redis://(a secret)@redis.example:x"),
        ("redis_url", "me:secret@redis.example", "(a secret)@redis.example"),
        ("redis_url", "redis://redis.example:x?password=secret",
         "redis://redis.example:x?(a secret)"),
        ("mirrors", "https://me:secret@one.example,https://you:secret@two.example",
         "https://(a secret)@two.example"),
        ("mirrors", "ftp://one.example/?key=secret", "ftp://one.example/?(a secret)"),
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_without_its_password(
    environment: pytest.MonkeyPatch, setting: str, text: str, shown: str
) -> None:
    environment.setenv(PREFIX + setting.upper(), text)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    told = "".join(traceback.format_exception(caught.value))
    assert f"{PREFIX}{setting.upper()}={shown!r} is not allowed: " in told
    for part in ("sec/", "se#", "cret:", "secret"):
        assert part not in told.replace("(a secret)", "")


def test_all_wrong_ones_are_told_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("INKLING_PORT", "many")
    environment.setenv("INKLING_BATCH_SIZE", "0")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    names = [line.partition("=")[0] for line in str(caught.value).splitlines()]
    assert names == ["INKLING_PORT", "INKLING_BATCH_SIZE"]


def test_the_defaults_need_no_environment(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings()
    assert settings.dataset == "auto"
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.data_dir is None
    assert settings.mirrors == ()


def test_an_empty_variable_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("INKLING_DATA_DIR", "")
    environment.setenv("INKLING_MIRRORS", "")
    environment.setenv("INKLING_PORT", "")
    assert read_settings() == Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_a_run_starts_with_the_settings() -> None:
    run = Settings(batch_size=7, learning_rate=0.5, cache_size=3, seed=9).run_settings()
    assert (run.batch_size, run.learning_rate, run.cache_size, run.seed) == (7, 0.5, 3, 9)
    assert not run.training


def test_an_unknown_name_is_told_with_the_likeliest(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("INKLING_BATCHSIZE", "64")
    environment.setenv("INKLING_ZZZZ", "1")
    environment.setenv("INKLING_SEED", "1")
    assert unknown_names() == [
        "INKLING_BATCHSIZE is not a setting and has no effect; did you mean INKLING_BATCH_SIZE?",
        "INKLING_ZZZZ is not a setting and has no effect",
    ]


@pytest.mark.parametrize("module", ["services.inference", "services.gateway", "services.data",
                                    "services.data.worker"])  # fmt: skip
def test_a_service_stops_at_a_wrong_setting_and_says_why(module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, "INKLING_PORT": "high", "INKLING_SEED": "-4"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "INKLING_PORT='high' is not allowed: it must be a whole number from 0 up to 65535",
        "INKLING_SEED='-4' is not allowed: it must be a whole number from 0 up to 4294967295",
    ]
