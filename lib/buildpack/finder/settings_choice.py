"""Which settings module the site runs with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from buildpack.finder.deployment import Statement, set_config_var
from buildpack.finder.modules import Module, Modules
from buildpack.finder.names import PRODUCTION, better, is_development, is_production
from buildpack.finder.python_source import Source
from buildpack.finder.repository import ProjectError
from buildpack.finder.syntax import SETTINGS
from buildpack.finder.wsgi_choice import Application, shown

SETTINGS_WORDS = frozenset({"INSTALLED_APPS", "ROOT_URLCONF", "SECRET_KEY", "DATABASES"})


@dataclass(frozen=True)
class Choice:
    """The settings module, None when the site sets it by itself; the others, and what the user should know."""

    module: str | None
    reason: str
    others: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What counts unless something more binding does. Without a module, the site chooses one of the options itself."""

    module: str | None
    reason: str
    options: list[str] = field(default_factory=list)
    unsure: str = ""
    """What to tell the user when it's taken."""

    @property
    def names(self) -> list[str]:
        """The modules, the best first."""
        return [self.module] if self.module else self.options


def choose_settings(
    modules: Modules, application: Application, manage_py: str | None, config: Statement | None, stated: list[Statement]
) -> Choice:
    """By the deployment's own statement, else wsgi.py's, else manage.py's, else by its usual place.

    Raises ProjectError when the config var names no module of the repository.
    """
    if config and config.is_config_var:
        return Choice(_from_config_var(modules, config), f"{config.origin} says so")
    finder = _SettingsFinder(modules, application)
    answers = [*finder.stated([config, *stated] if config else stated), *finder.by_wsgi()]
    by_manage = finder.by_manage(manage_py) if manage_py else []
    answers += by_manage
    if not any(answer.names for answer in answers):
        answers.append(finder.by_place())
    taken = answers[0]
    names = [name for answer in answers for name in answer.names]
    preferred = finder.better(names[0], names[1:]) if names else []
    advice = set_config_var(SETTINGS, [*preferred, *names, "mysite.settings"][0])
    warnings = [f"{problem}: ignored. To choose others: {advice}" for problem in finder.problems()]
    if taken.unsure:
        warnings.append(f"{taken.unsure} To choose: {advice}")
    if taken.module and preferred:
        kind = "look like a developer's" if is_development(taken.module) else "are taken"
        warnings.append(f"The settings {taken.module} {kind}, and there is {preferred[0]}. To choose that: {advice}")
    elif taken.module and by_manage and taken.module not in [answer.module for answer in by_manage]:
        warnings.append(
            f"{manage_py} names the settings {by_manage[0].module}, the site runs with {taken.module}. "
            f"So that commands such as migrate run with the same: {advice}"
        )
    others = [name for name in dict.fromkeys([*preferred, *names]) if name != taken.module]
    return Choice(taken.module, taken.reason, others, warnings)


def _from_config_var(modules: Modules, config: Statement) -> str:
    module = modules.find(config.value)
    if module and not modules.repository.source(module.path).empty:
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


