"""Heroku Postgres plan names and the connections each allows: a table with its sources, nothing else.

Heroku shows the limit in no config var, so the plan's name (app.json, HEADWAITER_DB_PLAN) is the next best thing to
asking the server. Where sources disagree the smaller number counts and the others stay on record in `Plan.also`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN = 20
"""Connections to count on when nothing is known: no Heroku Postgres plan has ever allowed fewer."""

_DEV_CENTER = "https://devcenter.heroku.com/articles/"
_CHARACTERIZATION = _DEV_CENTER + "heroku-postgres-production-tier-technical-characterization (2023-04-12)"
_PLANS_2026 = _DEV_CENTER + "heroku-postgres-plans (read 2026-09-02)"
_ESSENTIAL = _DEV_CENTER + "heroku-postgres-plans (2024-07-23)"
_NAMED = _DEV_CENTER + "heroku-postgres-plans (2014-04-04)"
_LEGACY = "https://blog.heroku.com/connection_limit_guidance (2013-11-22)"
_TOP = "https://github.com/heroku/roadmap/issues/158 (2023)"
_ADVANCED = _DEV_CENTER + "postgres-advanced-connection-limits (2026-05-18)"
_MYSQL = "the smallest plan of ClearDB and JawsDB (ignite, kitefin)"


@dataclass(frozen=True)
class Plan:
    """One plan: `connections` is what to count on; `also` holds the larger numbers that other sources give."""

    name: str
    connections: int
    source: str
    also: tuple[tuple[int, str], ...] = ()


class UnknownPlanError(ValueError):
    """The name is no plan of this table; the message is for people."""


def _table() -> dict[str, Plan]:
    plans = [
        # The shared tiers: a limit per role, on a cluster with other customers.
        *(Plan(name, 20, _ESSENTIAL) for name in ("dev", "basic", "hobby-dev", "hobby-basic", "mini")),
        Plan("essential-0", 20, _ESSENTIAL),
        Plan("essential-1", 20, _ESSENTIAL),
        Plan("essential-2", 40, _ESSENTIAL),
        # The first production plans, all alike.
        *(Plan(name, 500, _LEGACY) for name in ("crane", "kappa", "ronin", "fugu", "ika", "zilla", "baku", "mecha")),
    ]
    for tier in ("standard", "premium"):
        named = {"yanari": 60, "tengu": 200, "ika": 400, "baku": 500, "mecha": 500}
        plans += [Plan(f"{tier}-{animal}", limit, _NAMED) for animal, limit in named.items()]
    for tier in ("standard", "premium", "private", "shield"):
        plans.append(Plan(f"{tier}-0", 120, _CHARACTERIZATION, ((200, _PLANS_2026),)))
        plans.append(Plan(f"{tier}-2", 400, _CHARACTERIZATION, ((500, _PLANS_2026),)))
        # Sizes 3 and up; the l and xl variants have more memory or disk and the same limit.
        for size in range(3, 11):
            plans += [Plan(f"{tier}-{variant}{size}", 500, _TOP) for variant in ("", "l-", "xl-")]
    # Advanced: a limit per compute instance, by its memory.
    for memory, limit in {4: 380, 8: 800, 16: 1600, 32: 3200, 64: 5000, 128: 5000, 256: 5000, 384: 5000}.items():
        plans.append(Plan(f"advanced-{memory}g", limit, _ADVANCED))
    plans.append(Plan("advanced", 380, _ADVANCED))
    return {plan.name: plan for plan in plans}


PLANS = _table()

# `heroku addons:create heroku-postgresql` without a tier, see
# https://devcenter.heroku.com/articles/provisioning-heroku-postgres (2026-03-26).
_DEFAULT = "essential-0"


def find(text: str) -> Plan:
    """The plan that `text` names, in any case, with or without `heroku-postgresql:`; that alone is the default plan.

    Raises UnknownPlanError.
    """
    name = text.strip().lower().replace("_", "-")
    service, colon, tier = name.partition(":")
    if service in ("cleardb", "jawsdb", "jawsdb-maria"):
        return Plan(name, 10, _MYSQL)
    if service in ("heroku-postgresql", "heroku-postgres"):
        name = tier or _DEFAULT
    elif colon:
        name = text
    memory = re.fullmatch(r"advanced\D*?-(\d+)gb?(-.*)?", name)
    if memory:
        name = f"advanced-{memory[1]}g"
    if name not in PLANS:
        raise UnknownPlanError(
            f"{text[:80]!r} isn't a Heroku Postgres plan that headwaiter knows, so it counts on {UNKNOWN} connections. "
            "It knows mini, basic, hobby-*, essential-*, standard-*, premium-*, private-*, shield-* and advanced; "
            "`heroku pg:info` shows yours, with its limit."
        )
    return PLANS[name]


def next_up(connections: int) -> Plan:
    """The smallest plan on sale that allows more than `connections`; the largest one when none does."""
    on_sale = [PLANS[name] for name in ("essential-0", "essential-2", "standard-0", "standard-2", "standard-3")]
    return next((plan for plan in on_sale if plan.connections > connections), PLANS["advanced-8g"])


def floor_for_host(host: str) -> Plan | None:
    """The least that a Heroku Postgres server of this host name allows, or None when the name says nothing.

    Standard and up are EC2 hosts, Essential and Advanced are Aurora clusters (seen in 2026; a floor, no more).
    """
    if re.fullmatch(r"ec2-[\d-]+\.compute-1\.amazonaws\.com|ec2-[\d-]+\.[a-z0-9-]+\.compute\.amazonaws\.com", host):
        return PLANS["standard-0"]
    if re.fullmatch(r"[a-z0-9-]+\.cluster-[a-z0-9-]+\.[a-z0-9-]+\.rds\.amazonaws\.com", host):
        return PLANS["essential-0"]
    return None
