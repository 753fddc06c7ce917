#!/usr/bin/env python3
"""Asks the registries for known vulnerabilities of what the lock files pin.

Exits with status 1 if there are any. Where a registry cannot be asked, as without a network, it
says so and goes on: that no answer came says nothing about the packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PYTHON_LOCK = "requirements/dev.txt"  # what runs, and what it is tested with
PAGE = "frontend"
DEADLINE_S = 180.0


class Verdict(NamedTuple):
    """What came of an audit: what is vulnerable, and why the rest is not known to be well."""

    vulnerable: list[str]
    unknown: list[str]


def python_verdict(report: str) -> Verdict:
    """Return the verdict in what `pip-audit --format json` prints, which may be nothing."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return Verdict([], ["pip-audit got no answer"])
    vulnerable = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in packages
        for flaw in one.get("vulns", [])
    ]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    names = "all of them" if len(skipped) == len(packages) else ", ".join(skipped)
    silent = f"PyPI told nothing about {len(skipped)} of {len(packages)} packages: {names}"
    return Verdict(vulnerable, [silent] if skipped else [])


def page_verdict(report: str) -> Verdict:
    """Return the verdict in what `npm audit --json` prints, which may be an error."""
    try:
        answer: dict[str, Any] = json.loads(report)
    except ValueError:
        return Verdict([], ["npm audit got no answer"])
    if "vulnerabilities" not in answer:
        return Verdict([], [str(answer.get("message") or answer.get("error"))])
    return Verdict(
        [f"{name}: {flaw['severity']}" for name, flaw in answer["vulnerabilities"].items()], []
    )


def audit_python() -> Verdict:
    """Ask about the Python packages, with pip-audit in an environment that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        lock = str(ROOT / "requirements" / "audit.txt")
        installed = _run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
                         "--require-hashes", "--no-deps", "-r", lock)  # fmt: skip
        if installed is None:
            return Verdict([], ["pip-audit cannot be installed"])
        report = _run(python, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format",
                      "json", "--progress-spinner", "off", "-r", str(ROOT / PYTHON_LOCK),
                      fails=True)  # fmt: skip
        return python_verdict(report or "")


def audit_page() -> Verdict:
    """Ask about the libraries of the page, and what they are tested with."""
    report = _run(
        "npm", "audit", "--json", "--package-lock-only", "--prefix", str(ROOT / PAGE), fails=True
    )
    return page_verdict(report or "")


def _run(*command: str, fails: bool = False) -> str | None:
    """Return what a command prints; None if it fails, unless it may, or takes too long."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if fails or done.returncode == 0 else None


def main() -> int:
    """Ask, print what is known, and return the exit status."""
    found = partly = False
    for name, audit in ((PYTHON_LOCK, audit_python), (f"{PAGE}/package-lock.json", audit_page)):
        vulnerable, unknown = audit()
        found, partly = found or bool(vulnerable), partly or bool(unknown)
        lines = [f"VULNERABLE: {one}" for one in vulnerable]
        lines += [f"not audited: {why}" for why in unknown]
        for line in lines or ["no known vulnerabilities"]:
            print(f"{name}: {line}", flush=True)
    if partly:
        print("What was not audited may be vulnerable: try again where the registries answer.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
