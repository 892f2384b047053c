"""What the nodes of a syntax tree mean, one at a time."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

SETTINGS = "DJANGO_SETTINGS_MODULE"
CONFIGURATION = "DJANGO_CONFIGURATION"
ENVIRONMENT_READS = frozenset({"get", "getenv", "config", "env", "str", "setdefault", "pop"})
# Far more than an expression that reads one variable has.
MAX_NODES = 100


def called_name(node: ast.Call) -> str:
    """The last part of what is called: "get" for os.environ.get()."""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def reads_settings(node: ast.expr) -> bool:
    """Whether the value comes from DJANGO_SETTINGS_MODULE: os.environ["DJANGO_SETTINGS_MODULE"] or another form."""
    near = itertools.islice(ast.walk(node), MAX_NODES)
    return any(isinstance(part, ast.Constant) and part.value == SETTINGS for part in near)


def joined_parts(node: ast.expr) -> list[ast.expr]:
    """The parts that f"...", a + b and "..." % x put together; empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        return [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [node.left, node.right]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
        before, percent, after = str(node.left.value).partition("%s")
        return [ast.Constant(before), node.right, ast.Constant(after)] if percent else []
    return []


def assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Each name and the value that the node gives it."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for name, value in zip(target.elts, node.value.elts, strict=False):
                    if isinstance(name, ast.Name):
                        yield name.id, value
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value


def environment_writes(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Each environment variable that the node sets, or that a dict has, with its value."""
    pairs: list[tuple[ast.expr | None, ast.expr]] = []
    if isinstance(node, ast.Call) and called_name(node) in {"setdefault", "putenv", "setenv"} and len(node.args) > 1:
        pairs = [(node.args[0], node.args[1])]
    elif isinstance(node, ast.Assign):
        pairs = [(target.slice, node.value) for target in node.targets if isinstance(target, ast.Subscript)]
    elif isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
    elif isinstance(node, ast.keyword) and node.arg in {SETTINGS, CONFIGURATION}:
        pairs = [(ast.Constant(node.arg), node.value)]
    for key, value in pairs:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def module_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported, in no special order; not what `"__main__"` guards."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "__main__" in {getattr(part, "value", None) for part in ast.walk(node.test)}:
            pending.extend(node.orelse)
            continue
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):  # their names are their own
            pending.extend(part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
            continue
        pending.extend(ast.iter_child_nodes(node))
