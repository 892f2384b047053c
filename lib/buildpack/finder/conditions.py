"""What runs of a file on a dyno where none of the site's config vars is set."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from buildpack.finder.syntax import assignments, called_name

# What Heroku itself sets: https://devcenter.heroku.com/articles/dynos#local-environment-variables
DYNO = {"DYNO": "web.1", "PORT": "5000"}
UNKNOWN = object()
MAX_STEPS = 1000

COMPARISONS: Mapping[type[ast.cmpop], Callable[[object, object], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, container: operator.contains(container, item),  # type: ignore[arg-type]
    ast.NotIn: lambda item, container: not operator.contains(container, item),  # type: ignore[arg-type]
}
METHODS: Mapping[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "strip": str.strip}


def without_config_vars(tree: ast.Module) -> ast.Module:
    """The tree with each condition that can be worked out replaced by the branch that runs. Changes the tree given.

    Raises RecursionError where it's nested too deeply.
    """
    result: ast.Module = _Branches(_Values(tree)).visit(tree)
    return result


class _Branches(ast.NodeTransformer):
    """Puts the branch that runs in the place of its condition."""

    def __init__(self, values: _Values) -> None:
        self.values = values

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        holds = self.values.of(node.test)
        return node if holds is UNKNOWN else node.body if holds else node.orelse

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        holds = self.values.of(node.test)
        return node if holds is UNKNOWN else node.body if holds else node.orelse


class _Values:
    """Evaluates expressions on strings and environment variables; anything else is UNKNOWN."""

    def __init__(self, tree: ast.Module) -> None:
        self.steps = 0
        self.assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(tree):
            for name, value in assignments(node):
                self.assigned.setdefault(name, []).append(value)

    def of(self, node: ast.expr | None) -> object:
        """The expression's value."""
        self.steps += 1
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        return handler(node) if handler and self.steps < MAX_STEPS else UNKNOWN

    def _constant(self, node: ast.Constant) -> object:
        return node.value

    def _name(self, node: ast.Name) -> object:
        values = self.assigned.get(node.id, [])
        if not values and node.id == "environ":
            return DYNO
        return self.of(values[0]) if len(values) == 1 else UNKNOWN

    def _tuple(self, node: ast.Tuple | ast.List | ast.Set) -> object:
        values = [self.of(element) for element in node.elts]
        return UNKNOWN if UNKNOWN in values else values

    _list = _set = _tuple

    def _attribute(self, node: ast.Attribute) -> object:
        return DYNO if node.attr == "environ" else UNKNOWN

    def _unaryop(self, node: ast.UnaryOp) -> object:
        value = self.of(node.operand)
        return UNKNOWN if value is UNKNOWN or not isinstance(node.op, ast.Not) else not value

    def _boolop(self, node: ast.BoolOp) -> object:
        decisive = isinstance(node.op, ast.Or)
        for part in node.values:
            value = self.of(part)
            if value is UNKNOWN or bool(value) is decisive:
                return value
        return value

    def _compare(self, node: ast.Compare) -> object:
        left, right = self.of(node.left), self.of(node.comparators[0])
        compare = COMPARISONS.get(type(node.ops[0]))
        if UNKNOWN in (left, right) or len(node.ops) > 1 or compare is None:
            return UNKNOWN
        try:
            return compare(left, right)
        except TypeError:
            return UNKNOWN

    def _call(self, node: ast.Call) -> object:
        name, function = called_name(node), node.func
        if name in METHODS and isinstance(function, ast.Attribute) and not node.args:
            text = self.of(function.value)
            return METHODS[name](text) if isinstance(text, str) else UNKNOWN
        if name == "bool" and len(node.args) == 1:
            value = self.of(node.args[0])
            return value if value is UNKNOWN else bool(value)
        if name == "getenv" or (
            isinstance(function, ast.Attribute) and name == "get" and self.of(function.value) is DYNO
        ):
            return self._variable(node)
        return UNKNOWN

    def _variable(self, node: ast.Call) -> object:
        name, *default = [self.of(argument) for argument in node.args] or [UNKNOWN]
        return DYNO.get(name, default[0] if default else None) if isinstance(name, str) else UNKNOWN
