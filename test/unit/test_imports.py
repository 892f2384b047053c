"""The order of the parts of lib/headwaiter: who may import whom, and no circle."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[2] / "lib"
WINGS = {"budget": {"budget"}, "server": {"server", "budget"}, "checks": {"checks", "budget"}}
USE_ALL = {"__main__", "cli", "usage"}  # the command


def imports(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of headwaiter that it names in an import, wherever in the file that stands."""
    files = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / "headwaiter").rglob("*.py"))
    }
    return {name: _named(name, path, files) for name, path in files.items()}


def _named(module: str, path: Path, files: Mapping[str, Path]) -> set[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in files else base for alias in node.names}
    return found & files.keys() - {module}


def against_the_order(found: Mapping[str, set[str]]) -> list[str]:
    """The imports that go from a wing, or from what all wings stand on, to a wing that they may not know."""
    wrong = []
    for module, named in found.items():
        own = _part(module)
        allowed = WINGS.keys() if own in USE_ALL else WINGS.get(own, set())
        wings = {_part(name): name for name in named}
        wrong += [f"{module} -> {name}" for wing, name in wings.items() if wing in WINGS and wing not in allowed]
    return wrong


def _part(module: str) -> str:
    """The wing, or the module beside the wings."""
    return module.partition(".")[2].partition(".")[0]


def circle(found: Mapping[str, set[str]]) -> list[str]:
    """The modules of a circle; empty where there is none."""
    try:
        list(TopologicalSorter(found).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_keep_the_order() -> None:
    """checks -> budget, server -> budget, all -> settings, project, log; those use no wing."""
    found = imports(LIB)

    assert "headwaiter.budget.decide" in found["headwaiter.cli"] | found["headwaiter.server.supervisor"]
    assert against_the_order(found) == []


def test_imports_make_no_circle() -> None:
    """Those for type checking only and those inside functions included."""
    assert circle(imports(LIB)) == []


@pytest.mark.parametrize(
    ("name", "line", "wrong"),
    [
        ("budget/a", "from headwaiter.server import b", ["headwaiter.budget.a -> headwaiter.server.b"]),
        ("server/a", "def f():\n    import headwaiter.checks.b", ["headwaiter.server.a -> headwaiter.checks.b"]),
        ("checks/a", "from ..server.b import x", ["headwaiter.checks.a -> headwaiter.server.b"]),
        ("settings", "from .budget import b", ["headwaiter.settings -> headwaiter.budget.b"]),
        ("checks/a", "from headwaiter.budget import b", []),
        ("cli", "from headwaiter.checks import b", []),
    ],
)
def test_an_import_against_the_order_is_seen(tmp_path: Path, name: str, line: str, wrong: list[str]) -> None:
    """However it is written."""
    write(tmp_path, {name: line})

    assert against_the_order(imports(tmp_path)) == wrong


def test_a_circle_is_seen(tmp_path: Path) -> None:
    """Through a type-checking import, a function and a relative one."""
    checking = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from headwaiter.budget.b import B"
    write(tmp_path, {"budget/b": "def f():\n    from . import a", "budget/a": checking})
    assert set(circle(imports(tmp_path))) == {"headwaiter.budget.a", "headwaiter.budget.b"}

    write(tmp_path, {"budget/a": ""})
    assert circle(imports(tmp_path)) == []


def write(root: Path, files: Mapping[str, str]) -> None:
    for wing in ("", *WINGS):
        (root / "headwaiter" / wing).mkdir(parents=True, exist_ok=True)
        (root / "headwaiter" / wing / "__init__.py").touch()
        if wing:
            (root / "headwaiter" / wing / "b.py").touch()
    for name, text in files.items():
        (root / "headwaiter" / f"{name}.py").write_text(text)
