"""Which settings module the site runs with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from buildpack.finder.deployment import Statement, is_development
from buildpack.finder.modules import Module, Modules
from buildpack.finder.python_source import SETTINGS, Source
from buildpack.finder.repository import ProjectError
from buildpack.finder.wsgi_choice import Application, shown

SETTINGS_WORDS = frozenset({"INSTALLED_APPS", "ROOT_URLCONF", "SECRET_KEY", "DATABASES"})
PRODUCTION = ("production", "prod", "heroku", "live", "deploy", "deployment")


@dataclass
class Choice:
    """The settings module, None when the site sets it by itself; the others, and what the user should know."""

    base: str
    """Where the application is imported from."""
    module: str | None = None
    reason: str = ""
    others: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def choose_settings(
    modules: Modules, application: Application, manage_py: str | None, config: Statement | None, stated: list[Statement]
) -> Choice:
    """By the deployment's own statement, else wsgi.py's, else manage.py's, else by its usual place.

    Raises ProjectError when the config var names no module of the repository.
    """
    choice = Choice(base=application.module.base)
    if config and config.origin.startswith("the config var"):
        choice.module, choice.reason = _from_config_var(modules, config), f"{config.origin} says so"
        return choice
    for statement in [config, *stated] if config else stated:
        _consider(modules, choice, statement)
    for statement in _from_sources(modules, choice, application, manage_py):
        _consider(modules, choice, statement)
    if choice.module is None and not choice.reason:
        _by_place(modules, choice, application)
    _warn_of_development(modules, choice)
    return choice


def _from_config_var(modules: Modules, config: Statement) -> str:
    module = modules.find(config.value)
    if module and not modules.is_empty(module):
        return config.value
    problem = f"there is no such module to import from {shown(modules.directory)}"
    if module:
        problem = f"{module.path} is empty"
    raise ProjectError(
        f"Error: {SETTINGS} doesn't name a settings module.\n\n"
        f"Its value is {config.value[:200]!a}, and\n{problem}.\n\n"
        f"Set it to the settings' dotted name, as seen from the project's\n"
        f"directory, or unset it to have the settings searched for:\n\n"
        f"    heroku config:set {SETTINGS}=mysite.settings\n"
        f"    heroku config:unset {SETTINGS}"
    )


def _consider(modules: Modules, choice: Choice, statement: Statement) -> None:
    """Take the statement if it's the first that holds, else keep it as another option."""
    name = statement.value
    module = modules.find(name)
    reachable = {*modules.bases, choice.base}
    if module is None or modules.is_empty(module) or module.base not in reachable:
        why = "which isn't in the repository"
        if module:
            why = "which is empty" if module.base in reachable else f"which can only be imported from {module.base}/"
        choice.warnings.append(f"{statement.origin} names the settings {name[:200]!a}, {why}: ignored.")
    elif choice.module is None and not choice.reason:
        choice.module, choice.reason = name, f"{statement.origin} names them"
    elif name != choice.module:
        if name not in choice.others:
            choice.others.append(name)
        if statement.origin.endswith("manage.py") and choice.module:
            choice.warnings.append(
                f"{statement.origin} names the settings {name}, the site runs with {choice.module}. So that "
                f"commands such as migrate run with the same: heroku config:set {SETTINGS}={choice.module}"
            )


def _from_sources(
    modules: Modules, choice: Choice, application: Application, manage_py: str | None
) -> Iterator[Statement]:
    """What wsgi.py says, then what manage.py says."""
    repository = modules.repository
    for module in _imports(modules, application):
        source = repository.source(module.path)
        if source.settings_computed:
            _leave_to_wsgi(choice, module, sorted(source.settings, key=is_development))
            break
        if source.settings:
            yield from (Statement(name, module.path) for name in source.settings)
            break
        if "configure" in source.words and not choice.reason:
            choice.reason = f"{module.path} configures Django by itself"
    if manage_py:
        source = repository.source(manage_py)
        yield from (Statement(name, manage_py) for name in sorted(source.settings, key=is_development))


def _imports(modules: Modules, application: Application) -> list[Module]:
    """The WSGI module, the modules of the repository that its application comes from, and the packages they're in."""
    found = modules.origins(application.module, application.attribute)
    packages = application.module.name.split(".")[:-1]
    names = [".".join(packages[:length]) for length in range(len(packages), 0, -1)]
    return [*found, *(module for name in names if (module := modules.find(name)))]


def _leave_to_wsgi(choice: Choice, module: Module, options: list[str]) -> None:
    """What wsgi.py works out when it starts can't be known now; a fixed value would override it."""
    if choice.module is None and not choice.reason:
        choice.reason = f"{module.path} works it out when the site starts"
        default = f", by default {options[0]}" if options else ""
        choice.warnings.append(
            f"{module.path} works out its settings module when the site starts{default}. "
            f"To fix it: heroku config:set {SETTINGS}={options[0] if options else '...'}"
        )
    choice.others.extend(name for name in options if name not in choice.others and name != choice.module)


def _by_place(modules: Modules, choice: Choice, application: Application) -> None:
    """Nobody names the settings: "settings" beside wsgi.py or above, or "production" in it, else the only one."""
    package = application.module.name.split(".")[:-1]
    usual = [".".join([*package[:length], "settings"]) for length in range(len(package), -1, -1)]
    paths = [path for path in modules.files if re.search(r"(^|/)settings(\.py|/__init__\.py)$", path)]
    only = [module.name for path in paths if (module := modules.named(path))] if len(paths) == 1 else []
    for name in [*usual, *(f"{name}.{word}" for name in usual for word in PRODUCTION), *only]:
        module = modules.find(name)
        source = modules.repository.source(module.path) if module else Source()
        if module and (source.star_imports or source.words & SETTINGS_WORDS):
            choice.module, choice.reason = name, f"{module.path} is where settings usually are"
            choice.warnings.append(
                f"Nothing names the settings module: {name} is taken. To choose: heroku config:set {SETTINGS}=..."
            )
            return
    choice.reason = "nothing names them"
    choice.warnings.append(f"No settings module was found. To name it: heroku config:set {SETTINGS}=mysite.settings")


def _warn_of_development(modules: Modules, choice: Choice) -> None:
    module = modules.find(choice.module) if choice.module and is_development(choice.module) else None
    if module is None:
        return
    siblings = {
        sibling.name: set(re.split(r"_", sibling.name.rpartition(".")[2])) for sibling in modules.siblings(module)
    }
    found = [name for word in PRODUCTION for name, words in siblings.items() if word in words]
    if found:
        choice.others = list(dict.fromkeys([*found, *choice.others]))
        choice.warnings.append(
            f"The settings {choice.module} look like a developer's, and there is {found[0]}. "
            f"To choose that: heroku config:set {SETTINGS}={found[0]}"
        )
