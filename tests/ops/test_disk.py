"""How full a disk is, on /metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

from prometheus_client import REGISTRY

from ops.disk import measure_disk


def value(name: str, folder: str) -> float:
    found = REGISTRY.get_sample_value(f"inkling_disk_{name}_bytes", {"folder": folder})
    assert found is not None
    return found


def test_the_disk_of_a_folder_is_measured_whenever_it_is_asked_for(tmp_path: Path) -> None:
    measure_disk("there", tmp_path)
    assert value("size", "there") == shutil.disk_usage(tmp_path).total
    assert 0 <= value("free", "there") <= value("size", "there")


def test_a_folder_that_is_still_to_be_made_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    measure_disk("later", tmp_path / "a" / "b")
    assert value("size", "later") == shutil.disk_usage(tmp_path).total
