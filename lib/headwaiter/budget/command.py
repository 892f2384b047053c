"""`headwaiter plan`: show what the database and the dyno allow, and why."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from headwaiter import project, settings
from headwaiter.budget import decide, live, report
from headwaiter.redact import redact
from headwaiter.settings import Settings


def main(argv: Sequence[str]) -> int:
    """Print the plan; exit status 0, also when the database is down: that is when people look."""
    parser = argparse.ArgumentParser(
        "headwaiter plan", "headwaiter plan [OPTIONS] [MODULE:ATTRIBUTE]",
        "Show what the database and the dyno allow.",
        "MODULE:ATTRIBUTE takes the place of what the build found. Options of `headwaiter` itself, such as --chdir and "
        "--threads, work here too.",
        allow_abbrev=False, exit_on_error=False,
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    try:
        options, rest = parser.parse_known_args(argv)
        site = project.find()
        chosen = settings.load(rest, os.environ, site.as_settings(), serving=False)
        project.enter(chosen.chdir, chosen.settings_module)
        problem = _load(chosen)
    except (argparse.ArgumentError, settings.SettingsError) as error:
        return _fail(64, str(error))
    except project.ProjectError as error:
        return _fail(78, str(error))
    made = decide.make(chosen, site.facts, os.environ)
    made = replace(made, fixed=live.why_fixed(chosen, made.survey, os.environ))
    if problem:
        made = replace(made, budget=made.budget._replace(warnings=(problem, *made.budget.warnings)))
    print(json.dumps(report.as_json(made), indent=2) if options.json else report.table(made, colour=_colour()))
    return 0


def _load(chosen: Settings) -> str | None:
    """Import the site, as the server would; a site that can't be imported still gets its plan, from what is known."""
    if not chosen.application:
        return "No application is known here, so the site's own databases aren't either: headwaiter plan mysite.wsgi"
    try:
        project.load_application(chosen.application)
    except project.ProjectError as error:
        return f"The site can't be loaded, so its own databases aren't known. {redact(str(error), os.environ)}"
    return None


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _fail(status: int, message: str) -> int:
    print(f"headwaiter: {message}", file=sys.stderr)
    return status
