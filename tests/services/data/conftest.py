"""What the tests of the data service share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.data.samples import Mirror, Scene


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    yield server
    server.close()


@pytest.fixture
def second_mirror() -> Iterator[Mirror]:
    server = Mirror()
    yield server
    server.close()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "cache")
