"""What a Python file says about a Django site, read from its syntax tree, never run."""

from __future__ import annotations

import ast
import contextlib
import itertools
import re
import warnings
from dataclasses import dataclass, field

from buildpack.finder.conditions import without_config_vars
from buildpack.finder.syntax import (
    CONFIGURATION,
    ENVIRONMENT_READS,
    SETTINGS,
    assignments,
    called_name,
    environment_writes,
    joined_parts,
    module_level,
    reads_settings,
)

MODULE_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

ASGI_WORDS = frozenset({"get_asgi_application", "ProtocolTypeRouter", "ASGIHandler"})
WSGI_WORDS = frozenset({"get_wsgi_application", "WSGIHandler"})

# A conditional value of more alternatives than these isn't a choice that somebody wrote by hand.
MAX_OPTIONS = 8
MAX_EXPRESSION_DEPTH = 12
MAX_STEPS = 5000

# Python 3.10's parser overruns its C stack, which nothing can catch, on an expression of well over 100,000 operators
# ("a.b.b.b..."). May go when 3.10 does.
MAX_PARSED_CHARACTERS = 128 * 1024


@dataclass
class Source:
    """The facts of one file."""

    settings: list[str] = field(default_factory=list)
    """What it would put in DJANGO_SETTINGS_MODULE; several when that depends on something."""
    settings_computed: bool = False
    """Whether that depends on more than the text of this file and DJANGO_SETTINGS_MODULE itself."""
    settings_unset: list[str] = field(default_factory=list)
    """Those of them that are left where none of the site's config vars is set."""
    configuration: str | None = None
    """django-configurations' class, from DJANGO_CONFIGURATION."""
    wsgi_applications: list[str] = field(default_factory=list)
    asgi_applications: list[str] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    """The module's attributes after its import."""
    handlers: list[str] = field(default_factory=list)
    """Those attributes that are assigned from get_wsgi_application() or WSGIHandler()."""
    imported_from: dict[str, str] = field(default_factory=dict)
    """attribute: the module it's imported from, with leading dots when relative."""
    star_imports: list[str] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    """Every identifier, pairs of them such as "settings.configure", the packages that imports name, and
    "DJANGO_SETTINGS_MODULE" in a string."""
    empty: bool = True
    """Whether it holds no statement but a docstring."""

    @property
    def is_manage(self) -> bool:
        """Whether it's the manage.py of a Django project."""
        return bool(self.words & {SETTINGS, "execute_from_command_line", "execute_manager"})

    @property
    def is_django_wsgi(self) -> bool:
        """Whether it makes Django's WSGI application."""
        return bool(self.words & WSGI_WORDS)

    @property
    def imports_django(self) -> bool:
        """Whether it imports Django, or nanodjango, which makes a site of a single file."""
        return bool(self.words & {"django", "nanodjango"})

    @property
    def configures_django(self) -> bool:
        """Whether it needs no settings module."""
        return bool(self.words & {"settings.configure", "nanodjango"})

    @property
    def is_asgi(self) -> bool:
        """Whether it makes an ASGI application and no WSGI one."""
        return bool(self.words & ASGI_WORDS) and not self.is_django_wsgi


