"""Finds the Django project and the packages that it has, says so in the build log, and keeps it for the later steps.

Usage: describe_project.py BUILD_DIR ENV_DIR PROJECT_JSON

Runs on the site's own Python, with -I: nothing of the site is imported. To what the finder found it adds
`python_version`, `django_version`, `waitress_version` (null where absent) and `postgres_driver` (bool: psycopg 2 or 3).
A few sites carry their packages along in the repository: these are looked for in the project's directory and in the
root, and their version is "unknown".
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # lib/

from buildpack.finder import ProjectError, find_project

USER_ERROR = 65
WIDTH = 76

DJANGO_MISSING = """\
Error: Django isn't installed.

heroku/python has run, but there's no Django in what it installed, so the
site couldn't start.

Add Django to the file that names the site's packages (requirements.txt,
Pipfile, or pyproject.toml) and lock it again. With pip-tools:
  echo django >> requirements.in && pip-compile

If the file names Django already: is it the one in the root of the
repository? heroku/python reads no other.
"""


def packages(path: list[str]) -> dict[str, object]:
    """What the site's Python environment holds; modules are looked for on `path`."""
    return {
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "django_version": version("django", path),
        "waitress_version": version("waitress", path),
        "postgres_driver": has_module("psycopg2", path) or has_module("psycopg", path),
    }


def version(distribution: str, path: list[str]) -> str | None:
    """The installed version of a distribution, "unknown" where only its module is there, None where neither is."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown" if has_module(distribution, path) else None


def has_module(name: str, path: list[str]) -> bool:
    """Whether a top-level package with code in it can be found, without importing it."""
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    return spec is not None and spec.origin is not None


def wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """A sentence as lines of the build log; `first` and `rest` stand before its lines."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False)


def describe(project: Mapping[str, Any]) -> Iterator[str]:
    """The lines, warnings begin with "! "."""
    where = "in the root" if project["directory"] == "." else f"in {project['directory']}/"
    version = project["django_version"]
    yield f"Django {version} {where}" if version != "unknown" else f"Django {where}, itself a part of the repository"
    yield f"Application: {project['wsgi_application']}"
    if project["settings_module"]:
        yield f"Settings:    {project['settings_module']}"
    yield from wrap(f"Why: {project['reason']}", rest="     ")
    for warning in project["warnings"]:
        yield "!"
        for number, paragraph in enumerate(str(warning).splitlines()):
            yield from wrap(paragraph, "! " if number else "! Warning: ", "! ")


def main(argv: list[str]) -> int:
    """Print the description, or the error."""
    print("> Looking for the Django project")
    build_dir, env_dir, output = argv
    try:
        found = find_project(build_dir, env_dir or None)
    except ProjectError as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    project = found | packages([*sys.path, build_dir, f"{build_dir}/{found['directory']}"])
    if project["django_version"] is None:
        print(DJANGO_MISSING, end="", file=sys.stderr)
        return USER_ERROR
    Path(output).write_text(json.dumps(project), encoding="utf-8")
    print("\n".join(describe(project)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
