from __future__ import annotations

import pytest
from headwaiter.budget import plans


@pytest.mark.parametrize(
    ("text", "connections"),
    [
        ("hobby-dev", 20),
        ("mini", 20),
        ("basic", 20),
        ("essential-0", 20),
        ("essential-1", 20),
        ("essential-2", 40),
        ("standard-0", 120),
        ("premium-2", 400),
        ("private-4", 500),
        ("shield-l-9", 500),
        ("premium-xl-10", 500),
        ("advanced", 380),
        ("advanced-8gb-performance", 800),
        ("heroku-postgresql:standard-0", 120),
        (" Heroku-PostgreSQL:STANDARD-0 ", 120),
        ("heroku-postgresql", 20),
        ("jawsdb:kitefin", 10),
        ("cleardb:ignite", 10),
    ],
)
def test_plan_allows_so_many_connections(text: str, connections: int) -> None:
    """Prefix, case and spaces don't matter; a bare add-on name is its default plan."""
    assert plans.find(text).connections == connections


@pytest.mark.parametrize("text", ["", "gold", "essential-9", "redis:mini", "heroku-postgresql:in-dyno", "x" * 5000])
def test_unknown_plan_is_named_with_what_it_means(text: str) -> None:
    """The message quotes the value (never 5,000 characters of it), says what counts instead and where to look."""
    with pytest.raises(plans.UnknownPlanError) as caught:
        plans.find(text)
    message = str(caught.value)
    assert repr(text[:80]) in message
    assert "counts on 20 connections" in message
    assert "heroku pg:info" in message
    assert len(message) < 500


@pytest.mark.parametrize(("connections", "name"), [(10, "essential-0"), (20, "essential-2"), (40, "standard-0")])
def test_next_plan_up(connections: int, name: str) -> None:
    """The smallest plan on sale that allows more."""
    assert plans.next_up(connections).name == name


@pytest.mark.parametrize(
    ("host", "connections"),
    [
        ("ec2-54-1-2-3.compute-1.amazonaws.com", 120),
        ("ec2-54-1-2-3.eu-west-1.compute.amazonaws.com", 120),
        ("c7itisjfjj8ril.cluster-czrs8kj4isg7.us-east-1.rds.amazonaws.com", 20),
    ],
)
def test_host_name_gives_a_floor(host: str, connections: int) -> None:
    """Heroku's dedicated servers and clusters are told apart by their host names."""
    plan = plans.floor_for_host(host)
    assert plan is not None
    assert plan.connections == connections


@pytest.mark.parametrize("host", ["", "localhost", "db.example.com", "::1", "ec2-.evil.example"])
def test_other_hosts_say_nothing(host: str) -> None:
    """No guess for a server that isn't Heroku's."""
    assert plans.floor_for_host(host) is None
