"""Finds out the facts of the site that this process has loaded. Changes nothing, asks no database but its own."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import FunctionType
from typing import Any

from headwaiter import console, project
from headwaiter.budget import dyno
from headwaiter.settings import Settings

from . import loggers, migrations, source
from .probe import PROBE_URL, Probe, digest
from .site import Site


def is_on_dyno(environ: Mapping[str, str]) -> bool:
    """Whether this is one of the app's dynos. Heroku CI sets DYNO too, but has other config vars."""
    return bool(environ.get("DYNO")) and not environ.get("CI")


def gather(found: project.Project, settings: Settings, application: Any, environ: Mapping[str, str]) -> Site:
    """The site that is loaded in this process; `environ` is the environment as it was before that."""
    from django.conf import settings as site_settings

    console.show_errors()  # as the server does
    root = repository(found)
    module = getattr(site_settings, "SETTINGS_MODULE", "") or ""
    on_dyno = is_on_dyno(environ)
    files = source.settings_files(module)
    key = _secret_key(site_settings)
    app_json = read_json(root / "app.json")
    site = Site(
        settings=site_settings,
        environ=environ,
        project=found.facts,
        app_json=app_json,
        procfile=read_procfile(root / "Procfile"),
        on_dyno=on_dyno,
        trust_proxy=settings.trust_proxy,
        settings_module=module,
        application=application,
        application_name=found.application,
        handler_module=_handler_module(),
        waitress_version=_version("waitress"),
        secret_key_in_source=source.contains(files, key),
        secret_key_made_up=source.random_key_call(files),
        advice=settings.advice,
        processes=settings.processes,
        web_dynos=settings.web_dynos or _quantity(app_json) or found.facts.get("web_dynos"),
        memory_mb=dyno.read(environ).memory_mb,
        console_logging=console.reaches_console("django.request", logging.ERROR),
        file_loggers=tuple(loggers.to_files()),
        locmem_users=_cache_users(site_settings),
    )
    facts: dict[str, Any] = _other_boots(site, key) | _of_the_models() | _of_the_urls(site) | _of_static_files(site)
    if on_dyno:
        facts |= migrations.look(site.databases) | _of_the_budget(settings, found)
    return Site(**{**{name: getattr(site, name) for name in Site.__dataclass_fields__}, **facts})


def repository(found: project.Project) -> Path:
    """The directory that has the Procfile and app.json: the slug's root, or the first one up that looks like it."""
    if found.facts:
        return project.PROJECT_FILE.parent.parent.parent
    for directory in (found.directory, *found.directory.parents):
        if any((directory / name).exists() for name in ("Procfile", "app.json", ".git")):
            return directory
    return found.directory


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty when there is none that can be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_procfile(path: Path) -> Mapping[str, str] | None:
    """Process type -> command, or None without a Procfile. https://devcenter.heroku.com/articles/procfile"""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return None
    return dict(re.findall(r"^([A-Za-z0-9_-]+):[ \t]*(.+?)[ \t]*\r?$", text, re.MULTILINE))


