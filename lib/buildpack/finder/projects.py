"""Which Django projects a repository holds, and what to run for the first of them; never runs any of its code."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace

from buildpack.finder import advice
from buildpack.finder.deployment import (
    Statement,
    read_config_vars,
    set_config_var,
    stated_settings,
    web_directory,
    web_process,
)
from buildpack.finder.modules import Modules
from buildpack.finder.repository import ProjectError, Repository, is_below, join, parent
from buildpack.finder.settings_choice import choose_settings
from buildpack.finder.site_rules import PLACEHOLDER, is_site_file, why_not_a_site
from buildpack.finder.syntax import CONFIGURATION, SETTINGS
from buildpack.finder.wsgi_choice import (
    MAX_EXAMINED,
    MAX_OTHERS,
    Application,
    ApplicationFinder,
    chosen_by_user,
    no_application,
    shown,
)

MAX_PROJECTS = 20


@dataclass(frozen=True)
class Project:
    """Where a Django project is, and why there."""

    directory: str
    manage_py: str | None
    reason: str


def find_project(root: str, env_dir: str | None) -> dict[str, object]:
    """What to run of the repository below `root`, a directory; `env_dir` is Heroku's directory of config vars.

    Keys of the result:
        directory         where the site runs, relative to root; "." for root itself
        manage_py         relative to root; None when there's none
        wsgi_application  "module:attribute", as seen from directory
        settings_module   None when the site sets it by itself
        candidates        the other options, as the config vars that choose them: "HEADWAITER_APP=shop.wsgi:application"
        warnings          sentences for the user, each with what to do
        reason            one sentence: why these

    Raises ProjectError for what the user must fix; its text is the whole message.
    """
    repository = Repository(root)
    config = read_config_vars(env_dir, repository)
    projects = find_projects(repository, config)
    notes: list[str] = []
    refusal: ProjectError | None = None
    for project in projects:
        others = [other.directory for other in projects if other.directory != project.directory]
        try:
            return describe(repository, project, others, config, notes)
        except ProjectError as error:
            refusal = refusal or error
            pointed = set_config_var("HEADWAITER_DIR", project.directory)
            notes.append(
                f"{shown(project.directory)} has a project without WSGI application. To have it built: {pointed}"
            )
    raise refusal or no_project(repository)


def find_projects(repository: Repository, config: dict[str, Statement]) -> list[Project]:
    """The Django projects, the most likely first; the only one when HEADWAITER_DIR is set."""
    if pointed := config.get("HEADWAITER_DIR"):
        directory = check_directory(repository, pointed)
        manage_py = join(directory, "manage.py")
        has_manage = repository.has(manage_py)
        return [Project(directory, manage_py if has_manage else None, f"{pointed.origin} says {shown(directory)}")]
    served = web_directory(repository)
    manage_files = [path for path in repository.python_files if path.rpartition("/")[2] == "manage.py"]
    found = [
        Project(parent(path), path, f"{path} is Django's")
        for path in manage_files[:MAX_EXAMINED]
        if is_site(repository, path)
    ]
    found.sort(key=lambda project: (project.directory != served, project.manage_py and project.manage_py.count("/")))
    return found[:MAX_PROJECTS] or without_manage(repository) or by_application(repository, config)


def is_site(repository: Repository, path: str) -> bool:
    """Whether a manage.py is that of a Django site."""
    source = repository.source(path)
    return source.is_manage and why_not_a_site(repository, path, source) is None


def without_manage(repository: Repository) -> list[Project]:
    """Projects whose manage.py says nothing of Django, or that have none: found by a WSGI module and its settings."""
    if not any(search_site(repository, word) for word in ("INSTALLED_APPS", "ROOT_URLCONF", "settings.configure")):
        return []
    found: dict[str, Project] = {}
    for path in [*search_site(repository, "get_wsgi_application"), *search_site(repository, "WSGIHandler")]:
        source = repository.source(path)
        if source.is_django_wsgi and ("wsgi" in path or "/" not in path):
            directory = import_root(repository, path, source.settings)
            manage_py = join(directory, "manage.py")
            has_manage = repository.has(manage_py)
            found.setdefault(directory, Project(directory, manage_py if has_manage else None, f"{path} is Django's"))
    return list(found.values())[:MAX_PROJECTS]


def by_application(repository: Repository, config: dict[str, Statement]) -> list[Project]:
    """The project of an application that HEADWAITER_APP or the Procfile names: a site in a single file, mostly."""
    directory = web_directory(repository) or "."
    if chosen := config.get("HEADWAITER_APP"):
        return [Project(directory, None, f"{chosen.origin} names the application")]
    web, modules = web_process(repository), Modules(repository, directory)
    found = [served[0] for word in web.applications if (served := modules.served(word))]
    if web.server == "waitress-serve":  # which serves the sites of any framework
        found = [module for module in found if repository.source(module.path).imports_django]
    elif web.server != "headwaiter":
        return []
    return [Project(directory, None, f"Procfile's web process serves {module.path}") for module in found[:1]]


def search_site(repository: Repository, word: str) -> list[str]:
    """The files that hold the word and may be a site's: neither a test's or example's nor a template."""
    return [
        path
        for path in repository.marked[word]
        if is_site_file(repository, path) and not PLACEHOLDER.search(repository.read(path) or "")
    ]


