"""docs/benchmarks.md: the text of benchmarks.md beside this file, with tables out of results.json at its marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Results = dict[str, Any]

TOLERANCE = 1.05  # less isn't told apart from noise
REASONS = {
    "granian": "granian parses and writes HTTP in Rust, outside of Python's lock; Waitress does both in Python.",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def slow_clients(results: Results) -> str:
    parts = []
    for count, matrix in results["slow_clients"]["clients"].items():
        kinds = list(next(iter(matrix.values())))
        rows = [
            [name, *(f"{row[kind]['success']:g} % / {row[kind]['ratio'] or '-'}" for kind in kinds)]
            for name, row in matrix.items()
        ]
        parts.append(f"### {int(count):,} slow clients\n\n" + table(["server", *kinds], rows))
    return "\n\n".join(parts)


def hostile(results: Results) -> str:
    servers = results["hostile"]["attacks"]
    kinds = next(iter(servers.values()))
    rows = (
        [kind, *(f"{row[kind]['success']:g} % / {row[kind]['ratio'] or '-'}" for row in servers.values())]
        for kind in kinds
    )
    return table(["request", *servers], rows)


def _servers(part: Results, columns: dict[str, str]) -> str:
    rows = ([name, *(row[key] for key in columns)] for name, row in part["servers"].items())
    return table(["server", *columns.values()], rows)


STOPS = {
    **{key: key for key in ("running", "queued", "download", "upload")},
    "kernel_queue": "just connected",
    "new": "new",
    "idle_closed_after": "idle closed",
    "exit_status": "exit status",
    "seconds": "seconds to exit",
}
RESTARTS = {
    **{key: key for key in ("restarts", "answered", "failed")},
    "refused_then_retried": "refused, retried",
    "answered_per_second": "answers/s",
    "slowest_answer": "slowest answer, s",
    "slowest_exit": "slowest exit, s",
    "exit_statuses": "exit statuses",
}


def sigterm(results: Results) -> str:
    return _servers(results["sigterm"], STOPS)


def restarts(results: Results) -> str:
    return _servers(results["restarts"], RESTARTS)


def replacement(results: Results) -> str:
    return _servers(results["replacement"], {"median": "median, s", "slowest": "slowest, s"})


def throughput(results: Results) -> str:
    part, tables = results["throughput"], []
    for case, figures in part["cases"].items():
        rows = (
            [
                name,
                f"{row['ratio']:.2f}",
                f"{row['p50']:g} / {row['p95']:g} / {row['p99']:g}",
                row["cpu_ms"],
                row["errors"] or "",
            ]
            for name, row in figures.items()
        )
        title = f"### {case} ({part['reference']}: {figures[part['reference']]['rps']:,.0f} requests/s)"
        tables.append(f"{title}\n\n" + table(["server", "ratio", "p50 / p95 / p99", "CPU, ms", "errors"], rows))
    return "\n\n".join(tables)


def losses(results: Results) -> str:
    """What another server does better, by more than the tolerance."""
    cases = results["throughput"]["cases"]
    lines = [_better(f"Requests/s, {case}", figures, "ratio", "{:.2f}", more=True) for case, figures in cases.items()]
    pages = {case: figures for case, figures in cases.items() if not case.startswith("trivial")}
    lines += [_better(f"p99, {case}", figures, "p99", "{:.0f} ms") for case, figures in pages.items()]
    memory = results["memory"]["at_rest"]
    lines.append(_better("Memory of one process", memory, "pss_mb", "{:.0f} MB"))
    lines.append(_better("Memory of an idle connection", memory, "kib_per_idle_connection", "{:.1f} KiB"))
    lines += [
        _better(f"Start, {site}", figures, "seconds", "{:.2f} s")
        for site, figures in results["startup"]["sites"].items()
    ]
    found = [line for line in lines if line]
    if not found:
        return "Nothing in this run."
    reasons = [reason for word, reason in REASONS.items() if any(word in line for line in found)]
    return "\n".join([*found, "", *reasons])


def _better(what: str, figures: Results, key: str, text: str, *, more: bool = False) -> str:
    """One line: our figure and the better ones, the best first; nothing where there's none."""
    ours = figures["headwaiter"][key]
    theirs = {name: row[key] for name, row in figures.items() if row[key] is not None}
    better = {name: value for name, value in theirs.items() if (value / ours if more else ours / value) > TOLERANCE}
    named = [f"{name} {text.format(value)}" for name, value in sorted(better.items(), key=_value, reverse=more)]
    return f"- {what}: {', '.join(named)}; headwaiter {text.format(ours)}." if named else ""


def _value(item: tuple[str, float]) -> float:
    return item[1]


def queueing(results: Results) -> str:
    titles = {"new": "A new connection for each request", "kept": "16 kept connections, as a router has"}
    tables = []
    for connections, figures in results["queueing"]["connections"].items():
        rows = ([name, f"{row['p50']} / {row['p95']} / {row['p99']}", row["ratio"]] for name, row in figures.items())
        tables.append(f"### {titles[connections]}\n\n" + table(["server", "p50 / p95 / p99", "ratio"], rows))
    return "\n\n".join(tables)


def kept(results: Results) -> str:
    part = results["kept"]
    names = list(next(iter(part["closed"].values())))
    closed = [
        [case, *(f"{row['ratio']:.2f} / {row['p99_ratio']:.2f} / {row['cpu_ms']}" for row in figures.values())]
        for case, figures in part["closed"].items()
    ]
    at_random = [
        [case, *(f"{row['p50']} / {row['p95']} / {row['p99']}" for row in figures.values())]
        for case, figures in part["at_random"].items()
    ]
    return (
        f"Requests/s and p99 in relation to {part['reference']}'s, and CPU ms for each request:\n\n"
        f"{table(['page, processes x threads, connections', *names], closed)}\n\n"
        "Requests that arrive at random, over 16 kept connections; p50 / p95 / p99 in milliseconds:\n\n"
        f"{table(['page, processes x threads', *names], at_random)}"
    )


