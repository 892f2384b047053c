"""Asks each database server what it allows and who is connected: one short connection, in a process of its own.

A child process, because nothing else bounds a DNS lookup that hangs and leaves no thread, no connection and no state of
libpq or OpenSSL behind in the process that forks the workers next.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from headwaiter.budget import database
from headwaiter.budget.database import Alias
from headwaiter.budget.retry import is_refusal

TIMEOUT_SECONDS = 3.0

_LIMITS = {
    # A superuser's connections aren't counted against a role's limit.
    "postgresql": """
        SELECT (SELECT CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END FROM pg_roles WHERE rolname = session_user),
               (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
               (SELECT setting::int FROM pg_settings WHERE name = 'max_connections'),
               (SELECT coalesce(sum(setting::int), 0) FROM pg_settings
                 WHERE name IN ('superuser_reserved_connections', 'reserved_connections')
                    OR name LIKE 'rds.%reserved%connections'),
               pg_backend_pid(), current_setting('server_version'), session_user::text""",
    # Both count the account's own limit where it has one: the session's value is the one in force.
    "mysql": """
        SELECT @@session.max_user_connections, 0, @@global.max_connections, 0,
               CONNECTION_ID(), VERSION(), SUBSTRING_INDEX(USER(), '@', 1)""",
}
_IN_USE = {
    "postgresql": """
        SELECT coalesce(application_name, ''), usename = session_user, datname = current_database(), count(*)
          FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' GROUP BY 1, 2, 3""",
    # Without the PROCESS privilege an account sees its own connections only.
    "mysql": """
        SELECT '', USER = SUBSTRING_INDEX(USER(), '@', 1), COALESCE(DB = DATABASE(), 0), COUNT(*)
          FROM information_schema.PROCESSLIST
         WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler') GROUP BY 1, 2, 3""",
}


@dataclass(frozen=True)
class InUse:
    """Connections that are open now, of one application_name."""

    application_name: str
    same_role: bool
    same_database: bool
    count: int


@dataclass(frozen=True)
class Answer:
    """What a server says. None where it sets no limit; `pooled` when something stands between (PgBouncer)."""

    role_limit: int | None
    database_limit: int | None
    server_limit: int | None
    reserved: int
    pooled: bool
    version: str
    role: str
    in_use: tuple[InUse, ...] = ()


@dataclass(frozen=True)
class Survey:
    """Every alias of DATABASES, and what the server of each said: an Answer, or the reason why there is none."""

    aliases: tuple[Alias, ...] = ()
    answers: Mapping[str, Answer | str] = field(default_factory=dict)
    django: bool = True


def take(environ: Mapping[str, str]) -> Survey:
    """Ask every server at once; takes TIMEOUT_SECONDS at most, whatever happens. Never raises."""
    aliases = database.aliases(environ)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    children = {alias.name: _start(alias, deadline) for alias in accounts(aliases) if alias.vendor in _LIMITS}
    replies = {name: _understand(_read(*child, deadline)) for name, child in children.items()}
    return Survey(tuple(aliases), spread(aliases, replies), django=database.configured())


def spread(aliases: Iterable[Alias], answers: Mapping[str, Answer | str]) -> dict[str, Answer | str]:
    """Give the answer of one alias to all aliases of its account."""
    by_account = {account(alias): answers[alias.name] for alias in aliases if alias.name in answers}
    return {alias.name: by_account[account(alias)] for alias in aliases if account(alias) in by_account}


def account(alias: Alias) -> tuple[str, ...]:
    """Return what aliases that get the same answer have in common."""
    return (*alias.server, alias.database, alias.user)


def accounts(aliases: Iterable[Alias]) -> list[Alias]:
    """Return the first alias of each account."""
    found: dict[tuple[str, ...], Alias] = {}
    for alias in aliases:
        found.setdefault(account(alias), alias)
    return list(found.values())


def _start(alias: Alias, deadline: float) -> tuple[int, int]:
    """Fork a child that asks; its process id, and the pipe that its answer comes through."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, which an APM agent may have started; the child touches none of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_the_child(alias, writing, deadline)
    os.close(writing)
    return child, reading


def _be_the_child(alias: Alias, writing: int, deadline: float) -> NoReturn:
    """Ask, answer, end. Nothing of the site's own runs on the way out, and nothing is printed."""
    with suppress(BaseException):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.write(writing, json.dumps(_ask(alias, deadline)).encode())
    os._exit(0)


