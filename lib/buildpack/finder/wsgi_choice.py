"""Which WSGI application of a Django project to serve."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from buildpack.finder.deployment import Statement, web_process
from buildpack.finder.modules import Module, Modules
from buildpack.finder.python_source import MODULE_NAME
from buildpack.finder.repository import ProjectError, parent

# As many as anybody reads.
MAX_OTHERS = 8
# Far more than any site has; each may cost a tenth of a second.
MAX_EXAMINED = 100


@dataclass(frozen=True)
class Application:
    """A WSGI application of the repository, and why it would be the one."""

    module: Module
    attribute: str
    reason: str

    @property
    def name(self) -> str:
        """As servers want it: "module:attribute"."""
        return f"{self.module.name}:{self.attribute}"


class ApplicationFinder:
    """Looks for the application of one project. `problems` collects what is named and isn't there."""

    def __init__(self, modules: Modules, settings: list[str]) -> None:
        self.modules = modules
        self.repository = modules.repository
        self.settings = settings
        """The settings modules that the project names, the most binding first."""
        self.problems: list[str] = []

    def all(self) -> list[Application]:
        """Every application, the best first, each file once."""
        steps = (
            self._from_procfile,
            self._from_settings,
            self._from_anywhere,
            self._beside_settings,
            self._by_file_name,
        )
        found: dict[str, Application] = {}
        for application in itertools.islice(itertools.chain.from_iterable(step() for step in steps), 100):
            found.setdefault(application.module.path, application)
        return list(found.values())

    def _from_procfile(self) -> Iterator[Application]:
        for word in web_process(self.repository).applications:
            application = self._check(word, "Procfile's web process serves it")
            if application:
                yield application

    def _from_settings(self) -> Iterator[Application]:
        for name in self.settings:
            settings = self.modules.find(name)
            for module in self.modules.chain(settings) if settings else ():
                yield from self._literals(module.path)

    def _from_anywhere(self) -> Iterator[Application]:
        """WSGI_APPLICATION in any file; first those that share the first package with the default settings."""
        package = self.settings[0].partition(".")[0] if self.settings else ""
        marked = self.repository.marked["WSGI_APPLICATION"]
        files = [path for path in self.modules.files if path in marked][:MAX_EXAMINED]
        found = [application for path in files for application in self._literals(path)]
        yield from sorted(found, key=lambda application: application.module.name.partition(".")[0] != package)

    def _literals(self, path: str) -> Iterator[Application]:
        for value in self.repository.source(path).wsgi_applications:
            name, _, attribute = value.rpartition(".")
            application = self._check(f"{name}:{attribute}", f"WSGI_APPLICATION in {path} names it")
            if application:
                yield application
            else:
                problem = f"WSGI_APPLICATION in {path} names {value[:200]!a}, which isn't there"
                self.problems = list(dict.fromkeys([*self.problems, problem]))

    def _check(self, word: str, reason: str) -> Application | None:
        served = self.modules.served(word)
        return Application(*served, reason) if served and not self.repository.source(served[0].path).is_asgi else None

    def _beside_settings(self) -> Iterator[Application]:
        """wsgi.py in the package of the settings, or in one above it."""
        for name in self.settings:
            settings = self.modules.find(name)
            base = settings.base if settings else self.modules.directory
            package = name.split(".")[:-1]
            for length in range(len(package), -1, -1):
                module = self.modules.find(".".join([*package[:length], "wsgi"]))
                if module and module.base == base:
                    yield from self._of_module(module, f"{module.path} is nearest to the settings {name}")

    def _by_file_name(self) -> Iterator[Application]:
        """wsgi.py anywhere, then files with "wsgi" in their path, then any that makes Django's application."""
        known = self.modules.files
        marked = {*self.repository.marked["get_wsgi_application"], *self.repository.marked["WSGIHandler"]}
        named = [path for path in known if re.search(r"(^|/)wsgi(\.py|/__init__\.py)$", path)]
        for files in (named, [path for path in known if "wsgi" in path], [path for path in known if path in marked]):
            for path in files[:MAX_EXAMINED]:
                module = self.modules.named(path)
                source = self.repository.source(path)
                if module and (source.is_django_wsgi or "application" in source.imported_from or source.star_imports):
                    yield from self._of_module(module, f"{path} makes it")

    def _of_module(self, module: Module, reason: str) -> Iterator[Application]:
        source = self.repository.source(module.path)
        if source.is_asgi:
            return
        if self.modules.binds(module, "application") is not False:
            yield Application(module, "application", reason)
        elif source.handlers:
            yield Application(module, source.handlers[0], reason)


