"""When requests may run to their end, and when Python's own interval counts."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from headwaiter.server.switch_interval import PATIENT_SECONDS, SwitchInterval
from headwaiter.server.thread_pool import ThreadPool, WorkerThread


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def pool() -> ThreadPool:
    """Two threads without a thread."""
    made = ThreadPool(lambda: None, lambda: None)
    made.threads = {number: WorkerThread(number) for number in range(2)}
    return made


def test_a_long_request_brings_the_usual_interval_back(pool: ThreadPool) -> None:
    """It may be computing; while it runs, the others take turns as ever."""
    interval = SwitchInterval(pool)
    interval.tick(1000.0)
    assert sys.getswitchinterval() == PATIENT_SECONDS
    pool.threads[0].work, pool.threads[0].since = object(), 1000.0
    pool.threads[1].work, pool.threads[1].since = object(), 1000.2
    interval.tick(1000.09)
    assert sys.getswitchinterval() == PATIENT_SECONDS
    interval.tick(1000.22)
    assert sys.getswitchinterval() == 0.005
    pool.threads[0].work = None
    interval.tick(1000.23)
    assert sys.getswitchinterval() == 0.005, "it looks only now and then"
    interval.tick(1000.29)
    assert sys.getswitchinterval() == PATIENT_SECONDS


def test_an_interval_that_the_site_has_set_stays(pool: ThreadPool) -> None:
    """It has its reasons."""
    sys.setswitchinterval(0.001)
    interval = SwitchInterval(pool)
    interval.tick(1000.0)
    assert sys.getswitchinterval() == 0.001
