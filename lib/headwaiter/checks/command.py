"""`headwaiter check`: what would go wrong with this Django site on Heroku, and the line that mends it.

Django's own `check --deploy` is run and shown as well. It changes nothing, and works when the database is down.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwaiter import project, settings
from headwaiter.redact import redact

LEVELS = ("info", "warning", "error", "critical", "never")
DEFAULT_FAIL_LEVEL = "error"  # as manage.py check

OK, FOUND, USAGE, NO_SITE = 0, 1, 64, 78

HELP = """\
usage: headwaiter check [OPTIONS] [MODULE:ATTRIBUTE]

What would go wrong with this Django site on Heroku, and the line that mends it; Django's own `check --deploy` included.
It changes nothing and works when the database is down. Run it where the config vars are: heroku run headwaiter check

  --fail-level=LEVEL   Exit with status 1 from this level on: info, warning, error, critical or never. Default: error.
                       Config var HEADWAITER_FAIL_LEVEL.
  --json               Print JSON.
  --list               Print all checks of headwaiter's own, as Markdown, and check nothing.
  --help               Print this.

Options of `headwaiter` itself, --chdir and --settings-module above all, count here too.
Exit status: 0 nothing from the fail level on, 1 something, 64 bad usage, 78 the site can't be loaded.
To silence a finding: SILENCED_SYSTEM_CHECKS = ["headwaiter.W304"], or with the reason beside it,
HEADWAITER_SILENCED = {"headwaiter.W304": "one process only"}, in the site's settings.
"""


class UsageError(Exception):
    """The command line, or HEADWAITER_SILENCED, can't be understood. `str()` is for people."""


@dataclass(frozen=True)
class Arguments:
    """What was asked for; `rest` goes to the server's own settings."""

    fail_level: str
    json: bool
    list: bool
    help: bool
    rest: tuple[str, ...]


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """Understand the command line. Raises UsageError for a level that isn't one."""
    fail_level, where = environ.get("HEADWAITER_FAIL_LEVEL", "").strip(), "HEADWAITER_FAIL_LEVEL"
    switches, rest = set(), []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--fail-level":
            fail_level, where = value if equals else next(words, ""), name
        elif word in ("--json", "--list", "--help", "-h"):
            switches.add(word)
        else:
            rest.append(word)
    fail_level = fail_level.lower() or (DEFAULT_FAIL_LEVEL if where != "--fail-level" else "")
    if fail_level not in LEVELS:
        raise UsageError(f"{where}={fail_level}: isn't a level; write {', '.join(LEVELS[:-1])} or {LEVELS[-1]}.")
    help_wanted = bool(switches & {"--help", "-h"})
    return Arguments(fail_level, "--json" in switches, "--list" in switches, help_wanted, tuple(rest))


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit status: 0, 1, 64 or 78."""
    try:
        arguments = parse(argv, os.environ)
        if arguments.help:
            sys.stdout.write(HELP)
            return OK
        if arguments.list:
            from headwaiter.checks import table

            sys.stdout.write(table.markdown())
            return OK
        return run(arguments)
    except (UsageError, settings.SettingsError) as error:
        print(f"headwaiter check: {error}", file=sys.stderr)
        return USAGE
    except project.ProjectError as error:
        told = f"{error.details}\n" if error.details else ""
        print(redact(f"{told}headwaiter check: {error}", os.environ), file=sys.stderr)
        return NO_SITE


def run(arguments: Arguments) -> int:
    """Load the site, examine it, print what was found and return the exit status."""
    environ = dict(os.environ)  # loading the settings may add to it
    with contextlib.redirect_stdout(sys.stderr):  # whatever the site prints while it is loaded
        found, chosen, application = load(arguments.rest, environ)
        if "django.conf" not in sys.modules or not _configured():
            print(f"headwaiter check: {found.application} isn't a Django site: there is nothing to check.")
            return OK
        from headwaiter.checks import report

        result = report.examine(found, chosen, application, environ)
    return result.show(fail_level=arguments.fail_level, as_json=arguments.json)


def _configured() -> bool:
    from django.conf import settings as site_settings

    return bool(site_settings.configured)


def load(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[project.Project, settings.Settings, Any]:
    """Enter the project and load its WSGI application: the one named, the build's, or WSGI_APPLICATION.

    The application is None when the site has none. Raises ProjectError and SettingsError.
    """
    built = project.find()
    chosen = settings.load(argv, environ, built.as_settings(), serving=False)
    project.enter(chosen.chdir, chosen.settings_module)
    name = chosen.application
    application = project.load_application(name) if name else None
    if name is None:
        _set_up_django()
        name, application = _application_of_settings()
    return project.Project(Path.cwd(), name, chosen.settings_module, built.facts), chosen, application


def _set_up_django() -> None:
    """Load the settings that the environment, or else manage.py, names. Raises ProjectError."""
    module = os.environ.get("DJANGO_SETTINGS_MODULE") or settings_of_manage_py(Path("manage.py"))
    if not module:
        raise project.ProjectError(
            f"There is no manage.py in {Path.cwd()}, and no application was named. Go to the directory that holds "
            "manage.py (or --chdir=DIRECTORY), or name the application: headwaiter check mysite.wsgi:application"
        )
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    try:
        import django

        django.setup()
    except Exception as error:
        message = f"The settings {module} can't be loaded: {type(error).__name__}: {error}"
        raise project.ProjectError(message, traceback.format_exc()) from error


def settings_of_manage_py(path: Path) -> str | None:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return None
    named = re.search(r"""DJANGO_SETTINGS_MODULE["'\]]*\s*[,=]\s*["']([\w.]+)["']""", text)
    return named[1] if named else None


def _application_of_settings() -> tuple[str | None, Any]:
    from django.conf import settings as site_settings

    dotted = getattr(site_settings, "WSGI_APPLICATION", None)
    if not dotted:
        return None, None
    module, _, attribute = str(dotted).rpartition(".")
    return f"{module}:{attribute}", project.load_application(f"{module}:{attribute}")