class _SettingsFinder:
    """What each source says."""

    def __init__(self, modules: Modules, application: Application) -> None:
        self.modules = modules
        self.repository = modules.repository
        self.application = application
        self.unusable: dict[str, list[str]] = {}
        """What is wrong with a name: who names it."""

    def stated(self, statements: list[Statement]) -> Iterator[Answer]:
        """What the deployment's files say."""
        for statement in statements:
            if problem := self._problem(statement.value):
                what = f"the settings {statement.value[:200]!a}, {problem}"
                self.unusable.setdefault(what, []).append(statement.origin)
            else:
                yield Answer(statement.value, f"{statement.origin} names them")

    def problems(self) -> list[str]:
        """What is named but can't be used, and by whom."""
        return [
            f"{' and '.join(origins)} {'name' if len(origins) > 1 else 'names'} {what}"
            for what, origins in self.unusable.items()
        ]

    def by_wsgi(self) -> list[Answer]:
        """What the first WSGI module that says anything of the settings says."""
        for module in self._wsgi_modules():
            source = self.repository.source(module.path)
            if source.settings_computed:
                return [self._at_start(module.path, source)]
            if source.settings:
                return list(self.stated([Statement(name, module.path) for name in source.settings]))
            if source.configures_django:
                return [Answer(None, f"{module.path} configures Django by itself")]
        return []

    def _wsgi_modules(self) -> list[Module]:
        """The WSGI module, the modules of the repository that its application comes from, and their packages."""
        found = self.modules.origins(self.application.module, self.application.attribute)
        packages = self.application.module.name.split(".")[:-1]
        names = [".".join(packages[:length]) for length in range(len(packages), 0, -1)]
        return [*found, *(module for name in names if (module := self.modules.find(name)))]

    def _at_start(self, path: str, source: Source) -> Answer:
        """What a file works out when it starts can't be known now; a fixed value would override it."""
        unset, options = self._usable(source.settings_unset), self._usable(source.settings)
        which = f", such as {', '.join(options)}" if options else ""
        if len(unset) == 1:
            which = f": {unset[0]}, unless a config var says otherwise"
        return Answer(
            None,
            f"{path} works it out when the site starts",
            _sorted(options, unset),
            f"{path} works out its settings module when the site starts{which}.",
        )

    def by_manage(self, path: str) -> list[Answer]:
        """What manage.py says; of several, a developer's last."""
        source = self.repository.source(path)
        return list(self.stated([Statement(name, path) for name in _sorted(source.settings, source.settings_unset)]))

    def by_place(self) -> Answer:
        """Nobody names them: "settings" beside wsgi.py or above, or "production" in it, else the only one."""
        package = self.application.module.name.split(".")[:-1]
        usual = [".".join([*package[:length], "settings"]) for length in range(len(package), -1, -1)]
        paths = [path for path in self.modules.files if re.search(r"(^|/)settings(\.py|/__init__\.py)$", path)]
        only = [module.name for path in paths if (module := self.modules.named(path))] if len(paths) == 1 else []
        places = [*usual, *(f"{name}.{word}" for name in usual for word in PRODUCTION), *only]
        found = self._holding_settings(self.modules.find(name) for name in places)
        if found:
            unsure = "" if self.unusable else f"Nothing names the settings module: {found[0].name} is taken."
            return Answer(found[0].name, f"{found[0].path} is where settings usually are", unsure=unsure)
        inside = (self.modules.named(path) for path in self.modules.files if "/settings/" in f"/{path}")
        options = _sorted([module.name for module in self._holding_settings(inside)])
        return Answer(None, "nothing names them", options, "" if self.unusable else "No settings module was found.")

    def better(self, name: str, others: list[str]) -> list[str]:
        """Of the others, and of the settings beside these, those that fit a deployment better, the best first."""
        module = self.modules.find(name)
        if module is None:
            return []
        own = {part.path for part in self.modules.chain(module)}
        beside = self._holding_settings(self.modules.siblings(module))
        return better(name, [*others, *(other.name for other in beside if other.path not in own)])

    def _holding_settings(self, modules: Iterable[Module | None]) -> list[Module]:
        """Those that may well be settings: they set some, or take all from others."""
        sources = [(module, self.repository.source(module.path)) for module in modules if module]
        return [module for module, source in sources if source.star_imports or source.words & SETTINGS_WORDS]

    def _usable(self, names: list[str]) -> list[str]:
        return [name for name in names if not self._problem(name)]

    def _problem(self, name: str) -> str | None:
        """Why the site can't run with settings of this name; None when it can."""
        module = self.modules.find(name)
        if module is None:
            return "which isn't in the repository"
        if module.base not in {*self.modules.bases, self.application.module.base}:
            return f"which can only be imported from {module.base}/"
        return "which is empty" if self.repository.source(module.path).empty else None


def _sorted(names: Sequence[str], unset: Sequence[str] = ()) -> list[str]:
    """The best first; `unset` are those that are left where no config var is set."""
    certain = unset if len(unset) == 1 else ()
    return sorted(names, key=lambda name: (is_development(name), name not in certain, not is_production(name)))
