"""A look at the database on a thread's own connection: both drivers, a server that hangs, a role that is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boot
import postgres
import psycopg
import pytest
from shop import SHOP

LOOK = """
import sys, time, django
django.setup()
from django.db import connections
from headwaiter.budget import look
wrapper = connections["default"]
for line in sys.stdin:
    exec(line)
    began = time.monotonic()
    found = look.ask(["default"]).get("default")
    seconds = time.monotonic() - began
    print(found.role_limit if found else None, seconds < 2.5, wrapper.connection is not None, flush=True)
"""


class Site:
    """A process with the shop's settings that looks when it's told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def look(self, before: str = "pass") -> str:
        """Run `before`, look: the limit seen, whether that was quick, and whether there is a connection now."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(before + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def site(url: str, block: Path | None = None, **env: str) -> Iterator[Site]:
    path = os.pathsep.join([str(boot.LIB), *([str(block)] if block else [])])
    environ = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": path, **env}
    process = subprocess.Popen(
        [sys.executable, "-c", LOOK],
        cwd=SHOP,
        env=boot.environment(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Site(process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_both_drivers_look_and_see_no_query_of_ours(driver: str, tmp_path: Path) -> None:
    """Opened by the look or by a request; Django's wrappers, where query logs and agents are, hear nothing of it."""
    if driver == "psycopg2":  # Django prefers psycopg
        (tmp_path / "psycopg.py").write_text("raise ImportError\n")
    url = postgres.server().role(f"look{driver}", 7)
    with site(url, tmp_path) as one:
        assert one.look("wrapper.force_debug_cursor = True") == "7 True True"
        assert one.look("wrapper.cursor().execute('SELECT 1')") == "7 True True"
        assert one.look("assert len(wrapper.queries_log) == 1, wrapper.queries_log") == "7 True True"


def test_a_transaction_that_the_site_left_open_stays_as_it_is() -> None:
    """Nothing is asked on it."""
    url = postgres.server().role("lookopen", 7)
    with site(url) as one:
        assert one.look("wrapper.set_autocommit(False); wrapper.cursor().execute('SELECT 1')") == "None True True"
        assert one.look("assert wrapper.connection.info.transaction_status == 2") == "None True True"
        assert one.look("wrapper.rollback()") == "7 True True"
        assert one.look("assert wrapper.connection.info.transaction_status == 0") == "7 True True"


def test_a_full_role_is_not_waited_for() -> None:
    """The look fails, and a later one is right."""
    url = postgres.server().role("lookfull", 1)
    with site(url) as one:
        with psycopg.connect(url):
            imports = "from headwaiter.budget import arithmetic, database; from headwaiter.settings import Settings"
            assert one.look(imports) == "None True False"
            install = "database.install(Settings(), arithmetic.compute(arithmetic.Inputs()))"
            assert one.look(install) == "None True False"
        boot.eventually(lambda: one.look() == "1 True True", "room for the look")


def test_a_server_that_hangs_holds_the_thread_for_a_second() -> None:
    """The connection is cut, as nobody answers on it; the next look opens another."""
    server = postgres.server()
    url = server.role("lookhang", 7)
    with site(url) as one:
        assert one.look() == "7 True True"
        ((pid,),) = server.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'lookhang'")
        os.kill(pid, signal.SIGSTOP)
        try:
            assert one.look() == "None True False"
        finally:
            os.kill(pid, signal.SIGCONT)
        assert one.look() == "7 True True"
