"""`headwaiter plan`: what the budget is made of, and what it means. `decide` is the same at boot, without the words."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headwaiter.budget import arithmetic, database, dyno
from headwaiter.budget.arithmetic import Budget, Inputs, Limit
from headwaiter.project import Project
from headwaiter.settings import Settings

if TYPE_CHECKING:
    from headwaiter.budget import limits, server_limits


@dataclass(frozen=True)
class Plan:
    """The budget with all that it was made from."""

    budget: Budget
    dyno: dyno.Dyno
    found: limits.Found
    facts: Mapping[str, object]


def decide(settings: Settings, project: Project) -> Budget:
    """Processes and threads for this dyno. Never raises: a site must boot, whatever its database does."""
    try:
        if settings.db_plan or database.may_be_limited(os.environ):
            return make(settings, project, os.environ).budget
        # What asks databases isn't even imported: that would take as long as a tenth of a small site's boot.
        return _compute(settings, project.facts, dyno.read(os.environ))
    except Exception as error:
        from headwaiter.budget import plans

        unknown = Limit("unknown", plans.UNKNOWN, "unknown, so the smallest Heroku Postgres plan")
        assumed = arithmetic.compute(Inputs((unknown,), processes=settings.processes, threads=settings.threads))
        what = f"The connection budget couldn't be worked out ({type(error).__name__}): `headwaiter plan` shows more."
        return assumed._replace(warnings=(what, *assumed.warnings))


def make(settings: Settings, project: Project, environ: Mapping[str, str], root: Path = Path("/")) -> Plan:
    """Look at the dyno, ask the databases, do the arithmetic."""
    from headwaiter.budget import limits, server_limits

    database.name_connections()
    here = dyno.read(environ, root)
    asked = server_limits.take(environ)
    found = limits.find(asked, settings, project.facts, environ)
    chosen = _compute(settings, project.facts, here, found.limits, _holders(asked))
    return Plan(chosen._replace(warnings=(*found.warnings, *chosen.warnings)), here, found, project.facts)


def _compute(
    settings: Settings,
    facts: Mapping[str, object],
    here: dyno.Dyno,
    found: Sequence[Limit] = (),
    holders: Mapping[str, int] | None = None,
) -> Budget:
    dynos, source = _web_dynos(settings, facts, here, holders or {})
    return arithmetic.compute(
        Inputs(
            limits=tuple(found),
            dynos=dynos,
            dynos_source=source,
            reserve=settings.db_reserve,
            processes=settings.processes,
            threads=settings.threads,
            memory_mb=here.memory_mb,
            cpus=here.cpus,
            tasks=here.tasks,
        )
    )


def _holders(asked: server_limits.Survey) -> dict[str, int]:
    """How many connections the site's own role holds, by application_name."""
    answers = [answer for answer in asked.answers.values() if not isinstance(answer, str)]
    return {each.application_name: each.count for answer in answers for each in answer.in_use if each.same_role}


def _web_dynos(
    settings: Settings, facts: Mapping[str, object], here: dyno.Dyno, holders: Mapping[str, int]
) -> tuple[int, str]:
    """How many web dynos share the database, and how we know: Heroku tells a dyno neither."""
    if settings.web_dynos:
        return settings.web_dynos, "HEADWAITER_WEB_DYNOS"
    formation = facts.get("web_dynos")
    candidates = [
        (1, "nothing says more; HEADWAITER_WEB_DYNOS does"),
        (formation if isinstance(formation, int) else 0, "app.json's formation"),
        ((here.number or 0) if here.process_type == "web" else 0, f"this one is {here.name}"),
        (database.web_dynos(holders), "as many hold connections now"),
    ]
    return max(candidates, key=lambda candidate: candidate[0])


def main(argv: Sequence[str]) -> int:
    """Print the plan; exit status 0, also when the database is down: that is when people look."""
    import argparse  # here, like the others: the boot needs none of them
    import json

    from headwaiter import project
    from headwaiter import settings as settings_module
    from headwaiter.budget import report

    parser = argparse.ArgumentParser(prog="headwaiter plan", description="Show what the database and the dyno allow.")
    parser.add_argument("application", nargs="?", metavar="MODULE:ATTRIBUTE", help="instead of what the build found")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options, rest = parser.parse_known_args(list(argv))
    try:
        site = project.find()
        words = [*rest, *([options.application] if options.application else [])]
        chosen = settings_module.load(words, os.environ, site, serving=False)
        project.enter(chosen)
        problem = _load(chosen)
    except settings_module.SettingsError as error:
        return _fail(64, str(error))
    except project.ProjectError as error:
        return _fail(78, str(error))
    made = make(chosen, site, os.environ)
    if problem:
        made = replace(made, budget=made.budget._replace(warnings=(problem, *made.budget.warnings)))
    print(json.dumps(report.as_json(made), indent=2) if options.json else report.table(made, colour=_colour()))
    return 0


def _load(chosen: Settings) -> str | None:
    """Import the site, as the server would; a site that can't be imported still gets its plan, from what is known."""
    from headwaiter import project
    from headwaiter.redact import redact

    if not chosen.application:
        return "No application is known here, so the site's own databases aren't either: headwaiter plan mysite.wsgi"
    try:
        project.load_application(chosen.application, call=chosen.call)
    except project.ProjectError as error:
        return f"The site can't be loaded, so its own databases aren't known. {redact(str(error), os.environ)}"
    return None


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _fail(status: int, message: str) -> int:
    print(f"headwaiter: {message}", file=sys.stderr)
    return status
