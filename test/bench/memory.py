"""Memory: of an idle Django site, of an idle connection, of the parent process, and under 2,000 slow clients."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import common
import load
import servers

sys.path.insert(0, str(common.ROOT / "test" / "support"))
from slow_clients import crowd

DJANGO = "bench_site.wsgi:application"
SKIPPED = {"headwaiter, access log", "waitress-serve", "gunicorn gthread (Heroku)"}
IDLE = 1000  # connections
ATTACKED = ("headwaiter", "waitress-serve, limit raised", "granian", "gunicorn gevent")


def at_rest(name: str) -> dict[str, Any]:
    """PSS of one process (and its parent, where there is one) after some load, and what an idle connection adds."""
    with servers.running(name, DJANGO) as server:
        load.closed(server.port, "/", 2)
        before = server.pss_kib()
        with crowd(server.port, "idle", IDLE, seconds=15) as clients:
            time.sleep(0.5)
            after = server.pss_kib()
        kept = clients.alive
    per_connection = round((after - before) / kept, 1) if kept > 0.9 * IDLE else None
    return {"pss_mb": round(before / 1024, 1), "idle_kept": kept, "kib_per_idle_connection": per_connection}


def two_processes(name: str) -> dict[str, Any]:
    """PSS of two processes and their parent together, and the parent's private memory, in MB."""
    with servers.running(name, DJANGO, processes=2) as server:
        load.closed(server.port, "/", 2)
        parent = common.memory_kib(server.process.pid)
        return {"pss_mb": round(server.pss_kib() / 1024, 1), "parent_private_mb": round(parent["Private"] / 1024, 1)}


def attacked(name: str, count: int, seconds: float) -> dict[str, Any]:
    """Peak RSS of the largest process in MB while `count` clients upload and `count` read 2 MB pages slowly."""
    with servers.running(name, DJANGO, cpus=common.SERVER_CPU) as server, contextlib.ExitStack() as stack:
        before = max(common.memory_kib(pid)["Rss"] for pid in server.workers())
        until = time.monotonic() + seconds
        for kind, path in (("upload", "/upload"), ("read", "/big")):
            stack.enter_context(crowd(server.port, kind, count, path, seconds=20, cpus=common.LOAD_CPU))
        peak = 0
        while time.monotonic() < until and server.process.poll() is None:
            peak = max([peak, *(common.memory_kib(pid)["Rss"] for pid in server.workers())])
            time.sleep(0.5)
        answers = common.ask(server.port) == 200
        ended = server.process.poll()
    return {
        "rss_mb_before": round(before / 1024),
        "rss_mb_peak": round(peak / 1024),
        "answers": answers,
        "ended": ended,
    }


def run(quick: bool) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    two, attack = {}, {}
    for name, kind in servers.KINDS.items():
        if name in SKIPPED or (quick and len(rest) > 3):
            continue
        rest[name] = at_rest(name)
        common.log(f"  {name:30} {rest[name]}")
        if kind.several_processes:
            two[name] = two_processes(name)
            common.log(f"  {name:30} 2 processes {two[name]}")
    for name in ATTACKED[:2] if quick else ATTACKED:
        attack[name] = attacked(name, 200 if quick else 1000, 10 if quick else 30)
        common.log(f"  {name:30} attacked {attack[name]}")
    return {"at_rest": rest, "two_processes": two, "slow_clients": attack}
