"""Databases and migrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headwaiter import procfile
from headwaiter.budget import database_url
from headwaiter.budget.database import Alias

from .registry import rule
from .site import Site, is_local

_READ_URL = (
    "Add dj-database-url to the requirements, and in the settings:\n"
    'import dj_database_url; DATABASES = {"default": dj_database_url.config(conn_max_age=600, conn_health_checks=True)}'
)
_ADD_POSTGRES = "heroku addons:create heroku-postgresql:essential-0"
_KEEP = 'DATABASES["default"].update(CONN_MAX_AGE=600, CONN_HEALTH_CHECKS=True)'


def _remote(site: Site) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The names and settings of the databases on another machine that no pooler answers for."""
    for alias in site.databases:
        remote = alias.vendor in ("postgresql", "mysql") and not is_local(alias.host)
        if remote and alias.name not in site.pooled:
            yield alias.name, site.get("DATABASES")[alias.name]


def _same(alias: Alias, url: Alias | None) -> bool:
    """Whether both are one database; a pooler on the same server has another port."""
    return url is not None and (alias.host, alias.database) == (url.host, url.database)


@rule(
    "E101",
    "DATABASES is not read from DATABASE_URL",
    why="Heroku changes the database's address and password (maintenance, failover, new credentials) and updates only "
    "DATABASE_URL.",
    fix=_READ_URL,
)
def not_from_database_url(site: Site) -> Iterator[str | tuple[str, str]]:
    servers = [alias for alias in site.databases if alias.vendor in ("postgresql", "mysql")]
    urls = {name: database_url.parse(value) for name, value in site.environ.items() if name.endswith("_URL")}
    own = urls.pop("DATABASE_URL", None)
    if not servers or any(_same(alias, url) for alias in servers for url in urls.values()):
        return  # another config var names it: a pooler's, a follower's, another vendor's
    if any(_same(alias, own) for alias in servers):
        if site.reads_database_url is False:
            yield "the address is DATABASE_URL's now, but does not change when DATABASE_URL does"
    elif site.on_dyno and is_local(servers[0].host):
        fix = _READ_URL if own or site.reads_database_url is False else _ADD_POSTGRES
        yield f"the database is expected on the dyno itself ({servers[0].host or 'HOST is empty'})", fix
    elif not _in_config_vars(site, servers[0].host) and (own or site.reads_database_url is False):
        yield "no alias has DATABASE_URL's address" if own else "they stay the same when DATABASE_URL is set"


def _in_config_vars(site: Site, host: str) -> bool:
    """Whether the host is in the environment in some other form: a database from elsewhere."""
    return site.on_dyno and any(host in value.lower() for value in site.environ.values())


@rule(
    "E103",
    "The database is an SQLite file on the dyno's disk",
    why="The disk is emptied at every restart, at least once a day, and each dyno has its own: what users enter is "
    "lost.",
    fix=f"Add a database ({_ADD_POSTGRES}). {_READ_URL}",
)
def sqlite(site: Site) -> Iterator[str | tuple[str, str]]:
    if not any(alias.name == "default" and alias.vendor == "sqlite" for alias in site.databases):
        return
    if site.on_dyno and "DATABASE_URL" in site.environ:
        yield "DATABASE_URL is set and not used", _READ_URL
    elif site.on_dyno and site.reads_database_url:
        yield "DATABASE_URL is not set", _ADD_POSTGRES
    elif site.on_dyno or site.reads_database_url is False:
        yield "the settings use SQLite, with DATABASE_URL or without"


@rule(
    "W106",
    "Each request opens a new database connection",
    why="A new connection to Heroku Postgres (TLS and login) takes tens of milliseconds. headwaiter counts one "
    "connection for each thread anyway, so keeping it costs nothing.",
    fix=_KEEP,
)
def no_persistent_connections(site: Site) -> Iterator[str]:
    for name, database in _remote(site):
        if database.get("CONN_MAX_AGE", 0) == 0:
            yield f"CONN_MAX_AGE of the alias {name} is 0"


@rule(
    "W107",
    "Persistent database connections are not checked before use",
    why="After maintenance or a failover of the database each thread answers one request with 500.",
    fix=_KEEP,
)
def no_health_checks(site: Site) -> Iterator[str]:
    for name, database in _remote(site):
        if database.get("CONN_MAX_AGE", 0) != 0 and not database.get("CONN_HEALTH_CHECKS"):
            yield f"CONN_HEALTH_CHECKS of the alias {name} is off"


@rule(
    "W111",
    "The database did not answer",
    why="Checks that need it were skipped, and so will pages that need it fail.",
    fix="heroku pg:info",
    dyno_only=True,
)
def unreachable(site: Site) -> Iterator[str]:
    if site.database_error:
        yield site.database_error


@rule(
    "E112",
    "Migrations are pending",
    why="The code expects tables and columns that do not exist: requests that use them fail with 500.",
    fix="heroku run python manage.py migrate",
    dyno_only=True,
)
def pending(site: Site) -> Iterator[tuple[str, str]]:
    names = site.pending_migrations
    if names and not site.environ.get("DYNO", "").startswith("release"):
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        yield f"{len(names)} in all, {shown}", f"heroku run {site.manage('migrate')}"


@rule(
    "I114",
    "Nothing runs the migrations at a deploy",
    why="After a deploy with a new migration, the new code uses the old tables until someone runs it by hand.",
    fix="Add to the Procfile:\nrelease: python manage.py migrate --noinput",
)
def nothing_migrates(site: Site) -> Iterator[tuple[str, str]]:
    if site.databases and not procfile.migrates(site.procfile, site.app_json.dokku_tasks):
        line = f"Add to the Procfile:\nrelease: {site.manage('migrate --noinput')}"
        yield "no release process, no web process and no Dokku script that migrates", line
