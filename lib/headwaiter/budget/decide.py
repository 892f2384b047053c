"""The decision: what the dyno is and what its databases allow go in, the `Budget` comes out, at boot and for `plan`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headwaiter.budget import arithmetic, database, dyno
from headwaiter.budget.arithmetic import DYNOS_UNKNOWN, Budget, Inputs, Limit
from headwaiter.budget.holders import web_dynos
from headwaiter.settings import Settings

if TYPE_CHECKING:
    from headwaiter.budget import limits, server_limits


@dataclass(frozen=True)
class Plan:
    """The budget with all that it was made from."""

    budget: Budget
    dyno: dyno.Dyno
    found: limits.Found


def decide(settings: Settings, facts: Mapping[str, object]) -> Budget:
    """Processes and threads for this dyno. Never raises: a site must boot, whatever its database does."""
    try:
        if settings.db_plan or database.may_be_limited(os.environ):
            return make(settings, facts, os.environ).budget
        # What asks databases isn't even imported: that would take as long as a tenth of a small site's boot.
        return _compute(settings, facts, dyno.read(os.environ))
    except Exception as error:
        from headwaiter.budget import plans

        unknown = Limit("unknown", plans.UNKNOWN, "unknown, so the smallest Heroku Postgres plan")
        assumed = arithmetic.compute(Inputs((unknown,), processes=settings.processes, threads=settings.threads))
        what = f"The connection budget couldn't be worked out ({type(error).__name__}): `headwaiter plan` shows more."
        return assumed._replace(warnings=(what, *assumed.warnings))


def make(settings: Settings, facts: Mapping[str, object], environ: Mapping[str, str], root: Path = Path("/")) -> Plan:
    """Look at the dyno, ask the databases, do the arithmetic."""
    from headwaiter.budget import limits, server_limits

    database.name_connections()
    here = dyno.read(environ, root)
    asked = server_limits.take(environ)
    found = limits.find(asked, settings, facts, environ)
    chosen = _compute(settings, facts, here, found.limits, _holders(asked))
    return Plan(chosen._replace(warnings=(*found.warnings, *chosen.warnings)), here, found)


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
        (1, DYNOS_UNKNOWN),
        (formation if isinstance(formation, int) else 0, "app.json's formation"),
        ((here.number or 0) if here.process_type == "web" else 0, f"this one is {here.name}"),
        (web_dynos(holders), "as many hold connections now"),
    ]
    return max(candidates, key=lambda candidate: candidate[0])
