"""Do several processes queue worse than one? 50 ms requests arrive at random at 70 % of what eight threads can do."""

from __future__ import annotations

from typing import Any

import common
import load
import servers

CASES = {  # name: server, processes, threads
    "headwaiter 1x8": ("headwaiter", 1, 8),
    "headwaiter 2x4": ("headwaiter", 2, 4),
    "waitress-serve 1x8": ("waitress-serve", 1, 8),
    "gunicorn gthread 1x8": ("gunicorn gthread", 1, 8),
    "gunicorn gthread 2x4": ("gunicorn gthread", 2, 4),
}
RATE = 0.7 * 8 / 0.05
REFERENCE = "headwaiter 1x8"


def run(quick: bool) -> dict[str, Any]:
    """Medians over repetitions with the same arrivals for every server; `ratio` is p95 against REFERENCE."""
    seconds, seeds = (4.0, range(1)) if quick else (8.0, range(3))
    figures: dict[str, dict[str, Any]] = {}
    for connections in ("new", "kept"):
        rounds: list[dict[str, Any]] = []
        for seed in seeds:
            found = {}
            for case, (name, processes, threads) in CASES.items():
                with servers.running(name, "trivial:application", processes=processes, threads=threads) as server:
                    pool = 16 if connections == "kept" else 0
                    path = "/sleep?ms=50"
                    found[case] = load.poisson(server.port, path, seconds, rate=RATE, seed=seed, keep_alive=pool)
            rounds.append(found)
        figures[connections] = {case: summary(case, rounds, REFERENCE) for case in CASES}
        for case, found in figures[connections].items():
            common.log(f"  {connections:5} {case:24} {found}")
    return {"connections": figures}


def summary(case: str, rounds: list[dict[str, Any]], reference: str) -> dict[str, Any]:
    """Medians over the rounds, in milliseconds; the ratio is p95 against `reference` in the same round."""
    figures = {key: round(common.median([one[case][key] for one in rounds]), 1) for key in ("p50", "p95", "p99")}
    figures["ratio"] = round(common.median([one[case]["p95"] / one[reference]["p95"] for one in rounds]), 2)
    return {**figures, "errors": sum(one[case]["errors"] for one in rounds)}
