"""Broken requests by the thousand; test/support/fuzz.py says what must hold, and runs for an hour by hand."""

from __future__ import annotations

import time

import pytest
from fuzz import Fuzzer, fuzz

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
    fuzzer = fuzz(60, seed=int(time.time()), max_requests=100, burn=True)
    check(fuzzer)
    assert fuzzer.server.lines('msg="Retired in order."')
