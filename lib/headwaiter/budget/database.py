"""The only file that imports Django: which databases the site uses, a plain connection to each, retry, closing.

Nothing here needs Django to be installed: for any other WSGI application every function is a quiet no-op.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from headwaiter.budget import holders

if TYPE_CHECKING:
    from headwaiter.budget.arithmetic import Budget
    from headwaiter.budget.holders import Advisor
    from headwaiter.budget.retry import RefusalRetry
    from headwaiter.settings import Settings

POOL_MIN_SIZE = 4
"""psycopg_pool's default; a pool without max_size keeps this size: https://www.psycopg.org/psycopg3/docs/api/pool.html."""

PORTS = {"postgresql": "5432", "mysql": "3306"}


class Alias(NamedTuple):
    """One entry of DATABASES, without its password. `vendor` is Django's word: postgresql, mysql, sqlite, oracle."""

    name: str
    vendor: str
    host: str = ""
    port: str = ""
    database: str = ""
    user: str = ""
    pool_size: int | None = None
    """The most that Django's own psycopg pool opens in one process; None without a pool."""
    application_name: str | None = None
    server_side_cursors: bool = True
    problem: str | None = None
    """Why the settings of this alias can't be used."""

    @property
    def server(self) -> tuple[str, str, str]:
        """Aliases with the same server share what it allows."""
        return (self.vendor, self.host, self.port)


def configured() -> bool:
    """Whether this process has a Django whose settings are there to be read."""
    if "django.conf" not in sys.modules:
        return False
    from django.conf import settings

    return bool(settings.configured)


def aliases(environ: Mapping[str, str]) -> list[Alias]:
    """Every entry of DATABASES; one that can't be used has a `problem`. Opens nothing, raises nothing."""
    if not configured():
        return []
    from django.db import connections

    try:
        names = list(connections)
    except Exception as error:
        return [Alias("default", "unknown", problem=f"DATABASES can't be read ({type(error).__name__})")]
    return [_alias(name, environ) for name in names]


def may_be_limited(environ: Mapping[str, str]) -> bool:
    """Whether there may be a database with a connection limit: a server, or settings with a mistake to tell."""
    if environ.get("DATABASE_URL", "").strip():
        return True
    return any(alias.vendor not in ("sqlite", "none") for alias in aliases(environ))


def _alias(name: str, environ: Mapping[str, str]) -> Alias:
    from django.db import connections

    try:
        wrapper = connections[name]
        given = wrapper.settings_dict
        if given.get("ENGINE") == "django.db.backends.dummy":  # what an empty DATABASES means
            return Alias(name, "none")
        options = dict(given.get("OPTIONS") or {})
        pool = options.get("pool")
        postgres = wrapper.vendor == "postgresql"
        host = given.get("HOST") or options.get("host") or (environ.get("PGHOST") if postgres else "") or ""
        port = given.get("PORT") or options.get("port") or (environ.get("PGPORT") if postgres else "")
        return Alias(
            name=name,
            vendor=wrapper.vendor,
            host=str(host).lower(),
            port=str(port or PORTS.get(wrapper.vendor, "")),
            database=str(given.get("NAME") or options.get("dbname") or options.get("service") or ""),
            user=str(given.get("USER") or options.get("user") or ""),
            pool_size=_pool_size(pool) if pool else None,
            application_name=options.get("application_name"),
            server_side_cursors=not given.get("DISABLE_SERVER_SIDE_CURSORS"),
        )
    except Exception as error:
        # Never the error's text: drivers and dj-database-url quote what they were given.
        return Alias(name, "unknown", problem=f"its settings can't be used ({type(error).__name__})")


def _pool_size(pool: object) -> int:
    """The most connections that OPTIONS["pool"] may open in one process."""
    sizes = pool if isinstance(pool, Mapping) else {}
    return max(1, int(sizes.get("max_size") or sizes.get("min_size", POOL_MIN_SIZE)))


def connect(alias: str, timeout_seconds: float) -> Any:
    """A plain driver connection with the site's own settings for `alias`, but no pool, no retry and a time limit.

    Raises what the driver raises.
    """
    from django.db import connections

    wrapper = connections[alias]
    options = {key: value for key, value in (wrapper.settings_dict.get("OPTIONS") or {}).items() if key != "pool"}
    if wrapper.vendor in PORTS:
        options["connect_timeout"] = max(2, math.ceil(timeout_seconds))  # libpq takes less than 2 for 2
    plain = type(wrapper)({**wrapper.settings_dict, "OPTIONS": options}, alias=alias)
    method = type(plain).get_new_connection
    while _is_ours(method):
        method = method.__wrapped__
    return method(plain, plain.get_connection_params())


