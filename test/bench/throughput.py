"""Requests a second and latency: a trivial view, a Django page with a template, a Django page out of PostgreSQL.

16 connections in a closed loop (wrk). With one process the server has one CPU and the load the other; with two
processes both share both. All servers of a case are up at once and asked in turn, round after round: medians.
"""

from __future__ import annotations

import contextlib
from typing import Any

import common
import load
import menu_database
import servers

TRIVIAL, DJANGO = "trivial:application", "bench_site.wsgi:application"
CASES = {  # name: application, path, keep-alive, processes
    "trivial, keep-alive": (TRIVIAL, "/", True, 1),
    "trivial, new connections": (TRIVIAL, "/", False, 1),
    "page, keep-alive": (DJANGO, "/", True, 1),
    "page, new connections": (DJANGO, "/", False, 1),
    "page, keep-alive, 2 processes": (DJANGO, "/", True, 2),
    "query, keep-alive": (DJANGO, "/query", True, 1),
    "query, keep-alive, 2 processes": (DJANGO, "/query", True, 2),
}
REFERENCE = "gunicorn gthread"


def _names(case: str) -> list[str]:
    """All servers; their variants only where a Django page tells what they cost."""
    processes = CASES[case][3]
    skipped = {"waitress-serve, limit raised"} if case == "page, keep-alive" else {*servers.VARIANTS} - {REFERENCE}
    kinds = servers.KINDS.items()
    return [name for name, kind in kinds if name not in skipped and (processes == 1 or kind.several_processes)]


def measure(case: str, url: str, repetitions: int) -> dict[str, dict[str, Any]]:
    """All servers in one case: medians, every round's rps, errors, and ratios to REFERENCE in the same round."""
    application, path, keep_alive, processes = CASES[case]
    cpus, load_cpus = (common.SERVER_CPU, common.LOAD_CPU) if processes == 1 else (common.ALL_CPUS, common.ALL_CPUS)
    env = {"DATABASE_URL": url} if application == DJANGO else {}
    with contextlib.ExitStack() as stack:
        up = {
            name: stack.enter_context(
                servers.running(name, application, processes=processes, cpus=cpus, env=env, ready_path=path)
            )
            for name in _names(case)
        }

        def once(name: str) -> dict[str, Any]:
            pids = up[name].pids()
            used = common.cpu_seconds(pids)
            found = load.closed(up[name].port, path, 1, keep_alive=keep_alive, cpus=load_cpus)
            return {**found, "cpu_ms": 1000 * (common.cpu_seconds(pids) - used) / max(1, found["ok"])}

        for name in up:
            once(name)
        rounds = [{name: once(name) for name in up} for _ in range(repetitions)]
    return {name: _summary(name, rounds) for name in rounds[0]}


def _summary(name: str, rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        key: round(common.median([one[name][key] for one in rounds]), digits)
        for key, digits in {"rps": 1, "p50": 2, "p95": 2, "p99": 2, "cpu_ms": 3}.items()
    }
    for key, label in (("rps", "ratio"), ("p99", "p99_ratio")):
        ratios = [one[name][key] / one[REFERENCE][key] for one in rounds if one[REFERENCE][key]]
        figures[label] = round(common.median(ratios), 3)
    figures["rps_all"] = [one[name]["rps"] for one in rounds]
    figures["errors"] = sum(one[name]["errors"] for one in rounds)
    return figures


def run(quick: bool) -> dict[str, Any]:
    figures = {}
    cases = ["trivial, keep-alive", "page, keep-alive", "query, keep-alive"] if quick else list(CASES)
    with menu_database.database() as url:
        for case in cases:
            figures[case] = measure(case, url, 2 if quick else 7)
            for name, found in figures[case].items():
                shown = f"x {found['ratio']:<6} p99 {found['p99']:7} ms  cpu {found['cpu_ms']} ms"
                common.log(f"  {case:32} {name:28} {found['rps']:9} /s  {shown}")
    return {"reference": REFERENCE, "cases": figures}
