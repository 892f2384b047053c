"""From what the servers, the plan and the config vars say to the `Limit`s that the budget keeps. No I/O.

For the database of DATABASE_URL, first that answers: HEADWAITER_DB_CONNECTIONS; the smallest of what the server says
and of the plan; the plan alone; what the host name tells; 20. Other servers answer for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwaiter.budget import database_url, plans
from headwaiter.budget.arithmetic import Limit
from headwaiter.budget.database import Alias
from headwaiter.budget.holders import is_web
from headwaiter.budget.server_limits import Answer, InUse, Survey
from headwaiter.redact import redact
from headwaiter.settings import Settings

MYSQL_UNKNOWN = 10
"""ClearDB's and JawsDB's smallest plans allow 10."""

HEROKU_POOL_CLIENTS = 10_000
"""Client connections of Heroku's own PgBouncer: https://devcenter.heroku.com/articles/postgres-connection-pooling."""

PGBOUNCER_CLIENTS = 100
"""heroku-buildpack-pgbouncer's default of PGBOUNCER_MAX_CLIENT_CONN."""

_CHOSEN = "HEADWAITER_DB_CONNECTIONS"
_POOLER_PORTS = {"5433": "Heroku's connection pooling", "6000": "the pgbouncer buildpack", "6432": "PgBouncer"}


@dataclass(frozen=True)
class Found:
    """Of one server or of all: its limits, a row for each alias, and what people should know."""

    limits: tuple[Limit, ...] = ()
    databases: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Known:
    """What the limits are made from."""

    survey: Survey
    settings: Settings
    environ: Mapping[str, str]
    url: Alias | None
    """DATABASE_URL, as far as it can be read."""
    plan: plans.Plan | None
    """Declared by HEADWAITER_DB_PLAN or app.json."""


def find(survey: Survey, settings: Settings, facts: Mapping[str, Any], environ: Mapping[str, str]) -> Found:
    """Return the limits of every server that the site's databases are on."""
    plan, complaint = _declared_plan(settings, facts)
    known = _Known(survey, settings, environ, database_url.parse(environ.get("DATABASE_URL", "")), plan)
    if not survey.django:
        servers = [_without_django(known)]
    else:
        names = dict.fromkeys(alias.server for alias in survey.aliases)
        servers = [_of_server([alias for alias in survey.aliases if alias.server == name], known) for name in names]
    return Found(
        limits=tuple(limit for server in servers for limit in server.limits),
        databases=tuple(_shown(row, known) for server in servers for row in server.databases),
        warnings=(*complaint, *_about_url(known), *(warning for server in servers for warning in server.warnings)),
    )


def _shown(row: Mapping[str, Any], known: _Known) -> Mapping[str, Any]:
    """Return the row without what may be a piece of a password: the site has read a DATABASE_URL that we can't."""
    if known.url is not None:
        return row
    return {**row, **{key: redact(row[key], known.environ) for key in ("host", "port", "database", "role")}}


def _declared_plan(settings: Settings, facts: Mapping[str, Any]) -> tuple[plans.Plan | None, tuple[str, ...]]:
    """Return the plan that HEADWAITER_DB_PLAN names, else app.json's add-on, and what is wrong with its name."""
    text = settings.db_plan or facts.get("database_plan")
    if not isinstance(text, str) or not text.strip():
        return None, ()
    try:
        return plans.find(text), ()
    except plans.UnknownPlanError as error:
        return None, (f"{'HEADWAITER_DB_PLAN' if settings.db_plan else 'app.json'}: {error}",)


def _about_url(known: _Known) -> Iterator[str]:
    url, survey = known.url, known.survey
    if not known.environ.get("DATABASE_URL", "").strip():
        return
    if url is None:
        yield "DATABASE_URL isn't a URL that can be read; `heroku config:get DATABASE_URL` shows it."
    elif survey.django and url.vendor and url.host and not any(_same_host(url, alias) for alias in survey.aliases):
        yield (
            "DATABASE_URL is set, but no database in the settings is on its server: is DATABASES made from it? "
            "(dj_database_url.config() does that.)"
        )


