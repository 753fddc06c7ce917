"""What the documents say is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops.settings import PREFIX, Settings
from services.local.docs import docs_page, service_apps
from wire.bus import Bus
from wire.controls import SIGNALS
from wire.keys import Keys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


@pytest.fixture(scope="module")
def apps():
    return service_apps(Bus("redis://127.0.0.1:1/0"), Settings())


def test_every_key_is_in_the_architecture() -> None:
    keys = Keys()
    names = [name for name in vars(Keys) if isinstance(vars(Keys)[name], property)]
    assert len(names) > 15
    spelled = [getattr(keys, name).rpartition(":")[2] for name in names]
    missing = [name for name in spelled if f"`{name}`" not in ARCHITECTURE]
    assert not missing


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(INKLING_\w+)` \| (.*?) \|", README, re.MULTILINE))
    wanted = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        wanted[PREFIX + name.upper()] = "" if default in (None, ()) else f"`{shown}`"
    assert {name: rows.get(name) for name in wanted} == wanted


def test_every_route_is_in_the_readme_and_in_the_docs_page(apps) -> None:
    page = docs_page(apps)
    routes = [
        (method.upper(), path)
        for app in apps.values()
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]
    assert len(routes) > 12
    for method, path in routes:
        assert f"`{method} {path}" in README, (method, path)
        anchor = f"{method.lower()}-{re.sub('[{}]', '', path).strip('/').replace('/', '-')}"
        assert f'<article id="{anchor}">' in page


def test_every_signal_is_in_the_docs_page_with_its_ranges(apps) -> None:
    page = docs_page(apps)
    for kind in SIGNALS:
        assert f"<code>{kind.__name__}</code>" in page
        assert f"`{kind.__name__}`" in README or f'"{kind.__name__}"' in README
    assert "&quot;maximum&quot;: 4096" in page
    assert "<code>ResponseSignal</code>" in page
    assert "data_futures_len" in page
