"""The servers that are compared and how each is started: same application, Python, process and thread counts.

Access logs are off, except in "gunicorn gthread (Heroku)", which has the settings of Heroku's own sample site, and
"headwaiter, access log", its counterpart.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import common
import record

HERE = Path(__file__).resolve().parent
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@dataclass(frozen=True)
class Launch:
    """What a server is asked to run. `threads` is per process."""

    application: str
    port: int
    processes: int = 1
    threads: int = 5

    @property
    def listen(self) -> str:
        return f"127.0.0.1:{self.port}"


def _headwaiter(*options: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        sizes = [f"--threads={launch.threads}", f"--processes={launch.processes}"]
        return [common.PYTHON, "-m", "headwaiter", f"--listen={launch.listen}", *sizes, *options, launch.application]

    return command


def _waitress(*options: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        where = [f"--listen={launch.listen}", f"--threads={launch.threads}"]
        return [common.PYTHON, "-m", "waitress", *where, *options, launch.application]

    return command


def _gunicorn(*options: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        where = [f"--bind={launch.listen}", f"--workers={launch.processes}"]
        return [common.PYTHON, "-m", "gunicorn", *where, *options, launch.application]

    return command


def _gunicorn_sync(launch: Launch) -> list[str]:
    # One request per process: as many processes as the others have threads.
    where = [f"--bind={launch.listen}", f"--workers={launch.processes * launch.threads}"]
    return [common.PYTHON, "-m", "gunicorn", *where, "--worker-class=sync", "--preload", launch.application]


def _gthread(launch: Launch) -> list[str]:
    return _gunicorn(f"--config={HERE / 'heroku_gunicorn.conf.py'}", f"--threads={launch.threads}")(launch)


def _granian(*options: str, sized: bool) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        where = ["--interface=wsgi", "--host=127.0.0.1", f"--port={launch.port}", f"--workers={launch.processes}"]
        threads = [f"--blocking-threads={launch.threads}"] if sized else []
        return [common.PYTHON, "-m", "granian", *where, *threads, *options, launch.application]

    return command


def _uvicorn(launch: Launch) -> list[str]:
    where = ["--interface=wsgi", "--host=127.0.0.1", f"--port={launch.port}", f"--workers={launch.processes}"]
    return [common.PYTHON, "-m", "uvicorn", *where, "--no-access-log", "--log-level=warning", launch.application]


def _nginx_gunicorn(launch: Launch) -> list[str]:
    counts = [f"--port={launch.port}", f"--workers={launch.processes}", f"--threads={launch.threads}"]
    return [common.PYTHON, str(HERE / "nginx_gunicorn.py"), f"--nginx={NGINX}", *counts, launch.application]


@dataclass(frozen=True)
class Kind:
    """One row of a table."""

    command: Callable[[Launch], list[str]]
    env: Mapping[str, str]
    several_processes: bool = True


_LIB = {"PYTHONPATH": str(common.LIB)}
_QUIET = {"BENCH_ACCESS_LOG": "off"}
HIGH_LIMIT = ("--connection-limit=10000", "--asyncore-use-poll")

KINDS: dict[str, Kind] = {
    "headwaiter": Kind(_headwaiter(), _LIB),
    "headwaiter, access log": Kind(_headwaiter("--access-log"), _LIB),
    "waitress-serve": Kind(_waitress(), {}, several_processes=False),
    "waitress-serve, limit raised": Kind(_waitress(*HIGH_LIMIT), {}, several_processes=False),
    "gunicorn gthread (Heroku)": Kind(_gthread, {}),
    "gunicorn gthread": Kind(_gthread, _QUIET),
    "gunicorn sync": Kind(_gunicorn_sync, {}),
    "gunicorn gevent": Kind(_gunicorn("--worker-class=gevent"), {}),
    "granian": Kind(_granian(sized=True), {}),
    "granian, default threads": Kind(_granian(sized=False), {}),
    "uvicorn (a2wsgi)": Kind(_uvicorn, {}),
    "nginx + gunicorn gthread": Kind(_nginx_gunicorn, {**_QUIET, "BENCH_BEHIND_NGINX": "yes"}),
}
if NGINX is None:
    del KINDS["nginx + gunicorn gthread"]


# Settings of one server that only throughput and thousands of connections tell apart.
VARIANTS = ("headwaiter, access log", "waitress-serve, limit raised", "gunicorn gthread", "granian, default threads")


def spawn(name: str, application: str, *, processes: int = 1, threads: int = 5, cpus: set[int] | None = None,
          env: Mapping[str, str] | None = None) -> common.Server:  # fmt: skip
    """Start a server of KINDS on a free port and return at once; the command goes to the results."""
    kind = KINDS[name]
    launch = Launch(application, common.free_port(), processes, threads)
    command = kind.command(launch)
    record.note_command(f"{name}, {application.partition('.')[0]}, {processes} x {threads}", command, launch.port)
    return common.spawn(name, command, launch.port, env={**kind.env, **(env or {})}, cpus=cpus)


@contextlib.contextmanager
def running(name: str, application: str, *, processes: int = 1, threads: int = 5, cpus: set[int] | None = None,
            env: Mapping[str, str] | None = None, ready_path: str = "/") -> Iterator[common.Server]:  # fmt: skip
    """A server of KINDS that answers, for the length of a `with` block."""
    server = spawn(name, application, processes=processes, threads=threads, cpus=cpus, env=env)
    try:
        common.wait_ready(server, ready_path)
        yield server
    finally:
        server.kill()
