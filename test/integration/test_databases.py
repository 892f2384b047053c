"""The budget on real servers: what PostgreSQL says, who is connected, what is done when it says nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boot
import postgres
import psycopg
import pytest
from shop import APPLICATION, LATE, ON_1X, SHOP, alias, plan, plan_once


@contextmanager
def held(url: str, **names: int) -> Iterator[None]:
    """Connections open for a while: web_1=3 are three named web.1."""
    with ExitStack() as stack:
        for name, number in names.items():
            for _ in range(number):
                stack.enter_context(psycopg.connect(url, application_name=name.replace("_", ".")))
        yield


@pytest.mark.parametrize("version", postgres.versions())
@pytest.mark.parametrize(("limit", "processes", "threads"), [(20, 1, 6), (40, 1, 8), (5, 1, 1)])
def test_role_limit_is_what_the_server_says(version: int, limit: int, processes: int, threads: int) -> None:
    """As on Heroku's Essential plans, with three dynos, on every PostgreSQL there is."""
    server = postgres.server(version)
    found = plan({"DATABASE_URL": server.role(f"shop{limit}", limit), "HEADWAITER_WEB_DYNOS": "3"})
    assert (found["limit"], found["limit_source"]) == (limit, "the limit of the role")
    assert (found["processes"], found["threads"]) == (processes, threads)
    assert found["databases"][0]["version"].startswith(str(version))
    assert found["databases"][0]["in_use"] == {}
    assert found["warnings"] == []


@pytest.mark.parametrize("version", postgres.versions())
def test_small_server_limits_by_what_isnt_reserved(version: int) -> None:
    """max_connections less the superusers' slots, and less reserved_connections since PostgreSQL 16."""
    config = {"max_connections": 14} | ({"reserved_connections": 2} if version >= 16 else {})
    found = plan({"DATABASE_URL": postgres.server(version, **config).role("shop")})
    reserved = 5 if version >= 16 else 3
    assert found["limit"] == 14 - reserved
    assert found["limit_source"] == f"max_connections of the server, less {reserved} reserved"
    assert (found["reserve"], found["threads"]) == (2, min(8, 14 - reserved - 2))


def test_limit_of_the_database_counts_too() -> None:
    """datconnlimit, when it is the smallest."""
    server = postgres.server()
    url = server.role("tight", 20)
    if not server.execute("SELECT 1 FROM pg_database WHERE datname = 'tight'"):
        server.execute("CREATE DATABASE tight OWNER tight")
    server.execute("ALTER DATABASE tight CONNECTION LIMIT 7")
    found = plan({"DATABASE_URL": server.url("tight", "tight")})
    assert (found["limit"], found["limit_source"], found["threads"]) == (7, "the limit of the database", 5)
    assert url


def test_who_is_connected_counts_by_its_name() -> None:
    """web.4 means four dynos, a worker's connections are reserved, web dynos' own aren't."""
    server = postgres.server()
    url = server.role("busy", 40)
    with held(url, web_1=2, web_4=3, worker_1=6):
        found = plan({"DATABASE_URL": url})
    assert found["databases"][0]["in_use"] == {"web.1": 2, "web.4": 3, "worker.1": 6}
    assert (found["dynos"], found["dynos_source"]) == (4, "as many hold connections now")
    assert (found["reserve"], found["threads"]) == (7, 8)


def test_dyno_knows_its_own_number_and_app_json_is_a_hint() -> None:
    """web.3 can't be alone."""
    url = postgres.server().role("shop20", 20)
    found = plan({"DATABASE_URL": url, "DYNO": "web.3"})
    assert (found["dynos"], found["dynos_source"], found["threads"]) == (3, "this one is web.3", 6)


def test_aliases_on_one_server_share_a_budget_and_a_replica_has_its_own() -> None:
    """Two aliases of one role: two connections a thread. Another server counts for itself."""
    server, other = postgres.server(), postgres.server(postgres.versions()[0])
    url = server.role("shared", 20)
    databases = {"default": alias(url), "again": alias(url), "replica": alias(other.role("replica", 31))}
    found = plan({"DATABASE_URL": url, "SHOP_DATABASES": json.dumps(databases)})
    assert [row["limit"] for row in found["databases"]] == [20, 20, 31]
    assert (found["processes"], found["threads"], found["connections"]) == (1, 8, 16)
    databases["third"] = alias(url)
    found = plan({"DATABASE_URL": url, "SHOP_DATABASES": json.dumps(databases)})
    assert (found["threads"], found["connections"]) == (6, 18)


def test_roles_on_one_server_have_limits_of_their_own() -> None:
    """The second role's 8 don't count against the first's 20; the server's own limit counts both."""
    server = postgres.server()
    databases = {"default": alias(server.role("one", 20)), "other": alias(server.role("two", 8))}
    found = plan({"SHOP_DATABASES": json.dumps(databases)})
    assert [row["limit"] for row in found["databases"]] == [20, 8]
    assert (found["limit"], found["threads"]) == (8, 6)


