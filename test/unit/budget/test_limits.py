from __future__ import annotations

from typing import Any

import pytest
from headwaiter.budget import database_url, limits
from headwaiter.budget.database import Alias
from headwaiter.budget.server_limits import Answer, InUse, Survey
from headwaiter.settings import Settings

DEFAULT = Alias("default", "postgresql", "db.example.com", "5432", "shop", "u1")
URL = {"DATABASE_URL": "postgres://u1:secret@db.example.com/shop"}
NO_ANSWER = "no answer in 3 s"


def answer(**changes: Any) -> Answer:
    values = {"role_limit": None, "database_limit": None, "server_limit": 103, "reserved": 3, "pooled": False}
    return Answer(**{**values, "version": "17.1", "role": "u1", **changes})


def find(
    said: Answer | str, alias: Alias = DEFAULT, facts: dict[str, Any] | None = None, **chosen: Any
) -> limits.Found:
    """One database whose server said so."""
    return limits.find(Survey((alias,), {"default": said}), Settings(**chosen), facts or {}, URL)


def sources(found: limits.Found) -> dict[str, int]:
    return {limit.source: limit.connections for limit in found.limits}


def test_server_and_plan_both_count() -> None:
    """The smallest binds, which is the budget's business; app.json is a hint that may be old, and that is said."""
    found = find(answer(), facts={"database_plan": "heroku-postgresql:essential-0"})
    assert sources(found) == {
        "max_connections of the server, less 3 reserved": 100,
        "the plan essential-0, from app.json": 20,
    }
    assert found.warnings == (
        "app.json says essential-0 (20 connections), but the server allows 100. If you have a larger plan now: "
        "heroku config:set HEADWAITER_DB_CONNECTIONS=100",
    )


def test_plan_in_a_config_var_beats_app_json() -> None:
    """Somebody said so: no advice against it."""
    found = find(answer(), facts={"database_plan": "essential-0"}, db_plan="essential-2")
    assert sources(found)["the plan essential-2, from HEADWAITER_DB_PLAN"] == 40
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("alias", "chosen", "facts", "source", "connections"),
    [
        (DEFAULT, {"db_connections": 33}, {}, "HEADWAITER_DB_CONNECTIONS", 33),
        (DEFAULT, {}, {"database_plan": "standard-0"}, "the plan standard-0, from app.json", 120),
        (DEFAULT, {}, {"database_plan": "heroku-postgresql"}, "the plan essential-0, from app.json", 20),
        (DEFAULT, {}, {}, "unknown, so the smallest Heroku Postgres plan", 20),
        (
            Alias("default", "postgresql", "ec2-1-2-3-4.compute-1.amazonaws.com", "5432", "d", "u"),
            {},
            {},
            "unknown, but such hosts are at least standard-0",
            120,
        ),
        (
            Alias("default", "mysql", "db.example.com", "3306", "d", "u"),
            {},
            {},
            "unknown, so the smallest plan of ClearDB and JawsDB",
            10,
        ),
    ],
)
def test_without_an_answer_the_next_source_counts(
    alias: Alias, chosen: dict[str, Any], facts: dict[str, Any], source: str, connections: int
) -> None:
    """Config var, plan, host name, smallest plan, in this order."""
    assert sources(find(NO_ANSWER, alias, facts, **chosen)) == {source: connections}


def test_reason_for_no_answer_is_told() -> None:
    """In the table and as a warning."""
    found = find(NO_ANSWER)
    assert found.databases[0]["answer"] == NO_ANSWER
    assert found.warnings == ("The server of DATABASES['default'] doesn't say its limit: no answer in 3 s.",)


def test_unknown_plan_is_a_warning_and_counts_for_nothing() -> None:
    """Wherever it came from."""
    assert find(answer(), db_plan="gold").warnings[0].startswith("HEADWAITER_DB_PLAN: 'gold' isn't a Heroku")
    assert find(answer(), facts={"database_plan": "gold"}).warnings[0].startswith("app.json: 'gold' isn't a Heroku")
    assert len(find(answer(), db_plan="gold").limits) == 1


def test_other_databases_dont_get_the_main_ones_plan_or_config_var() -> None:
    """They speak of DATABASE_URL's."""
    other = Alias("other", "postgresql", "other.example.com", "5432", "d", "u2")
    survey = Survey((DEFAULT, other), {"default": NO_ANSWER, "other": NO_ANSWER})
    found = limits.find(survey, Settings(db_connections=50), {"database_plan": "essential-2"}, URL)
    assert {limit.aliases: limit.connections for limit in found.limits} == {("default",): 50, ("other",): 20}


def test_other_clients_are_counted_without_web_dynos_and_the_sites_own_name() -> None:
    """A site that names its connections "mine" has the same name on every dyno."""
    in_use = (
        InUse("web.1", True, True, 5),
        InUse("web-12a34b56d-e78f9", True, True, 5),
        InUse("mine", True, True, 7),
        InUse("worker.1", True, True, 2),
        InUse("", True, True, 1),
        InUse("", False, False, 90),
    )
    alias = Alias("default", "postgresql", "db.example.com", "5432", "shop", "u1", application_name="mine")
    found = find(answer(role_limit=20, in_use=in_use), alias)
    assert {limit.source: limit.others for limit in found.limits} == {
        "the limit of the role": 3,
        "max_connections of the server, less 3 reserved": 93,
    }
    assert sum(found.databases[0]["in_use"].values()) == 20  # other customers' aren't shown


def test_alias_whose_settings_cant_be_used_is_named() -> None:
    """Its error is the site's own; the boot goes on."""
    broken = Alias("other", "unknown", problem="its settings can't be used (ValueError)")
    found = limits.find(Survey((DEFAULT, broken), {"default": answer()}), Settings(), {}, URL)
    assert found.warnings == ("DATABASES['other']: its settings can't be used (ValueError).",)


@pytest.mark.parametrize(
    ("url", "vendor", "host", "port"),
    [
        ("postgres://u:p@Host.example.com/d", "postgresql", "host.example.com", "5432"),
        ("postgis://u:p%40ss@[::1]:6543/d", "postgresql", "::1", "6543"),
        ("mysql2://u:p@h/d", "mysql", "h", "3306"),
        ("postgresql+psycopg://u@h/d", "postgresql", "h", "5432"),
        ("sqlite:///db.sqlite3", "", "", ""),
        ("nonsense", "", "", ""),
    ],
)
def test_database_url_is_read(url: str, vendor: str, host: str, port: str) -> None:
    """Every scheme that dj-database-url knows, IPv6 hosts, quoted passwords."""
    found = database_url.parse(url)
    assert found is not None
    assert (found.vendor, found.host, found.port) == (vendor, host, port)


@pytest.mark.parametrize(
    "url", ["postgres://u:p@[::1/d", "postgres://u:p@h:port/d", "postgres://u:p@h:99999999/d", "postgres://u:/p@h/d"]
)
def test_database_url_that_cant_be_read_is_none(url: str) -> None:
    """And it is a warning that doesn't quote it."""
    assert database_url.parse(url) is None
    found = limits.find(Survey((DEFAULT,), {"default": answer()}), Settings(), {}, {"DATABASE_URL": url})
    assert "DATABASE_URL isn't a URL that can be read" in found.warnings[0]
    assert "u:p" not in found.warnings[0]
