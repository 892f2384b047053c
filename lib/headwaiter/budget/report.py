"""The plan as people read it, a table, and as programs do, one JSON object."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from headwaiter.budget import plans
from headwaiter.budget.arithmetic import DYNOS_UNKNOWN, Budget, compute, count
from headwaiter.budget.decide import Plan
from headwaiter.log import printable

SCALES = (1, 2, 3, 5)
LABEL = 12
WIDEST = 100


def as_json(plan: Plan) -> dict[str, Any]:
    """The object of `headwaiter plan --json`."""
    made = plan.budget
    return {
        "limit": made.limit,
        "limit_source": made.limit_source,
        "reserve": made.reserve,
        "dynos": made.dynos,
        "dynos_source": made.inputs.dynos_source,
        "processes": made.processes,
        "threads": made.threads,
        "connections": made.connections,
        "spare": made.spare,
        "live": plan.fixed is None,
        "fixed_because": plan.fixed,
        "sentence": made.sentence,
        "reasons": list(made.reasons),
        "warnings": list(made.warnings),
        "advice": advice(plan),
        "databases": plan.databases,
        "dyno": {"name": plan.dyno.name, "memory_mb": plan.dyno.memory_mb, "cpus": plan.dyno.cpus},
        "scales": [_scale(each) for each in _scales(made)],
    }


def _scale(made: Budget) -> dict[str, Any]:
    return {
        "dynos": made.dynos,
        "processes": made.processes,
        "threads": made.threads,
        "connections": made.dynos * made.connections,
        "spare": made.spare,
        "fits": not made.over_limit,
    }


def _scales(made: Budget) -> list[Budget]:
    """The same app at other numbers of web dynos."""
    numbers = sorted({*SCALES, made.dynos})
    return [compute(made.inputs._replace(dynos=number)) for number in numbers]


def advice(plan: Plan) -> list[str]:
    """What to set for what is coming, with the exact commands."""
    made = plan.budget
    said: list[str] = []
    if made.limit is None:
        return said
    if plan.fixed and made.inputs.dynos_source == DYNOS_UNKNOWN:
        said.append("Before you scale: heroku config:set HEADWAITER_WEB_DYNOS=2 && heroku ps:scale web=2")
    full = compute(made.inputs._replace(limits=()))
    if made.processes * made.threads < full.processes * full.threads:
        bigger = plans.next_up(made.limit)
        more = compute(
            made.inputs._replace(
                limits=tuple(
                    limit._replace(connections=max(limit.connections, bigger.connections))
                    for limit in made.inputs.limits
                ),
            )
        )
        if more.processes * more.threads > made.processes * made.threads:
            said.append(
                f"The next plan up, {bigger.name} ({bigger.connections} connections), would carry "
                f"{count(more.processes, 'process')} x {count(more.threads, 'thread')} on each dyno."
            )
    return said


def table(plan: Plan, *, colour: bool = False) -> str:
    """Everything that `headwaiter plan` prints, without the last newline."""
    width = min(WIDEST, max(60, shutil.get_terminal_size((WIDEST, 24)).columns))
    style = _Style(colour)
    lines = [style.bold(plan.budget.sentence), ""]
    for row in plan.databases:
        lines += _database(row, style, width)
    lines += ["", style.bold("This dyno")]
    for reason in plan.budget.reasons:
        lines += _wrapped(reason, "  ", width)
    lines += _wrapped(_about_live(plan), "  ", width)
    lines += ["", style.bold("With other numbers of web dynos"), *_scale_table(plan.budget, style)]
    said = advice(plan)
    if said:
        lines += ["", style.bold("Advice")]
        for sentence in said:
            lines += _wrapped(sentence, "  ", width)
    if plan.budget.warnings:
        lines += ["", style.warn("Warnings")]
        for warning in plan.budget.warnings:
            lines += _wrapped(warning, "  ", width)
    return "\n".join(line.rstrip() for line in lines)


def _about_live(plan: Plan) -> str:
    if plan.fixed:
        return f"Running dynos keep what they had at boot: {plan.fixed}."
    share = f" Each may hold {count(plan.budget.connections, 'connection')} now." if plan.budget.connections else ""
    return f"Running dynos follow the number of web dynos, the limit and what other clients hold.{share}"


class _Style:
    """Colours for a terminal, nothing elsewhere."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._colour else text

    def warn(self, text: str) -> str:
        return f"\x1b[1;33m{text}\x1b[0m" if self._colour else text


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    """Lines no wider than the terminal; commands stay whole."""
    return textwrap.wrap(
        printable(text), width, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


_NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "sqlite": "SQLite", "oracle": "Oracle", "none": "no database"}


def _database(row: Mapping[str, Any], style: _Style, width: int) -> Iterator[str]:
    name = _NAMES.get(row["vendor"], row["vendor"])
    where = f"{row['host'] or 'local'}:{row['port']}" if row["port"] else row["host"]
    parts = [" ".join(filter(None, (name, row["version"]))), where, f"role {row['role']}" if row["role"] else ""]
    yield style.bold(printable(f"Database {row['alias']}: " + ", ".join(filter(None, parts))))
    limit = f"{row['limit']}, {row['limit_source']}" if row["limit"] is not None else row["limit_source"]
    yield from _labelled("Limit", limit, width)
    for other in row["also"]:
        yield from _labelled("", f"{other['limit']}, {other['source']}", width)
    if row["answer"]:
        yield from _labelled("Server", row["answer"], width)
    if row["pool_size"]:
        yield from _labelled("Pool", f"{row['pool_size']} connections in each process", width)
    if row["in_use"]:
        held = ", ".join(f"{name or 'without a name'} {number}" for name, number in _natural(row["in_use"]))
        yield from _labelled("In use now", f"{sum(row['in_use'].values())}: {held}", width)
    elif row["version"]:
        yield from _labelled("In use now", "0", width)


def _natural(in_use: Mapping[str, int]) -> list[tuple[str, int]]:
    """web.2 before web.10, nameless last."""

    def key(item: tuple[str, int]) -> tuple[bool, str, int]:
        kind, _, number = item[0].rpartition(".")
        return (not item[0], kind or item[0], int(number) if number.isdecimal() and len(number) < 9 else 0)

    return sorted(in_use.items(), key=key)


def _labelled(label: str, text: str, width: int) -> list[str]:
    first, *rest = _wrapped(text, " " * (LABEL + 2), width) or [""]
    return [f"  {label:<{LABEL}}{first.strip()}", *rest]


def _scale_table(made: Budget, style: _Style) -> Iterator[str]:
    """Columns are right-aligned numbers; the row of now is marked."""
    limited = made.limit is not None
    head = ["web dynos", "processes", "threads", *(["connections", "reserve", "spare"] if limited else [])]
    yield "  " + "  ".join(head)
    for each in _scales(made):
        cells = [each.dynos, each.processes, each.threads]
        cells += [each.dynos * each.connections, each.reserve, each.spare or 0] if limited else []
        row = "  " + "  ".join(f"{cell:>{len(title)}}" for cell, title in zip(cells, head, strict=True))
        notes = ["now"] if each.dynos == made.dynos else []
        notes += ["over the limit"] if each.over_limit else []
        row += f"  {', '.join(notes)}" if notes else ""
        yield style.warn(row) if each.over_limit else style.bold(row) if each.dynos == made.dynos else row
