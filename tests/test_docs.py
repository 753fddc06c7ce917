"""What the documents say is what the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.curves import CURVES
from bench.rows import GROUPS
from ops.settings import PREFIX, Settings
from services.local.docs import docs_page, service_apps
from wire.bus import Bus
from wire.controls import SIGNALS
from wire.keys import Keys

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text()
ROWS = [row.name for group in GROUPS.values() for row in group.rows]  # in the order of the table


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


def test_every_reference_in_the_api_leads_somewhere(apps) -> None:
    for app in apps.values():
        spec = app.openapi()
        references = re.findall(r'"\$ref": "(.+?)"', json.dumps(spec))
        for reference in references:
            place = spec
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]
            assert place


def test_every_signal_is_in_the_docs_page_with_its_ranges(apps) -> None:
    page = docs_page(apps)
    for kind in SIGNALS:
        assert f"<code>{kind.__name__}</code>" in page
        assert f"`{kind.__name__}`" in README or f'"{kind.__name__}"' in README
    assert "&quot;maximum&quot;: 4096" in page
    assert "<code>ResponseSignal</code>" in page
    assert "data_futures_len" in page


def test_every_row_of_the_bench_is_explained_in_the_order_of_the_table() -> None:
    explained = first_cells(section("What is compared with what"))
    assert explained == ROWS


def test_every_row_of_the_bench_has_a_word_on_what_limits_it() -> None:
    headings = re.findall(r"^### (.*)$", section("What limits each row"), re.MULTILINE)
    limited = re.findall(r"`(.+?)`", " ".join(headings))
    assert sorted(limited) == sorted(ROWS)


def test_every_group_of_the_bench_is_in_the_document() -> None:
    found = re.search(r"^make bench-(\w+) +# one group; others: (.*)$", PERFORMANCE, re.MULTILINE)
    assert found is not None
    assert [found[1], *found[2].split(", ")] == list(GROUPS)


def test_the_table_of_figures_has_every_row_of_the_bench() -> None:
    assert first_cells(marked_table(PERFORMANCE)) == ROWS


def test_the_readme_has_the_table_of_figures() -> None:
    assert marked_table(README) == marked_table(PERFORMANCE)
    assert "](docs/performance.md)" in README


def test_the_microseconds_of_an_iteration_add_up() -> None:
    *_, table, prose = section("Where the microseconds").strip().split("\n\n")
    *parts, total = [re.split(r" *\| *", line)[2:4] for line in table.splitlines()[2:]]
    for column in (0, 1):
        ranges = [spread(part[column]) for part in parts]
        assert tuple(map(sum, zip(*ranges, strict=True))) == spread(total[column])
    told = re.findall(r"\d+", prose)
    assert len(told) > 3
    assert set(told) <= set(re.findall(r"\d+", table))


def test_every_curve_has_its_picture_in_the_document() -> None:
    shown = re.findall(r"\]\(performance-(.+?)\.png\)", PERFORMANCE)
    assert shown == list(CURVES)


@pytest.mark.parametrize("path", ["README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_every_file_that_a_link_names_exists(path) -> None:
    text = re.sub(r"<!--.*?-->|```.*?```", "", (ROOT / path).read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((.+?)\)", text) + re.findall(r'src="(.+?)"', text)
    files = [link.partition("#")[0] for link in links if not re.match(r"#|\w+:", link)]
    assert files
    assert [name for name in files if not (ROOT / path).parent.joinpath(name).is_file()] == []


def section(heading: str) -> str:
    """Return the part of docs/performance.md under the heading that begins so."""
    found = re.search(rf"^## {heading}.*?\n(.*?)(?=^## |\Z)", PERFORMANCE, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1]


def marked_table(text: str) -> str:
    """Return the lines of the table of figures, of which there is one."""
    (found,) = re.findall(r"^<!-- table -->\n(.*?)^<!-- end of table -->$", text, re.M | re.S)
    return str(found)


def first_cells(text: str) -> list[str]:
    """Return what stands, as code, in the first cell of each row of the tables in `text`."""
    return re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE)


def spread(cell: str) -> tuple[int, int]:
    """Return the least and the most of a figure such as "15 to 27", "25" or "", which is 0."""
    least, _, most = cell.partition(" to ")
    return int(least or 0), int(most or least or 0)
