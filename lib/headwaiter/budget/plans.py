"""Heroku Postgres plan names and the connections each allows: a table with its sources, nothing else.

Heroku shows the limit in no config var, so the plan's name (app.json, HEADWAITER_DB_PLAN) is the next best thing to
asking the server. Where sources disagree the smaller number counts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

UNKNOWN = 20
"""Connections to count on when nothing is known: no Heroku Postgres plan has ever allowed fewer."""


class Plan(NamedTuple):
    """One plan and the connections that it allows."""

    name: str
    connections: int


class UnknownPlanError(ValueError):
    """The name is no plan of this table; the message is for people."""


def _table() -> dict[str, Plan]:
    # The shared tiers have a limit per role, on a cluster with other customers.
    # https://devcenter.heroku.com/articles/heroku-postgres-plans (2024-07-23)
    shared = ("dev", "basic", "hobby-dev", "hobby-basic", "mini", "essential-0", "essential-1")
    limits = {**dict.fromkeys(shared, 20), "essential-2": 40}
    for tier in ("standard", "premium", "private", "shield"):
        # https://devcenter.heroku.com/articles/heroku-postgres-production-tier-technical-characterization (2023-04-12);
        # heroku-postgres-plans, read on 2026-09-02, says 200 and 500.
        limits |= {f"{tier}-0": 120, f"{tier}-2": 400}
        # The l and xl variants have more memory or disk and the same limit:
        # https://github.com/heroku/roadmap/issues/158 (2023)
        for size in range(3, 11):
            limits |= {f"{tier}-{variant}{size}": 500 for variant in ("", "l-", "xl-")}
    # A limit per compute instance, by its memory in GB:
    # https://devcenter.heroku.com/articles/postgres-advanced-connection-limits (2026-05-18)
    advanced = {4: 380, 8: 800, 16: 1600, 32: 3200, 64: 5000, 128: 5000, 256: 5000, 384: 5000}
    limits |= {"advanced": 380, **{f"advanced-{memory}g": limit for memory, limit in advanced.items()}}
    return {name: Plan(name, connections) for name, connections in limits.items()}


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
        return Plan(name, 10)  # their smallest plans: ignite, kitefin
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