def import_root(repository: Repository, path: str, settings: list[str]) -> str:
    """The directory that a WSGI module's settings are imported from; else the first above it that is no package."""
    above = [parent(path)]
    while above[-1] != ".":
        above.append(parent(above[-1]))
    for directory in above:
        files = [join(directory, name.replace(".", "/")) for name in settings]
        if any(repository.has(f"{file}.py") or repository.has(f"{file}/__init__.py") for file in files):
            return directory
    return next(directory for directory in above if directory == "." or not repository.has(f"{directory}/__init__.py"))


def check_directory(repository: Repository, pointed: Statement) -> str:
    """HEADWAITER_DIR as a normal path. Raises ProjectError when it isn't a directory of the repository."""
    value = pointed.value
    directory = os.path.normpath(value)
    if os.path.isabs(directory) or directory.split("/")[0] == "..":  # noqa: PTH117 - a string, no file
        problem = "that isn't a path inside of the repository"
    elif not repository.is_directory(directory):
        problem = "there is no such directory in the repository"
    else:
        return directory
    raise ProjectError(
        f"Error: HEADWAITER_DIR doesn't lead to a Django site.\n\n"
        f"In {pointed.origin}, its value is {value[:200]!a}, and\n{problem}.\n\n"
        f"Set it to the directory that has the site's manage.py, relative to the\n"
        f"root of the repository, or unset it to have the site searched for:\n\n"
        f"    heroku config:set HEADWAITER_DIR=backend\n"
        f"    heroku config:unset HEADWAITER_DIR"
    )


