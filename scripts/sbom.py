#!/usr/bin/env python3
"""Prints a software bill of materials, CycloneDX 1.5 in JSON, of what the lock files pin.

That is what runs: the Python packages of the services, and the libraries of the page. The same lock
files always give the same text.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON_LOCK = "requirements/run.txt"
PAGE_LOCK = "frontend/package-lock.json"
PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?: ; ([^\\\n]+?))? *\\?$", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def python_components(lock: str) -> list[dict[str, Any]]:
    """Return a component for each package that a requirements file pins, with its files' hashes."""
    starts = list(PINNED.finditer(lock))
    ends = [start.start() for start in starts[1:]] + [len(lock)]
    components = []
    for found, end in zip(starts, ends, strict=True):
        digests = HASH.findall(lock[found.end() : end])
        hashes = [{"alg": "SHA-256", "content": digest} for digest in digests]
        component = _component("pypi", found[1].lower().replace("_", "-"), found[2], hashes)
        if found[3]:  # it is installed only where this holds
            component["properties"] = [{"name": "inkling:marker", "value": found[3]}]
        components.append(component)
    return components


def page_components(lock: str) -> list[dict[str, Any]]:
    """Return a component for each package of package-lock.json that the page is served with."""
    components = []
    for place, package in json.loads(lock)["packages"].items():
        if not place or package.get("dev"):
            continue
        algorithm, _, digest = package["integrity"].partition("-")
        component = _component("npm", place.rpartition("node_modules/")[2], package["version"], [
            {"alg": algorithm.upper().replace("SHA", "SHA-"),
             "content": base64.b64decode(digest).hex()}
        ])  # fmt: skip
        if "license" in package:
            component["licenses"] = [{"license": {"id": package["license"]}}]
        components.append(component)
    return components


def _component(kind: str, name: str, version: str, hashes: list[dict[str, str]]) -> dict[str, Any]:
    """Return a library; each of `hashes` is of one file under which it is distributed."""
    purl = f"pkg:{kind}/{name.replace('@', '%40')}@{version}"
    place = {"pypi": f"https://pypi.org/project/{name}/{version}/",
             "npm": f"https://www.npmjs.com/package/{name}/v/{version}"}[kind]  # fmt: skip
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "externalReferences": [
            {"type": "distribution", "url": place, "hashes": [one]} for one in hashes
        ],
    }


def bill(python_lock: str, page_lock: str) -> dict[str, Any]:
    """Return the bill of materials for the texts of the two lock files."""
    components = [*python_components(python_lock), *page_components(page_lock)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, python_lock + page_lock)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "inkling", "name": "inkling"},
        },
        "components": components,
        "dependencies": [
            {"ref": "inkling", "dependsOn": [one["bom-ref"] for one in components]},
        ],
    }


def main() -> None:
    """Print it."""
    locks = [(ROOT / name).read_text() for name in (PYTHON_LOCK, PAGE_LOCK)]
    json.dump(bill(*locks), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
