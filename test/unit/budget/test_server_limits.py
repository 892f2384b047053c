"""How the answers come from the children, without a server."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from headwaiter.budget import database, server_limits
from headwaiter.budget.database import Alias

DEFAULT = Alias("default", "postgresql", "db", "5432", "shop", "u1")


def ask(monkeypatch: pytest.MonkeyPatch, connect: Any) -> server_limits.Survey:
    """Survey one database that is connected to by `connect`."""
    monkeypatch.setattr(database, "aliases", lambda _: [DEFAULT])
    monkeypatch.setattr(database, "connect", connect)
    return server_limits.take({})


def test_a_driver_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also when it handles every signal that it can, and a process that it forked keeps its files open."""
    started = tmp_path / "started"

    def connect(*_: object) -> None:
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if child := os.fork():
            started.write_text(str(child))
        time.sleep(120)
        os._exit(0)

    monkeypatch.setattr(server_limits, "TIMEOUT_SECONDS", 2.0)
    began = time.monotonic()
    try:
        survey = ask(monkeypatch, connect)
        seconds = time.monotonic() - began
    finally:
        if started.exists():
            os.kill(int(started.read_text()), signal.SIGKILL)
    assert survey.answers == {"default": "no answer in 2 s"}
    assert seconds < 60


def test_an_answer_is_that_of_every_alias_of_the_account() -> None:
    """Of no other role, database or server."""
    again, other = DEFAULT._replace(name="again"), DEFAULT._replace(name="other", user="u2")
    found = server_limits.spread([DEFAULT, again, other], {"default": "silent"})
    assert found == {"default": "silent", "again": "silent"}


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (1045, "Access denied for user 'u'@'h' (using password: YES)", "it refused the user or password"),
        (1049, "Unknown database 'nowhere'", "it has no database of that name"),
        (2005, "Unknown MySQL server host 'h' (-2)", "the host name isn't known"),
        (2005, "Unknown server host 'h' (-2)", "the host name isn't known"),  # MariaDB's client library
        (2006, "Server has gone away", "asking failed (Error)"),
    ],
)
def test_mysql_says_why(code: int, text: str, said: str) -> None:
    """By its text, as PostgreSQL does."""

    class Error(Exception):
        pass

    assert server_limits.reason(Error(code, text)) == said
