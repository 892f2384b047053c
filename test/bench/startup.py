"""From exec to the first answer, on the same Django site, servers in turn; the first round (bytecode) is left out."""

from __future__ import annotations

import time
from typing import Any

import common
import menu_database
import servers

DJANGO = "bench_site.wsgi:application"
NAMES = ("headwaiter", "waitress-serve", "gunicorn gthread", "granian")
REFERENCE = "waitress-serve"


def first_answer(name: str, url: str | None) -> float:
    """Seconds from starting the program to its first whole answer."""
    started = time.perf_counter()
    server = servers.spawn(name, DJANGO, cpus=common.SERVER_CPU, env={"DATABASE_URL": url} if url else {})
    try:
        common.wait_ready(server)
        return time.perf_counter() - started
    finally:
        server.kill()


def run(quick: bool) -> dict[str, Any]:
    """`ratio` is the median of the ratios to REFERENCE, round by round."""
    figures: dict[str, Any] = {}
    with menu_database.database() as url:
        for site, database in (("without database", None), ("with PostgreSQL", url)):
            rounds = [{name: first_answer(name, database) for name in NAMES} for _ in range(4 if quick else 12)][1:]
            figures[site] = {
                name: {
                    "seconds": round(common.median([one[name] for one in rounds]), 3),
                    "ratio": round(common.median([one[name] / one[REFERENCE] for one in rounds]), 3),
                }
                for name in NAMES
            }
            common.log(f"  {site}: {figures[site]}")
    return {"reference": REFERENCE, "sites": figures}