def test_pool_of_django_counts_by_its_max_size() -> None:
    """Not by threads: 3 in each process, and one process alone fits a limit of 6."""
    url = postgres.server().role("pooled", 6)
    databases = {"default": alias(url, OPTIONS={"pool": {"min_size": 1, "max_size": 3}})}
    found = plan({"SHOP_DATABASES": json.dumps(databases), "HEADWAITER_DB_RESERVE": "2"})
    assert found["databases"][0]["pool_size"] == 3
    assert (found["processes"], found["threads"], found["connections"]) == (1, 8, 3)


@pytest.mark.parametrize("block", ["", "psycopg"])
def test_both_drivers_and_third_party_backends_work(tmp_path: Path, block: str) -> None:
    """psycopg 3, psycopg2 when that is all there is, and a backend that is a subclass of Django's."""
    if block:
        (tmp_path / block).mkdir()
        (tmp_path / block / "__init__.py").write_text("raise ImportError('not installed')\n")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("")
    (tmp_path / "theirs" / "base.py").write_text(
        "from django.db.backends.postgresql import base\n\n"
        "class DatabaseWrapper(base.DatabaseWrapper):\n"
        "    def get_new_connection(self, conn_params):\n"
        "        return super().get_new_connection(conn_params)\n"
    )
    path = os.pathsep.join([str(boot.LIB), str(tmp_path)])
    for engine in ("django.db.backends.postgresql", "theirs"):
        url = postgres.server().role("driver", 20)
        found = plan({"DATABASE_URL": url, "SHOP_ENGINE": engine, "PYTHONPATH": path})
        assert (found["limit"], found["warnings"]) == (20, [])


@contextmanager
def deaf_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_server_that_hangs_costs_three_seconds_at_most() -> None:
    """Then the plan is what counts."""
    with deaf_server() as port:
        env = {"DATABASE_URL": f"postgres://u:secret@127.0.0.1:{port}/d", "HEADWAITER_DB_PLAN": "essential-2"}
        found = plan_once(env)
    assert found["databases"][0]["answer"] in LATE
    assert (found["limit"], found["limit_source"]) == (40, "the plan essential-2, from HEADWAITER_DB_PLAN")


def test_every_way_of_saying_nothing_has_its_reason() -> None:
    """Wrong password, no such host, database or port: the reason is told, no password, and 20 counts."""
    server = postgres.server()
    server.role("locked", 20)
    cases = {
        server.url("locked", password="wr0ng-password"): "it refused the user or password",
        server.url("locked", password="secret").replace("/postgres", "/nowhere"): "it has no database of that name",
        "postgres://u:wr0ng-password@does-not-exist.invalid:5432/d": "the host name isn't known",
        "postgres://u:wr0ng-password@127.0.0.1:1/d": "nothing listens there",
        server.url("nobody_knows_me"): "it refused the user or password",
    }
    for url, reason in cases.items():
        found = plan({"DATABASE_URL": url})
        assert found["databases"][0]["answer"] == reason, url
        assert (found["limit"], found["limit_source"]) == (20, "unknown, so the smallest Heroku Postgres plan")
        assert "wr0ng" not in json.dumps(found)


def test_full_server_is_asked_again_and_then_assumed() -> None:
    """During a deploy the old dynos may hold every slot."""
    url = postgres.server().role("full", 2)
    with held(url, web_1=2):
        found = plan({"DATABASE_URL": url})
    assert found["databases"][0]["answer"] == "it has no connection left"
    assert found["limit"] == 20


