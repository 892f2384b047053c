"""The budget while dynos run: scaling, deploys, a restarted database, other clients."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boot
import postgres
import psycopg
import pytest
from formation import Connections, Dyno, Formation, Load
from shop import alias

SHOP = Path(__file__).parents[1] / "fixtures" / "shop"
LIMIT = 20
# The real HOLD_SECONDS are two minutes.
SOONER = "import headwaiter.budget.live as live; live.HOLD_SECONDS = 8.0; live.PERIOD_SECONDS = 3.0"
AGES = ["600", pytest.param("0", marks=pytest.mark.slow)]  # CONN_MAX_AGE


def headwaiter(port: int) -> list[str]:
    code = f"{SOONER}; import sys; from headwaiter import cli; sys.exit(cli.main())"
    return [sys.executable, "-c", code, f"--listen=127.0.0.1:{port}", "shop.wsgi:application"]


@contextmanager
def formation(url: str, size: int = 1, **env: str) -> Iterator[Formation]:
    with Formation(headwaiter, boot.environment({"DATABASE_URL": url, "DYNO_RAM": "512", **env}), SHOP, size) as made:
        yield made


def scale(made: Formation, size: int) -> None:
    """As `heroku ps:scale web=N`: new dynos start, the last ones get SIGTERM."""
    new = [made.start(f"web.{number}") for number in range(len(made.dynos) + 1, size + 1)]
    for dyno in new:
        made.wait_ready(dyno)
        made.dynos.append(dyno)
    old, made.dynos[size:] = made.dynos[size:], []
    for dyno in old:
        dyno.signal(signal.SIGTERM)
    for dyno in old:
        assert dyno.process.wait(boot.PATIENCE) == 0


def sizes(dyno: Dyno) -> tuple[int, int]:
    """Processes and threads that the dyno has by its log."""
    lines = [line for line in dyno.log.splitlines() if " at=budget " in line or " at=boot " in line]
    if not lines:
        return 0, 0
    words = dict(word.split("=", 1) for word in lines[-1].split(" msg=")[0].split() if "=" in word)
    return int(words["processes"]), int(words["threads"])


def settled(made: Formation, processes: int, threads: int) -> None:
    for dyno in made.dynos:
        boot.eventually(
            lambda dyno=dyno: sizes(dyno) == (processes, threads), f"{dyno.name} has {processes} x {threads}"
        )


@pytest.mark.parametrize("age", AGES)
def test_scaling_up_and_down_refuses_nobody(age: str) -> None:
    """1 -> 6 -> 2: every request is answered, and a psql session is let in at each size."""
    server = postgres.server()
    url = server.role(f"scaled{age}", LIMIT)
    with formation(url, SHOP_CONN_MAX_AGE=age) as made, Connections(server, f"scaled{age}") as connections:
        with Load(made, "/query?seconds=0.02", clients=60) as load:
            for size, processes, threads in ((1, 2, 8), (6, 1, 3), (2, 1, 8)):
                scale(made, size)
                settled(made, processes, threads)
                boot.eventually(
                    lambda: server.in_use(f"scaled{age}").keys() <= {d.name for d in made.dynos}, "the old gone"
                )
                load.wait_for(300)
                psycopg.connect(url, application_name="psql").close()
        log = made.log
    assert load.failed == 0, (load.statuses, log)
    assert connections.peak <= LIMIT
    assert connections.peak > LIMIT // 2, "the load never got near the limit: the test shows nothing"


@pytest.mark.parametrize("age", AGES)
def test_twelve_dynos_share_twenty_connections(age: str) -> None:
    """1 -> 12 -> 1: one connection each, and the first dyno gets back what it had."""
    server = postgres.server()
    role = f"dozen{age}"
    url = server.role(role, LIMIT)
    with formation(url, SHOP_CONN_MAX_AGE=age) as made, Connections(server, role) as connections:
        with Load(made, "/query?seconds=0.02", clients=60) as load:
            for size, processes, threads in ((1, 2, 8), (12, 1, 1), (1, 2, 8)):
                scale(made, size)
                settled(made, processes, threads)
                load.wait_for(200)
                psycopg.connect(url, application_name="psql").close()
        log = made.log
    assert load.failed == 0, (load.statuses, log)
    assert connections.peak <= LIMIT


def test_a_rolling_restart_in_the_middle_of_scaling_up() -> None:
    """New dynos come while the old ones are replaced: still nobody is refused."""
    server = postgres.server()
    url = server.role("rolling", LIMIT)
    with formation(url, 2) as made:
        with Load(made, "/query?seconds=0.02", clients=40) as load:
            load.wait_for(100)
            new = [made.start(f"web.{number}") for number in (3, 4)]
            statuses = made.restart_all()
            for dyno in new:
                made.wait_ready(dyno)
                made.dynos.append(dyno)
            settled(made, 1, 4)
            load.wait_for(200)
        log = made.log
    assert statuses == [0, 0]
    assert load.failed == 0, (load.statuses, log)


def test_a_restarted_database_is_asked_again() -> None:
    """A look at a server that is down changes nothing; a later one follows the new limit."""
    server = postgres.Postgres(postgres.versions()[-1])
    try:
        url = server.role("restarted", LIMIT)
        with formation(url) as made:
            boot.eventually(lambda: server.in_use("restarted"), "the first look")
            server.stop()
            time.sleep(5)
            assert (made.dynos[0].process.poll(), sizes(made.dynos[0])) == (None, (2, 8))
            server.start()
            server.role("restarted", 10)
            settled(made, 1, 8)
            assert "Traceback" not in made.log
    finally:
        server.remove()


def test_another_plan_is_noticed_within_half_a_minute() -> None:
    """ALTER ROLE ... CONNECTION LIMIT is what an upgrade of an Essential plan does. More is taken at once, too."""
    server = postgres.server()
    url = server.role("upgraded", LIMIT)
    with formation(url, 3) as made:
        settled(made, 1, 6)
        server.execute("ALTER ROLE upgraded CONNECTION LIMIT 40")
        changed = time.monotonic()
        settled(made, 1, 8)
        assert time.monotonic() - changed < 30
        assert "The limit is 40 instead of 20 (the limit of the role)" in made.log


def test_a_worker_that_comes_and_goes_gets_its_connections() -> None:
    """Six for a celery worker: the dyno has fewer threads while they are held, and all of them afterwards."""
    server = postgres.server()
    url = server.role("celery", LIMIT)
    with formation(url) as made:
        with Load(made, "/query?seconds=0.01", clients=30) as load:
            load.wait_for(100)
            held: list[psycopg.Connection] = []

            def take() -> bool:
                with contextlib.suppress(psycopg.OperationalError):
                    held.append(psycopg.connect(url, application_name="worker.1"))
                return len(held) == 6

            boot.eventually(take, "six connections for the worker")
            assert sizes(made.dynos[0]) == (1, 8)
            for connection in held:
                connection.close()
            settled(made, 2, 8)
        log = made.log
    assert load.failed == 0, (load.statuses, log)


@pytest.mark.parametrize("options", [{}, {"AUTOCOMMIT": False}, {"ATOMIC_REQUESTS": True}, {"POOL": True}])
def test_a_look_leaves_the_connection_as_it_was(options: dict[str, bool]) -> None:
    """No open transaction, whatever the site chose; with Django's pool the connection goes back to it."""
    server = postgres.server()
    role = "left" + "".join(options).lower().replace("_", "")
    url = server.role(role, LIMIT)
    databases = {
        "default": alias(url, CONN_MAX_AGE=600, **{name: value for name, value in options.items() if name != "POOL"})
    }
    if "POOL" in options:
        databases["default"] |= {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 4}}}
    states = f"SELECT DISTINCT state FROM pg_stat_activity WHERE usename = '{role}'"
    with formation(url, SHOP_DATABASES=json.dumps(databases)) as made:
        boot.eventually(lambda: server.execute(states), "the first look")
        for _ in range(3):
            time.sleep(1)
            assert {state for (state,) in server.execute(states)} <= {"idle", "active"}
        server.execute(f"ALTER ROLE {role} CONNECTION LIMIT 6")
        boot.eventually(lambda: sizes(made.dynos[0]) != (2, 8), "what the look said")


def test_switched_off_or_pinned_it_stays_as_it_was() -> None:
    """HEADWAITER_LIVE_BUDGET=0, and numbers that a person set."""
    server = postgres.server()
    url = server.role("pinned", LIMIT)
    with formation(url, HEADWAITER_LIVE_BUDGET="0") as off, formation(url, HEADWAITER_WEB_DYNOS="1") as pinned:
        made = [off.dynos[0], pinned.dynos[0]]
        with psycopg.connect(url, application_name="web.5"):
            boot.eventually(lambda: server.in_use("pinned").get("web.1"), "a look")
            time.sleep(8)
            assert [sizes(dyno) for dyno in made] == [(2, 8), (2, 8)]
