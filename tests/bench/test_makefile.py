"""What `make bench-...` runs."""

import subprocess

import pytest

from tests.running import ROOT


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("bench", "-m bench --plot"),
        ("bench-train", "-m bench train --plot"),
        ("bench-weights-get", "-m bench weights-get --plot"),
        ("bench-curves", "-m bench.curves --plot"),
        ("bench-page", "bench/page.py --url"),
    ],
)
def test_what_a_target_runs(target, command):
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, "ARGS=--plot"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    last = said.stdout.splitlines()[-1]
    assert last.startswith(".venv/bin/python " + command)
