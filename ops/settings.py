"""The settings of all services: the only reader of the environment."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from wire.connection import checked_url
from wire.messages import MAX_BATCH_SIZE, MAX_CACHE_SIZE, MAX_LEARNING_RATE, RunSettings

PREFIX = "INKLING_"
DataSetChoice = Literal["auto", "mnist", "fashion-mnist", "synthetic"]
MirrorUrl = Annotated[str, Field(pattern=r"^https?://[^@]+$")]  # a name in it would be told
Origin = Annotated[str, Field(pattern=r"^https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?$")]
MIN_TOKEN_LENGTH = 16


def _comma_separated(text: object) -> object:
    """Return the items of a comma separated list, blanks around them left out."""
    if not isinstance(text, str):
        return text
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _checked_token(token: SecretStr) -> SecretStr:
    """Return the token; raise ValueError, without the value, for one that is weak or cannot travel.

    The characters are those that may stand in a header and in the name of a subprotocol.
    """
    text = token.get_secret_value()
    if len(text) < MIN_TOKEN_LENGTH or not re.fullmatch(r"[A-Za-z0-9._~+-]+", text):
        raise ValueError(
            f"it must be {MIN_TOKEN_LENGTH} or more letters, digits or any of . _ ~ + -, as "
            "`openssl rand -hex 24` makes them"
        )
    return token


Token = Annotated[SecretStr, AfterValidator(_checked_token)]


class Settings(BaseSettings):
    """Every setting, its default and its range. The README's table is checked against this."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="forbid"
    )

    redis_url: Annotated[
        str, AfterValidator(checked_url), Field(description="Where Redis is: a URL")
    ] = "redis://127.0.0.1:6379/0"
    host: Annotated[str, Field(description="Address on which a service listens")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port of a service; 0 picks a free one")
    ] = 8000
    bind: Annotated[
        str | None,
        Field(description="In `docker compose`, the address at which the edge is published"),
    ] = None
    token: Annotated[
        Token | None, Field(description="Secret without which nobody changes anything")
    ] = None
    read_token: Annotated[
        Token | None, Field(description="Secret without which nobody reads or infers either")
    ] = None
    origins: Annotated[
        tuple[Origin, ...],
        NoDecode,
        BeforeValidator(_comma_separated),
        Field(description="Other sites whose pages may use this one, comma separated"),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least level that is logged"),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Field(description="`auto`: text in a terminal, else JSON lines"),
    ] = "auto"

    dataset: Annotated[
        DataSetChoice,
        Field(description="The data set; `auto`: MNIST where it can be had, else synthetic"),
    ] = "auto"
    data_dir: Annotated[
        Path | None, Field(description="Folder with the IDX files of MNIST or Fashion-MNIST")
    ] = None
    cache_dir: Annotated[
        Path, Field(description="Folder for unpacked, downloaded and drawn data sets")
    ] = Path(".inkling/datasets")
    mirrors: Annotated[
        tuple[MirrorUrl, ...],
        NoDecode,
        BeforeValidator(_comma_separated),
        Field(description="URLs of folders to download from, comma separated, before the public"),
    ] = ()
    data_latency_ms: Annotated[
        float,
        Field(ge=0, le=60_000, description="Time that a data worker takes to fetch one batch"),
    ] = 0.0

    seed: Annotated[
        int, Field(ge=0, le=2**32 - 1, description="Seed of the weights and the order of the data")
    ] = 0
    hidden_units: Annotated[int, Field(ge=1, le=4096, description="Units of the hidden layer")] = (
        128
    )
    biases: Annotated[bool, Field(description="Whether layers have biases")] = False
    batch_size: Annotated[
        int, Field(ge=1, le=MAX_BATCH_SIZE, description="Examples in a batch, at the first start")
    ] = 128
    learning_rate: Annotated[
        float,
        Field(gt=0, le=MAX_LEARNING_RATE, description="Step size of SGD, at the first start"),
    ] = 0.1
    cache_size: Annotated[
        int, Field(ge=1, le=MAX_CACHE_SIZE, description="Batches kept ready, at the first start")
    ] = 16
    blas_threads: Annotated[
        int, Field(ge=1, le=64, description="Threads of matrix products; changes the last bits")
    ] = 1

    state_dir: Annotated[
        Path, Field(description="Folder in which `make run` keeps its Redis and its lock")
    ] = Path(".inkling")
    weights_dir: Annotated[Path, Field(description="Folder of the history of weights (SQLite)")] = (
        Path(".inkling/weights")
    )
    checkpoint_s: Annotated[
        float,
        Field(ge=1, le=86_400, description="Seconds between the checkpoints kept in the history"),
    ] = 30.0

    behind_edge: Annotated[
        bool,
        Field(description="Whether all clients come through a proxy that sets X-Forwarded-For"),
    ] = False
    infer_rate: Annotated[
        float,
        Field(ge=0, le=1_000_000, description="POSTs to /infer a second for each client; 0: any"),
    ] = 2000.0
    change_rate: Annotated[
        float, Field(ge=0, le=1_000_000, description="Changes a second for each client; 0: any")
    ] = 200.0
    max_viewers: Annotated[
        int, Field(ge=0, le=1_000_000, description="WebSockets at a time; 0: any")
    ] = 5000
    max_client_viewers: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="WebSockets at a time for each client; 0: any"),
    ] = 500

    @field_validator("read_token")
    @classmethod
    def _reading_needs_less_than_changing(
        cls, token: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if token is not None and "token" in info.data and info.data["token"] in (None, token):
            raise ValueError("INKLING_TOKEN must be set, too, to another value")
        return token

    def run_settings(self) -> RunSettings:
        """Return what a run starts with when nobody has set anything yet."""
        return RunSettings(
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            cache_size=self.cache_size,
            seed=self.seed,
        )


SECRET = "(a secret)"
SECRETS = ("token", "read_token")  # what no message shows
ADDRESSES = ("redis_url", "mirrors")  # which may hold secrets: before an @, and in a query
WITH_PASSWORD = (
    "it must be as redis://name:password@host:6379/0, with %2F for / in the password, %3F for ?, "
    "%23 for #, %40 for @"
)


class SettingsError(Exception):
    """The environment holds a value that is not allowed; the message names all of them."""


def read_settings() -> Settings:
    """Return the settings in the environment.

    Raises SettingsError, which names each wrong variable, its value and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            field = str(fault["loc"][0])
            name = PREFIX + field.upper()
            text = os.environ.get(name, "")
            allowed = _allowed_range(field) or fault["msg"].removeprefix("Value error, ")
            if field == "redis_url" and "@" in text:
                allowed = WITH_PASSWORD  # instead of words that may quote a part of it
            lines.append(f"{name}={_shown(field, text)} is not allowed: {allowed}")
        raise SettingsError("\n".join(lines)) from None  # its cause would show the values


def _shown(field: str, text: str) -> str:
    """Return the text of a setting as a message may show it."""
    if field in SECRETS:
        return SECRET
    if field in ADDRESSES:
        text = re.sub(r"^(\w+://)?.*@", rf"\1{SECRET}@", text, flags=re.DOTALL)
        text = re.sub(r"\?.*", f"?{SECRET}", text, flags=re.DOTALL)
    return repr(text)


def _allowed_range(field: str) -> str:
    """Return in words what a setting that is a number may be; nothing for another."""
    schema = Settings.model_json_schema()["properties"][field]
    if "maximum" not in schema:
        return ""
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    over = "exclusiveMinimum" in schema
    least = f"over {schema['exclusiveMinimum']:g}," if over else f"from {schema['minimum']}"
    return f"it must be {kind} {least} up to {schema['maximum']}"


def unknown_names() -> list[str]:
    """Return a sentence for each INKLING_ variable that no setting has, with the likeliest name."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    sentences = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            # Compared without the prefix, which alone would make any two names alike.
            near = difflib.get_close_matches(
                name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known], 1
            )
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            sentences.append(f"{name} is not a setting and has no effect{hint}")
    return sentences


def settings_or_exit() -> Settings:
    """Return the settings; for a wrong one, print what is wrong and exit with status 2."""
    try:
        return read_settings()
    except SettingsError as error:
        sys.exit(_complain(str(error)))


def _complain(text: str) -> int:
    print(text, file=sys.stderr, flush=True)
    return 2
