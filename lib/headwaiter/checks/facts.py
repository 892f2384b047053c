"""Collects the facts of the site that is loaded in this process. Changes nothing, and asks only its own database."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headwaiter import app_json, console, procfile, project
from headwaiter.budget import database, decide
from headwaiter.redact import redact
from headwaiter.settings import Settings

from . import probe
from .site import Site

CONNECT_SECONDS = 5


def gather(built: project.Project, chosen: Settings, application: Any, environ: Mapping[str, str]) -> Site:
    """Return the site that is loaded in this process; `environ` is the environment as it was before that."""
    from django.conf import settings as site_settings

    on_dyno = is_on_dyno(environ)
    site = Site(
        settings=site_settings,
        environ=environ,
        project=built.facts,
        on_dyno=on_dyno,
        application=application,
        application_name=chosen.application,
        databases=tuple(database.aliases(environ)),
        processes=chosen.processes,
        scheduler=scheduler_runs(),
    )
    facts = [_of_the_repository(built), _of_another_boot(site, chosen), _of_the_logs(), _of_the_models()]
    facts += [_of_the_urls(site), _of_static_files(site), {"locmem_users": _cache_users(site)}]
    if on_dyno:
        answer = _of_the_database(site)
        facts += [answer, _of_the_budget(chosen, built, guesses="database_error" in answer)]
    return replace(site, **{name: value for each in facts for name, value in each.items()})


def is_on_dyno(environ: Mapping[str, str]) -> bool:
    """Whether this is one of the app's dynos. Heroku CI sets DYNO too, but has other config vars."""
    return bool(environ.get("DYNO")) and not environ.get("CI")


def scheduler_runs() -> bool:
    """Whether loading the site started APScheduler's BackgroundScheduler: version 3 gives its thread that name."""
    return any(thread.name == "APScheduler" for thread in threading.enumerate())


def _of_the_repository(built: project.Project) -> dict[str, Any]:
    root = repository(built)
    return {"app_json": app_json.read(root / "app.json"), "procfile": procfile.read(root / "Procfile") or {}}


def repository(built: project.Project) -> Path:
    """Return the directory of the Procfile and app.json: the slug's root, or the first one up that looks like it."""
    if built.facts:
        return project.PROJECT_FILE.parents[2]
    here = Path.cwd()
    signs = ("Procfile", "app.json", ".git")
    return next((path for path in (here, *here.parents) if any((path / name).exists() for name in signs)), here)


def _of_another_boot(site: Site, chosen: Settings) -> dict[str, Any]:
    environ = dict(site.environ)
    if chosen.settings_module:
        environ["DJANGO_SETTINGS_MODULE"] = chosen.settings_module
    again = probe.probe(str(site.application_name), environ)
    key = site.get("SECRET_KEY", "")
    return {
        "secret_key_changes": again["key"] != probe.digest(key) if again else None,
        "secret_key_in_source": in_settings(str(key), os.environ.get("DJANGO_SETTINGS_MODULE", "")),
        "reads_database_url": again.get("reads_url"),
    }


def in_settings(text: str, module: str) -> bool:
    """Whether the text is a string in the settings module, or in a loaded module beside it that is called like one."""
    package = f"{module.rpartition('.')[0]}."
    for name, loaded in list(sys.modules.items()):
        beside = "." in module and name.startswith(package) and ("settings" in name or "config" in name)
        file = getattr(loaded, "__file__", None)
        if not file or not (beside or name == module):
            continue
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            nodes = ast.walk(ast.parse(Path(file).read_bytes()))
            if text and any(isinstance(node, ast.Constant) and node.value == text for node in nodes):
                return True
    return False


def _of_the_logs() -> dict[str, Any]:
    console.show_errors()  # as the server does
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = {each for logger in loggers if isinstance(logger, logging.Logger) for each in logger.handlers}
    paths = {handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)}
    files = sorted(Path(path).name for path in paths if not path.startswith(("/dev/", "/proc/")))
    return {"console_logging": console.reaches_console("django.request", logging.ERROR), "log_files": tuple(files)}


