"""The site test/fixtures/shop, whose databases a test chooses, and `headwaiter plan` in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boot
import psycopg

SHOP = Path(__file__).parents[1] / "fixtures" / "shop"
APPLICATION = "shop.wsgi:application"
ON_1X = {"DYNO_RAM": "512"}
LATE = ("no answer in 3 s", "no answer in time")


def plan(env: dict[str, str], application: str = APPLICATION) -> dict[str, Any]:
    """`headwaiter plan --json` in the shop, again where this machine was too busy to answer within its 3 seconds."""
    found = plan_once(env, application)
    for _ in range(9):
        if not any((database["answer"] or "") in LATE for database in found["databases"]):
            break
        found = plan_once(env, application)
    return found


def plan_once(env: dict[str, str], application: str = APPLICATION) -> dict[str, Any]:
    """`headwaiter plan --json` in the shop, on a dyno of 512 MB."""
    done = boot.run(SHOP, "plan", "--json", application, env={**ON_1X, **env})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def alias(url: str, **more: Any) -> dict[str, Any]:
    """An entry of DATABASES for a PostgreSQL URL."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts["host"],
        "PORT": parts["port"],
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "PASSWORD": parts.get("password", ""),
        **more,
    }
