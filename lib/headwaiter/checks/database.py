"""Databases and migrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .registry import Seen, rule
from .site import Site, endpoint, is_local, kind, url_endpoint

_READ_URL = (
    "pip install dj-database-url, add it to the requirements, and  "
    'DATABASES = {"default": dj_database_url.config(conn_max_age=600, conn_health_checks=True)}'
)
_ADD_POSTGRES = "heroku addons:create heroku-postgresql:essential-0"


def _remote(site: Site, *kinds: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The databases on another machine, of these kinds."""
    for alias, database in site.databases.items():
        if kind(database) in kinds and not is_local(endpoint(database)[0]):
            yield alias, database


def _urls(site: Site) -> dict[str, tuple[str, str, str]]:
    """The config vars that hold a database's address."""
    found = {name: url_endpoint(value) for name, value in site.environ.items() if name.endswith("_URL")}
    return {name: place for name, place in found.items() if place}


def _same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """Whether two addresses are one database; a pooler on the same server has another port."""
    return (one[0], one[2]) == (other[0], other[2])


def _pooler(site: Site, database: Mapping[str, Any]) -> str | None:
    """What says that a transaction pooler answers for this database, or None."""
    host, port, _ = place = endpoint(database)
    for name, other in _urls(site).items():
        if "CONNECTION_POOL" in name and other == place:
            return f"it is the database of {name}"
    if port == "5433" and host.endswith(".amazonaws.com"):
        return "port 5433 on Heroku is the server's own PgBouncer"
    if is_local(host) and port == "6000":
        return "port 6000 on the dyno is the pgbouncer buildpack's"
    return None


@rule(
    "E101",
    "DATABASES doesn't come from DATABASE_URL",
    why="Heroku changes the database's address and password when it likes (maintenance, failover, new credentials) and "
    "says so in DATABASE_URL alone.",
    mend=_READ_URL,
)
def not_from_database_url(site: Site) -> Iterator[Seen | str]:
    databases = site.databases
    if not databases or kind(databases.get("default", {})) == "sqlite":
        return  # E103 says what to do then
    urls = _urls(site)
    own = urls.pop("DATABASE_URL", None)
    places = [endpoint(database) for database in databases.values()]
    if any(_same(place, url) for place in places for url in urls.values()):
        return  # another config var of Heroku's names it, a pooler's or a follower's
    if own and any(_same(place, own) for place in places):
        if site.reads_database_url is False:
            yield "the address is DATABASE_URL's today, and stays the same when DATABASE_URL changes"
    elif not _on_config_vars(site) and (own or site.reads_database_url is False):
        yield "no alias has DATABASE_URL's address" if own else "DATABASES stays the same when DATABASE_URL is set"


def _on_config_vars(site: Site) -> bool:
    """Whether the default database's host is in the environment in some other form: a database from elsewhere."""
    host = endpoint(site.databases.get("default", {}))[0]
    return site.on_dyno and not is_local(host) and any(host in value.lower() for value in site.environ.values())


@rule(
    "E102",
    "The user or password of the database isn't DATABASE_URL's",
    why="Heroku renews credentials and ends the old ones: the site then can't log in.",
    mend=_READ_URL,
    dyno_only=True,
)
def stale_credentials(site: Site) -> Iterator[Seen | str]:
    from urllib.parse import unquote, urlsplit

    url, default = site.environ.get("DATABASE_URL", ""), site.databases.get("default")
    place = url_endpoint(url)
    if not default or not place or endpoint(default) != place:
        return
    parts = urlsplit(url)
    for name, in_url in (("USER", parts.username), ("PASSWORD", parts.password)):
        if unquote(in_url or "") != str(default.get(name) or ""):
            yield f"{name} of the alias default differs from DATABASE_URL's"
            return


@rule(
    "E103",
    "SQLite on a disk that is thrown away",
    why="A dyno's disk is emptied at every restart, at least once a day, and each dyno has its own: everything that "
    "users enter is lost.",
    mend=f"{_ADD_POSTGRES}; then  {_READ_URL}",
)
def sqlite(site: Site) -> Iterator[Seen | str]:
    default = site.databases.get("default")
    if not default or kind(default) != "sqlite":
        return
    if site.on_dyno or site.reads_database_url is False:
        mend = _ADD_POSTGRES if site.reads_database_url and "DATABASE_URL" not in site.environ else None
        yield Seen("the alias default is an SQLite database", mend)


@rule(
    "W104",
    "Another database is SQLite",
    why="What is written to it is lost at every restart, and each dyno has its own copy.",
    mend="keep it in Postgres, or silence this when the file is committed and only read",
)
def other_sqlite(site: Site) -> Iterator[Seen | str]:
    for alias, database in site.databases.items():
        if alias != "default" and kind(database) == "sqlite":
            yield f"the alias {alias} is an SQLite database"


@rule(
    "E105",
    "The database is looked for on the dyno itself",
    why="Nothing but the site runs on a dyno: every query fails with connection refused.",
    mend=f"{_ADD_POSTGRES}; then  {_READ_URL}",
    dyno_only=True,
)
def local_server(site: Site) -> Iterator[Seen | str]:
    for alias, database in site.databases.items():
        place = endpoint(database)
        if kind(database) == "sqlite" or not is_local(place[0]) or _pooler(site, database):
            continue
        if place not in _urls(site).values():
            yield f"HOST of the alias {alias} is {place[0] or 'empty'}"


