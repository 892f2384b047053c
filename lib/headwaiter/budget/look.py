"""Asks the database servers from a pool thread, on that thread's own Django connections, which the budget counts.

A connection of its own would be refused when the role is full, which is when the answer matters. What the site set up
stays: no transaction is left open, Django's wrapper and whatever wraps the driver's cursors see no query. A server that
is slow or gone holds the thread for SECONDS at most.

The connection stays open, also with CONN_MAX_AGE = 0: it is how the other dynos see that this one runs. Django closes
it when the thread's next request begins, as it would any that is older than CONN_MAX_AGE.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from headwaiter.budget import database, server_limits
from headwaiter.budget.server_limits import Answer

SECONDS = 1.0
STATEMENT_MS = 700
"""The server itself ends a query that takes longer; what is left to SECONDS is for the network."""

_IDLE = 0  # PQTRANS_IDLE: https://www.postgresql.org/docs/current/libpq-status.html


def ask(aliases: Sequence[str]) -> dict[str, Answer]:
    """Return what the server of each alias said; those that said nothing are left out. Never raises."""
    from django.db import connections

    deadline = time.monotonic() + SECONDS
    found = {}
    for alias in aliases:
        with suppress(Exception):
            found[alias] = _ask(connections[alias], deadline)
    return found


def to_json(answers: Mapping[str, Answer]) -> str:
    """Return `answers` as one word, without a space."""
    text = json.dumps({alias: asdict(answer) for alias, answer in answers.items()}, separators=(",", ":"))
    return text.replace(" ", "\\u0020")


def from_json(text: str) -> dict[str, Answer]:
    """Return what to_json() was given."""
    return {alias: server_limits.answer_from(fields) for alias, fields in json.loads(text).items()}


def _ask(wrapper: Any, deadline: float) -> Answer:
    if (wrapper.settings_dict.get("OPTIONS") or {}).get("pool"):
        wrapper.pool.open()  # as Django does with its first connection; an open one stays as it is
        with wrapper.pool.connection(timeout=_left(deadline)) as connection, _bounded(connection, deadline):
            return _answer(connection)
    if wrapper.connection is None:
        _open(wrapper, deadline)
    try:
        with _bounded(wrapper.connection, deadline):
            return _answer(wrapper.connection)
    except Exception:
        if wrapper.connection is not None and wrapper.connection.closed:
            wrapper.close()
        raise


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _answer(connection: Any) -> Answer:
    """Ask below whatever wraps the driver's cursors. Raises when the site has left a transaction open."""
    if connection.info.transaction_status != _IDLE:
        raise RuntimeError("a transaction is open")
    cursor = _plain_cursor(connection)
    try:
        return server_limits.read_answer(connection, cursor, before=f"SET LOCAL statement_timeout = {STATEMENT_MS};")
    finally:
        cursor.close()
        if not connection.autocommit:
            connection.rollback()


def _plain_cursor(connection: Any) -> Any:
    """A cursor of the driver's own class: agents give connections another one, or wrap the connection itself."""
    connection = getattr(connection, "__wrapped__", connection)
    module = type(connection).__module__.partition(".")[0]
    if module == "psycopg2":
        from psycopg2.extensions import cursor

        return cursor(connection)
    if module == "psycopg":
        from psycopg import ClientCursor
        from psycopg.rows import tuple_row

        return ClientCursor(connection, row_factory=tuple_row)
    return connection.cursor()


@contextmanager
def _bounded(connection: Any, deadline: float) -> Iterator[None]:
    """Cut the connection at `deadline` when the server hasn't answered: then the driver stops waiting for it."""

    def cut() -> None:
        with suppress(OSError), socket.socket(fileno=socket.dup(fd)) as line:
            line.shutdown(socket.SHUT_RDWR)

    fd = connection.fileno()
    timer = threading.Timer(_left(deadline), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a cut that has begun ends before the descriptor can belong to another connection


def _open(wrapper: Any, deadline: float) -> None:
    """Open the thread's connection, as Django would, but wait neither for a slot nor for a server that is gone."""
    connection = _connect(wrapper.alias, _left(deadline))
    wrapper.get_new_connection = lambda _: connection
    try:
        with _bounded(connection, deadline):
            wrapper.ensure_connection()
    except Exception:
        connection.close()
        raise
    finally:
        del wrapper.get_new_connection


def _connect(alias: str, seconds: float) -> Any:
    """Return a new driver connection; one that takes longer than `seconds` is closed as soon as it comes."""
    outcome: Future[Any] = Future()

    def connect() -> None:
        try:
            connection = database.connect(alias, seconds)
        except Exception as error:
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
            return
        if outcome.set_running_or_notify_cancel():
            outcome.set_result(connection)
        else:
            connection.close()

    threading.Thread(target=connect, name="headwaiter-connect", daemon=True).start()
    try:
        return outcome.result(seconds)
    except FutureTimeoutError:
        if outcome.cancel():
            raise
        return outcome.result()