def chosen_by_user(modules: Modules, statement: Statement) -> Application:
    """The application that HEADWAITER_APP names. Raises ProjectError when it's malformed or isn't there."""
    value = statement.value
    name, _, attribute = value.partition(":")
    attribute = attribute or "application"
    problem = None
    if not MODULE_NAME.fullmatch(name) or not MODULE_NAME.fullmatch(attribute):
        problem = "that isn't a module and an attribute, as in mysite.wsgi:application"
    else:
        module = modules.find(name)
        if module is None:
            problem = f"there is no module {name} to import from {shown(modules.directory)}"
        elif modules.repository.source(module.path).is_asgi:
            problem = f"{module.path} makes an ASGI application, which a WSGI server can't run"
        elif modules.binds(module, attribute) is False:
            problem = f"{module.path} has no {attribute!r}"
        else:
            return Application(module, attribute, f"{statement.origin} says so")
    raise ProjectError(
        f"Error: HEADWAITER_APP doesn't name a WSGI application.\n\n"
        f"In {statement.origin}, its value is {value[:200]!a}, and\n{problem}.\n\n"
        f"Set it to module:attribute, with the module's name as seen from the\n"
        f"project's directory, or unset it to have the application searched for:\n\n"
        f"    heroku config:set HEADWAITER_APP=mysite.wsgi:application\n"
        f"    heroku config:unset HEADWAITER_APP"
    )


def no_application(modules: Modules, settings: list[str]) -> ProjectError:
    """The refusal of a project without WSGI application: because it's ASGI only, or has none at all."""
    files = [path for path in modules.files if "asgi" in path or modules.directory == parent(path)]
    found = [path for path in files if modules.repository.source(path).is_asgi]
    names = [
        f"ASGI_APPLICATION in {path}"
        for path in modules.repository.marked["ASGI_APPLICATION"]
        if path in modules.files and modules.repository.source(path).asgi_applications
    ]
    example = settings[0] if settings else "mysite.settings"
    package, _, rest = example.partition(".")
    wsgi = f"{package}/wsgi.py" if rest else "wsgi.py"
    create = (
        f"    import os\n"
        f"    from django.core.wsgi import get_wsgi_application\n"
        f'    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{example}")\n'
        f"    application = get_wsgi_application()"
    )
    place = f"{wsgi}, in {shown(modules.directory)}"
    if found or names:
        seen = ", ".join([*found, *names][:5])
        return ProjectError(
            f"Error: This site serves ASGI only, which Waitress can't run.\n\n"
            f"We found {seen},\n"
            f"but no WSGI application. Waitress is a WSGI server.\n\n"
            f"1. If the site needs no websockets, add {place}:\n\n"
            f"{create}\n\n"
            f"2. Otherwise remove this buildpack and run an ASGI server, such as\n"
            f"   uvicorn or daphne, from your Procfile: heroku buildpacks"
        )
    return ProjectError(
        f"Error: This Django project has no WSGI application.\n\n"
        f"We looked in {shown(modules.directory)} for WSGI_APPLICATION in the settings,\n"
        f"for wsgi.py and for any file that calls get_wsgi_application.\n\n"
        f"1. Add {place}, and commit it:\n\n"
        f"{create}\n\n"
        f"2. If there is one, name it:\n\n"
        f"    heroku config:set HEADWAITER_APP=mysite.wsgi:application"
    )


def shown(directory: str) -> str:
    """A directory in words."""
    return "the root of the repository" if directory == "." else f"{directory}/"
