"""Dotted names to files and back, as Python would resolve them from the directory that the site runs in."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from buildpack.finder.python_source import MODULE_NAME
from buildpack.finder.repository import Repository, is_below, join
from buildpack.finder.site_rules import is_site_file

MAX_IMPORTS = 20


@dataclass(frozen=True)
class Module:
    """A module of the repository: its name, its file, and the directory that must be on Python's path for it."""

    name: str
    path: str
    base: str


class Modules:
    """The modules that can be imported from `directory`, which is first on the path; the repository's root is next.

    heroku/python sets PYTHONPATH to the root of the repository: some sites that live in a directory count on it.
    """

    def __init__(self, repository: Repository, directory: str, nested: frozenset[str] = frozenset()) -> None:
        self.repository = repository
        self.directory = directory
        self.nested = nested
        """Directories below that hold projects of their own."""
        self.bases = list(dict.fromkeys((directory, ".")))

    def find(self, name: str) -> Module | None:
        """The module on the path, else the only one below that has this name from some directory (src/, for one)."""
        if len(name) > 400 or not MODULE_NAME.fullmatch(name):
            return None
        endings = [name.replace(".", "/") + suffix for suffix in ("/__init__.py", ".py")]
        for base in self.bases:
            for ending in endings:
                if self.repository.has(join(base, ending)):
                    return Module(name, join(base, ending), base)
        elsewhere = [
            Module(name, path, path[: -len(ending) - 1])
            for path in self.files
            for ending in endings
            # A package isn't meant to be on Python's path.
            if path.endswith(f"/{ending}") and not self.repository.has(f"{path[: -len(ending) - 1]}/__init__.py")
        ]
        return elsewhere[0] if len(elsewhere) == 1 else None

    @functools.cached_property
    def files(self) -> list[str]:
        """The Python files of this project, shallowest first, without those of tests, examples and nested projects."""
        return [
            path
            for path in self.repository.python_files
            if is_below(path, self.directory)
            and not any(is_below(path, other) for other in self.nested)
            and is_site_file(self.repository, path.removeprefix(f"{self.directory}/"))
        ]

    def named(self, path: str, base: str | None = None) -> Module | None:
        """The module that a file below the base, or the directory, is; None when its name can't be imported."""
        base = self.directory if base is None else base
        stem = path.removeprefix(f"{base}/").removesuffix(".py").removesuffix("/__init__")
        name = stem.replace("/", ".")
        return Module(name, path, base) if "." not in stem and MODULE_NAME.fullmatch(name) else None

    def imported(self, importer: Module, name: str) -> Module | None:
        """The module that `from name import ...` in the importer means; leading dots count from there."""
        relative = name.lstrip(".")
        dots = len(name) - len(relative)
        if not dots:
            return self.find(name)
        package = importer.name.split(".")
        if not importer.path.endswith("/__init__.py"):
            package = package[:-1]
        package = package[: len(package) - dots + 1]
        return self.find(".".join([*package, relative] if relative else package))

    def chain(self, module: Module) -> Iterator[Module]:
        """The module and those that it star-imports, in turn: where the values of layered settings come from."""
        pending = [module]
        seen: set[str] = set()
        while pending and len(seen) < MAX_IMPORTS:
            current = pending.pop(0)
            if current.path in seen:
                continue
            seen.add(current.path)
            yield current
            names = self.repository.source(current.path).star_imports
            pending += [found for name in names if (found := self.imported(current, name))]

    def origins(self, module: Module, attribute: str) -> list[Module]:
        """The module, and those of the repository that it imports the attribute from, in turn."""
        found = [module]
        while len(found) < MAX_IMPORTS:
            source = self.repository.source(found[-1].path)
            names = [source.imported_from.get(attribute), *source.star_imports]
            following = [next_one for name in names if name and (next_one := self.imported(found[-1], name))]
            if not following or following[0] in found:
                break
            found.append(following[0])
        return found

    def binds(self, module: Module, attribute: str) -> bool | None:
        """Whether the module has the attribute once imported; None when a star import may bring it from outside.

        Of "app.wsgi", an attribute's attribute, the first part is looked for.
        """
        attribute, unsure = attribute.partition(".")[0], False
        for part in self.chain(module):
            source = self.repository.source(part.path)
            if attribute in source.bound:
                return True
            outside = [name for name in source.star_imports if not self.imported(part, name)]
            unsure = unsure or bool(outside) or "__getattr__" in source.bound
        return None if unsure else False

    def served(self, word: str) -> tuple[Module, str] | None:
        """The module and attribute that a server takes "shop.wsgi", "shop.wsgi:app" or "shop.wsgi.app" for."""
        name, colon, attribute = word.partition(":")
        module = self.find(name)
        if module is None and not colon:
            name, _, attribute = name.rpartition(".")
            module = self.find(name)
        attribute = attribute or "application"
        return (module, attribute) if module and self.binds(module, attribute) is not False else None

    def siblings(self, module: Module) -> Iterator[Module]:
        """The modules beside this one in its package; of a package, also those in it."""
        packages = {module.name.rpartition(".")[0]}
        if module.path.endswith("/__init__.py"):
            packages.add(module.name)
        for path in self.files:
            other = self.named(path, module.base) if is_below(path, module.base) else None
            if other and path != module.path and other.name.rpartition(".")[0] in packages:
                yield other