def test_slot_that_comes_free_while_asking_is_enough() -> None:
    """It asks again until the 3 seconds are over."""
    url = postgres.server().role("nearly_full", 2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(psycopg.connect(url))
        timer = threading.Timer(1.0, stack.close)
        timer.start()
        found = plan({"DATABASE_URL": url})
        timer.join()
    assert (found["limit"], found["limit_source"]) == (2, "the limit of the role")


def test_ssl_that_the_server_doesnt_speak_is_named() -> None:
    """sslmode=require against a server without."""
    url = postgres.server().role("shop20", 20)
    databases = {"default": alias(url, OPTIONS={"sslmode": "require"})}
    found = plan({"SHOP_DATABASES": json.dumps(databases)})
    assert "the encryption failed" in found["databases"][0]["answer"]


def test_sqlite_and_no_database_have_no_limit() -> None:
    """And it is said."""
    sqlite = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    found = plan({"SHOP_DATABASES": json.dumps(sqlite)})
    assert (found["limit"], found["databases"][0]["limit_source"]) == (None, "SQLite has no connection limit")
    found = plan({})
    assert (found["limit"], found["databases"][0]["limit_source"]) == (None, "DATABASES is empty")


def test_database_url_that_the_settings_dont_use_is_a_warning() -> None:
    """The add-on is paid for and SQLite is used."""
    sqlite = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    found = plan({"SHOP_DATABASES": json.dumps(sqlite), "DATABASE_URL": "postgres://u:secret@db.example.com/d"})
    assert any("no database in the settings is on its server" in warning for warning in found["warnings"])


def test_config_var_beats_the_server_and_is_checked_against_it() -> None:
    """A number that the server doesn't allow is kept, and said."""
    url = postgres.server().role("shop20", 20)
    found = plan({"DATABASE_URL": url, "HEADWAITER_DB_CONNECTIONS": "12"})
    assert (found["limit"], found["limit_source"], found["warnings"]) == (12, "HEADWAITER_DB_CONNECTIONS", [])
    found = plan({"DATABASE_URL": url, "HEADWAITER_DB_CONNECTIONS": "100"})
    assert found["limit"] == 100
    assert "the server allows 20 (the limit of the role)" in found["warnings"][0]


def test_asking_leaves_no_connection_no_thread_and_no_child() -> None:
    """The workers are forked next."""
    server = postgres.server()
    url = server.role("clean", 20)
    code = (
        "import os, threading, django; django.setup()\n"
        "from headwaiter.budget import server_limits\n"
        "found = server_limits.take(os.environ)\n"
        "assert found.answers['default'].role_limit == 20, found\n"
        "print(threading.active_count(), open(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read() or 'none')\n"
        "from django.db import connections\n"
        "print([each.connection for each in connections.all(initialized_only=True)])\n"
        "input()\n"
    )
    env = boot.environment({"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "shop.settings"})
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=SHOP, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "1 none\n"
    assert process.stdout.readline() == "[None]\n"
    boot.eventually(lambda: server.in_use("clean") == {}, "the survey's connection gone")
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_connections_carry_the_dynos_name() -> None:
    """`heroku pg:ps` shows who holds what; a site's own name stays."""
    url = postgres.server().role("named", 20)
    with boot.boot(SHOP, APPLICATION, "--processes=1", env={"DATABASE_URL": url, "DYNO": "web.7"}) as server:
        assert server.get("/query").text == "web.7"
    own = {"default": alias(url, OPTIONS={"application_name": "mine"})}
    with boot.boot(SHOP, APPLICATION, env={"SHOP_DATABASES": json.dumps(own), "DYNO": "web.7"}) as server:
        assert server.get("/query").text == "mine"
    with boot.boot(SHOP, APPLICATION, env={"DATABASE_URL": url, "DYNO": "web.7", "PGAPPNAME": "theirs"}) as server:
        assert server.get("/query").text == "theirs"


HOSTILE = [
    "",
    "hunter2-without-scheme",
    "://hunter2",
    "gopher://u:hunter2@host/db",
    "postgres://u:hunter2%40%2F%3A@host.invalid/db",
    "postgres://u:hunter2@[::1]:1/db",
    "postgres://u:hunter2@[::1/db",
    "postgres://u:hunter2 with spaces@host.invalid/d b",
    "postgres://u:hunter2@host.invalid:port/db",
    "postgres://u:hunt/hunter2@host.invalid:99999999/db",
    "postgres://u:/hunter2@host.invalid/db",
    "postgres://u:hunter2#x@host.invalid/db",
    "postgres://u:hunter2@host.invalid/db\nheadwaiter at=forged",
    "postgres://u:" + "hunter2" * 1500 + "@host.invalid/db",
    "postgres://u:hunter2@\ud83d\ude00.invalid/%00%ff".encode("utf-16", "surrogatepass").decode("utf-16"),
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_database_url_never_stops_the_boot_nor_shows_in_a_log(value: str) -> None:
    """The site uses SQLite; the variable is there all the same."""
    sqlite = json.dumps({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    env = {"DATABASE_URL": value, "SHOP_DATABASES": sqlite, "DYNO": "web.1", "PORT": "0"}
    with boot.boot(SHOP, APPLICATION, env=env) as server:
        assert server.get("/").status == 200
    assert "hunter2" not in server.log
    assert "at=forged" not in server.log


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_traceback_of_a_site_that_stumbles_over_it_shows_none_of_it(value: str) -> None:
    """Whether the site boots or its settings raise: no part of the password is printed."""
    env = {"DATABASE_URL": value, "DYNO": "web.1"}
    done = boot.run(SHOP, "plan", APPLICATION, env=env)
    assert "hunter2" not in done.stdout + done.stderr
    if "port/db" in value or "99999999" in value or "[::1/" in value:
        served = boot.run(SHOP, "--listen=127.0.0.1:0", APPLICATION, env=env)
        assert served.returncode == 78
        assert "Traceback" in served.stderr
        assert "hunter2" not in served.stdout + served.stderr


def test_non_django_application_is_counted_by_its_database_url(tmp_path: Path) -> None:
    """One connection a thread is assumed; nothing of Django is needed."""
    (tmp_path / "plain.py").write_text("def application(environ, start_response):\n    return []\n")
    env = {**ON_1X, "DATABASE_URL": "postgres://u:secret@127.0.0.1:1/d", "HEADWAITER_WEB_DYNOS": "3"}
    done = boot.run(tmp_path, "plan", "--json", "plain:application", env=env)
    found = json.loads(done.stdout)
    assert (found["limit"], found["threads"], found["processes"]) == (20, 6, 1)