@rule(
    "W106",
    "Each request opens a database connection of its own",
    why="A new connection to Heroku Postgres costs tens of milliseconds (TLS and login) in every request. headwaiter "
    "counts one connection a thread anyway, so keeping it costs nothing.",
    mend="CONN_MAX_AGE = 600 (dj_database_url.config(conn_max_age=600, conn_health_checks=True))",
)
def no_persistent_connections(site: Site) -> Iterator[Seen | str]:
    for alias, database in _remote(site, "postgresql", "mysql"):
        pooled = _pooler(site, database) or (database.get("OPTIONS") or {}).get("pool")
        if not pooled and database.get("CONN_MAX_AGE", 0) == 0:
            yield f"CONN_MAX_AGE of the alias {alias} is 0"


@rule(
    "W107",
    "Kept database connections aren't tried before use",
    why="After a maintenance or failover of the database each thread answers one request with a 500.",
    mend="CONN_HEALTH_CHECKS = True (dj_database_url.config(conn_max_age=600, conn_health_checks=True))",
)
def no_health_checks(site: Site) -> Iterator[Seen | str]:
    for alias, database in _remote(site, "postgresql", "mysql"):
        if database.get("CONN_MAX_AGE", 0) != 0 and not database.get("CONN_HEALTH_CHECKS"):
            yield f"CONN_MAX_AGE of the alias {alias} is {database['CONN_MAX_AGE']} and CONN_HEALTH_CHECKS is off"


def _sslmode(site: Site, database: Mapping[str, Any]) -> str:
    return str((database.get("OPTIONS") or {}).get("sslmode") or site.environ.get("PGSSLMODE") or "prefer")


@rule(
    "E108",
    "TLS to the database is switched off",
    why="Heroku Postgres takes no connection without TLS: no pg_hba.conf entry for host ..., no encryption.",
    mend='OPTIONS = {"sslmode": "require"}  (dj_database_url.config(ssl_require=True))',
)
def tls_off(site: Site) -> Iterator[Seen | str]:
    for alias, database in _remote(site, "postgresql"):
        if _sslmode(site, database) == "disable":
            yield f"sslmode of the alias {alias} is disable"


@rule(
    "I109",
    "TLS to the database isn't required",
    why="libpq tries TLS and takes less when the other side has none, so somebody between could read along. "
    "Heroku's own servers insist on it.",
    mend='OPTIONS = {"sslmode": "require"}  (dj_database_url.config(ssl_require=True))',
)
def tls_optional(site: Site) -> Iterator[Seen | str]:
    for alias, database in _remote(site, "postgresql"):
        if _sslmode(site, database) in ("allow", "prefer"):
            yield f"sslmode of the alias {alias} is {_sslmode(site, database)}"


@rule(
    "W110",
    "Server-side cursors through a transaction pooler",
    why="QuerySet.iterator() opens a cursor that the next statement, on another connection of the pool, doesn't find: "
    'cursor "..." does not exist.',
    mend='DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True',
)
def server_side_cursors(site: Site) -> Iterator[Seen | str]:
    if site.environ.get("PGBOUNCER_POOL_MODE", "transaction") == "session":
        return
    for alias, database in site.databases.items():
        pooler = _pooler(site, database) if kind(database) == "postgresql" else None
        if pooler and not database.get("DISABLE_SERVER_SIDE_CURSORS"):
            yield Seen(f"the alias {alias} goes through a pooler ({pooler})", _cursors_off(alias))


def _cursors_off(alias: str) -> str:
    return f'DATABASES["{alias}"]["DISABLE_SERVER_SIDE_CURSORS"] = True'


@rule(
    "W111",
    "The database didn't answer",
    why="What needs it was left out of this check; a site in this state answers with 500.",
    mend="heroku pg:info, and heroku logs --ps postgres",
    dyno_only=True,
)
def unreachable(site: Site) -> Iterator[Seen | str]:
    if site.database_error:
        yield site.database_error


@rule(
    "E112",
    "Migrations are pending and nothing runs them",
    why="The code expects tables and columns that aren't there: 500s. A release process runs them at every deploy, "
    "before the new dynos start.",
    mend="heroku run python manage.py migrate  now, and in the Procfile:  release: python manage.py migrate --noinput",
    dyno_only=True,
)
def pending_without_release(site: Site) -> Iterator[Seen | str]:
    if site.pending_migrations and not _release_process(site):
        yield _pending(site.pending_migrations)


@rule(
    "W113",
    "Migrations are pending",
    why="The release process hasn't run them: either it doesn't migrate, or it ran before these were merged.",
    mend="heroku run python manage.py migrate, and look at the release line in the Procfile",
    dyno_only=True,
)
def pending_with_release(site: Site) -> Iterator[Seen | str]:
    in_release_phase = site.environ.get("DYNO", "").startswith("release")
    if site.pending_migrations and _release_process(site) and not in_release_phase:
        yield _pending(site.pending_migrations)


@rule(
    "I114",
    "Nothing runs the migrations at a deploy",
    why="A deploy with a new migration serves the new code on the old tables until somebody runs it by hand.",
    mend="add to the Procfile:  release: python manage.py migrate --noinput",
)
def no_release_process(site: Site) -> Iterator[Seen | str]:
    if site.databases and not site.pending_migrations and _release_process(site) is False:
        yield "no release process in the Procfile"


def _release_process(site: Site) -> bool | None:
    """Whether the Procfile has one; None when neither the build nor a Procfile says."""
    if site.procfile is not None:
        return "release" in site.procfile
    built = site.project.get("release_process")
    return None if built is None else bool(built)


def _pending(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} pending: {shown}"
