"""What pip-audit and npm audit print is understood, whether or not they had an answer."""

from __future__ import annotations

import json

import pytest

from scripts import audit
from scripts.audit import Verdict, page_verdict, python_verdict

WELL = {"name": "numpy", "version": "2.4.6", "vulns": []}
ILL = {
    "name": "pillow", "version": "9.0.0",
    "vulns": [{"id": "PYSEC-2022-10", "fix_versions": ["9.0.1"]},
              {"id": "PYSEC-2022-11", "fix_versions": []}],
}  # fmt: skip
SKIPPED = {"name": "fastapi", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        ({"dependencies": [WELL]}, Verdict([], [])),
        (
            {"dependencies": [WELL, ILL]},
            Verdict(
                ["pillow 9.0.0: PYSEC-2022-10, mended in 9.0.1",
                 "pillow 9.0.0: PYSEC-2022-11, mended in no version yet"],
                [],
            ),
        ),
        (
            {"dependencies": [WELL, SKIPPED]},
            Verdict([], ["PyPI told nothing about 1 of 2 packages: fastapi"]),
        ),
        (
            {"dependencies": [SKIPPED]},
            Verdict([], ["PyPI told nothing about 1 of 1 packages: all of them"]),
        ),
    ],
)  # fmt: skip
def test_what_pip_audit_prints(report: object, verdict: Verdict) -> None:
    assert python_verdict(json.dumps(report)) == verdict


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        ({"vulnerabilities": {}}, Verdict([], [])),
        ({"vulnerabilities": {"uplot": {"severity": "high"}}}, Verdict(["uplot: high"], [])),
        ({"message": "405 Method Not Allowed"}, Verdict([], ["405 Method Not Allowed"])),
        ({"error": {"code": "ENOTFOUND"}}, Verdict([], ["{'code': 'ENOTFOUND'}"])),
    ],
)
def test_what_npm_audit_prints(report: object, verdict: Verdict) -> None:
    assert page_verdict(json.dumps(report)) == verdict


def test_no_answer_is_no_verdict() -> None:
    assert python_verdict("") == Verdict([], ["pip-audit got no answer"])
    assert page_verdict("") == Verdict([], ["npm audit got no answer"])


@pytest.mark.parametrize(("vulnerable", "status"), [([], 0), (["pillow 9.0.0: PYSEC-1"], 1)])
def test_only_what_is_known_to_be_vulnerable_fails(
    vulnerable: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(audit, "audit_python", lambda: Verdict(vulnerable, []))
    monkeypatch.setattr(audit, "audit_page", lambda: Verdict([], ["no network"]))
    assert audit.main() == status
    printed = capsys.readouterr().out
    assert "frontend/package-lock.json: not audited: no network" in printed
    assert printed.endswith("may be vulnerable: try again where the registries answer.\n")
    assert ("VULNERABLE: pillow" in printed) == bool(vulnerable)
