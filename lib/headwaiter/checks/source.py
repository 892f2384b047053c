"""What the source of the settings shows of SECRET_KEY. Reads files, runs nothing."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_MAKES_RANDOM = frozenset({"token_urlsafe", "token_hex", "token_bytes", "urandom", "uuid4", "choice", "choices"})


def settings_files(settings_module: str) -> list[Path]:
    """The file of the settings module, and of the modules beside it that are loaded and look like settings too."""
    package = settings_module.rpartition(".")[0]
    names = [
        name
        for name in list(sys.modules)
        if name == settings_module
        or (package and name.startswith(f"{package}.") and ("settings" in name or "config" in name))
    ]
    files = (getattr(sys.modules[name], "__file__", None) for name in names)
    return sorted({Path(file) for file in files if file and file.endswith(".py")})


def trees(files: Iterable[Path]) -> Iterator[ast.Module]:
    """The files' syntax trees, without those that can't be read."""
    for file in files:
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            yield ast.parse(file.read_bytes())


def contains(files: Iterable[Path], text: str) -> bool:
    """Whether the text is written out as a string in one of the files."""
    return bool(text) and any(
        isinstance(node, ast.Constant) and node.value == text for tree in trees(files) for node in ast.walk(tree)
    )


def random_key_call(files: Iterable[Path]) -> str | None:
    """The name of the function that the settings make a SECRET_KEY with; None when they don't."""
    for tree in trees(files):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) == "get_random_secret_key":
                return "get_random_secret_key()"
            if isinstance(node, ast.Assign) and any(_name(target) == "SECRET_KEY" for target in node.targets):
                calls = (_name(part.func) for part in ast.walk(node.value) if isinstance(part, ast.Call))
                random = next((name for name in calls if name in _MAKES_RANDOM), None)
                if random:
                    return f"{random}()"
    return None


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
