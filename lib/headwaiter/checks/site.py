"""A site as the rules see it: facts found out beforehand (facts.py), nothing that has to be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"})  # noqa: S104 # a name, not a bind


_SMTP = "django.core.mail.backends.smtp.EmailBackend"


@dataclass(frozen=True)
class Site:
    """Everything the rules may look at. None means: not known here."""

    settings: Any  # django.conf.settings, or something that has the same attributes
    environ: Mapping[str, str] = field(default_factory=dict)  # as it was before the settings were loaded
    project: Mapping[str, Any] = field(default_factory=dict)  # .heroku/headwaiter/project.json
    app_json: Mapping[str, Any] = field(default_factory=dict)
    procfile: Mapping[str, str] | None = None  # process type -> command
    on_dyno: bool = False
    trust_proxy: bool = True
    settings_module: str = ""
    application: Any = None
    application_name: str | None = None
    handler_module: str = "django.core.handlers.wsgi"  # where WSGIHandler.__call__ comes from: agents replace it
    waitress_version: str | None = None
    secret_key_changes: bool | None = None
    secret_key_in_source: bool = False
    secret_key_made_up: str | None = None  # the call that the settings make a key with
    reads_database_url: bool | None = None
    database_error: str | None = None
    pending_migrations: tuple[str, ...] | None = None
    budget_warnings: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    processes: int | None = None
    web_dynos: int | None = None
    memory_mb: int | None = None
    local_file_fields: tuple[str, ...] = ()  # "app.Model.field" whose files go to this disk
    static_manifest_missing: str | None = None  # the path where it should be
    static_view: bool = False  # the site's own URLconf serves STATIC_URL
    has_password_reset: bool = False
    locmem_users: tuple[str, ...] = ()  # what counts in the default cache
    console_logging: bool = True  # an error in a view reaches stdout or stderr under headwaiter
    file_loggers: tuple[str, ...] = ()
    django_checks_errors: tuple[str, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """A setting, or `default` where this Django doesn't know it. Django refuses to give an empty SECRET_KEY."""
        from django.core.exceptions import ImproperlyConfigured

        try:
            return getattr(self.settings, name, default)
        except ImproperlyConfigured:
            return default

    def overridden(self, name: str) -> bool:
        """Whether the site chose it: set, and not to Django's default (django-configurations sets them all to that)."""
        from django.conf import global_settings

        return bool(self.settings.is_overridden(name)) and self.get(name) != getattr(global_settings, name, object())

    @property
    def several(self) -> bool:
        """Whether more than one process serves the site; where that isn't known, it does, as on Heroku by default."""
        return self.processes is None or self.processes * (self.web_dynos or 1) > 1

    @property
    def crowd(self) -> str:
        """How many processes serve the site, in words."""
        if self.processes is None:
            return "Heroku starts several processes a dyno unless WEB_CONCURRENCY says otherwise"
        return f"{self.web_dynos or 1} dyno(s) of {self.processes} process(es)"

    @property
    def databases(self) -> Mapping[str, Mapping[str, Any]]:
        """DATABASES without the dummies."""
        return {
            alias: database
            for alias, database in self.get("DATABASES", {}).items()
            if database.get("ENGINE") and not str(database["ENGINE"]).endswith(".dummy")
        }

    @property
    def mailers(self) -> Mapping[str, tuple[str, str]]:
        """Setting -> backend and host of what sends mail: MAILERS since Django 6.1, EMAIL_* before."""
        if not self.overridden("MAILERS"):
            return {"EMAIL_HOST": (str(self.get("EMAIL_BACKEND") or ""), str(self.get("EMAIL_HOST") or ""))}
        return {
            f"MAILERS[{alias!r}]": (
                str(mailer.get("BACKEND", _SMTP)),
                str((mailer.get("OPTIONS") or {}).get("host") or ""),
            )
            for alias, mailer in self.get("MAILERS").items()
        }

    def caches(self, *classes: str) -> Mapping[str, Mapping[str, Any]]:
        """The aliases of CACHES whose BACKEND ends with one of the class names."""
        return {a: c for a, c in self.get("CACHES", {}).items() if str(c.get("BACKEND", "")).endswith(classes)}


def kind(database: Mapping[str, Any]) -> str:
    """The kind of server that a DATABASES entry names: postgresql, mysql, sqlite, oracle or the engine's own name."""
    engine = str(database.get("ENGINE", "")).lower()
    for name in ("postg", "mysql", "sqlite", "spatialite", "oracle"):
        if name in engine:
            return {"postg": "postgresql", "spatialite": "sqlite"}.get(name, name)
    return engine


def endpoint(database: Mapping[str, Any]) -> tuple[str, str, str]:
    """Host, port and name of a DATABASES entry, comparable with `url_endpoint`."""
    default_port = {"postgresql": "5432", "mysql": "3306"}.get(kind(database), "")
    host = str(database.get("HOST") or "").lower()
    return host, str(database.get("PORT") or default_port), str(database.get("NAME") or "")


def url_endpoint(url: str) -> tuple[str, str, str] | None:
    """Host, port and database name of a database URL; None when it isn't one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname:
        return None
    default_port = "3306" if parts.scheme.startswith("mysql") else "5432"
    return parts.hostname.lower(), str(port or default_port), unquote(parts.path.lstrip("/"))


def is_local(host: str) -> bool:
    """Whether a host name means this machine. The empty one does for databases and mail servers."""
    return host in LOCAL_HOSTS or host in ("", ".localhost") or host.startswith("/")
