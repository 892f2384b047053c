"""A site as the rules see it: values that facts.py has collected, nothing that has to be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headwaiter.app_json import AppJson
from headwaiter.budget.database import Alias

_LOCAL_HOSTS = frozenset({"", "localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0", ".localhost"})  # noqa: S104


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything that the rules may look at. None means: not known here."""

    settings: Any  # django.conf.settings, or something that has the same attributes
    environ: Mapping[str, str] = field(default_factory=dict)  # as it was before the site was loaded
    project: Mapping[str, Any] = field(default_factory=dict)  # .heroku/headwaiter/project.json
    app_json: AppJson = field(default_factory=AppJson)
    procfile: Mapping[str, str] = field(default_factory=dict)  # process type -> command
    on_dyno: bool = False
    application: Any = None
    application_name: str | None = None
    databases: tuple[Alias, ...] = ()
    pooled: frozenset[str] = frozenset()  # aliases behind a transaction pooler, or with Django's own pool
    secret_key_changes: bool | None = None
    secret_key_in_source: bool = False
    reads_database_url: bool | None = None
    database_error: str | None = None
    pending_migrations: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # what headwaiter warns of when it boots
    processes: int | None = None
    web_dynos: int = 1
    local_file_fields: tuple[str, ...] = ()  # "app.Model.field" whose files go to this disk
    static_manifest_missing: str | None = None  # the path where it should be
    static_view: bool = False  # the site's own URLconf serves STATIC_URL
    has_password_reset: bool = False
    locmem_users: tuple[str, ...] = ()  # what counts in the default cache
    console_logging: bool = True  # an error in a view reaches stdout or stderr under headwaiter
    log_files: tuple[str, ...] = ()
    scheduler: bool = False  # APScheduler runs in this process now that the site is loaded

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting, or `default` where this Django doesn't know it, or refuses to give an empty one."""
        from django.core.exceptions import ImproperlyConfigured

        try:
            return getattr(self.settings, name, default)
        except ImproperlyConfigured:
            return default

    def overridden(self, name: str) -> bool:
        """Whether the site chose it: set, and not to Django's default (django-configurations sets them all to that)."""
        from django.conf import global_settings

        return bool(self.settings.is_overridden(name)) and self.get(name) != getattr(global_settings, name, object())

    def installed(self, app: str) -> bool:
        """Whether an app is in INSTALLED_APPS, by its name or by its AppConfig."""
        return any(str(name) == app or str(name).startswith(f"{app}.apps.") for name in self.get("INSTALLED_APPS", []))

    def caches(self, name: str) -> list[str]:
        """Return the aliases of CACHES whose BACKEND is a class of that name."""
        return [alias for alias, cache in self.get("CACHES", {}).items() if str(cache.get("BACKEND")).endswith(name)]

    def manage(self, command: str) -> str:
        """Return the line that runs a command of manage.py in the root of the repository."""
        return f"python {self.project.get('manage_py') or 'manage.py'} {command}"


def is_local(host: str) -> bool:
    """Whether a host name means this machine. The empty one does for databases and mail servers."""
    return host.lower() in _LOCAL_HOSTS or host.startswith("/")