def _opened() -> list[Any]:
    """Return the calling thread's connections, as far as it has used them; none before Django is set up."""
    if "django.db" not in sys.modules or not configured():
        return []
    import django
    from django.db import connections

    # Before 4.1 there was only all(); it makes wrappers for the unused ones too, but connects none.
    found = connections.all(initialized_only=True) if django.VERSION >= (4, 1) else connections.all()
    return list(found)


def close_all() -> None:
    """Close the calling thread's connections."""
    for connection in _opened():
        with suppress(Exception):  # a connection that can't be closed must not keep the others open
            connection.close()


def prepare_fork() -> None:
    """Close what must not be shared with workers: this thread's connections, and pools with their threads."""
    close_all()
    for connection in _opened():
        with suppress(Exception):
            if getattr(connection, "_connection_pools", {}).get(connection.alias):
                connection.close_pool()


def name_connections(environ: MutableMapping[str, str] = os.environ) -> None:
    """Let every PostgreSQL connection carry the dyno's name, as `heroku pg:ps` shows it, unless the site names its own.

    libpq reads PGAPPNAME: https://www.postgresql.org/docs/current/libpq-envars.html.
    """
    if environ.get("DYNO"):
        environ.setdefault("PGAPPNAME", environ["DYNO"])


def install(settings: Settings, budget: Budget) -> None:
    """Let a refused connect try again for settings.db_wait seconds, and name connections. Call before the fork."""
    name_connections()
    if settings.db_wait <= 0 or not any(alias.vendor in PORTS for alias in aliases(os.environ)):
        return
    from django.db import connections

    from headwaiter.budget.retry import RefusalRetry

    name = os.environ.get("PGAPPNAME", "")
    follows = settings.live_budget and not (settings.web_dynos or settings.db_reserve)
    advisor = holders.Advisor(budget, name, follows=follows)
    retry = RefusalRetry(settings.db_wait, advisor.advice, lambda: _on_refusal())
    seen = partial(_show_holders, advisor) if holders.is_web(name) else _nothing
    for alias in connections:
        with suppress(Exception):  # an alias that can't be used is the site's own business, when it uses it
            _wrap(type(connections[alias]), retry, seen)


def _nothing(*_: object) -> None:
    pass


_on_refusal: Callable[[], None] = _nothing


def on_refusal(act: Callable[[], None]) -> None:
    """Have `act` called, in this process, when a connect is refused for want of a slot and waits for one."""
    global _on_refusal
    _on_refusal = act


def _wrap(backend: type, retry: RefusalRetry, seen: Callable[[Any, Any], None]) -> None:
    """Wrap get_new_connection where it is defined: the one call of Django's that opens a connection (4.2 to 6.x)."""
    owner = next(each for each in backend.__mro__ if "get_new_connection" in vars(each))
    method = vars(owner)["get_new_connection"]
    if backend.vendor in PORTS and not _is_ours(method):  # type: ignore[attr-defined]
        from headwaiter.budget.retry import retrying

        owner.get_new_connection = retrying(method, retry, seen)  # type: ignore[attr-defined]


def _is_ours(method: Callable[..., Any]) -> bool:
    return getattr(method, "__module__", "") == "headwaiter.budget.retry"


HOLDERS = (
    "SELECT coalesce(application_name, ''), count(*) FROM pg_stat_activity"
    " WHERE usename = session_user AND pid <> pg_backend_pid() GROUP BY 1"
)


def _show_holders(advisor: Advisor, backend: Any, connection: Any) -> None:
    """Ask on a connection that was waited for, before Django gets it, and leave it as it was. Never raises.

    Only PostgreSQL names its clients.
    """
    options = backend.settings_dict.get("OPTIONS") or {}
    if backend.vendor != "postgresql" or options.keys() & {"pool", "application_name"}:
        return
    with suppress(Exception):
        with connection.cursor() as cursor:
            cursor.execute(HOLDERS)
            advisor.see({str(name): int(number) for name, number in cursor.fetchall()})
        connection.rollback()
