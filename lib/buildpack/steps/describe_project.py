"""Says in the build log what was found, and stops the build where the site can't start for want of Django.

Usage: describe_project.py PROJECT_JSON ENVIRONMENT_JSON
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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


def wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """A sentence as lines of the build log; `first` and `rest` stand before its lines."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False)


def describe(project: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[str]:
    """The lines, warnings begin with "! "."""
    where = "in the root" if project["directory"] == "." else f"in {project['directory']}/"
    version = environment["django_version"]
    yield f"Django {version} {where}" if version != "unknown" else f"Django {where}, itself a part of the repository"
    yield f"Application: {project['wsgi_application']}"
    if project["settings_module"]:
        yield f"Settings:    {project['settings_module']}"
    if project.get("reason"):
        yield from wrap(f"Why: {project['reason']}", rest="     ")
    for warning in project["warnings"]:
        yield "!"
        for number, paragraph in enumerate(str(warning).splitlines()):
            yield from wrap(paragraph, "! " if number else "! Warning: ", "! ")


def main(argv: list[str]) -> int:
    """Print the description, or the error."""
    project, environment = (json.loads(Path(name).read_text(encoding="utf-8")) for name in argv)
    if environment["django_version"] is None:
        print(DJANGO_MISSING, end="", file=sys.stderr)
        return USER_ERROR
    print("\n".join(describe(project, environment)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