def describe(
    repository: Repository, project: Project, others: list[str], config: dict[str, Statement], notes: list[str]
) -> dict[str, object]:
    """The JSON object for one project. Raises ProjectError when it has no WSGI application."""
    nested = frozenset(other for other in others if is_below(other, project.directory))
    modules = Modules(repository, project.directory, nested)
    stated = stated_settings(repository, project.directory)
    by_manage = repository.source(project.manage_py).settings if project.manage_py else []
    named = [statement.value for statement in (config.get(SETTINGS), *stated) if statement] + by_manage
    finder = ApplicationFinder(modules, list(dict.fromkeys(named)))
    applications = finder.all()
    if "HEADWAITER_APP" in config:
        applications.insert(0, chosen_by_user(modules, config["HEADWAITER_APP"]))
    if not applications and project.directory != "." and "HEADWAITER_DIR" not in config:
        with contextlib.suppress(ProjectError):  # the application may be in the root, as main.py mostly is
            return describe(repository, replace(project, directory="."), others, config, notes)
    if not applications:
        raise no_application(modules, named)
    chosen = applications[0]
    same = {module.path for module in modules.origins(chosen.module, chosen.attribute)}
    rest = [other for other in applications[1:] if other.module.path not in same][:MAX_OTHERS]
    settings = choose_settings(modules, chosen, project.manage_py, config.get(SETTINGS), stated)
    directory, moved = run_directory(repository, project, chosen)
    warnings = {  # each group by the config var that settles it
        "HEADWAITER_DIR": [*notes, *advice.on_directory(repository, project.directory, others)],
        "HEADWAITER_APP": advice.on_applications(modules, chosen, rest, finder.problems),
        "": [
            *advice.on_what_heroku_passes_over(repository),
            *advice.on_procfile(modules, chosen),
            *moved,
            *settings.warnings,
        ],
        CONFIGURATION: advice.on_configuration(modules, chosen, project.manage_py, settings.module),
    }
    return {
        "directory": directory,
        "manage_py": project.manage_py,
        "wsgi_application": chosen.name,
        "settings_module": settings.module,
        "candidates": [
            *(f"HEADWAITER_DIR={other}" for other in others),
            *(f"HEADWAITER_APP={other.name}" for other in rest),
            *(f"{SETTINGS}={name}" for name in settings.others),
        ],
        "warnings": [
            sentence for settled_by, group in warnings.items() if settled_by not in config for sentence in group
        ],
        "reason": f"{project.reason}; the application: {chosen.reason}; the settings: {settings.reason}.",
    }


def run_directory(repository: Repository, project: Project, chosen: Application) -> tuple[str, list[str]]:
    """Where the application can be imported from: the project's directory, or the one that its package is in."""
    base = chosen.module.base
    if base in (project.directory, "."):
        return project.directory, []
    there = set_config_var("HEADWAITER_DIR", base)
    if any(repository.is_file(join(project.directory, name)) for name in ("pyproject.toml", "setup.py")):
        return project.directory, [
            f"{chosen.module.name} is below {shown(base)}: it must be installed as a package, by the requirements. "
            f"To run from there instead: {there}"
        ]
    return base, [
        f"{chosen.module.name} is below {shown(base)}, so the site runs from there. To make that certain: {there}"
    ]


def no_project(repository: Repository) -> ProjectError:
    """The refusal of a repository without a Django site."""
    manage = [path for path in repository.python_files if path.rpartition("/")[2] == "manage.py"]
    refused = [
        f"{path} {why}"
        for path in manage[:100]
        if repository.source(path).is_manage and (why := why_not_a_site(repository, path, repository.source(path)))
    ]
    if refused:
        seen = "\n".join(f"    {line}" for line in refused[:10])
        directory = parent(refused[0].split("manage.py", 1)[0] + "manage.py")
        return ProjectError(
            f"Error: This repository has a Django manage.py, but none of a site.\n\n"
            f"We saw:\n{seen}\n\n"
            f"This looks like a library or a template, whose manage.py serves its\n"
            f"own tests, examples or documentation. If one of them is the site to\n"
            f"deploy, name its directory:\n\n"
            f"    heroku config:set HEADWAITER_DIR={directory}"
        )
    seen = f"{', '.join(manage[:5])}, not Django's" if manage else "no manage.py"
    web = web_process(repository)
    if web.server == "headwaiter" and web.applications:
        seen += f",\nand a Procfile that names {web.applications[0]}, which isn't in the repository"
    return ProjectError(
        "Error: No Django site was found in this repository.\n\n"
        "We looked for a manage.py that names DJANGO_SETTINGS_MODULE or calls\n"
        "execute_from_command_line, or else for a WSGI module that calls Django's\n"
        "get_wsgi_application and its settings.\n"
        f"We saw {seen}.\n\n"
        "If the site is there, name its directory:\n\n    heroku config:set HEADWAITER_DIR=path/to/site\n\n"
        "If it's a single file, name its application in the Procfile:\n\n    web: headwaiter counter:app"
    )
