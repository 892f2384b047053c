"""A worker is killed: how long until the next answer, on a site whose import takes three seconds.

One process, so nobody else can answer meanwhile. A new server for each round: servers pause when deaths repeat.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import common
import servers

NAMES = ("headwaiter", "gunicorn gthread")  # gunicorn with preload_app, as in Heroku's own settings


def seconds_without_answer(name: str) -> float:
    """Seconds from SIGKILL to the next whole answer."""
    with servers.running(name, "slow_import:application") as server:
        time.sleep(1)
        started = time.perf_counter()
        os.kill(server.workers()[0], signal.SIGKILL)
        while common.ask(server.port, timeout=30) != 200:
            time.sleep(0.002)
        return time.perf_counter() - started


def run(quick: bool) -> dict[str, Any]:
    rounds = [{name: seconds_without_answer(name) for name in NAMES} for _ in range(2 if quick else 10)]
    figures = {}
    for name in NAMES:
        seconds = [one[name] for one in rounds]
        figures[name] = {"median": round(common.median(seconds), 3), "slowest": round(max(seconds), 3)}
        common.log(f"  {name:30} {figures[name]}")
    return {"servers": figures}
