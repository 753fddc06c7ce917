"""The software bill of materials has all that the lock files pin, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys

from scripts.sbom import PAGE_LOCK, PYTHON_LOCK, bill
from tests.running import ROOT

LOCK = (ROOT / PYTHON_LOCK).read_text()
PAGE = (ROOT / PAGE_LOCK).read_text()


def test_it_has_every_locked_package_once_with_its_version() -> None:
    names = [one["purl"] for one in bill(LOCK, PAGE)["components"]]
    pinned = re.findall(r"^(\S+)==(\S+)", LOCK, re.MULTILINE)
    assert len(pinned) > 20
    served = {"pkg:npm/uplot@" + json.loads(PAGE)["packages"]["node_modules/uplot"]["version"]}
    assert sorted(names) == sorted({f"pkg:pypi/{n}@{v}" for n, v in pinned} | served)


def test_it_has_every_hash() -> None:
    text = json.dumps(bill(LOCK, PAGE))
    hashes = set(re.findall(r"sha256:(\w+)", LOCK))
    packages = json.loads(PAGE)["packages"].values()
    hashes |= {
        base64.b64decode(package["integrity"].removeprefix("sha512-")).hex()
        for package in packages
        if package.get("integrity") and not package.get("dev")
    }
    assert set(re.findall(r'"content": "(\w+)"', text)) == hashes


def test_each_component_has_what_cyclonedx_and_package_urls_demand() -> None:
    for one in bill(LOCK, PAGE)["components"]:
        assert one["type"] == "library"
        assert one["purl"] == one["bom-ref"]
        kind, name, version = re.fullmatch(
            r"pkg:(pypi|npm)/([a-z0-9.-]+)@([^\s@/?#]+)", one["purl"]
        ).groups()  # type: ignore[union-attr]
        assert (one["name"], one["version"]) == (name, version)
        assert one["externalReferences"]
        for reference in one["externalReferences"]:
            assert reference["type"] == "distribution"
            assert reference["url"].startswith("https://")
            (digest,) = reference["hashes"]
            length = {"pypi": ("SHA-256", 64), "npm": ("SHA-512", 128)}[kind]
            assert (digest["alg"], len(digest["content"])) == length
            assert re.fullmatch(r"[0-9a-f]+", digest["content"])
    lower = bill("Foo_Bar==1 \\\n    --hash=sha256:" + "a" * 64, '{"packages": {}}')
    assert lower["components"][0]["purl"] == "pkg:pypi/foo-bar@1"


def test_packages_for_some_machines_only_say_for_which() -> None:
    (one,) = bill("uvloop==0.2 ; sys_platform != 'win32' \\\n    --hash=sha256:" + "a" * 64,
                  '{"packages": {}}')["components"]  # fmt: skip
    assert one["properties"] == [{"name": "inkling:marker", "value": "sys_platform != 'win32'"}]
    assert one["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]


def test_it_is_printed_as_cyclonedx_and_always_the_same() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "sbom.py")]
    first, second = (subprocess.run(command, capture_output=True, check=True) for _ in range(2))
    assert first.stdout == second.stdout
    shown = json.loads(first.stdout)
    assert (shown["bomFormat"], shown["specVersion"], shown["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                        shown["serialNumber"])  # fmt: skip
    references = [one["bom-ref"] for one in shown["components"]]
    assert len(set(references)) == len(references)
    assert shown["dependencies"] == [{"ref": "inkling", "dependsOn": references}]