def _secret_key(settings: Any) -> str:
    """The key in force, "" where there's none: asked for that, Django raises."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        return str(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _quantity(app_json: Mapping[str, Any]) -> int | None:
    formation = app_json.get("formation")
    web = formation.get("web") if isinstance(formation, dict) else None
    quantity = web.get("quantity") if isinstance(web, dict) else None
    return quantity if isinstance(quantity, int) else None


def _handler_module() -> str:
    from django.core.handlers.wsgi import WSGIHandler

    call = WSGIHandler.__call__
    return str(call.__globals__["__name__"] if isinstance(call, FunctionType) else type(call).__module__)


def _other_boots(site: Site, key: str) -> dict[str, Any]:
    """Loads the settings again: as they are, and with another DATABASE_URL on an imagined dyno."""
    if not site.settings_module:
        return {}
    names = ("DJANGO_SETTINGS_MODULE", "DJANGO_CONFIGURATION")
    same = {**site.environ, **{name: os.environ[name] for name in names if name in os.environ}}
    same["DJANGO_SETTINGS_MODULE"] = site.settings_module
    nonce = secrets.token_hex()
    again = Probe(same, nonce) if site.on_dyno else None
    imagined = {name: value for name, value in same.items() if name != "CI"} | {"DATABASE_URL": PROBE_URL}
    imagined.setdefault("DYNO", "web.1")
    elsewhere = Probe(imagined, nonce)
    changes = again and _differs(again, key, nonce)
    if changes and site.application_name:
        changes = _differs(Probe(same, nonce, site.application_name), key, nonce)
    return {"secret_key_changes": changes, "reads_database_url": elsewhere.result().get("reads_url")}


def _differs(probe: Probe, key: str, nonce: str) -> bool | None:
    other = probe.result().get("key")
    return None if other is None else other != digest(key, nonce)


def _of_the_models() -> dict[str, Any]:
    from django.apps import apps
    from django.core.files.storage import FileSystemStorage
    from django.db.models import FileField

    fields = (field for model in apps.get_models() for field in model._meta.local_fields)
    files = (field for field in fields if isinstance(field, FileField))
    local = (f"{file.model._meta.label}.{file.name}" for file in files if _is_a(FileSystemStorage, file.storage))
    return {"local_file_fields": tuple(local)}


def _is_a(kind: type, storage: object) -> bool:
    """Whether the storage is of that kind. Some are made when first asked, and raise what they like."""
    try:
        return isinstance(storage, kind)
    except Exception:
        return False


def _of_the_urls(site: Site) -> dict[str, Any]:
    from django.urls import NoReverseMatch, Resolver404, resolve, reverse

    facts: dict[str, Any] = {"static_view": False, "has_password_reset": False}
    if not site.get("ROOT_URLCONF"):
        return facts
    for name in ("password_reset", "admin_password_reset", "account_reset_password"):
        try:
            reverse(name)
        except NoReverseMatch:
            continue
        facts["has_password_reset"] = True
    try:
        view = resolve(str(site.get("STATIC_URL") or "/") + "headwaiter.css").func
    except Resolver404:
        return facts
    facts["static_view"] = getattr(view, "__module__", "") in (
        "django.views.static",
        "django.contrib.staticfiles.views",
    )
    return facts


def _of_static_files(site: Site) -> dict[str, Any]:
    from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
    from django.core.files.storage import FileSystemStorage

    if "django.contrib.staticfiles" not in site.get("INSTALLED_APPS", []) or not site.get("STATIC_ROOT"):
        return {}
    storage = staticfiles_storage
    if not _is_a(ManifestFilesMixin, storage) or not _is_a(FileSystemStorage, storage):
        return {}
    if not storage.manifest_strict or storage.manifest_storage.exists(storage.manifest_name):
        return {}
    return {"static_manifest_missing": str(Path(site.get("STATIC_ROOT")) / storage.manifest_name)}


def _cache_users(settings: Any) -> tuple[str, ...]:
    """What keeps counters or flags in the default cache, which have to be the same in all processes."""
    names = {
        "allauth.account": "allauth's rate limits",
        "django_ratelimit": "django-ratelimit",
        "ratelimit": "django-ratelimit",
        "waffle": "django-waffle",
    }
    users = [label for app, label in names.items() if app in settings.INSTALLED_APPS]
    if (getattr(settings, "REST_FRAMEWORK", None) or {}).get("DEFAULT_THROTTLE_CLASSES"):
        users.append("REST framework's throttling")
    if str(getattr(settings, "AXES_HANDLER", "")).endswith("AxesCacheHandler"):
        users.append("django-axes")
    return tuple(users)


def _of_the_budget(settings: Settings, found: project.Project) -> dict[str, Any]:
    from headwaiter.budget import decide

    budget = decide.decide(settings, found.facts)
    return {"processes": budget.processes, "budget_warnings": tuple(budget.warnings)}


def python_version() -> str:
    """As people write it: 3.12.1."""
    return ".".join(map(str, sys.version_info[:3]))
