"""Throughput and p95 against threads in one process: the curve that THREADS_PER_PROCESS comes from.

Three views: Python code only, one query, and queries with Python code between them. Throughput: 32 clients in a closed
loop. p95: requests arrive at random at half of what 4 threads can serve, so that it shows what threads cost each other
rather than an overload. The server has one CPU, load and database have the other. The best of several short rounds in
turn counts: whatever else the machine does only takes away.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import common
import load
import real_postgres
import servers

sys.path.insert(0, str(common.LIB))
from headwaiter.budget.arithmetic import THREADS_PER_PROCESS

THREADS = (1, 2, 4, 6, 8, 12, 16, 32)
REFERENCE = 4
SHARE = 0.5
VIEWS = {
    "Python code, 5 ms": "/cpu?cpu=0.005",
    "query, 20 ms": "/query?seconds=0.02",
    "mixed, 3 ms of Python and 10 ms of queries": "/mixed?cpu=0.003&seconds=0.01",
}


def _server(threads: int, url: str) -> AbstractContextManager[common.Server]:
    launch = servers.Launch(real_postgres.APPLICATION, common.free_port(), 1, threads)
    kind = servers.KINDS["headwaiter"]
    return common.running(
        f"headwaiter, {threads} threads", kind.command(launch), launch.port, env={**kind.env, "DATABASE_URL": url},
        cpus=common.SERVER_CPU, cwd=real_postgres.SHOP,
    )  # fmt: skip


def measure(url: str, path: str, seconds: float, rounds: int) -> dict[str, Any]:
    """One view: the best of the rounds, requests a second and the 95th percentile in ms, by number of threads."""
    with ExitStack() as stack:
        ports = {threads: stack.enter_context(_server(threads, url)).port for threads in THREADS}
        for port in ports.values():
            load.steady(port, path, 1, clients=32, keep_alive=True)
        served: dict[int, list[float]] = {threads: [] for threads in THREADS}
        for _ in range(rounds):
            for threads, port in ports.items():
                served[threads].append(load.steady(port, path, seconds, clients=32, keep_alive=True)["rps"])
        rps = {threads: max(each) for threads, each in served.items()}
        rate = SHARE * rps[REFERENCE]
        late: dict[int, list[float]] = {threads: [] for threads in THREADS}
        for seed in range(rounds):
            for threads, port in ports.items():
                found = load.poisson(port, path, seconds + 1, rate=rate, seed=seed, keep_alive=8)
                late[threads].append(found["p95"])
    p95 = {threads: round(min(each), 1) for threads, each in late.items()}
    return {"rps": rps, "p95_ms": p95, "arrivals_per_second": round(rate, 1)}


def run(quick: bool) -> dict[str, Any]:
    database = real_postgres.server()
    url = database.role("curve")
    figures = {}
    for name, path in VIEWS.items():
        figures[name] = measure(url, path, 1 if quick else 1.5, 2 if quick else 6)
        common.log(f"  {name}: rps {figures[name]['rps']}")
        common.log(f"  {name}: p95 {figures[name]['p95_ms']}")
    return {"threads": list(THREADS), "views": figures}


def chart(figures: dict[str, Any], path: Path) -> None:
    """Two panels, share of the best throughput and p95, with the number that headwaiter chooses marked."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "headwaiter", "font.size": 10})
    from matplotlib import pyplot

    chosen = THREADS_PER_PROCESS
    drawing, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.8))
    threads = [int(number) for number in figures["threads"]]
    for name, view in figures["views"].items():
        rps = [view["rps"].get(number, view["rps"].get(str(number))) for number in threads]
        late = [view["p95_ms"].get(number, view["p95_ms"].get(str(number))) for number in threads]
        left.plot(threads, [100 * each / max(rps) for each in rps], marker="o", markersize=3, label=name)
        right.plot(threads, late, marker="o", markersize=3, label=name)
    left.set(title="Throughput, % of the best (32 clients)", xlabel="threads in one process", ylim=(0, 105))
    right.set(title="p95 at half of what 4 threads serve, ms", xlabel="threads in one process", yscale="log")
    for panel in (left, right):
        panel.set_xscale("log", base=2)
        panel.set_xticks(threads, [str(number) for number in threads])
        panel.minorticks_off()
        panel.axvline(chosen, color="grey", linestyle="--", linewidth=1)
        panel.grid(alpha=0.3)
    left.text(chosen, 8, f" headwaiter: {chosen}", color="grey")
    right.legend(fontsize=8, loc="upper right")
    marks = (10, 20, 50, 100, 200, 500, 1000, 2000)
    right.set_yticks(marks, [str(mark) for mark in marks])
    drawing.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})
    pyplot.close(drawing)
