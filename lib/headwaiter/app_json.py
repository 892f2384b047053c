"""Reads app.json. The build and `headwaiter check` both do, so the reader is part of the package that both have.

Heroku reads the file only when it makes an app (a button, a review app, a CI run), so what it says of dynos and add-ons
is a hint, and nothing here is an error. https://devcenter.heroku.com/articles/app-json-schema
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATABASES = ("heroku-postgresql", "cleardb", "jawsdb", "jawsdb-maria")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,60}")
MOST_DYNOS = 1000  # Heroku's own most is 100 a process type


@dataclass(frozen=True)
class AppJson:
    """The file's object; what has another form than the schema's is passed over. `problem`: why it couldn't be read."""

    content: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None

    def _object(self, *names: str) -> Mapping[str, Any]:
        found: Any = self.content
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def env(self) -> dict[str, str]:
        """The config vars that have a value."""
        values = {
            name: each.get("value") if isinstance(each, Mapping) else each for name, each in self._object("env").items()
        }
        return {name: value.strip() for name, value in values.items() if isinstance(value, str)}

    @property
    def required(self) -> list[str]:
        """The config vars that an app must have: all but those with `"required": false` or an empty value."""
        return [
            name
            for name, each in self._object("env").items()
            if (each.get("required", True) is not False if isinstance(each, Mapping) else each)
        ]

    @property
    def dokku_tasks(self) -> list[str]:
        """What Dokku runs at a deploy: https://dokku.com/docs/advanced-usage/deployment-tasks/"""
        scripts = self._object("scripts", "dokku")
        return [str(scripts[name]) for name in ("predeploy", "postdeploy") if name in scripts]

    @property
    def web_dynos(self) -> int | None:
        """The formation's number of web dynos."""
        quantity = self._object("formation", "web").get("quantity")
        return quantity if type(quantity) is int and 0 < quantity <= MOST_DYNOS else None

    @property
    def dyno_size(self) -> str | None:
        """The formation's size of web dynos, such as "standard-1x"."""
        size = self._object("formation", "web").get("size")
        return size.lower() if isinstance(size, str) and NAME.fullmatch(size) else None

    @property
    def database_plan(self) -> str | None:
        """The plan of the add-on that DATABASE_URL will come from: the first database without a name of its own."""
        plans = []
        addons = self.content.get("addons")
        for addon in addons if isinstance(addons, list) else []:
            plan, alias = (addon.get("plan"), addon.get("as")) if isinstance(addon, Mapping) else (addon, None)
            if isinstance(plan, str) and NAME.fullmatch(plan) and plan.split(":")[0].lower() in DATABASES:
                plans.append((alias not in (None, "DATABASE"), plan.lower()))
        return min(plans, key=lambda entry: entry[0])[1] if plans else None


def read(path: Path) -> AppJson:
    """What the file says; nothing where there's none."""
    try:
        return parse(path.read_bytes()) if path.is_file() else AppJson()
    except OSError as error:
        return AppJson(problem=f"app.json can't be read: {error.strerror}")


def parse(data: bytes | str) -> AppJson:
    """What a file of this content says; it may be anything."""
    try:
        content = json.loads(data)
    except json.JSONDecodeError as error:
        return AppJson(problem=f"app.json isn't valid JSON: {error.msg}, line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError):
        return AppJson(problem="app.json isn't valid JSON")
    return AppJson(content) if isinstance(content, dict) else AppJson(problem="app.json isn't a JSON object")