def memory(results: Results) -> str:
    part, rows = results["memory"], []
    for name, row in part["at_rest"].items():
        two = part["two_processes"].get(name, {})
        added = [row["kib_per_idle_connection"], row["idle_kept"]]
        rows.append([name, row["pss_mb"], two.get("pss_mb"), two.get("parent_private_mb"), *added])
    columns = ["1 process, MB", "2 processes, MB", "parent's own, MB", "KiB per idle connection", "of 1,000 kept"]
    return table(["server", *columns], rows)


def attacked(results: Results) -> str:
    rows = (
        [name, row["rss_mb_before"], row["rss_mb_peak"], "yes" if row["answers"] else "no"]
        for name, row in results["memory"]["slow_clients"].items()
    )
    return table(["server", "before, MB", "highest, MB", "still answers"], rows)


def startup(results: Results) -> str:
    sites = results["startup"]["sites"]
    names = next(iter(sites.values()))
    rows = (
        [name, *(f"{figures[name]['seconds']} s, {figures[name]['ratio']}" for figures in sites.values())]
        for name in names
    )
    return table(["server", *sites], rows)


def build(results: Results) -> str:
    found, seconds = results["build"]["detect"], results["build"]["compile_seconds"]
    detect = f"{found['milliseconds']} ms (slowest {found['slowest']} ms)"
    return (
        f"- bin/detect on a repository of {found['files']:,} files: {detect}.\n"
        f"- bin/compile, on top of heroku/python: {seconds['cold']} s without a cache, {seconds['warm']} s with one."
    )


def threads_curve(results: Results) -> str:
    part = results["threads_curve"]
    rows = (
        [f"{view}: {label}", *(figures[key].get(str(number)) for number in part["threads"])]
        for view, figures in part["views"].items()
        for key, label in (("rps", "requests/s"), ("p95_ms", "p95, ms"))
    )
    return table(["threads", *map(str, part["threads"])], rows)


def dynos(results: Results) -> str:
    part = results["dynos"]
    shown = {"answered": "answered", "failed": "failed", "refused": "refused", "peak": "most at once"}
    return f"{part['clients']} clients.\n\n" + _servers(part, {**shown, "p50_ms": "p50, ms", "p95_ms": "p95, ms"})


def scaling(results: Results) -> str:
    part = results["scaling"]
    rows = []
    for name, found in part["servers"].items():
        figures = [found["phases"][str(size)] for size in part["sizes"]]
        speeds = " / ".join(f"{each['rps']:.0f}" for each in figures)
        p95 = " / ".join(str(each["p95_ms"]) for each in figures)
        settled = " / ".join(f"{each['psql_refused']} of {each['psql_tries']}" for each in figures)
        rows.append([name, found["answered"], found["failed"], speeds, p95, found["refused"], settled])
    head = ["server", "answered", "failed", "answers/s", "p95, ms", "refused", "psql refused, settled"]
    fresh = ", ".join(f"{size} dynos {found['rps']:.0f} answers/s" for size, found in part["fresh"].items())
    sizes = " / ".join(map(str, part["sizes"]))
    return (
        f"{part['clients']} clients; figures with slashes are for {sizes} dynos. headwaiter started in that size, with "
        f"HEADWAITER_WEB_DYNOS: {fresh}.\n\n" + table(head, rows)
    )


def looking(results: Results) -> str:
    part = results["looking"]
    rows = (
        [name, f"{row['p50']} / {row['p95']} / {row['p99']}", row["ratio"], row["cpu_percent"]]
        for name, row in part["servers"].items()
    )
    usual = f"Every {part['usual']['seconds']:g} s, as it does, that is {part['usual']['cpu_percent']} % of a CPU."
    head = ["looks", "p50 / p95 / p99", "p99, ratio", "CPU at rest, %"]
    return f"{table(head, rows)}\n\nOne look takes {part['look_ms']} ms of CPU time. {usual}"


def setting(results: Results) -> str:
    machine = next(iter(results.values()))["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    dates = ", ".join(sorted({str(part["date"]) for part in results.values()}))
    minutes = sum(part["seconds"] for part in results.values()) / 60
    quick = " **A quick run: not for comparisons.**" if any(part["quick"] for part in results.values()) else ""
    where = f"{machine['system']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB"
    return f"Measured on {dates} in {minutes:.0f} minutes.{quick} {where}. {versions}."


def commands(results: Results) -> str:
    lines = {name: command for part in results.values() for name, command in part["commands"].items()}
    return "```\n" + "\n".join(f"# {name}\n{line}" for name, line in sorted(lines.items())) + "\n```"


FIGURES = (
    setting,
    slow_clients,
    hostile,
    sigterm,
    restarts,
    replacement,
    throughput,
    losses,
    queueing,
    kept,
    memory,
    attacked,
    startup,
    build,
)
MARKS: dict[str, Callable[[Results], str]] = {
    function.__name__: function for function in (*FIGURES, threads_curve, dynos, scaling, looking, commands)
}


def _fill(results: Results, mark: str) -> str:
    try:
        return MARKS[mark](results)
    except KeyError:  # that part hasn't been measured
        return "Not measured yet."


def write(results: Results, path: Path) -> None:
    """Write the page."""
    text = Path(__file__).with_name("benchmarks.md").read_text()
    path.write_text(re.sub(r"<!-- (\w+) -->", lambda match: _fill(results, match[1]), text))