def _of_the_models() -> dict[str, Any]:
    from django.apps import apps
    from django.core.files.storage import FileSystemStorage
    from django.db.models import FileField

    fields = [field for model in apps.get_models() for field in model._meta.local_fields]
    local = [each for each in fields if isinstance(each, FileField) and is_a(FileSystemStorage, each.storage)]
    return {"local_file_fields": tuple(f"{field.model._meta.label}.{field.name}" for field in local)}


def is_a(kind: type, storage: object) -> bool:
    """Whether the storage is of that kind. Some are made when first used, and raise anything."""
    try:
        return isinstance(storage, kind)
    except Exception:
        return False


def _of_the_urls(site: Site) -> dict[str, Any]:
    from django.urls import NoReverseMatch, Resolver404, resolve, reverse

    facts: dict[str, Any] = {}
    for name in ("password_reset", "admin_password_reset", "account_reset_password"):
        with contextlib.suppress(NoReverseMatch, AttributeError):  # the latter without ROOT_URLCONF
            reverse(name)
            facts["has_password_reset"] = True
    with contextlib.suppress(Resolver404, AttributeError):
        view = resolve(str(site.get("STATIC_URL") or "/") + "headwaiter.css").func
        servers = ("django.views.static", "django.contrib.staticfiles.views")
        facts["static_view"] = getattr(view, "__module__", "") in servers
    return facts


def _of_static_files(site: Site) -> dict[str, Any]:
    if not site.installed("django.contrib.staticfiles") or not site.get("STATIC_ROOT"):
        return {}
    from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
    from django.core.files.storage import FileSystemStorage

    storage = staticfiles_storage
    if not is_a(ManifestFilesMixin, storage) or not is_a(FileSystemStorage, storage):
        return {}
    if not storage.manifest_strict or storage.manifest_storage.exists(storage.manifest_name):
        return {}
    return {"static_manifest_missing": str(Path(site.get("STATIC_ROOT")) / storage.manifest_name)}


def _cache_users(site: Site) -> tuple[str, ...]:
    """Return what keeps counters or flags in the default cache, which have to be the same in all processes."""
    names = {
        "allauth.account": "allauth's rate limits",
        "django_ratelimit": "django-ratelimit",
        "waffle": "django-waffle",
    }
    users = [label for app, label in names.items() if site.installed(app)]
    if (site.get("REST_FRAMEWORK") or {}).get("DEFAULT_THROTTLE_CLASSES"):
        users.append("REST framework's throttling")
    if str(site.get("AXES_HANDLER")).endswith("AxesCacheHandler"):
        users.append("django-axes")
    return tuple(users)


def _of_the_database(site: Site) -> dict[str, Any]:
    """Return the pending migrations of the default database, or why it can't be asked. Writes nothing."""
    default = next((alias for alias in site.databases if alias.name == "default"), None)
    if default is None or default.vendor == "none":
        return {}
    if default.vendor == "sqlite" and not Path(default.database).exists():
        return {}  # asking would create it
    try:
        return {"pending_migrations": _pending()}
    except Exception as error:  # whatever a driver raises; the check goes on without the database
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return {"database_error": redact(text, site.environ)[:300]}


def _pending() -> tuple[str, ...]:
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    connection = connections["default"].copy()
    if connection.vendor in database.PORTS:
        options = connection.settings_dict["OPTIONS"]
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        options.pop("pool", None)  # a pool would start threads
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan)


def _of_the_budget(chosen: Settings, built: project.Project, *, guesses: bool) -> dict[str, Any]:
    """Return what the budget decides and warns of; without an answer of the database it guesses, and W111 says so."""
    plan = decide.make(chosen, built.facts, os.environ)
    return {
        "processes": plan.budget.processes,
        "web_dynos": plan.budget.dynos,
        "pooled": frozenset(row["alias"] for row in plan.databases if row["pooler"] or row["pool_size"]),
        "warnings": (*(() if guesses else plan.budget.warnings), *chosen.advice),
    }
