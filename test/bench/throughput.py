"""Requests a second and latency: a trivial view, a Django page with a template, a Django page out of PostgreSQL.

16 connections in a closed loop (wrk). With one process the server has one CPU and the load the other; with two
processes both share both. All servers of a case are up at once and asked in turn, round after round: medians.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import common
import load
import menu_database
import servers

TRIVIAL, DJANGO = "trivial:application", "bench_site.wsgi:application"
REFERENCE = "gunicorn gthread"


@dataclass(frozen=True)
class Case:
    """What is asked for, over how many connections, kept or new, and how large each server is."""

    application: str
    path: str = "/"
    keep_alive: bool = True
    processes: int = 1
    threads: int = 5
    connections: int = 16


CASES = {
    "trivial, keep-alive": Case(TRIVIAL),
    "trivial, new connections": Case(TRIVIAL, keep_alive=False),
    "page, keep-alive": Case(DJANGO),
    "page, new connections": Case(DJANGO, keep_alive=False),
    "page, keep-alive, 2 processes": Case(DJANGO, processes=2),
    "query, keep-alive": Case(DJANGO, "/query"),
    "query, keep-alive, 2 processes": Case(DJANGO, "/query", processes=2),
}


def _names(case: Case) -> list[str]:
    """All servers; their variants only where a Django page tells what they cost."""
    skipped = (
        {"waitress-serve, limit raised"} if case == CASES["page, keep-alive"] else {*servers.VARIANTS} - {REFERENCE}
    )
    kinds = servers.KINDS.items()
    return [name for name, kind in kinds if name not in skipped and (case.processes == 1 or kind.several_processes)]


def measure(case: Case, names: Sequence[str], url: str, repetitions: int) -> dict[str, dict[str, Any]]:
    """The servers `names` in one case: medians, every round's rps, errors, ratios to REFERENCE in the same round."""
    alone = case.processes == 1
    cpus, load_cpus = (common.SERVER_CPU, common.LOAD_CPU) if alone else (common.ALL_CPUS, common.ALL_CPUS)
    env = {"DATABASE_URL": url} if case.application == DJANGO else {}
    with contextlib.ExitStack() as stack:
        up = {
            name: stack.enter_context(
                servers.running(
                    name,
                    case.application,
                    processes=case.processes,
                    threads=case.threads,
                    cpus=cpus,
                    env=env,
                    ready_path=case.path,
                )
            )
            for name in names
        }

        def once(name: str) -> dict[str, Any]:
            pids = up[name].pids()
            used = common.cpu_seconds(pids)
            found = load.closed(
                up[name].port,
                case.path,
                1,
                connections=case.connections,
                keep_alive=case.keep_alive,
                cpus=load_cpus,
            )
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
            figures[case] = measure(CASES[case], _names(CASES[case]), url, 2 if quick else 7)
            show(case, figures[case])
    return {"reference": REFERENCE, "cases": figures}


def show(case: str, figures: dict[str, dict[str, Any]]) -> None:
    """Progress: the figures of one case."""
    for name, found in figures.items():
        shown = f"x {found['ratio']:<6} p99 {found['p99']:7} ms  cpu {found['cpu_ms']} ms"
        common.log(f"  {case:32} {name:28} {found['rps']:9} /s  {shown}")
