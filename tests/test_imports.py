"""The arrows between the packages: nn <- wire <- ops <- services, no service to another."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("nn", "wire", "ops", "services")  # each may import those before it
STANDARD = sys.stdlib_module_names
PURE = {"numpy"}  # all that nn may import besides
ONLY_IN = {"redis": "wire", "hiredis": "wire"}
READS_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv"}


def name_of(path: Path) -> str:
    """Return the module that lies at `path`: services/data/__init__.py is services.data."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    name_of(path): ast.parse(path.read_text(), str(path))
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}


def statements(name: str) -> Iterator[str]:
    """Yield each module that the module `name` imports, wherever the statement stands."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} line {node.lineno}: a relative import"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (full if full in TREES else node.module for full in names)


IMPORTS = {name: sorted(set(statements(name))) for name in TREES}


def layer_of(module: str) -> str:
    return module.partition(".")[0]


def service_of(module: str) -> str:
    return module.split(".")[1] if module.startswith("services.") else ""


def wrong_arrow(importer: str, imported: str) -> str | None:
    """Return what is wrong with this import, if anything is."""
    here, there = layer_of(importer), layer_of(imported)
    if there not in LAYERS:
        if ONLY_IN.get(there, here) != here:
            return f"only {ONLY_IN[there]} may import {there}"
        if here == "nn" and there not in STANDARD | PURE:
            return f"nn is pure: it imports {', '.join(PURE)} and nothing else"
        return None
    if LAYERS.index(there) > LAYERS.index(here):
        return f"{there} stands above {here}"
    mine, theirs = service_of(importer), service_of(imported)
    if here == "services" and theirs not in ("", mine) and mine != "local":
        return "a service never imports another"
    return None


@pytest.mark.parametrize("module", TREES)
def test_every_import_points_down(module: str) -> None:
    wrong = {name: fault for name in IMPORTS[module] if (fault := wrong_arrow(module, name))}
    assert not wrong


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("nn.model", "wire.codec"),
        ("nn.model", "redis"),
        ("nn.model", "PIL"),
        ("wire.codec", "ops.settings"),
        ("ops.logs", "services.data.api"),
        ("services.data.api", "services.trainer.loop"),
        ("services.data.api", "services.local.web"),
        ("services.gateway.run", "redis"),
        ("services.local.web", "redis.exceptions"),
    ],
)
def test_a_wrong_arrow_is_seen(importer: str, imported: str) -> None:
    assert wrong_arrow(importer, imported)


def test_the_walk_sees_the_whole_tree() -> None:
    for name in ("nn.model", "wire.bus", "ops.settings", "services.data", "services.local.web"):
        assert name in TREES
    assert "redis" in IMPORTS["wire.connection"]
    assert "services.data.api" in IMPORTS["services.local.docs"]


def test_there_is_no_cycle() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a cycle: {' -> '.join((*path, module))}"
        if module in done:
            return
        for imported in IMPORTS[module]:
            if imported in TREES and imported != module:
                visit(imported, (*path, module))
        done.add(module)

    for module in TREES:
        visit(module, ())


def reached_from(module: str) -> set[str]:
    """Return what is imported when `module` is: modules of ours, and what they import."""
    reached: set[str] = set()
    ahead = [module]
    while ahead:
        for imported in IMPORTS.get(ahead.pop(), []):
            if imported not in reached:
                reached.add(imported)
                ahead.append(imported)
    return reached


@pytest.mark.parametrize("module", ["services.trainer.__main__", "services.data.worker"])
def test_what_is_no_http_service_does_without_fastapi(module: str) -> None:
    """It costs 6 MB in each process."""
    reached = reached_from(module)
    assert {"ops.health", "starlette.responses"} <= reached
    assert not [name for name in reached if name.partition(".")[0] == "fastapi"]


def environment_lines(module: str) -> list[int]:
    """Return the lines that touch the environment other than by copying all of it."""
    tree = TREES[module]
    copied = {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if key is None
    }
    return [
        getattr(node, "lineno", 0)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in READS_ENVIRONMENT)
        or (isinstance(node, ast.Name) and node.id in READS_ENVIRONMENT)
        or (isinstance(node, ast.alias) and node.name in READS_ENVIRONMENT)
        if not (service_of(module) == "local" and id(node) in copied)  # for its children
    ]


@pytest.mark.parametrize("module", TREES)
def test_only_the_settings_read_the_environment(module: str) -> None:
    lines = environment_lines(module)
    assert bool(lines) == (module == "ops.settings"), f"{module} reads it in lines {lines}"


@pytest.mark.parametrize("module", [name for name in TREES if name.startswith("nn.")])
def test_nn_touches_nothing_outside(module: str) -> None:
    outside = {
        "os",
        "pathlib",
        "io",
        "time",
        "datetime",
        "logging",
        "random",
        "socket",
        "threading",
    }
    assert not outside & {layer_of(name) for name in IMPORTS[module]}
    state = [
        node.attr
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "random"
        and node.attr not in ("Generator", "default_rng")
    ]
    assert not state, f"{module} uses the global random state: {state}"
