"""Broken requests by the thousand; test/support/fuzz.py says what must hold, and runs for an hour by hand."""

from __future__ import annotations

import time

import pytest
from fuzz import MAX_REQUESTS, Fuzzer, fuzz

pytestmark = pytest.mark.server


def check(fuzzer: Fuzzer) -> None:
    assert fuzzer.failures == []
    assert fuzzer.sent > 500
    assert fuzzer.healthy > 20


def test_ten_seconds() -> None:
    """Always the same inputs, though not in the same order."""
    check(fuzz(10, seed=1))


@pytest.mark.slow
def test_a_minute() -> None:
    """New inputs on each run, workers that are replaced, and a process that takes their CPU."""
    seed = int(time.time())
    print(f"seed {seed}")
    fuzzer = fuzz(60, seed=seed, burn=True)
    check(fuzzer)
    if fuzzer.sent > 5 * MAX_REQUESTS:
        assert fuzzer.server.lines('msg="Retired in order."')
