"""One role of 20 connections, scaled from one dyno to six and down to two, as an autoscaler does.

60 clients ask a view that holds a connection for about 20 ms, through a router that knows which dyno is up. Somebody
tries to open a psql session four times a second. Nothing is configured. Each phase is measured once it has settled;
what fails in between counts all the same. Two formations that were started in their final size are the
measure for headwaiter's speed.
"""

from __future__ import annotations

import collections
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import psycopg
import real_postgres
import record
from dynos import HERE, Command, _granian, _gunicorn, _headwaiter

LIMIT = 20
CLIENTS = 60
PATH = "/query?seconds=0.02"
SIZES = (1, 6, 2)
MORE_SECONDS = 30  # until a larger formation has settled: headwaiter's promise is 20
FEWER_SECONDS = 150  # until a smaller one has: headwaiter waits two minutes
OURS = {"PYTHONPATH": str(common.LIB)}


def _waitress(port: int) -> list[str]:
    return [common.PYTHON, "-m", "waitress", f"--listen=127.0.0.1:{port}", "--threads=4", real_postgres.APPLICATION]


SERVERS: dict[str, tuple[Command, dict[str, str]]] = {
    "headwaiter": (_headwaiter, OURS),
    "gunicorn, Heroku's settings (2 x 5 threads)": (
        _gunicorn(f"--config={HERE / 'heroku_gunicorn.conf.py'}", "--workers=2", "--threads=5"),
        {"WEB_CONCURRENCY": "2", "BENCH_ACCESS_LOG": "off"},
    ),
    "granian, defaults": (_granian, {}),
    "waitress-serve, 4 threads": (_waitress, {}),
}


class Psql:
    """Somebody who opens a session four times a second: [seconds since the start, whether it was let in]."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tries: list[tuple[float, bool]] = []
        self._stop = threading.Event()
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Psql:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            began = time.perf_counter() - self._started
            try:
                psycopg.connect(self.url, application_name="psql", connect_timeout=5).close()
            except psycopg.OperationalError:
                self.tries.append((began, False))
            else:
                self.tries.append((began, True))


@contextmanager
def running(name: str, extra: dict[str, str], size: int) -> Iterator[tuple[Any, Any, str]]:
    """A formation of `size` dynos on the role, the watch over its connections, and the role's URL."""
    command, settings = SERVERS[name]
    server = real_postgres.server()
    url = server.role("bench", LIMIT)
    env = common.environment({"DATABASE_URL": url, "DYNO_RAM": "512", **settings, **extra})
    record.note_command(name, command(0))
    support = real_postgres.formation
    with (
        support.Formation(command, env, real_postgres.SHOP, size) as formation,
        support.Connections(server, "bench", 0.1) as connections,
    ):
        yield formation, connections, url
    server.end_all("bench")


def scale(formation: Any, size: int) -> None:
    """As `heroku ps:scale web=N`: new dynos start, the last ones get SIGTERM and no more requests."""
    new = [formation.start(f"web.{number}") for number in range(len(formation.dynos) + 1, size + 1)]
    for dyno in new:
        formation.wait_ready(dyno)
        formation.dynos.append(dyno)
    old, formation.dynos[size:] = formation.dynos[size:], []
    for dyno in old:
        dyno.signal(signal.SIGTERM)


def phase(load: Any, psql: Psql | None, seconds: float) -> dict[str, Any]:
    """What clients and psql see from now on, for so many seconds."""
    statuses, answers, tries = collections.Counter(load.statuses), len(load.seconds), len(psql.tries) if psql else 0
    time.sleep(seconds)
    found = load.statuses - statuses
    waited = load.seconds[answers:]
    told = psql.tries[tries:] if psql else []
    return {
        "rps": round(found[200] / seconds, 1),
        "failed": sum(found.values()) - found[200],
        "p95_ms": round(1000 * common.percentile(waited, 0.95)) if waited else None,
        "psql_tries": len(told),
        "psql_refused": sum(not ok for _, ok in told),
    }


def measure(name: str, seconds: float, settle: dict[int, float]) -> dict[str, Any]:
    """One server through all sizes."""
    with running(name, {}, SIZES[0]) as (formation, connections, url), Psql(url) as psql:
        with real_postgres.formation.Load(formation, PATH, CLIENTS) as load:
            phases, marks = {}, []
            for size in SIZES:
                marks.append([round(connections.samples[-1][0] if connections.samples else 0.0, 1), size])
                scale(formation, size)
                time.sleep(settle[size])
                phases[str(size)] = phase(load, psql, seconds)
        return {
            "answered": load.answered,
            "failed": load.failed,
            "phases": phases,
            "refused": connections.refused,
            "peak": connections.peak,
            "psql_tries": len(psql.tries),
            "psql_refused": sum(not ok for _, ok in psql.tries),
            "marks": marks,
            "samples": [[round(at, 1), number] for at, number in connections.samples][::5],
        }


def fresh(size: int, seconds: float) -> dict[str, Any]:
    """The same load on a formation that was started in that size, with its number told."""
    support = real_postgres.formation
    with (
        running("headwaiter", {"HEADWAITER_WEB_DYNOS": str(size)}, size) as (formation, _, _),
        support.Load(formation, PATH, CLIENTS) as load,
    ):
        time.sleep(5)
        return phase(load, None, seconds)


def run(quick: bool) -> dict[str, Any]:
    seconds = 5.0 if quick else 15.0
    figures = {}
    for name in SERVERS:
        ours = name == "headwaiter"
        settle = {1: 5.0, 6: MORE_SECONDS if ours else 10.0, 2: FEWER_SECONDS if ours else 10.0}
        figures[name] = measure(name, seconds, settle)
        shown = {key: value for key, value in figures[name].items() if key not in ("samples", "marks")}
        common.log(f"  {name:45} {shown}")
    fresh_ones = {str(size): fresh(size, seconds) for size in SIZES[1:]}
    common.log(f"  started in that size: {fresh_ones}")
    return {"limit": LIMIT, "clients": CLIENTS, "sizes": list(SIZES), "servers": figures, "fresh": fresh_ones}


def chart(figures: dict[str, Any], path: Path) -> None:
    """Connections over time, a panel for each server, with the changes of the formation and what failed."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "headwaiter", "font.size": 10})
    from matplotlib import pyplot

    servers = figures["servers"]
    drawing, panels = pyplot.subplots(len(servers), 1, figsize=(10, 1.9 * len(servers)), squeeze=False)
    for (name, found), (panel,) in zip(servers.items(), panels, strict=True):
        times, numbers = zip(*found["samples"], strict=True)
        panel.plot(times, numbers, linewidth=1.5)
        panel.axhline(figures["limit"], color="black", linestyle="--", linewidth=1)
        for at, size in found["marks"]:
            panel.axvline(at, color="grey", linewidth=1)
            panel.text(at, 1, f" {size} dyno{'s' * (size > 1)}", color="grey")
        share = 100 * found["psql_refused"] / max(1, found["psql_tries"])
        panel.set_title(
            f"{name}: {found['failed']:,} of {found['answered'] + found['failed']:,} requests failed, "
            f"psql refused {share:.0f} % of the time",
            fontsize=10, loc="left",
        )  # fmt: skip
        panel.set(ylabel="connections", ylim=(0, figures["limit"] + 2))
        panel.grid(alpha=0.3)
    panels[-1][0].set_xlabel("seconds")
    drawing.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None})
    pyplot.close(drawing)