def _same_host(url: Alias, alias: Alias) -> bool:
    """A local address may be a pooler on the dyno, in front of the server that the URL names."""
    return alias.host == url.host or alias.host in ("127.0.0.1", "localhost", "::1")


def _main_server(known: _Known) -> tuple[str, str, str] | None:
    """The server that the plan and HEADWAITER_DB_CONNECTIONS speak of: DATABASE_URL's, else the default alias's."""
    aliases, url = known.survey.aliases, known.url
    named = [alias for alias in aliases if url and url.host and alias.server == url.server]
    default = [alias for alias in aliases if alias.name == "default"]
    return next((alias.server for alias in (*named, *default)), None)


def _without_django(known: _Known) -> Found:
    """One connection to DATABASE_URL in each thread is assumed."""
    if not known.url or not known.url.vendor:
        return Found()
    chosen = known.settings.db_connections
    limit = _limit([known.url], chosen, _CHOSEN) if chosen else _assumed([known.url], known, is_main=True)
    return Found((limit,), (_row(known.url, None, (limit,)),))


def _of_server(aliases: list[Alias], known: _Known) -> Found:
    """The limits of one server, direct and behind poolers."""
    poolers = {alias.name: name for alias in aliases if (name := pooler(alias, known.survey, known.environ))}
    direct = [alias for alias in aliases if alias.name not in poolers]
    found = _direct(direct, known) if direct else Found()
    limits, rows, warnings = found.limits, [], found.warnings
    for alias in aliases:
        behind = poolers.get(alias.name)
        mine = _of_pooler(alias, behind, known.environ) if behind else found.limits
        limits += mine if behind else ()
        warnings += tuple(_about_pooler(alias, behind)) if behind else ()
        rows.append(_row(alias, known.survey.answers.get(alias.name), mine, behind))
    return Found(limits, tuple(rows), warnings)


def _direct(aliases: list[Alias], known: _Known) -> Found:
    """The limits of one server, for the aliases that connect to it without a pooler; no rows."""
    settings, is_main = known.settings, aliases[0].server == _main_server(known)
    if aliases[0].vendor not in ("postgresql", "mysql"):
        broken = [f"DATABASES[{alias.name!r}]: {alias.problem}." for alias in aliases if alias.problem]
        return Found(warnings=tuple(broken))
    said = tuple(limit for limit in _said(aliases, known.survey) if limit.connections < 1_000_000)
    if is_main and settings.db_connections:
        limit = _limit(aliases, settings.db_connections, _CHOSEN, max((each.others for each in said), default=0))
        return Found((limit,), warnings=tuple(_about_chosen(settings.db_connections, said)))
    answers = [known.survey.answers.get(alias.name) for alias in aliases]
    silent = next((answer for answer in answers if isinstance(answer, str)), None)
    why = (f"The server of DATABASES[{aliases[0].name!r}] doesn't say its limit: {silent}.",) if silent else ()
    if not said:
        return Found((_assumed(aliases, known, is_main=is_main),), warnings=why)
    if is_main and known.plan:
        others = min(each.others for each in said)
        declared = _limit(aliases, known.plan.connections, _of_plan(known.plan, settings), others)
        return Found((*said, declared), warnings=(*why, *_about_plan(known.plan, said, settings)))
    return Found(said, warnings=why)


def _about_chosen(chosen: int, said: Sequence[Limit]) -> Iterator[str]:
    smallest = min(said, key=lambda limit: limit.connections, default=None)
    if smallest and smallest.connections < chosen:
        yield (
            f"{_CHOSEN} is {chosen}, but the server allows {smallest.connections} ({smallest.source}): "
            f"heroku config:unset {_CHOSEN}"
        )


