"""What a refused connect's log line advises: a number that helps, or none."""

from __future__ import annotations

import pytest
from headwaiter.budget.arithmetic import Budget
from headwaiter.budget.holders import Advisor

BUDGET = Budget(1, 8, dynos=2, limit=20, reserve=2, connections=8)


def advice(*seen: dict[str, int], follows: bool = False, seconds: float = 30.0, name: str = "web.1") -> str:
    """What is said after connects that were waited for, so many seconds apart."""
    now = [0.0]
    advisor = Advisor(BUDGET, name, follows=follows, clock=lambda: now[0])
    for holders in seen:
        advisor.see(holders)
        now[0] += seconds
    return advisor.advice()


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ({"web.1": 6, "web.5": 6}, "heroku config:set HEADWAITER_WEB_DYNOS=5"),
        ({"web.1": 6, "worker.1": 9, "": 2}, "heroku config:set HEADWAITER_DB_RESERVE=12"),
        ({"web.1": 18, "psql": 1}, "the budget itself holds"),
        ({}, "`headwaiter plan` shows"),
    ],
)
def test_advice_names_the_number_to_set(held: dict[str, int], sentence: str) -> None:
    """From who holds the connections: more dynos, other clients, or a deploy in passing."""
    assert sentence in advice(held)


@pytest.mark.parametrize("held", [{"web.1": 6, "web.5": 6}, {"web.1": 6, "worker.1": 9}])
def test_what_the_budget_follows_needs_no_number(held: dict[str, int]) -> None:
    """The dynos make room themselves."""
    said = advice(held, follows=True)
    assert "make room within 20 s" in said
    assert "config:set" not in said


def test_a_lower_limit_is_advised_only_when_the_server_stays_at_it() -> None:
    """When an old dyno has just closed ten connections, the ten that are left say nothing."""
    held = {"web.1": 4, "web.2": 6}
    assert "the budget itself holds" in advice(held)
    assert "the budget itself holds" in advice(held, {"web.1": 5, "web.2": 6}, held)
    assert "the budget itself holds" in advice(held, held, held, seconds=1)
    assert "heroku config:set HEADWAITER_DB_CONNECTIONS=11" in advice(held, held, held)


def test_connections_of_the_sites_own_threads_are_called_that() -> None:
    """Beyond one for each thread; not on a deploy, where the old dyno has the same name for half a minute."""
    held = {"web.1": 10, "web.2": 8}
    assert "the budget itself holds" in advice(held, held, held, seconds=10)
    said = advice(held, held, held)
    assert "This dyno holds 11 connections, its processes and threads need 8: threads that the site starts" in said
    assert "HEADWAITER_DB_RESERVE=8" in said
