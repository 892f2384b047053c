"""What stands between the site and PostgreSQL: PgBouncer in transaction mode, and Django's own pool."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import boot
import pgbouncer
import postgres
import psycopg
import pytest
from shop import APPLICATION, SHOP, alias, plan

with_pgbouncer = pytest.mark.skipif(pgbouncer.PROGRAM is None, reason="needs PgBouncer: make test-all")


def through(port: int, **more: Any) -> dict[str, str]:
    """DATABASES through a PgBouncer on `port`."""
    url = f"postgres://pooled:secret@127.0.0.1:{port}/postgres"
    return {"SHOP_DATABASES": json.dumps({"default": alias(url, CONN_MAX_AGE=600, **more)})}


def ask_together(server: boot.Server, path: str, number: int) -> Counter[int]:
    """So many requests at once; the statuses."""
    statuses: Counter[int] = Counter()
    threads = [
        threading.Thread(target=lambda: statuses.update([server.get(path).status]), daemon=True) for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(boot.PATIENCE)
    return statuses


@with_pgbouncer
def test_pgbouncer_is_recognised_and_lifts_the_limit() -> None:
    """Its port isn't known to anybody: PostgreSQL's own process id gives it away. Server-side cursors are a warning."""
    server = postgres.server()
    server.role("pooled", 4)
    with pgbouncer.pgbouncer(server) as port:
        found = plan(through(port))
        (warning,) = found["warnings"]
        tidy = plan(through(port, DISABLE_SERVER_SIDE_CURSORS=True))
    assert found["limit"] is None
    assert found["databases"][0]["pooler"] == "a pooler"
    assert found["threads"] == 8
    assert "DISABLE_SERVER_SIDE_CURSORS" in warning
    assert tidy["warnings"] == []


@with_pgbouncer
def test_site_serves_through_pgbouncer_on_more_threads_than_the_role_has_connections() -> None:
    """16 requests at once on a role with 2 connections."""
    server = postgres.server()
    server.role("pooled", 3)
    with (
        pgbouncer.pgbouncer(server) as port,
        boot.boot(SHOP, APPLICATION, env=through(port, DISABLE_SERVER_SIDE_CURSORS=True)) as site,
    ):
        assert ask_together(site, "/query?seconds=0.1", 16) == Counter({200: 16})


@with_pgbouncer
def test_pgbouncer_that_is_full_is_waited_for() -> None:
    """Its own text, "no more connections allowed", is a refusal like PostgreSQL's."""
    server = postgres.server()
    server.role("pooled", 10)
    env = {**through(0), "HEADWAITER_THREADS": "8", "WEB_CONCURRENCY": "1"}
    with pgbouncer.pgbouncer(server, max_client_conn=2) as port:
        env |= through(port, DISABLE_SERVER_SIDE_CURSORS=True)
        env["SHOP_DATABASES"] = env["SHOP_DATABASES"].replace('"CONN_MAX_AGE": 600', '"CONN_MAX_AGE": 0')
        with boot.boot(SHOP, APPLICATION, env=env) as site:
            assert ask_together(site, "/query?seconds=0.2", 8) == Counter({200: 8})
            assert "at=db-wait" in site.log


@with_pgbouncer
def test_pgbouncer_buildpack_on_the_dyno_counts_by_its_clients() -> None:
    """It listens on 6000 of this very dyno; PGBOUNCER_MAX_CLIENT_CONN isn't shared with other dynos."""
    env = through(6000, DISABLE_SERVER_SIDE_CURSORS=True) | {
        "DATABASE_URL_PGBOUNCER": "postgres://pooled:secret@127.0.0.1:6000/postgres",
        "PGBOUNCER_MAX_CLIENT_CONN": "6",
        "HEADWAITER_WEB_DYNOS": "3",
    }
    found = plan(env)
    assert (found["limit"], found["reserve"], found["threads"]) == (6, 0, 6)
    assert found["databases"][0]["pooler"] == "the pgbouncer buildpack"


def test_heroku_connection_pooling_lifts_the_limit_to_its_clients() -> None:
    """DATABASE_CONNECTION_POOL_URL names the same host, one port up; 10,000 clients may connect."""
    url = "postgres://u:secret@ec2-1-2-3-4.compute-1.amazonaws.com.invalid:5433/d"
    databases = {"default": alias(url, DISABLE_SERVER_SIDE_CURSORS=True)}
    env = {"SHOP_DATABASES": json.dumps(databases), "DATABASE_CONNECTION_POOL_URL": url, "HEADWAITER_WEB_DYNOS": "5"}
    found = plan(env)
    assert (found["limit"], found["threads"]) == (10_000, 8)
    assert found["limit_source"] == "the clients of Heroku's connection pooling"


def test_pool_of_django_waits_for_slots_and_never_passes_its_size() -> None:
    """8 threads, a pool of 3, a role whose 3 connections others hold at first: every request is answered."""
    server = postgres.server()
    url = server.role("ownpool", 3)
    pool = {"default": alias(url, OPTIONS={"pool": {"min_size": 0, "max_size": 3}})}
    env = {"SHOP_DATABASES": json.dumps(pool), "HEADWAITER_DB_RESERVE": "0", "HEADWAITER_THREADS": "8"}
    others = [psycopg.connect(url) for _ in range(3)]
    with boot.boot(SHOP, APPLICATION, "--processes=1", env=env) as site:
        release = threading.Timer(1.0, lambda: [each.close() for each in others])
        release.start()
        assert ask_together(site, "/query?seconds=0.05", 16) == Counter({200: 16})
        release.join()
        assert sum(server.in_use("ownpool").values()) <= 3
