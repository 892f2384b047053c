"""Several processes and connections that are kept, as a router keeps them: does a request wait though a thread is free?

Every connection asks again at once; or requests arrive at random, at 70 % of what gunicorn gthread can do; or few
arrive, of which some are slow, and the others are measured.
"""

from __future__ import annotations

from typing import Any

import common
import load
import menu_database
import queueing
import servers
import throughput
from throughput import DJANGO, REFERENCE, Case

SERVERS = [name for name in ("headwaiter", REFERENCE, "nginx + gunicorn gthread", "granian") if name in servers.KINDS]
SIZES = {"1 x 5": (1, 5), "2 x 5": (2, 5), "4 x 4": (4, 4)}
LOADS = {"16 kept": (16, True), "64 kept": (64, True), "16 new": (16, False)}
PATHS = {"page": "/", "query": "/query"}
SHARE = 0.7  # of the capacity
MIXED_RATE = 20.0
MIXED = {  # at which some requests aren't the page, and aren't measured
    "one in ten waits for 2 s": {"slow": "/slow?ms=2000", "slow_share": 0.1},  # half of 2 x 4 threads, on average
    "one in ten computes for 0.3 s": {"slow": "/work?ms=300", "slow_share": 0.1},
}


def _cases(quick: bool) -> dict[str, Case]:
    return {
        f"{page}, {size}, {connections}": Case(DJANGO, path, keep_alive, processes, threads, count)
        for page, path in PATHS.items()
        for size, (processes, threads) in SIZES.items()
        for connections, (count, keep_alive) in LOADS.items()
        if not quick or (size, connections) == ("2 x 5", "16 kept")
    }


def _at_random(processes: int, threads: int, rate: float, quick: bool, **slow: Any) -> dict[str, dict[str, Any]]:
    """Medians over repetitions with the same arrivals for every server; the ratio is p95 against REFERENCE."""
    seconds, seeds = (4.0, range(1)) if quick else (5.0, range(3))
    rounds: list[dict[str, dict[str, Any]]] = []
    for seed in seeds:
        found = {}
        for name in SERVERS:
            with servers.running(name, DJANGO, processes=processes, threads=threads) as server:
                load.closed(server.port, "/", 1)
                found[name] = load.poisson(
                    server.port, "/", seconds, rate=rate, seed=seed, keep_alive=16, cpus=common.ALL_CPUS, **slow
                )
        rounds.append(found)
    return {name: queueing.summary(name, rounds, REFERENCE) for name in SERVERS}


def run(quick: bool) -> dict[str, Any]:
    closed, at_random = {}, {}
    with menu_database.database() as url:
        for name, case in _cases(quick).items():
            closed[name] = throughput.measure(case, SERVERS, url, 2 if quick else 8)
            throughput.show(name, closed[name])
    for size in ("2 x 5",) if quick else SIZES:
        rate = SHARE * closed[f"page, {size}, 16 kept"][REFERENCE]["rps"]
        at_random[f"page, {size}, {rate:.0f} requests/s"] = _at_random(*SIZES[size], rate, quick)
    for name, some in MIXED.items():
        at_random[f"page, 2 x 4, {MIXED_RATE:.0f} requests/s, {name}"] = _at_random(2, 4, MIXED_RATE, quick, **some)
    for name, figures in at_random.items():
        common.log(f"  {name} {figures}")
    return {"reference": REFERENCE, "closed": closed, "at_random": at_random}
