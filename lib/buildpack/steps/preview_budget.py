"""What app.json and the config vars will mean for the connection budget: the dyno's own arithmetic, done at build time.

The dyno asks the database and looks at its own size when it boots, so this is a preview: it tells early that a
plan and a formation don't go together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwaiter.app_json import AppJson
from headwaiter.budget import arithmetic, dyno, plans

from buildpack import config_var

NUMBERS = (
    "HEADWAITER_DB_CONNECTIONS",
    "HEADWAITER_DB_RESERVE",
    "HEADWAITER_THREADS",
    "HEADWAITER_WEB_DYNOS",
    "WEB_CONCURRENCY",
)

# What a dyno of this memory in MB shows as CPUs: https://devcenter.heroku.com/articles/dyno-types (2024-12-03)
CPUS = {2560: 2, 30720: 4, 129024: 16}
USUAL_CPUS = 8


def numbers(env_dir: str) -> dict[str, int]:
    """The config vars that hold a number; what holds something else is explained when the dyno boots."""
    found = {}
    for name in NUMBERS:
        text = config_var.read(env_dir, name)
        if text.isascii() and text.isdigit() and len(text) < 7:
            found[name] = int(text)
    return found


def limit(hints: AppJson, given: Mapping[str, int], plan_var: str) -> arithmetic.Limit | None:
    """The database's limit as far as a build can know it, None where nothing names a plan."""
    if given.get("HEADWAITER_DB_CONNECTIONS"):
        return arithmetic.Limit(given["HEADWAITER_DB_CONNECTIONS"], "HEADWAITER_DB_CONNECTIONS")
    name, source = (plan_var, "HEADWAITER_DB_PLAN") if plan_var else (hints.database_plan, "app.json")
    try:
        plan = plans.find(name or "")
    except plans.UnknownPlanError:
        return None
    return arithmetic.Limit(plan.connections, f"the plan {plan.name} of {source}")


def preview(hints: AppJson, env_dir: str) -> Iterator[str]:
    """The lines for the build log; none where too little is known."""
    given = numbers(env_dir)
    known = limit(hints, given, config_var.read(env_dir, "HEADWAITER_DB_PLAN"))
    if known is None:
        return
    memory = dyno.memory_of_size(hints.dyno_size)
    chosen = arithmetic.compute(
        arithmetic.Inputs(
            limits=(known,),
            dynos=given.get("HEADWAITER_WEB_DYNOS") or hints.web_dynos or 1,
            reserve=given.get("HEADWAITER_DB_RESERVE"),
            processes=given.get("WEB_CONCURRENCY") or None,
            threads=given.get("HEADWAITER_THREADS") or None,
            memory_mb=memory,
            cpus=CPUS.get(memory or 0, USUAL_CPUS),
            tasks=dyno.tasks_of_memory(memory) if memory else None,
        )
    )
    yield f"By {known.source}: {chosen.sentence}"
    for warning in chosen.warnings:
        yield f"! Warning: {warning}"
