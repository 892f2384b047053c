"""Whether a new connection is welcome, without a server."""

from __future__ import annotations

import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from headwaiter.server.accept import GATE_SECONDS, Gate


def gate(
    *,
    processes: int = 2,
    rests: bool = False,
    busy_for: float = 0.0,
    queued: int = 0,
    count: int = 0,
    slot: bool = True,
) -> Gate:
    pool = SimpleNamespace(
        has_rest=lambda: rests,
        busy_since=time.monotonic() - busy_for,
        queue=deque(range(queued)),
        threads=dict.fromkeys(range(4)),
    )
    connections: Any = SimpleNamespace(
        draining=False, processes=processes, pool=pool, limit=10, count=lambda: count, slot=slot or None
    )
    return Gate(connections)


LONG = GATE_SECONDS + 1


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"processes": 1}, True),
        ({"rests": True}, True),
        ({}, False),
        ({"queued": 1}, True),  # a request of a kept connection waits, and the next ones would always go first
        ({"queued": 40}, True),
        ({"queued": 3, "slot": False}, True),
        ({"queued": 4, "slot": False}, False),  # nothing can be passed on: others may have a thread sooner
        ({"busy_for": LONG}, True),
        ({"rests": True, "count": 10}, True),
        ({"rests": True, "count": 11}, False),
    ],
)
def test_a_connection_is_welcome_where_it_can_be_served(state: dict[str, Any], expected: bool) -> None:
    """There's room, and a thread is free or nobody else has one either; asking again changes nothing."""
    made = gate(**state)
    assert [made.is_open(), made.is_open()] == [expected, expected]


def test_nothing_is_accepted_in_a_drain_or_just_after_a_failure() -> None:
    """The drain takes the last connections itself."""
    draining = gate(rests=True)
    draining.connections.draining = True
    assert not draining.is_open()
    failed = gate(rests=True)
    failed.closed_until = time.monotonic() + LONG
    assert not failed.is_open()
