"""From what the servers, the plan and the config vars say to the `Limit`s that the budget keeps. No I/O.

For the database of DATABASE_URL, first that answers: HEADWAITER_DB_CONNECTIONS; the smallest of what the server says
and of the plan; the plan alone; what the host name tells; 20. Other servers answer for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from headwaiter.budget import plans
from headwaiter.budget.arithmetic import Limit
from headwaiter.budget.database import PORTS, Alias, is_web
from headwaiter.budget.server_limits import Answer, InUse, Survey
from headwaiter.redact import redact
from headwaiter.settings import Settings

MYSQL_UNKNOWN = 10
"""ClearDB's and JawsDB's smallest plans allow 10."""

HEROKU_POOL_CLIENTS = 10_000
"""Client connections of Heroku's own PgBouncer: https://devcenter.heroku.com/articles/postgres-connection-pooling."""

PGBOUNCER_CLIENTS = 100
"""heroku-buildpack-pgbouncer's default of PGBOUNCER_MAX_CLIENT_CONN."""

_POOLER_PORTS = {"5433": "Heroku's connection pooling", "6000": "the pgbouncer buildpack", "6432": "PgBouncer"}


@dataclass
class Found:
    """The limits, a row for each alias, and what people should know."""

    limits: list[Limit] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find(survey: Survey, settings: Settings, facts: Mapping[str, Any], environ: Mapping[str, str]) -> Found:
    """The limits of every server that the site's databases are on."""
    found = Found()
    declared = _declared_plan(settings, facts, found)
    url = parse_url(environ.get("DATABASE_URL", ""))
    _check_url(url, survey, environ, found)
    if not survey.django:
        if url and url.vendor:
            found.limits.append(_chosen([url], settings) or _assumed([url], settings, declared))
            found.databases.append(_row(url, None, found.limits))
        return found
    main = _main_server(survey.aliases, url)
    for server, aliases in _by_server(survey.aliases).items():
        own = [alias for alias in aliases if not _pooler(alias, survey, environ)]
        limits = _of_server(own, survey, server == main, settings, declared, found) if own else []
        for alias in aliases:
            mine = limits if alias in own else _of_pooler(alias, survey, environ, found)
            found.limits += [] if alias in own else mine
            found.databases.append(_row(alias, survey.answers.get(alias.name), mine, _pooler(alias, survey, environ)))
        found.limits += limits
    if url is None:
        # The site has read what we can't: its host, port or name may be a piece of the password.
        for row in found.databases:
            row.update({key: redact(row[key], environ) for key in ("host", "port", "database", "role")})
    return found


def parse_url(text: str) -> Alias | None:
    """What a DATABASE_URL names, or None for anything that isn't a database's URL. Never raises, quotes nothing."""
    try:
        parts = urlsplit(text.strip())
        if "@" in parts.path + parts.query + parts.fragment:
            return None  # a password with / ? or # that isn't quoted: what looks like a host or a name is a part of it
        scheme = parts.scheme.partition("+")[0].lower()
        postgres = scheme in ("postgres", "postgresql", "pgsql", "postgis", "timescale", "timescalegis", "cockroachdb")
        mysql = scheme in ("mysql", "mysql2", "mysqlgis", "mariadb")
        vendor = "postgresql" if postgres else "mysql" if mysql else ""
        port = str(parts.port or PORTS.get(vendor, ""))
        host = unquote(parts.hostname or "").lower()
        return Alias("DATABASE_URL", vendor, host, port, unquote(parts.path[1:]), unquote(parts.username or ""))
    except ValueError:
        return None


def _declared_plan(settings: Settings, facts: Mapping[str, Any], found: Found) -> plans.Plan | None:
    """The plan that HEADWAITER_DB_PLAN names, else app.json's add-on."""
    text = settings.db_plan or facts.get("database_plan")
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        return plans.find(text)
    except plans.UnknownPlanError as error:
        where = "HEADWAITER_DB_PLAN" if settings.db_plan else "app.json"
        found.warnings.append(f"{where}: {error}")
        return None


def _check_url(url: Alias | None, survey: Survey, environ: Mapping[str, str], found: Found) -> None:
    if not environ.get("DATABASE_URL", "").strip():
        return
    if url is None:
        found.warnings.append("DATABASE_URL isn't a URL that can be read; `heroku config:get DATABASE_URL` shows it.")
    elif survey.django and url.vendor and url.host and not any(_same_host(url, alias) for alias in survey.aliases):
        found.warnings.append(
            "DATABASE_URL is set, but no database in the settings is on its server: is DATABASES made from it? "
            "(dj_database_url.config() does that.)"
        )


def _same_host(url: Alias, alias: Alias) -> bool:
    """A local address may be a pooler on the dyno, in front of the server that the URL names."""
    return alias.host == url.host or alias.host in ("127.0.0.1", "localhost", "::1")


