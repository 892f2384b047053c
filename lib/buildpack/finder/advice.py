"""What the user should know of the choice: sentences that end with the line to run or to paste."""

from __future__ import annotations

import re

from headwaiter import procfile

from buildpack.finder.deployment import set_config_var, web_process
from buildpack.finder.modules import Modules
from buildpack.finder.names import better, is_development
from buildpack.finder.repository import Repository
from buildpack.finder.site_rules import is_published_package
from buildpack.finder.syntax import CONFIGURATION
from buildpack.finder.wsgi_choice import MAX_OTHERS, Application, shown

CLASS_NAME = re.compile(r"[A-Z]\w*[a-z]\w*")


def on_directory(repository: Repository, directory: str, others: list[str]) -> list[str]:
    """Other projects, and a library's development project."""
    keep = set_config_var("HEADWAITER_DIR", directory)
    warnings = []
    if others:
        names = ", ".join(shown(other) for other in others[:MAX_OTHERS])
        warnings.append(
            f"There is a Django project in {names}, too: {shown(directory)} is taken. "
            f"To choose: {set_config_var('HEADWAITER_DIR', others[0])}"
        )
    elif is_published_package(repository):
        warnings.append(
            f"The repository calls itself a package for Django: check that the site is in {shown(directory)}. "
            f"If it is: {keep}"
        )
    return warnings


def on_applications(modules: Modules, chosen: Application, rest: list[Application], problems: list[str]) -> list[str]:
    """Other WSGI applications, names of some that aren't there, and a name that only a star import may bring."""
    keep = set_config_var("HEADWAITER_APP", chosen.name)
    warnings = [f"{problem}: ignored. Correct it there, or: {keep}" for problem in problems]
    if rest and chosen.name not in served_by_procfile(modules):
        names = ", ".join(other.name for other in rest)
        warnings.append(
            f"There is more than one WSGI application: {chosen.name} is taken, not {names}. "
            f"To choose: {set_config_var('HEADWAITER_APP', rest[0].name)}"
        )
    if modules.binds(chosen.module, chosen.attribute) is None:
        warnings.append(
            f"{chosen.module.path} takes {chosen.attribute!r} from elsewhere, if at all. If the site starts: {keep}"
        )
    return warnings


def served_by_procfile(modules: Modules) -> list[str]:
    """The applications of the site that the Procfile's web process names."""
    words = web_process(modules.repository).applications
    return [f"{served[0].name}:{served[1]}" for word in words if (served := modules.served(word))]


def on_procfile(modules: Modules, chosen: Application) -> list[str]:
    """A web process that names what isn't there, whatever its server; headwaiter's also one that names another."""
    web = web_process(modules.repository)
    there = served_by_procfile(modules)
    if web.applications and all(is_gone(modules, word) for word in web.applications):
        place = "the repository" if modules.directory == "." else shown(modules.directory)
        problem = f"{web.applications[0]}, which isn't in {place}. Unless a package brings it, the dyno doesn't boot."
    elif there and web.server == "headwaiter" and chosen.name not in there:
        problem = f"{there[0]}, but the build found {chosen.name}: the Procfile wins."
    else:
        return []
    return [f"The Procfile's web process names {problem} In the Procfile, name this instead: {chosen.name}"]


def is_gone(modules: Modules, word: str) -> bool:
    """Whether a server's argument names no module of the repository, or an attribute that the module lacks."""
    if modules.served(word):
        return False
    name = word.partition(":")[0]
    endings = tuple(f"/{name.replace('.', '/')}{suffix}" for suffix in (".py", "/__init__.py"))
    return bool(modules.find(name)) or not any(f"/{path}".endswith(endings) for path in modules.repository.python_files)


def on_what_heroku_passes_over(repository: Repository) -> list[str]:
    """A Procfile of another name, and lines of another form: https://devcenter.heroku.com/articles/procfile"""
    text = repository.read("Procfile")
    if text is not None:
        return [
            f"Heroku doesn't see the process type {name} of the Procfile, since a space stands before the colon. "
            f"In the Procfile, write this instead: {name}:"
            for name in procfile.unseen(text)
        ]
    return [
        f"Heroku doesn't see {name}: it must be called Procfile. To rename it: git mv {name} Procfile"
        for name in repository.names_in_root()
        if name.lower() in {"procfile", "procfile.txt"} and repository.is_file(name)
    ]


def on_configuration(
    modules: Modules, chosen: Application, manage_py: str | None, settings_module: str | None
) -> list[str]:
    """The class of django-configurations must be named wherever Django starts, and be for production."""
    repository = modules.repository
    by_wsgi = repository.source(chosen.module.path).configuration
    by_manage = repository.source(manage_py).configuration if manage_py else None
    name = by_wsgi or by_manage
    if not name:
        return []
    settings = modules.find(settings_module) if settings_module else None
    parts = modules.chain(settings) if settings else ()
    classes = {part for each in parts for part in repository.source(each.path).bound if CLASS_NAME.fullmatch(part)}
    preferred = better(name, sorted(classes))
    advice = set_config_var(CONFIGURATION, (preferred or [name])[0])
    if preferred:
        kind = "looks like a developer's" if is_development(name) else "is taken"
        return [f"The configuration {name} {kind}, and there is {preferred[0]}. To choose that: {advice}"]
    if by_wsgi:
        return []
    return [f"{manage_py} sets {CONFIGURATION}, {chosen.module.path} doesn't. To set it: {advice}"]
