"""Which migrations the default database lacks: reads its table of migrations and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .site import kind

CONNECT_SECONDS = 5


def look(databases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """{"pending_migrations": names} or {"database_error": why not}; empty without a database. Never raises."""
    default = databases.get("default")
    if not default or (kind(default) == "sqlite" and not Path(str(default.get("NAME"))).exists()):
        return {}
    try:
        return {"pending_migrations": _pending()}
    except Exception as error:  # whatever a driver raises; the check goes on without the database
        text = " ".join(str(error).split()) or "no reason given"
        return {"database_error": f"{type(error).__name__}: {without_address(text, {'default': default})[:300]}"}


def without_address(text: str, databases: Mapping[str, Mapping[str, Any]]) -> str:
    """A driver's message less what DATABASE_URL holds: a log is no place for it."""
    for database in databases.values():
        for key in ("PASSWORD", "HOST", "USER", "NAME"):
            value = str(database.get(key) or "")
            if len(value) > 3:
                text = text.replace(value, f"<{key.lower()}>")
    return text


def _pending() -> tuple[str, ...]:
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    connection = connections["default"].copy()
    if connection.vendor in ("postgresql", "mysql"):
        options = connection.settings_dict["OPTIONS"]
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        options.pop("pool", None)  # a pool would start threads
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan)
