"""Three dynos on one 20-connection role: clients keep asking while all three restart and somebody opens psql."""

from __future__ import annotations

import sys
from pathlib import Path

import boot
import postgres
import psycopg
from formation import Connections, Formation, Load

SHOP = Path(__file__).parents[1] / "fixtures" / "shop"
LIMIT = 20


def headwaiter(port: int) -> list[str]:
    return [sys.executable, "-m", "headwaiter", f"--listen=127.0.0.1:{port}", "shop.wsgi:application"]


def test_no_client_meets_a_refused_connection_while_three_dynos_restart() -> None:
    """Clients get 200 only, connections never pass the limit, and a psql session still finds room."""
    server = postgres.server()
    url = server.role("dynos", LIMIT)
    env = boot.environment({"DATABASE_URL": url, "HEADWAITER_WEB_DYNOS": "3"})
    with Formation(headwaiter, env, SHOP) as formation, Connections(server, "dynos") as connections:
        with Load(formation, "/query?seconds=0.02", clients=60) as load:
            load.wait_for(300)
            statuses = [formation.restart(formation.dynos[0])]
            with psycopg.connect(url, application_name="psql") as session:
                assert session.execute("SELECT 1").fetchone() == (1,)
                statuses += [formation.restart(dyno) for dyno in formation.dynos[:2]]
            load.wait_for(300)
        log = formation.log
    assert load.failed == 0, (load.statuses, log)
    assert statuses == [0, 0, 0]
    assert connections.peak <= LIMIT
    assert connections.peak > LIMIT // 2, "the load never got near the limit: the test shows nothing"
    assert "1 process x 6 threads + 2 in reserve = 20 of 20 connections" in log


def test_a_dyno_that_nobody_counted_on_waits_instead_of_failing_and_says_which_number_to_set() -> None:
    """Three dynos that each think they are alone: every request is answered, the log names HEADWAITER_WEB_DYNOS."""
    server = postgres.server()
    url = server.role("uncounted", 5)
    env = boot.environment(
        {"DATABASE_URL": url, "HEADWAITER_WEB_DYNOS": "1", "HEADWAITER_THREADS": "3", "SHOP_CONN_MAX_AGE": "0"}
    )
    with Formation(headwaiter, env, SHOP) as formation, Connections(server, "uncounted") as connections:
        with Load(formation, "/query?seconds=0.05", clients=12) as load:
            load.wait_for(250)
        log = formation.log
    assert connections.refused > 0, "nothing was refused: the test shows nothing"
    assert load.failed == 0, (load.statuses, log)
    assert connections.peak <= 5
    assert "headwaiter at=db-wait " in log
    assert "heroku config:set HEADWAITER_WEB_DYNOS=" in log


def test_without_patience_the_same_load_fails() -> None:
    """HEADWAITER_DB_WAIT=0 is plain Django: what the waiting is for."""
    server = postgres.server()
    url = server.role("impatient", 3)
    settings = {"HEADWAITER_DB_WAIT": "0", "HEADWAITER_THREADS": "3", "HEADWAITER_WEB_DYNOS": "1"}
    env = boot.environment({"DATABASE_URL": url, "SHOP_CONN_MAX_AGE": "0", **settings})
    with Formation(headwaiter, env, SHOP) as formation, Load(formation, "/query?seconds=0.05", clients=12) as load:
        load.wait_for(100)
    assert load.statuses[500] > 0