def read_source(text: str) -> Source:
    """The facts of a file with this text. Never fails."""
    tree = parse(text)
    if tree is None:
        return Source(empty=False, bound={"__getattr__"})  # anything may be in it; Python says at boot what's wrong
    source = _Reader(tree).source
    source.settings_unset = source.settings
    if source.settings_computed:
        with contextlib.suppress(RecursionError):
            source.settings_unset = _Reader(without_config_vars(tree)).source.settings
    return source


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None when there's none to be had."""
    if len(text) > MAX_PARSED_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Reader:
    """Collects the facts of one syntax tree."""

    def __init__(self, tree: ast.Module) -> None:
        self.source = Source()
        self.steps = 0
        self.assigned: dict[str, list[ast.expr]] = {}
        self.source.empty = all(isinstance(statement, (ast.Expr, ast.Pass)) for statement in tree.body)
        for node in ast.walk(tree):
            self._note_words(node)
            for name, value in assignments(node):
                self.assigned.setdefault(name, []).append(value)
        for node in ast.walk(tree):
            self._note_settings(node)
        for node in module_level(tree):
            self._note_bindings(node)
        self.source.wsgi_applications = self._named("WSGI_APPLICATION")
        self.source.asgi_applications = self._named("ASGI_APPLICATION")

    def _named(self, name: str) -> list[str]:
        values = [text for node in self.assigned.get(name, []) for text in self.strings(node)[0]]
        return list(dict.fromkeys(values))

    def _note_words(self, node: ast.AST) -> None:
        words = self.source.words
        if isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.Attribute):
            words.update((node.attr, f"{getattr(node.value, 'id', '')}.{node.attr}"))
        elif isinstance(node, ast.alias):
            words.update((node.name.partition(".")[0], node.name.rpartition(".")[2]))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            words.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and node.value == SETTINGS:
            words.add(SETTINGS)

    def _note_settings(self, node: ast.AST) -> None:
        for key, value in environment_writes(node):
            options, computed = self.strings(value)
            if key == CONFIGURATION and options:
                self.source.configuration = options[0]
            elif key == SETTINGS:
                self.source.settings.extend(name for name in options if name and name not in self.source.settings)
                self.source.settings_computed |= computed or len(options) > 1
        if len(self.source.settings) > 1:
            self.source.settings_computed = True

    def _note_bindings(self, node: ast.AST) -> None:
        source = self.source
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            source.bound.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._note_import(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            source.bound.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            source.bound.discard(node.name)  # Python deletes it at the end of the clause
        for name, value in assignments(node):
            if isinstance(value, ast.Call) and called_name(value) in WSGI_WORDS:
                source.handlers.append(name)

    def _note_import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if alias.name == "*":
                self.source.star_imports.append(module)
                continue
            self.source.bound.add(name)
            if module:
                self.source.imported_from[name] = module

    def strings(self, node: ast.expr, depth: int = 0) -> tuple[list[str], bool]:
        """The strings an expression may give, and whether more than this file and DJANGO_SETTINGS_MODULE decides."""
        self.steps += 1
        if self.steps > MAX_STEPS or depth > MAX_EXPRESSION_DEPTH:
            return [], True
        if isinstance(node, ast.Constant):
            return ([node.value] if isinstance(node.value, str) else []), False
        if isinstance(node, ast.Name):
            return self._any(self.assigned.get(node.id, []), depth)
        if isinstance(node, ast.IfExp):
            return self._any([node.body, node.orelse], depth)
        if isinstance(node, ast.BoolOp):
            return self._any(node.values, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        parts = joined_parts(node)
        if parts:
            return self._joined(parts, depth)
        return [], not reads_settings(node)

    def _any(self, nodes: list[ast.expr], depth: int) -> tuple[list[str], bool]:
        answers = [self.strings(node, depth + 1) for node in nodes[:MAX_OPTIONS]]
        options = list(dict.fromkeys(itertools.chain.from_iterable(texts for texts, _ in answers)))[:MAX_OPTIONS]
        return options, not nodes or len(options) > 1 or any(computed for _, computed in answers)

    def _joined(self, parts: list[ast.expr], depth: int) -> tuple[list[str], bool]:
        answers = [self.strings(part, depth + 1) for part in parts[:MAX_OPTIONS]]
        product = itertools.product(*(texts for texts, _ in answers))
        options = ["".join(texts) for texts in itertools.islice(product, MAX_OPTIONS)]
        return options, len(options) > 1 or any(computed for _, computed in answers)

    def _call(self, node: ast.Call, depth: int) -> tuple[list[str], bool]:
        """A variable's default: os.environ.get("X", "default"), os.getenv, config("X", default=...) of decouple."""
        defaults = [keyword.value for keyword in node.keywords if keyword.arg == "default"] + node.args[1:2]
        if called_name(node) in ENVIRONMENT_READS and node.args and defaults:
            options, computed = self.strings(defaults[0], depth + 1)
            key = node.args[0]
            return options, computed or not (isinstance(key, ast.Constant) and key.value == SETTINGS)
        return [], not reads_settings(node)
