"""SVG charts out of results.json: readable without colour (each cell and bar has its figure), same bytes each time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with every kind of colour blindness: https://jfly.uni-koeln.de/color/
OURS, GOOD, PARTLY, BAD, OTHER, SECOND = "#0072B2", "#B3D4E8", "#F5DDA9", "#E8A27C", "#999999", "#D55E00"
mpl.rcParams.update(
    {"svg.hashsalt": "headwaiter", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    | {"axes.spines.top": False, "axes.spines.right": False}
)
Results = dict[str, Any]


def _save(figure: Figure, path: Path, description: str) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None, "Description": description})
    plt.close(figure)
    # matplotlib ends lines with blanks
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _grid(rows: Sequence[str], columns: Sequence[str], cells: list[list[tuple[str, str]]], title: str) -> Figure:
    """A table of (text, colour)."""
    figure: Figure
    figure, axes = plt.subplots(figsize=(1.05 * len(columns) + 2.4, 0.36 * len(rows) + 1.1))
    for y, line in enumerate(cells):
        for x, (text, colour) in enumerate(line):
            axes.add_patch(mpl.patches.Rectangle((x, y), 0.96, 0.92, color=colour, linewidth=0))
            axes.text(x + 0.48, y + 0.46, text, ha="center", va="center", fontsize=9)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0), title=title)
    axes.set_xticks([x + 0.48 for x in range(len(columns))], columns, fontsize=8.5)
    axes.set_yticks([y + 0.46 for y in range(len(rows))], rows)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("headwaiter") else "normal")
    return figure


def slow_clients(results: Results, path: Path) -> None:
    """Share of answered requests with 50 slow clients, server by kind of client."""
    matrix = results["slow_clients"]["clients"]["50"]
    kinds = list(next(iter(matrix.values())))

    def cell(found: dict[str, Any]) -> tuple[str, str]:
        success = found["success"]
        return f"{success:.0f} %", GOOD if success >= 99.95 else PARTLY if success > 50 else BAD

    cells = [[cell(row[kind]) for kind in kinds] for row in matrix.values()]
    names = [kind.replace(" ", "\n", 1) for kind in kinds]
    title = "Requests of a healthy client that are answered while 50 slow clients hang on"
    _save(_grid(list(matrix), names, cells, title), path, title)


def connections(results: Results, path: Path) -> None:
    """p95 against the number of connections, headwaiter and waitress-serve with its limit raised."""
    counts = results["slow_clients"]["clients"]
    figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
    for axes, kind, label in zip(panels, ("idle", "upload"), ("idle keep-alive", "trickled upload"), strict=True):
        for name, colour, mark in (("headwaiter", OURS, "o"), ("waitress-serve, limit raised", SECOND, "s")):
            at = {int(count): row[name][kind] for count, row in counts.items() if kind in row.get(name, {})}
            points = [(count, found["p95"]) for count, found in sorted(at.items()) if found["p95"]]
            none = [found["p95_before"] for found in at.values()]
            line = [(1, sum(none) / len(none)), *points] if none else points
            axes.plot(*zip(*line, strict=True), marker=mark, color=colour, label=name)
        axes.set(xscale="log", yscale="log", title=label, xlabel="connections (1: none)")
        axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.set_xticks([1, 50, 1000, 5000], ["1", "50", "1,000", "5,000"])
        axes.grid(visible=True, axis="y", alpha=0.3)
    panels[0].set_ylabel("p95 of a healthy client, ms")
    panels[0].legend(frameon=False)
    _save(figure, path, "p95 of a healthy client against the number of open connections")


def _bars(axes: Axes, figures: dict[str, dict[str, Any]], key: str, text: Callable[[float], str]) -> None:
    names = list(reversed(figures))
    values = [figures[name][key] for name in names]
    colours = [OURS if name.startswith("headwaiter") else OTHER for name in names]
    axes.barh(names, values, color=colours, height=0.7)
    for y, value in enumerate(values):
        axes.text(value, y, f" {text(value)}", va="center", fontsize=8)
    axes.set_xlim(0, max(values) * 1.2)
    axes.tick_params(axis="y", length=0)


def django(results: Results, path: Path) -> None:
    """Throughput against gthread and p99 on Django pages, one process of five threads."""
    cases = results["throughput"]["cases"]
    shown = {"page, keep-alive": "page with a template", "query, keep-alive": "page out of PostgreSQL"}
    shown = {case: label for case, label in shown.items() if case in cases}
    everywhere = [name for name in next(iter(cases.values())) if all(name in cases[case] for case in shown)]
    figure, panels = plt.subplots(2, len(shown), figsize=(4.6 * len(shown) + 1, 5.6), sharey=True, squeeze=False)
    for column, (case, label) in enumerate(shown.items()):
        named = {name: cases[case][name] for name in everywhere}
        _bars(panels[0][column], named, "ratio", lambda value: f"{value:.2f}")
        panels[0][column].set_title(f"{label}: requests/s, gunicorn gthread = 1", fontsize=10)
        _bars(panels[1][column], named, "p99", lambda value: f"{value:.0f} ms")
        panels[1][column].set_title(f"{label}: p99, shorter is better", fontsize=10)
    figure.tight_layout()
    _save(figure, path, "Django pages: throughput and p99, one process of five threads, 16 keep-alive clients")


def stops(results: Results, path: Path) -> None:
    """What SIGTERM does to each kind of connection, and the failed requests of 50 restarts."""
    observed, restarts = results["sigterm"]["servers"], results.get("restarts", {}).get("servers", {})
    columns = ["running", "queued", "download", "upload", "kernel_queue"]

    def cell(value: str) -> tuple[str, str]:
        done, _, whole = value.partition("/")
        good = done == whole if whole else value == "ok"
        return value, GOOD if good else PARTLY if whole and done != "0" else BAD

    cells = []
    for name, found in observed.items():
        failed = restarts.get(name)
        lost = (
            (f"{failed['failed']} in {failed['restarts']}", BAD if failed["failed"] else GOOD) if failed else ("-", "w")
        )
        cells.append([*(cell(found[column]) for column in columns), lost])
    names = ["running", "queued", "download", "upload", "just\nconnected", "failed in\nrestarts"]
    title = "What is still answered after SIGTERM"
    _save(_grid(list(observed), names, cells, title), path, title)


CHARTS = {  # file name: the part it needs, and its function
    "slow-clients": ("slow_clients", slow_clients),
    "connections": ("slow_clients", connections),
    "django": ("throughput", django),
    "sigterm": ("sigterm", stops),
}


def draw(results: Results, folder: Path) -> None:
    """Draw what there are figures for."""
    for name, (part, chart) in CHARTS.items():
        if part in results:
            chart(results, folder / f"{name}.svg")
    elsewhere = {
        "threads_curve": folder.parent / "threads.svg",
        "dynos": folder / "dynos.svg",
        "scaling": folder / "scaling.svg",
    }
    for part, path in elsewhere.items():
        if part in results:
            importlib.import_module(part).chart(results[part], path)
