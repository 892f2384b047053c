"""The comparison in README, and what other servers do better: both out of results.json."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Results = dict[str, Any]

MISSING = "-"
OURS = "headwaiter"
# README's columns: the server's name in most parts, and in the part with three dynos.
COLUMNS = {
    OURS: (OURS, OURS),
    "gunicorn gthread, Heroku's settings": (
        "gunicorn gthread (Heroku)",
        "gunicorn, Heroku's settings (2 x 5 threads)",
    ),
    "gunicorn gevent": ("gunicorn gevent", "gunicorn gevent (2 processes)"),
    "nginx + gunicorn gthread": ("nginx + gunicorn gthread", ""),
    "granian": ("granian", "granian, defaults"),
}
BEGIN, END = "<!-- comparison: written by make bench -->", "<!-- end of comparison -->"


def _answered(kind: str) -> Callable[[Results, str, str], str]:
    return lambda results, name, _: f"{results['slow_clients']['clients']['50'][name][kind]['success']:.0f} %"


def _page(case: str, key: str, text: str) -> Callable[[Results, str, str], str]:
    def cell(results: Results, name: str, _: str) -> str:
        figures = results["throughput"]["cases"][case]
        value = figures[name][key] / figures[OURS][key] if key == "ratio" else figures[name][key]
        return text.format(value)

    return cell


def _restarts(results: Results, name: str, _: str) -> str:
    row = results["restarts"]["servers"][name]
    return f"{row['failed']:,} in {row['restarts']} restarts"


def _dynos(results: Results, _: str, name: str) -> str:
    row = results["dynos"]["servers"][name]
    return f"{row['failed']:,} of {row['failed'] + row['answered']:,}"


ROWS: dict[str, Callable[[Results, str, str], str]] = {
    "50 slow uploads: other requests answered": _answered("upload"),
    "50 slow readers of a 40 MB response: other requests answered": _answered("read 40 MB stream"),
    "Failed requests in restarts under load": _restarts,
    "Requests sent the moment before SIGTERM: answered": lambda results, name, _: str(
        results["sigterm"]["servers"][name]["kernel_queue"]
    ),
    "Three dynos on a 20-connection database: failed requests": _dynos,
    "Memory with 1,000 slow uploads and 1,000 slow readers": lambda results, name, _: (
        f"{results['memory']['slow_clients'][name]['rss_mb_peak']} MB"
    ),
    "Django page: requests/s, headwaiter = 1": _page("page, keep-alive", "ratio", "{:.2f}"),
    "Django page: p95": _page("page, keep-alive", "p95", "{:.0f} ms"),
    "PostgreSQL page: requests/s, headwaiter = 1": _page("query, keep-alive", "ratio", "{:.2f}"),
    "PostgreSQL page, 2 processes: p99": _page("query, keep-alive, 2 processes", "p99", "{:.0f} ms"),
}


def table(results: Results) -> str:
    """README's table; a dash where nothing was measured."""

    def cell(row: Callable[[Results, str, str], str], names: tuple[str, str]) -> str:
        try:
            return row(results, *names)
        except KeyError:
            return MISSING

    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    lines += [
        f"| {label} | " + " | ".join(cell(row, names) for names in COLUMNS.values()) + " |"
        for label, row in ROWS.items()
    ]
    return "\n".join(lines)


def write(results: Results, readme: Path) -> None:
    """Replace what stands between the two marks in README."""
    text = readme.read_text()
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    readme.write_text(between.sub(lambda _: f"{BEGIN}\n{table(results)}\n{END}", text))
