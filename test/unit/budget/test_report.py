from __future__ import annotations

from typing import Any

import pytest
from headwaiter.budget import report
from headwaiter.budget.arithmetic import DYNOS_UNKNOWN, Inputs, Limit, compute
from headwaiter.budget.decide import Plan
from headwaiter.budget.dyno import Dyno
from headwaiter.budget.server_limits import Survey

DYNO = Dyno("run.4711", "run", 4711, 512, 8, 256)
ROLE = Limit(20, "the limit of the role", others=1)
ROW = {
    "alias": "default",
    "vendor": "postgresql",
    "host": "db.example.com",
    "port": "5432",
    "database": "d456",
    "role": "u123",
    "version": "17.6",
    "limit": 20,
    "limit_source": "the limit of the role",
    "also": [{"limit": 97, "source": "max_connections of the server, less 3 reserved"}],
    "pooler": None,
    "pool_size": None,
    "answer": "",
    "in_use": {"": 1, "web.10": 2, "web.2": 6},
}


def plan(row: dict[str, Any] = ROW, fixed: str | None = None, **changes: Any) -> Plan:
    inputs = Inputs(limits=(ROLE,), dynos=3, dynos_source="HEADWAITER_WEB_DYNOS", memory_mb=512, cpus=8, tasks=256)
    return Plan(compute(inputs._replace(**changes)), DYNO, (row,), Survey(), fixed)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")


def test_table_whole() -> None:
    """The text is the product."""
    assert (
        report.table(plan())
        == """\
3 web dynos x 1 process x 6 threads + 2 in reserve = 20 of 20 connections.

Database default: PostgreSQL 17.6, db.example.com:5432, role u123
  Limit       20, the limit of the role
              97, max_connections of the server, less 3 reserved
  In use now  9: web.2 6, web.10 2, without a name 1

This dyno
  Limit 20: the limit of the role.
  Reserve 2 for release phase, one-off dynos, psql and workers: the larger of 2 and a tenth, or more
  while they hold more.
  3 web dynos: HEADWAITER_WEB_DYNOS.
  1 process: the connections fill one process before the next; memory and CPUs would carry 2.
  6 threads in each: this dyno may hold 6 connections.
  Running dynos follow the number of web dynos, the limit and what other clients hold. Each may hold
  6 connections now.

With other numbers of web dynos
  web dynos  processes  threads  connections  reserve  spare
          1          2        8           16        2      2
          2          1        8           16        2      2
          3          1        6           18        2      0  now
          5          1        3           15        2      3

Advice
  The next plan up, essential-2 (40 connections), would carry 1 process x 8 threads on each dyno."""
    )


def test_number_of_dynos_that_doesnt_fit_is_marked() -> None:
    """With the warning below."""
    text = report.table(plan(dynos=19))
    assert "         19          1        1           19        2     -1  now, over the limit" in text
    assert "heroku ps:scale web=18" in " ".join(text.split())


def test_colour_is_only_around_the_words() -> None:
    """Without it the same text, and no escape at all."""
    import re

    plain, coloured = report.table(plan(dynos=19)), report.table(plan(dynos=19), colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_a_clients_name_cannot_steer_the_terminal() -> None:
    """application_name is whatever a client sends."""
    row = {**ROW, "in_use": {"evil\x1b[2J\nname": 1}}
    text = report.table(plan(row))
    assert "\x1b" not in text
    assert "evil\\u001b[2J\\nname 1" in text


def test_json_has_what_programs_need() -> None:
    """The keys that are promised, and the scales."""
    found = report.as_json(plan())
    assert {"limit", "limit_source", "reserve", "dynos", "processes", "threads", "databases", "warnings"} <= set(found)
    assert (found["limit"], found["reserve"], found["dynos"], found["threads"]) == (20, 2, 3, 6)
    assert [(each["dynos"], each["threads"]) for each in found["scales"]] == [(1, 8), (2, 8), (3, 6), (5, 3)]


def test_advice_is_the_exact_command() -> None:
    """When nothing says how many dynos there are, and nothing finds out while they run."""
    assert report.as_json(plan(dynos=1, dynos_source=DYNOS_UNKNOWN))["advice"] == []
    found = report.as_json(plan(fixed="only PostgreSQL names its clients", dynos=1, dynos_source=DYNOS_UNKNOWN))
    assert found["advice"] == ["Before you scale: heroku config:set HEADWAITER_WEB_DYNOS=2 && heroku ps:scale web=2"]


def test_without_a_limit_the_table_has_no_connection_columns() -> None:
    """SQLite, or no database."""
    row = {**ROW, "limit": None, "limit_source": "SQLite has no connection limit", "vendor": "sqlite", "also": []}
    text = report.table(plan(row, limits=()))
    assert "connections  reserve" not in text
    assert "SQLite has no connection limit" in text
    assert "Advice" not in text