def _read(pid: int, reading: int, deadline: float) -> bytes:
    """All that the child wrote, until it ends or the time is up; then it is ended and waited for.

    A timer in the child wouldn't do: a driver may set its own, or fork a process that keeps the pipe open.
    """
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())) and (block := os.read(reading, 65536)):
            data += block
    os.close(reading)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return data


def _understand(reply: bytes) -> Answer | str:
    try:
        found = json.loads(reply)
    except ValueError:
        return f"no answer in {TIMEOUT_SECONDS:g} s"
    if isinstance(found, str):
        return found
    return answer_from(found)


def answer_from(fields: Mapping[str, Any]) -> Answer:
    """Return the Answer that asdict() has made `fields` of."""
    return Answer(**{**fields, "in_use": tuple(InUse(**each) for each in fields["in_use"])})


def _ask(alias: Alias, deadline: float) -> dict[str, Any] | str:
    """The answer as JSON takes it, or the reason why there is none; while the server is full, ask again."""
    while True:
        try:
            return asdict(_answer(alias))
        except Exception as error:
            if not is_refusal(error) or time.monotonic() + 0.6 > deadline:
                return reason(error)
        time.sleep(0.2)


def _answer(alias: Alias) -> Answer:
    connection = database.connect(alias.name, TIMEOUT_SECONDS)
    try:
        return read_answer(connection, connection.cursor(), alias.vendor)
    finally:
        connection.close()


def read_answer(connection: Any, cursor: Any, vendor: str = "postgresql", before: str = "") -> Answer:
    """Ask on an open driver connection; `before` is a statement that goes before each query. Raises what it raises."""
    role_limit, database_limit, server_limit, reserved, pid, version, role = _rows(cursor, before + _LIMITS[vendor])[0]
    rows = _rows(cursor, before + _IN_USE[vendor])
    return Answer(
        role_limit=_limit(role_limit, vendor),
        database_limit=_limit(database_limit, vendor),
        server_limit=int(server_limit) if server_limit else None,
        reserved=int(reserved or 0),
        pooled=_is_pooled(connection, int(pid), vendor),
        version=str(version).split(" ")[0].split("-")[0],
        role=str(role),
        in_use=tuple(InUse(str(name), bool(mine), bool(here), int(number)) for name, mine, here, number in rows),
    )


def _rows(cursor: Any, statements: str) -> list[Any]:
    """Return the rows of the last statement: psycopg 3 stands at the first result, psycopg2 at the last."""
    cursor.execute(statements)
    while cursor.description is None and cursor.nextset():
        pass
    return list(cursor.fetchall())


def _limit(value: object, vendor: str) -> int | None:
    """PostgreSQL says -1 for none, and may say 0: no connection at all. MySQL says 0 for none."""
    number = -1 if value is None else int(str(value))
    return number if number > 0 or (number == 0 and vendor == "postgresql") else None


def _is_pooled(connection: Any, backend_pid: int, vendor: str) -> bool:
    """A pooler invents the process id that it tells the client; PostgreSQL itself tells its own."""
    told = getattr(getattr(connection, "info", None), "backend_pid", 0)
    return vendor == "postgresql" and bool(told) and told != backend_pid


# A pattern of the message -> what to say. The message itself is never shown: it may hold whatever is in DATABASE_URL.
_REASONS = {
    r"password authentication failed|role \".*\" does not exist|Access denied": "it refused the user or password",
    r"no encryption|\bSSL\b|\bssl\b": 'the encryption failed; most servers want OPTIONS["sslmode"] = "require"',
    r"database \".*\" does not exist|Unknown database": "it has no database of that name",
    r"translate host name|Name or service not known|failed to resolve|nodename nor servname|getaddrinfo"
    r"|Unknown .*server host": "the host name isn't known",
    r"Connection refused": "nothing listens there",
    r"timeout|timed out": "no answer in time",
}


def reason(error: BaseException) -> str:
    """Why there is no answer, in words that quote nothing."""
    if is_refusal(error):
        return "it has no connection left"
    text = str(error)
    unknown = f"asking failed ({type(error).__name__})"
    return next((said for pattern, said in _REASONS.items() if re.search(pattern, text)), unknown)
