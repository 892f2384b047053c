"""The decision: what the dyno is and what its databases allow go in, the `Budget` comes out, at boot and for `plan`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwaiter.budget import arithmetic, database, dyno
from headwaiter.budget.arithmetic import DYNOS_UNKNOWN, Budget, Inputs, Limit
from headwaiter.budget.holders import web_dynos
from headwaiter.settings import Settings

if TYPE_CHECKING:
    from headwaiter.budget import server_limits


@dataclass(frozen=True)
class Plan:
    """The budget with all that it was made from."""

    budget: Budget
    dyno: dyno.Dyno
    databases: tuple[Mapping[str, Any], ...] = ()
    """A row for each alias, as the table and --json show it."""
    survey: server_limits.Survey | None = None
    """What the databases said; None where none was asked."""
    fixed: str | None = None
    """Why the budget stays as it was at boot; None where it follows the formation (live.py)."""


def decide(settings: Settings, facts: Mapping[str, object]) -> Plan:
    """Processes and threads for this dyno. Never raises: a site must boot, whatever its database does."""
    here = dyno.read(os.environ)
    try:
        if settings.db_plan or database.may_be_limited(os.environ):
            return make(settings, facts, os.environ)
        # What asks databases isn't even imported: that would take as long as a tenth of a small site's boot.
        return Plan(arithmetic.compute(inputs(settings, here, (), *_web_dynos(settings, facts, here, ()))), here)
    except Exception as error:
        from headwaiter.budget import plans

        unknown = Limit(plans.UNKNOWN, "unknown, so the smallest Heroku Postgres plan")
        assumed = arithmetic.compute(Inputs((unknown,), processes=settings.processes, threads=settings.threads))
        what = f"The connection budget couldn't be worked out ({type(error).__name__}): `headwaiter plan` shows more."
        return Plan(assumed._replace(warnings=(what, *assumed.warnings)), here)


def make(settings: Settings, facts: Mapping[str, object], environ: Mapping[str, str], root: Path = Path("/")) -> Plan:
    """Look at the dyno, ask the databases, do the arithmetic."""
    from headwaiter.budget import limits, server_limits

    database.name_connections()
    here = dyno.read(environ, root)
    survey = server_limits.take(environ)
    found = limits.find(survey, settings, facts, environ)
    dynos, source = _web_dynos(settings, facts, here, names_of_role(survey))
    chosen = arithmetic.compute(inputs(settings, here, found.limits, dynos, source))
    return Plan(chosen._replace(warnings=(*found.warnings, *chosen.warnings)), here, found.databases, survey)


def inputs(settings: Settings, here: dyno.Dyno, found: Sequence[Limit], dynos: int, dynos_source: str) -> Inputs:
    """Return what the arithmetic takes."""
    return Inputs(
        limits=tuple(found),
        dynos=dynos,
        dynos_source=dynos_source,
        reserve=settings.db_reserve,
        processes=settings.processes,
        threads=settings.threads,
        memory_mb=here.memory_mb,
        cpus=here.cpus,
        tasks=here.tasks,
    )


def names_of_role(survey: server_limits.Survey) -> set[str]:
    """The application_names of the connections that the site's own role holds, in whichever database."""
    answers = [answer for answer in survey.answers.values() if not isinstance(answer, str)]
    return {each.application_name for answer in answers for each in answer.in_use if each.same_role}


def _web_dynos(
    settings: Settings, facts: Mapping[str, object], here: dyno.Dyno, names: Iterable[str]
) -> tuple[int, str]:
    """How many web dynos share the database, and how we know: Heroku tells a dyno neither."""
    if settings.web_dynos:
        return settings.web_dynos, "HEADWAITER_WEB_DYNOS"
    formation = facts.get("web_dynos")
    candidates = [
        (1, DYNOS_UNKNOWN),
        (formation if isinstance(formation, int) else 0, "app.json's formation"),
        ((here.number or 0) if here.process_type == "web" else 0, f"this one is {here.name}"),
        (web_dynos(names), "as many hold connections now"),
    ]
    return max(candidates, key=lambda candidate: candidate[0])
