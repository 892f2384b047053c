"""What the live budget costs: a server that looks at the database every second beside one that never does, in turns.

Requests for the page out of PostgreSQL arrive at random, the same for both. CPU time is that of servers at rest.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from typing import Any

import common
import load
import menu_database
import psycopg
import record

sys.path.insert(0, str(common.LIB))
from headwaiter.budget import live

EVERY = "every second"
EVERY_SECOND = (
    "from headwaiter import cli; from headwaiter.budget import live; "
    "live.FIRST_LOOK_SECONDS = live.PERIOD_SECONDS = 1.0; raise SystemExit(cli.main())"
)
START = {"off": ["-m", "headwaiter"], EVERY: ["-c", EVERY_SECOND]}
RATE = 100.0
POOL = 16  # kept connections, as a router has


@contextlib.contextmanager
def running(name: str, url: str) -> Iterator[common.Server]:
    """A server that answers. Its number of threads isn't given: where processes and threads are, nobody looks."""
    port = common.free_port()
    where = [f"--listen=127.0.0.1:{port}", "--processes=1", "bench_site.wsgi:application"]
    command = [common.PYTHON, *START[name], *where]
    record.note_command(f"headwaiter, looking: {name}", [*map(shlex.quote, command)], port)
    env = {"PYTHONPATH": str(common.LIB), "DATABASE_URL": url, "DYNO": "web.1"}
    if name == "off":
        env["HEADWAITER_LIVE_BUDGET"] = "0"
    with common.running(name, command, port, env=env, cpus=common.SERVER_CPU, ready_path="/query") as server:
        yield server


def has_looked(url: str) -> bool:
    """Whether a dyno has asked the database something in the last two seconds."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'web.1'"
            " AND query_start > now() - interval '2 seconds'"
        ).fetchone()
    return found is not None


def at_rest(url: str, seconds: float) -> dict[str, float]:
    """CPU seconds of each server without requests; raises RuntimeError where one looks and shouldn't, or doesn't."""
    used = {}
    for name in START:
        with running(name, url) as server:
            time.sleep(3)
            before = common.cpu_seconds(server.pids())
            time.sleep(seconds)
            used[name] = common.cpu_seconds(server.pids()) - before
            if has_looked(url) != (name == EVERY):
                raise RuntimeError(f"Looking at the database: {name} was wanted.\n{server.output()}")
    return used


def once(name: str, url: str, seconds: float, seed: int) -> dict[str, Any]:
    """Latency of one server under load."""
    with running(name, url) as server:
        load.steady(server.port, "/query", 1.0, keep_alive=True)
        return load.poisson(server.port, "/query", seconds, rate=RATE, seed=seed, keep_alive=POOL)


def run(quick: bool) -> dict[str, Any]:
    resting, seconds, seeds = (10.0, 3.0, range(2)) if quick else (60.0, 8.0, range(9))
    with menu_database.database() as url:
        used = at_rest(url, resting)
        rounds = [{name: once(name, url, seconds, seed) for name in START} for seed in seeds]
    figures: dict[str, dict[str, Any]] = {}
    for name in START:
        figures[name] = {
            key: round(common.median([one[name][key] for one in rounds]), 2) for key in ("p50", "p95", "p99")
        }
        figures[name]["p99_all"] = [one[name]["p99"] for one in rounds]
        figures[name]["ratio"] = round(common.median([one[name]["p99"] / one["off"]["p99"] for one in rounds]), 2)
        figures[name]["cpu_percent"] = round(100 * used[name] / resting, 3)
        common.log(f"  {name:15} {figures[name]}")
    one_look = (used[EVERY] - used["off"]) / resting
    usual = {"seconds": live.PERIOD_SECONDS, "cpu_percent": round(100 * one_look / live.PERIOD_SECONDS, 4)}
    common.log(f"  every {usual['seconds']:g} s: {usual['cpu_percent']} % of a CPU")
    return {"servers": figures, "look_ms": round(1000 * one_look, 2), "usual": usual}