def _main_server(aliases: Sequence[Alias], url: Alias | None) -> tuple[str, str, str] | None:
    """The server that the plan and HEADWAITER_DB_CONNECTIONS speak of: DATABASE_URL's, else the default alias's."""
    named = [alias for alias in aliases if url and url.host and alias.server == url.server]
    default = [alias for alias in aliases if alias.name == "default"]
    return next((alias.server for alias in (*named, *default)), None)


def _by_server(aliases: Iterable[Alias]) -> dict[tuple[str, str, str], list[Alias]]:
    servers: dict[tuple[str, str, str], list[Alias]] = {}
    for alias in aliases:
        servers.setdefault(alias.server, []).append(alias)
    return servers


def _of_server(
    aliases: list[Alias],
    survey: Survey,
    is_main: bool,
    settings: Settings,
    declared: plans.Plan | None,
    found: Found,
) -> list[Limit]:
    """The limits of one server, for the aliases that connect to it without a pooler."""
    if aliases[0].vendor not in ("postgresql", "mysql"):
        found.warnings += [f"DATABASES[{alias.name!r}]: {alias.problem}." for alias in aliases if alias.problem]
        return []
    said = [limit for limit in _said(aliases, survey) if limit.connections < 1_000_000]
    why = next((answer for alias in aliases if isinstance(answer := survey.answers.get(alias.name), str)), None)
    if is_main and settings.db_connections:
        smallest = min(said, key=lambda limit: limit.connections, default=None)
        if smallest and smallest.connections < settings.db_connections:
            found.warnings.append(
                f"HEADWAITER_DB_CONNECTIONS is {settings.db_connections}, but the server allows "
                f"{smallest.connections} ({smallest.source}): heroku config:unset HEADWAITER_DB_CONNECTIONS"
            )
        others = max((limit.others for limit in said), default=0)
        return [chosen for chosen in [_chosen(aliases, settings, others)] if chosen]
    if why:
        found.warnings.append(f"The server of DATABASES[{aliases[0].name!r}] doesn't say its limit: {why}.")
    if not said:
        return [_assumed(aliases, settings, declared if is_main else None)]
    if is_main and declared:
        others = min((limit.others for limit in said), default=0)
        said.append(_limit(aliases, declared.connections, _of_plan(declared, settings), others))
        _compare(declared, said, settings, found)
    return said


def _of_plan(plan: plans.Plan, settings: Settings) -> str:
    return f"the plan {plan.name}, from {'HEADWAITER_DB_PLAN' if settings.db_plan else 'app.json'}"


def _compare(plan: plans.Plan, said: list[Limit], settings: Settings, found: Found) -> None:
    """Say so when app.json's plan is what holds the budget down: the database may have been upgraded since."""
    server = min(limit.connections for limit in said[:-1])
    if not settings.db_plan and plan.connections * 2 <= server:
        found.warnings.append(
            f"app.json says {plan.name} ({plan.connections} connections), but the server allows {server}. If you have "
            f"a larger plan now: heroku config:set HEADWAITER_DB_CONNECTIONS={server}"
        )


def _chosen(aliases: Sequence[Alias], settings: Settings, others: int = 0) -> Limit | None:
    """The limit that a person set."""
    if not settings.db_connections:
        return None
    return _limit(aliases, settings.db_connections, "HEADWAITER_DB_CONNECTIONS", others)


def _assumed(aliases: Sequence[Alias], settings: Settings, plan: plans.Plan | None) -> Limit:
    """The limit of a server that didn't say: the plan's, what the host's name tells, or the smallest there is."""
    if plan:
        return _limit(aliases, plan.connections, _of_plan(plan, settings))
    if aliases[0].vendor == "mysql":
        return _limit(aliases, MYSQL_UNKNOWN, "unknown, so the smallest plan of ClearDB and JawsDB")
    floor = plans.floor_for_host(aliases[0].host)
    if floor:
        return _limit(aliases, floor.connections, f"unknown, but such hosts are at least {floor.name}")
    return _limit(aliases, plans.UNKNOWN, "unknown, so the smallest Heroku Postgres plan")


def _limit(aliases: Sequence[Alias], connections: int, source: str, others: int = 0) -> Limit:
    return Limit(
        name=aliases[0].host or "local",
        connections=max(0, connections),
        source=source,
        aliases=tuple(alias.name for alias in aliases),
        per_thread=sum(alias.pool_size is None for alias in aliases),
        per_process=sum(alias.pool_size or 0 for alias in aliases),
        others=others,
    )