def _of_plan(plan: plans.Plan, settings: Settings) -> str:
    return f"the plan {plan.name}, from {'HEADWAITER_DB_PLAN' if settings.db_plan else 'app.json'}"


def _about_plan(plan: plans.Plan, said: Sequence[Limit], settings: Settings) -> Iterator[str]:
    """Say so when app.json's plan is what holds the budget down: the database may have been upgraded since."""
    server = min(limit.connections for limit in said)
    if not settings.db_plan and plan.connections * 2 <= server:
        yield (
            f"app.json says {plan.name} ({plan.connections} connections), but the server allows {server}. If you have "
            f"a larger plan now: heroku config:set {_CHOSEN}={server}"
        )


def _assumed(aliases: Sequence[Alias], known: _Known, *, is_main: bool) -> Limit:
    """The limit of a server that didn't say: the plan's, what the host's name tells, or the smallest there is."""
    if is_main and known.plan:
        return _limit(aliases, known.plan.connections, _of_plan(known.plan, known.settings))
    if aliases[0].vendor == "mysql":
        return _limit(aliases, MYSQL_UNKNOWN, "unknown, so the smallest plan of ClearDB and JawsDB")
    floor = plans.floor_for_host(aliases[0].host)
    if floor:
        return _limit(aliases, floor.connections, f"unknown, but such hosts are at least {floor.name}")
    return _limit(aliases, plans.UNKNOWN, "unknown, so the smallest Heroku Postgres plan")


def _limit(aliases: Sequence[Alias], connections: int, source: str, others: int = 0) -> Limit:
    return Limit(
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


def pooler(alias: Alias, survey: Survey, environ: Mapping[str, str]) -> str | None:
    """Return what stands between the site and its server, when it is known to be a transaction pooler."""
    if alias.vendor != "postgresql":
        return None
    url = database_url.parse(environ.get("DATABASE_CONNECTION_POOL_URL", ""))
    if url and url.host and alias.server == url.server:
        return _POOLER_PORTS["5433"]
    local = alias.host in ("127.0.0.1", "localhost", "::1")
    if local and alias.port == "6000" and "DATABASE_URL_PGBOUNCER" in environ:
        return _POOLER_PORTS["6000"]
    if alias.port == "5433" and plans.floor_for_host(alias.host):
        return _POOLER_PORTS["5433"]
    answer = survey.answers.get(alias.name)
    if isinstance(answer, Answer):
        return _POOLER_PORTS.get(alias.port, "a pooler") if answer.pooled else None
    return _POOLER_PORTS["6432"] if alias.port == "6432" else None


def _of_pooler(alias: Alias, pooler: str, environ: Mapping[str, str]) -> tuple[Limit, ...]:
    """What a pooler allows its clients; the server's own limit is the pooler's business."""
    if pooler == _POOLER_PORTS["6000"]:
        text = environ.get("PGBOUNCER_MAX_CLIENT_CONN", "")
        clients = int(text) if text.isdecimal() and len(text) < 7 else PGBOUNCER_CLIENTS
        limit = _limit([alias], clients, "PGBOUNCER_MAX_CLIENT_CONN of the pgbouncer buildpack, on each dyno")
        return (limit._replace(per_dyno=True),)
    if pooler == _POOLER_PORTS["5433"]:
        return (_limit([alias], HEROKU_POOL_CLIENTS, "the clients of Heroku's connection pooling"),)
    return ()


def _about_pooler(alias: Alias, pooler: str) -> Iterator[str]:
    if alias.server_side_cursors:
        yield (
            f"DATABASES[{alias.name!r}] goes through {pooler}, and DISABLE_SERVER_SIDE_CURSORS isn't set: .iterator() "
            'will fail in transaction mode. Set DATABASES["' + alias.name + '"]["DISABLE_SERVER_SIDE_CURSORS"] = True'
        )


def _row(
    alias: Alias, answer: Answer | str | None, limits: Sequence[Limit], pooler: str | None = None
) -> dict[str, Any]:
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
