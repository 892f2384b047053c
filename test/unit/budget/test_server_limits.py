"""How the answers come from the children, without a server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
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


def test_a_driver_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the site handles SIGALRM or blocks it, and a program that the driver started lives on."""

    def connect(*_: object) -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"], close_fds=False)
        time.sleep(60)

    monkeypatch.setattr(server_limits, "TIMEOUT_SECONDS", 0.5)
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    try:
        began = time.monotonic()
        survey = ask(monkeypatch, connect)
        seconds = time.monotonic() - began
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGALRM, before)
    assert survey.answers == {"default": "no answer in 0.5 s"}
    assert seconds < 4


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
