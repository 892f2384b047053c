"""Three dynos on one 20-connection role: who gets refused connections, and what the clients see.

300 clients ask a view that holds a connection for about 20 ms, through a router that knows which dyno is up. Meanwhile
all three dynos restart one after the other, and somebody opens a psql session. Refusals are counted in PostgreSQL's own
log, the peak by asking it as superuser 50 times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import psycopg
import real_postgres
import record

LIMIT = 20
DYNOS = 3
PATH = "/mixed?seconds=0.02&cpu=0.001"
HERE = Path(__file__).resolve().parent
Command = Callable[[int], list[str]]


def _headwaiter(port: int) -> list[str]:
    return [common.PYTHON, "-m", "headwaiter", f"--listen=127.0.0.1:{port}", real_postgres.APPLICATION]


def _gunicorn(*options: str) -> Command:
    def command(port: int) -> list[str]:
        return [common.PYTHON, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", *options, real_postgres.APPLICATION]

    return command


def _granian(port: int) -> list[str]:
    where = ["--interface=wsgi", "--host=127.0.0.1", f"--port={port}"]
    return [common.PYTHON, "-m", "granian", *where, real_postgres.APPLICATION]


SERVERS: dict[str, tuple[Command, dict[str, str]]] = {
    # Each as its documentation says for Heroku; WEB_CONCURRENCY=2 is what heroku/python sets on 512 MB.
    "headwaiter": (_headwaiter, {"PYTHONPATH": str(common.LIB), "HEADWAITER_WEB_DYNOS": str(DYNOS)}),
    "headwaiter, number of dynos unknown": (_headwaiter, {"PYTHONPATH": str(common.LIB)}),
    "gunicorn, Heroku's settings (2 x 5 threads)": (
        _gunicorn(f"--config={HERE / 'heroku_gunicorn.conf.py'}", "--workers=2", "--threads=5"),
        {"WEB_CONCURRENCY": "2", "BENCH_ACCESS_LOG": "off"},
    ),
    "gunicorn gevent (2 processes)": (_gunicorn("--worker-class=gevent", "--workers=2"), {}),
    "granian, defaults": (_granian, {}),
}


def measure(name: str, clients: int, seconds: float) -> dict[str, Any]:
    """One server: what the clients saw, and what PostgreSQL saw."""
    command, extra = SERVERS[name]
    server = real_postgres.server()
    url = server.role("bench", LIMIT)
    env = common.environment({"DATABASE_URL": url, "DYNO_RAM": "512", **extra})
    record.note_command(name, command(0))
    support = real_postgres.formation
    with (
        support.Formation(command, env, real_postgres.SHOP, DYNOS) as formation,
        support.Connections(server, "bench") as connections,
    ):
        with support.Load(formation, PATH, clients) as load:
            time.sleep(seconds)
            quiet = sum(load.statuses.values()), load.statuses[200]
            formation.restart(formation.dynos[0])
            psql_refused = _psql(url)
            for dyno in formation.dynos[: DYNOS - 1]:
                formation.restart(dyno)
            time.sleep(seconds)
        figures = {
            "answered": load.answered,
            "failed": load.failed,
            "failed_before_restarts": quiet[0] - quiet[1],
            "rps": round(load.answered / load.elapsed, 1),
            "p50_ms": round(1000 * common.percentile(load.seconds, 0.5)),
            "p95_ms": round(1000 * common.percentile(load.seconds, 0.95)),
            "refused": connections.refused,
            "peak": connections.peak,
            "psql_refused": psql_refused,
            "samples": [[round(at, 2), number] for at, number in connections.samples][::5],
        }
    server.end_all("bench")
    return figures


def _psql(url: str) -> bool:
    """Whether a person with psql is turned away."""
    try:
        psycopg.connect(url, application_name="psql").close()
    except psycopg.OperationalError:
        return True
    return False


def run(quick: bool) -> dict[str, Any]:
    figures = {}
    for name in SERVERS:
        found = measure(name, 60 if quick else 300, 2 if quick else 8)
        figures[name] = found
        shown = {key: value for key, value in found.items() if key != "samples"}
        common.log(f"  {name:45} {shown}")
    return {"limit": LIMIT, "dynos": DYNOS, "clients": 60 if quick else 300, "servers": figures}


def chart(figures: dict[str, Any], path: Path) -> None:
    """Connections over time, one line a server, the limit above; failed requests in the legend."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "headwaiter", "font.size": 10})
    from matplotlib import pyplot

    drawing, panel = pyplot.subplots(figsize=(10, 4))
    for name, found in figures["servers"].items():
        label = f"{name}: {found['refused']:,} refused by PostgreSQL, {found['failed']:,} requests failed"
        times, numbers = zip(*found["samples"], strict=True)
        panel.plot(times, numbers, linewidth=2.5 if name.startswith("headwaiter") else 1.2, label=label)
    panel.axhline(figures["limit"], color="black", linestyle="--", linewidth=1)
    panel.text(0, figures["limit"] + 0.3, "the role's limit")
    panel.set(
        title=f"{figures['dynos']} dynos, one role, {figures['clients']} clients, all dynos restarted in between",
        xlabel="seconds", ylabel="connections", ylim=(0, figures["limit"] + 2),
    )  # fmt: skip
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="lower center")
    drawing.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})
    pyplot.close(drawing)
