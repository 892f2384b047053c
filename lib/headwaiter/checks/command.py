"""Show what would go wrong with this Django site on Heroku, and how to fix it; Django's own `check --deploy` included.

It changes nothing, and works when the database is down. Run it where the config vars are: heroku run headwaiter check
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headwaiter import project, settings
from headwaiter.budget import database
from headwaiter.redact import redact

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

LEVELS = {"INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}  # django.core.checks
OK, FOUND, USAGE, NO_SITE = 0, 1, 64, 78

_EPILOG = """\
Options of `headwaiter` itself, such as --chdir and --settings-module, work here too. Exit status: 0 nothing found at
the fail level, 1 something, 64 wrong usage, 78 the site can't be loaded. To silence a finding, name it in the site's
settings: SILENCED_SYSTEM_CHECKS = ["headwaiter.W304"]
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit status: 0, 1, 64 or 78."""
    parser = argparse.ArgumentParser(
        "headwaiter check", "headwaiter check [OPTIONS] [MODULE:ATTRIBUTE]", __doc__, _EPILOG,
        allow_abbrev=False, exit_on_error=False,
    )  # fmt: skip
    about = "exit with status 1 from this level on (default: ERROR)"
    parser.add_argument("--fail-level", type=str.upper, choices=LEVELS, default="ERROR", help=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    try:
        options, rest = parser.parse_known_args(argv)
        return _check(options, rest, dict(os.environ))  # a copy: loading the site may add to the environment
    except (argparse.ArgumentError, settings.SettingsError) as error:
        print(f"headwaiter check: {error}", file=sys.stderr)
        return USAGE
    except project.ProjectError as error:
        details = f"{error.details}\n" if error.details else ""
        print(redact(f"{details}headwaiter check: {error}", os.environ), file=sys.stderr)
        return NO_SITE


def _check(options: argparse.Namespace, rest: Sequence[str], environ: Mapping[str, str]) -> int:
    with contextlib.redirect_stdout(sys.stderr):  # what the site prints
        built = project.find()
        chosen = settings.load(rest, environ, built.as_settings(), serving=False)
        if not chosen.application:
            problem = "MODULE:ATTRIBUTE: no application was named. Try: headwaiter check mysite.wsgi:application"
            raise settings.SettingsError([problem])
        project.enter(chosen.chdir, chosen.settings_module)
        application = project.load_application(chosen.application)
        if not database.configured():
            print(f"headwaiter check: {chosen.application} isn't a Django site: there is nothing to check.")
            return OK
        from . import facts, rules

        site = facts.gather(built, chosen, application, environ)
        rules.register(site)
        found = rules.run()
    shown = [message for message in found if not message.is_silenced()]
    failed = any(message.level >= LEVELS[options.fail_level] for message in shown)
    about = {"on_dyno": site.on_dyno, "failed": failed, "silenced": len(found) - len(shown)}
    text = as_json(shown, about) if options.json else as_text(shown, about)
    print(redact(text, environ))
    return FOUND if failed else OK


def as_json(found: Sequence[CheckMessage], about: Mapping[str, Any]) -> str:
    """Return one JSON object; docs/checks.md describes its keys."""
    rows = [
        {"id": each.id, "level": _level(each), "message": _message(each), "fix": str(each.hint or "")} for each in found
    ]
    return json.dumps({**about, "findings": rows}, indent=2)


def as_text(found: Sequence[CheckMessage], about: Mapping[str, Any]) -> str:
    """Return what people read: the findings, the worst first, and how many there are."""
    lines = []
    for each in found:
        lines.append(f"{_level(each).upper()} {each.id}: {_message(each)}")
        lines += [f"    {line}" for line in str(each.hint or "").splitlines()] + [""]
    if not about["on_dyno"]:
        lines.append(
            "Not on a dyno: without the app's config vars and database. For all checks: heroku run headwaiter check"
        )
    issues = "1 issue" if len(found) == 1 else f"{len(found) or 'no'} issues"
    return "\n".join([*lines, f"headwaiter check found {issues} ({about['silenced']} silenced)."])


def _level(message: CheckMessage) -> str:
    """Return the name of the level, or of the next lower one: Django allows numbers between them."""
    return next((name.lower() for name, level in reversed(LEVELS.items()) if message.level >= level), "debug")


def _message(message: CheckMessage) -> str:
    return f"{message.obj}: {message.msg}" if message.obj is not None else str(message.msg)
