"""Reads app.json, for what it says about the database, the dynos and the config vars.

Heroku reads the file only when it makes an app (a button, a review app, a CI run), so all of this is a hint and nothing
here is an error. https://devcenter.heroku.com/articles/app-json-schema
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATABASES = ("heroku-postgresql", "cleardb", "jawsdb", "jawsdb-maria")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,60}")
MOST_DYNOS = 1000  # Heroku's own most is 100 a process type


@dataclass(frozen=True)
class Hints:
    """What was said, None where nothing was; `problem` tells people why the file couldn't be read."""

    database_plan: str | None = None
    web_dynos: int | None = None
    dyno_size: str | None = None
    problem: str | None = None


def read(path: Path) -> Hints:
    """The hints of a file, of any content."""
    if not path.is_file():
        return Hints()
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        return Hints(problem=f"app.json isn't valid JSON: {error.msg}, line {error.lineno}, column {error.colno}")
    except (OSError, ValueError, RecursionError):
        return Hints(problem="app.json isn't valid JSON, or can't be read")
    if not isinstance(content, Mapping):
        return Hints(problem="app.json isn't a JSON object")
    return understand(content)


def understand(content: Mapping[str, object]) -> Hints:
    """The hints of app.json's object; what has another form than the schema's is passed over."""
    formation = content.get("formation")
    web = formation.get("web") if isinstance(formation, Mapping) else None
    quantity, size = (web.get("quantity"), web.get("size")) if isinstance(web, Mapping) else (None, None)
    return Hints(
        database_plan=database_plan(content.get("addons")),
        web_dynos=quantity if type(quantity) is int and 0 < quantity <= MOST_DYNOS else None,
        dyno_size=size.lower() if isinstance(size, str) and NAME.fullmatch(size) else None,
    )


def database_plan(addons: object) -> str | None:
    """The plan of the add-on that DATABASE_URL will come from: the first database without a name of its own."""
    plans = []
    for addon in addons if isinstance(addons, list) else []:
        plan, alias = (addon.get("plan"), addon.get("as")) if isinstance(addon, Mapping) else (addon, None)
        if isinstance(plan, str) and NAME.fullmatch(plan) and plan.split(":")[0].lower() in DATABASES:
            plans.append((alias not in (None, "DATABASE"), plan.lower()))
    return min(plans, key=lambda entry: entry[0])[1] if plans else None