def _said(aliases: list[Alias], survey: Survey) -> list[Limit]:
    """Each role's, each database's and the server's own limit, over the aliases that count against it."""
    answers = {alias.name: answer for alias in aliases if isinstance(answer := survey.answers.get(alias.name), Answer)}
    limits = []
    for number, kind, key in (
        ("role_limit", "the limit of the role", "user"),
        ("database_limit", "the limit of the database", "database"),
    ):
        for value in dict.fromkeys(getattr(alias, key) for alias in aliases):
            sharing = [alias for alias in aliases if getattr(alias, key) == value]
            answer = next((answers[alias.name] for alias in sharing if alias.name in answers), None)
            if answer and getattr(answer, number) is not None:
                seen = [each for each in answer.in_use if each.same_role or key != "user"]
                seen = [each for each in seen if each.same_database or key != "database"]
                limits.append(_limit(sharing, getattr(answer, number), kind, _others(seen, sharing)))
    for answer in list(answers.values())[:1]:
        if answer.server_limit:
            free = answer.server_limit - answer.reserved
            source = "max_connections of the server" + (f", less {answer.reserved} reserved" if answer.reserved else "")
            limits.append(_limit(aliases, free, source, _others(answer.in_use, aliases)))
    return limits


def _others(in_use: Iterable[InUse], aliases: list[Alias]) -> int:
    """Connections of clients that aren't web dynos. MySQL has no names: there, none can be told apart."""
    if aliases[0].vendor == "mysql":
        return 0
    own = {alias.application_name for alias in aliases if alias.application_name}
    return sum(each.count for each in in_use if not is_web(each.application_name) and each.application_name not in own)


def _pooler(alias: Alias, survey: Survey, environ: Mapping[str, str]) -> str | None:
    """What stands between the site and its server, when it is known to be a transaction pooler."""
    if alias.vendor != "postgresql":
        return None
    url = parse_url(environ.get("DATABASE_CONNECTION_POOL_URL", ""))
    if url and url.host and alias.server == url.server:
        return _POOLER_PORTS["5433"]
    answer = survey.answers.get(alias.name)
    local = alias.host in ("127.0.0.1", "localhost", "::1")
    if local and alias.port == "6000" and "DATABASE_URL_PGBOUNCER" in environ:
        return _POOLER_PORTS["6000"]
    if alias.port == "5433" and plans.floor_for_host(alias.host):
        return _POOLER_PORTS["5433"]
    if isinstance(answer, Answer):
        return _POOLER_PORTS.get(alias.port, "a pooler") if answer.pooled else None
    return _POOLER_PORTS["6432"] if alias.port == "6432" else None


def _of_pooler(alias: Alias, survey: Survey, environ: Mapping[str, str], found: Found) -> list[Limit]:
    """What a pooler allows its clients; the server's own limit is the pooler's business."""
    pooler = _pooler(alias, survey, environ)
    if alias.server_side_cursors:
        found.warnings.append(
            f"DATABASES[{alias.name!r}] goes through {pooler}, and DISABLE_SERVER_SIDE_CURSORS isn't set: .iterator() "
            'will fail in transaction mode. Set DATABASES["' + alias.name + '"]["DISABLE_SERVER_SIDE_CURSORS"] = True'
        )
    if pooler == _POOLER_PORTS["6000"]:
        text = environ.get("PGBOUNCER_MAX_CLIENT_CONN", "")
        clients = int(text) if text.isdecimal() and len(text) < 7 else PGBOUNCER_CLIENTS
        limit = _limit([alias], clients, "PGBOUNCER_MAX_CLIENT_CONN of the pgbouncer buildpack, on each dyno")
        return [limit._replace(per_dyno=True)]
    if pooler == _POOLER_PORTS["5433"]:
        return [_limit([alias], HEROKU_POOL_CLIENTS, "the clients of Heroku's connection pooling")]
    return []


def _row(alias: Alias, answer: Answer | str | None, limits: list[Limit], pooler: str | None = None) -> dict[str, Any]:
    """One database as the table and --json show it; no password, no URL."""
    mine = [limit for limit in limits if alias.name in limit.aliases]
    tightest = min(mine, key=lambda limit: limit.connections, default=None)
    known = answer if isinstance(answer, Answer) else None
    in_use: dict[str, int] = {}
    for each in known.in_use if known else ():
        if each.same_role or each.same_database:
            in_use[each.application_name] = in_use.get(each.application_name, 0) + each.count
    return {
        "alias": alias.name,
        "vendor": alias.vendor,
        "host": alias.host,
        "port": alias.port,
        "database": alias.database,
        "role": (known.role if known else "") or alias.user,
        "version": known.version if known else None,
        "limit": tightest.connections if tightest else None,
        "limit_source": tightest.source if tightest else _why_none(alias, pooler),
        "also": [{"limit": limit.connections, "source": limit.source} for limit in mine if limit is not tightest],
        "pooler": pooler,
        "pool_size": alias.pool_size,
        "answer": "" if known else (answer or ""),
        "in_use": dict(sorted(in_use.items())),
    }


def _why_none(alias: Alias, pooler: str | None) -> str:
    if pooler:
        return f"behind {pooler}, which shares the server's connections out"
    if alias.vendor in ("sqlite", "none"):
        return "SQLite has no connection limit" if alias.vendor == "sqlite" else "DATABASES is empty"
    return "no limit known" if not alias.problem else alias.problem
