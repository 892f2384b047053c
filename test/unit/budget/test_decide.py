from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from headwaiter.budget import command, decide, dyno, limits, server_limits
from headwaiter.budget.database import Alias
from headwaiter.settings import Settings

FACTS = {"web_dynos": 2, "database_plan": "heroku-postgresql:essential-0"}


@pytest.fixture(autouse=True)
def no_django(monkeypatch: pytest.MonkeyPatch) -> None:
    """No database of this process is asked."""
    monkeypatch.setattr(server_limits, "take", lambda environ: server_limits.Survey(django=False))
    for name in ("DATABASE_URL", "DYNO", "PGAPPNAME"):
        monkeypatch.delenv(name, raising=False)


def test_decide_never_raises_and_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong, the site boots as on the smallest plan, and the log says so without the error's text."""

    def fail(*_: Any) -> limits.Found:
        raise RuntimeError("postgres://u:hunter2@host/d")

    monkeypatch.setattr(limits, "find", fail)
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter2@host/d")
    made = decide.decide(Settings(threads=3), FACTS).budget
    assert (made.limit, made.threads) == (20, 3)
    assert made.warnings[0] == (
        "The connection budget couldn't be worked out (RuntimeError): `headwaiter plan` shows more."
    )
    assert "hunter2" not in " ".join(made.warnings)


def made(
    environ: dict[str, str], settings: Settings, seen: dict[str, int], tmp_path: Path, **facts: Any
) -> decide.Plan:
    """The plan for one PostgreSQL database whose role may hold 20, with `seen` connected."""
    in_use = tuple(server_limits.InUse(name, True, True, number) for name, number in seen.items())
    answer = server_limits.Answer(20, None, 103, 3, False, "17.1", "u", in_use)
    asked = server_limits.Survey((Alias("default", "postgresql", "db", "5432", "d", "u"),), {"default": answer})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_limits, "take", lambda _: asked)
        return decide.make(settings, facts, environ, tmp_path)


@pytest.mark.parametrize(
    ("environ", "chosen", "seen", "facts", "dynos", "source"),
    [
        ({}, None, {}, {}, 1, "nothing says more; HEADWAITER_WEB_DYNOS does"),
        ({}, None, {}, {"web_dynos": 2}, 2, "app.json's formation"),
        ({"DYNO": "web.3"}, None, {}, {"web_dynos": 2}, 3, "this one is web.3"),
        ({"DYNO": "web.1"}, None, {"web.4": 1, "worker.9": 5}, {"web_dynos": 2}, 4, "as many hold connections now"),
        ({"DYNO": "web.3"}, 2, {"web.4": 1}, {"web_dynos": 5}, 2, "HEADWAITER_WEB_DYNOS"),
        ({"DYNO": "run.4711"}, None, {}, {}, 1, "nothing says more; HEADWAITER_WEB_DYNOS does"),
        ({"DYNO": "web-12a34b56d-e78f9"}, None, {}, {}, 1, "nothing says more; HEADWAITER_WEB_DYNOS does"),
        ({}, None, {}, {"web_dynos": "many"}, 1, "nothing says more; HEADWAITER_WEB_DYNOS does"),
    ],
)
def test_number_of_web_dynos(
    environ: dict[str, str],
    chosen: int | None,
    seen: dict[str, int],
    facts: dict[str, Any],
    dynos: int,
    source: str,
    tmp_path: Path,
) -> None:
    """The config var decides; else the largest of what app.json says, this dyno's number, and who is connected."""
    found = made(environ, Settings(web_dynos=chosen), seen, tmp_path, **facts).budget
    assert (found.dynos, found.inputs.dynos_source) == (dynos, source)


def test_a_role_is_seen_in_every_database_by_its_names() -> None:
    """The server has a row for each database that a name is connected to, and rows of other roles."""
    in_use = (
        server_limits.InUse("web.1", True, True, 5),
        server_limits.InUse("web.1", True, False, 2),
        server_limits.InUse("worker.1", True, False, 1),
        server_limits.InUse("web.9", False, True, 1),
    )
    answer = server_limits.Answer(20, None, 103, 3, False, "17.1", "u", in_use)
    survey = server_limits.Survey((), {"default": answer, "other": "no answer in 3 s"})
    assert decide.names_of_role(survey) == {"web.1", "worker.1"}


def test_dynos_memory_and_caps_reach_the_arithmetic(tmp_path: Path) -> None:
    """A Performance-M: 2.5 GB, the machine's CPUs, 16,384 threads."""
    found = made({"DYNO_RAM": "2560"}, Settings(), {}, tmp_path)
    assert found.budget.inputs.memory_mb == 2560
    assert found.budget.inputs.tasks == dyno.tasks_of_memory(2560)


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Not for a pipe, and not when NO_COLOR is set."""
    assert not command._colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert command._colour()
    monkeypatch.setenv("NO_COLOR", "")
    assert not command._colour()
