from __future__ import annotations

import threading

import pytest
from headwaiter import log
from headwaiter.budget import retry


class RefusedError(Exception):
    """What a driver raises when the server is full."""


class Server:
    """Refuses `refusals` times, then connects; time passes only in `sleep`."""

    def __init__(self, refusals: int, text: str = 'FATAL:  too many connections for role "shop"') -> None:
        self.refusals, self.text = refusals, text
        self.now, self.pauses, self.tries = 100.0, [], 0
        self.pauses: list[float] = []

    def connect(self) -> str:
        self.tries += 1
        if self.refusals > 0:
            self.refusals -= 1
            raise RefusedError(self.text)
        return "connection"

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def retry(self, seconds: float = 20.0) -> retry.RefusalRetry:
        return retry.RefusalRetry(seconds, lambda: "Set a number.", clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The log lines that are written, as dictionaries."""
    found: list[dict[str, object]] = []
    monkeypatch.setattr(log, "line", lambda at, **fields: found.append({"at": at, **fields}))
    return found


@pytest.mark.parametrize(
    "text",
    [
        'connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  too many connections for role "u123"',
        'FATAL:  too many connections for database "d123"',
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  remaining connection slots are reserved for roles with privileges of the "
        '"pg_use_reserved_connections" role',
        'FATAL:  remaining connection slots are reserved for roles with privileges of the "rds_reserved" role',
        "FATAL:  sorry, too many clients already",
        "FATAL:  no more connections allowed (max_client_conn)",
        "FATAL:  client connections exceeded (max_user_client_connections)",
    ],
)
def test_every_text_of_a_full_server_is_known(text: str) -> None:
    """PostgreSQL 9.6 to 18, RDS and PgBouncer; libpq gives no SQLSTATE for a failed connection."""
    assert retry.is_refusal(RefusedError(text))


def test_mysql_codes_are_known() -> None:
    """1040 and 1203, and 1226 only when it speaks of connections at a time."""
    assert retry.is_refusal(RefusedError(1040, "Too many connections"))
    assert retry.is_refusal(RefusedError(1203, "User x already has more than 'max_user_connections'"))
    assert retry.is_refusal(RefusedError(1226, "User 'x' has exceeded the 'max_user_connections' resource"))
    assert not retry.is_refusal(RefusedError(1226, "User 'x' has exceeded the 'max_queries_per_hour' resource"))


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(),
        RefusedError('FATAL:  password authentication failed for user "u"'),
        RefusedError("connection refused"),
        RefusedError(1045, "Access denied"),
        RefusedError("could not translate host name"),
        KeyError("sorry"),
    ],
)
def test_other_errors_pass_at_once(error: Exception, lines: list[dict[str, object]]) -> None:
    """The very exception, no pause, no line in the log."""
    server = Server(0)

    def connect() -> str:
        raise error

    with pytest.raises(type(error)) as caught:
        server.retry().connect(connect)
    assert caught.value is error
    assert server.pauses == []
    assert lines == []


def test_refused_connect_tries_again_with_growing_jittered_pauses(lines: list[dict[str, object]]) -> None:
    """Pauses double from 50 ms to a second, each by half more or less."""
    server = Server(8)
    assert server.retry().connect(server.connect) == "connection"
    assert server.tries == 9
    for pause, middle in zip(server.pauses, [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0], strict=True):
        assert middle / 2 <= pause <= middle * 1.5
    assert [(line["at"], line["waits"], line["gave_up"]) for line in lines] == [("db-wait", 1, 0)]


def test_after_the_time_the_drivers_own_exception_is_raised(lines: list[dict[str, object]]) -> None:
    """Unchanged, with nothing chained to it, and counted as given up."""
    server = Server(10_000)
    with pytest.raises(RefusedError) as caught:
        server.retry(5.0).connect(server.connect)
    assert caught.value.args == (server.text,)
    assert caught.value.__context__ is None
    assert server.now == pytest.approx(105.0)
    assert (lines[0]["gave_up"], lines[0]["longest"]) == (1, pytest.approx(5.0))


def test_connection_that_comes_at_once_costs_nothing(lines: list[dict[str, object]]) -> None:
    """No look at who holds what, no line."""
    seen: list[str] = []
    assert Server(0).retry().connect(lambda: "connection", seen.append) == "connection"
    assert (seen, lines) == ([], [])


def test_connection_that_was_waited_for_is_shown_once() -> None:
    """So that the log can say who holds the others."""
    server, seen = Server(3), []
    server.retry().connect(server.connect, seen.append)
    assert seen == ["connection"]


def test_waits_are_logged_in_aggregate(lines: list[dict[str, object]]) -> None:
    """The first at once, the rest of the minute together, and nothing when there were none."""
    server = Server(0)
    waiting = retry.RefusalRetry(
        20.0, lambda: "Set a number.", clock=lambda: server.now, sleep=server.sleep, log_every_seconds=3600
    )
    for _ in range(4):
        server.refusals = 1
        waiting.connect(server.connect)
    assert [line["waits"] for line in lines] == [1]
    waiting._minute_is_over()
    assert [line["waits"] for line in lines] == [1, 3]
    assert lines[1]["msg"] == "The database had no connection left. Set a number."
    waiting._minute_is_over()
    assert len(lines) == 2
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.cancel()


def test_a_backend_that_calls_its_parents_method_waits_once() -> None:
    """Both may try again; the time must not double."""
    server = Server(10_000)
    waiting = server.retry(5.0)
    with pytest.raises(RefusedError):
        waiting.connect(lambda: waiting.connect(server.connect))
    assert server.now == pytest.approx(105.0)


def test_wrapper_passes_arguments_and_remembers_the_method() -> None:
    """As functools.wraps would; the method is a backend's get_new_connection."""

    def get_new_connection(self: object, parameters: dict[str, str]) -> tuple[object, dict[str, str]]:
        return self, parameters

    wrapped = retry.retrying(get_new_connection, Server(0).retry(), lambda *_: None)
    assert wrapped("backend", {"dbname": "x"}) == ("backend", {"dbname": "x"})
    assert wrapped.__wrapped__ is get_new_connection  # type: ignore[attr-defined]
