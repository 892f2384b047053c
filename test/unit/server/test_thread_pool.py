"""The threads of a worker: a fixed number, warm ones first, each closing its own connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from headwaiter.server.thread_pool import ThreadPool, WorkerThread

PATIENCE = 30.0


class Task:
    """Runs `work`; `done` is set afterwards."""

    def __init__(self, work: Callable[[], object] = lambda: None) -> None:
        self.work, self.done = work, threading.Event()
        self.thread = ""

    def service(self) -> None:
        self.thread = threading.current_thread().name
        try:
            self.work()
        finally:
            self.done.set()


class Rested:
    """Counts how often a thread went to rest."""

    def __init__(self) -> None:
        self.count, self.news = 0, threading.Condition()

    def __call__(self) -> None:
        with self.news:
            self.count += 1
            self.news.notify_all()

    def wait_for(self, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.count >= count, PATIENCE)


@pytest.fixture
def rested() -> Rested:
    return Rested()


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def pool(rested: Rested, closed: list[str]) -> ThreadPool:
    made = ThreadPool(rested, lambda: closed.append(threading.current_thread().name))
    made.set_thread_count(3)
    rested.wait_for(3)
    return made


def test_one_request_after_the_other_uses_one_thread(pool: ThreadPool, rested: Rested) -> None:
    """Its database connection is open; the other threads needn't open theirs."""
    names = set()
    for number in range(10):
        task = Task()
        pool.add_task(task)
        rested.wait_for(4 + number)
        names.add(task.thread)
    assert len(names) == 1
    pool.shutdown()


def test_work_never_shows_the_clock_of_earlier_work(pool: ThreadPool) -> None:
    """The watcher may look before the thread has woken: it would report a slow request that has just come."""

    class Seen:
        """Stands before a resting thread's lock, and looks as the watcher does."""

        def __init__(self, thread: WorkerThread) -> None:
            self.thread, self.wake, self.since = thread, thread.wake, 0.0

        def release(self) -> None:
            self.since = self.thread.since
            self.wake.release()

        def acquire(self) -> None:
            self.wake.acquire()

    last = pool.resting[-1]
    last.since -= 3000.0
    last.wake = seen = Seen(last)  # type: ignore[assignment]
    before = time.monotonic()
    pool.add_task(Task())
    assert seen.since >= before
    pool.shutdown()


def test_the_load_is_what_runs_and_what_waits(rested: Rested) -> None:
    """Each change is reported, also when threads end; after the last look nothing is."""
    loads: list[int] = []
    pool = ThreadPool(rested, lambda: None)
    pool.report_load = loads.append
    pool.set_thread_count(2)
    rested.wait_for(2)
    assert loads[-1] == 0
    del loads[:]
    gates = [threading.Event() for _ in range(3)]
    tasks = [Task(gate.wait) for gate in gates]
    for task in tasks:
        pool.add_task(task)
    assert loads == [1, 2, 3]
    gates[0].set()
    assert tasks[0].done.wait(PATIENCE)
    for gate in gates:
        gate.set()
    rested.wait_for(4)
    assert loads == [1, 2, 3, 2, 1, 0]
    del loads[:]
    pool.set_thread_count(1)
    eventually(lambda: len(pool.threads) == 1)
    assert loads[-1] == 0
    pool.stop_reporting()
    del loads[:]
    pool.shutdown()
    assert not loads


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition()`."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_more_tasks_than_threads_wait(pool: ThreadPool) -> None:
    """None is lost, and the delays are counted once."""
    gate, order = threading.Event(), []
    running = [Task(gate.wait) for _ in range(3)]
    waiting = [Task(lambda number=number: order.append(number)) for number in range(5)]  # type: ignore[misc]
    for task in [*running, *waiting]:
        pool.add_task(task)
    assert (pool.busy, len(pool.queue), pool.has_rest()) == (3, 5, False)
    assert pool.take_delays() == (5, 5)
    gate.set()
    assert waiting[-1].done.wait(PATIENCE)
    assert all(task.done.wait(PATIENCE) for task in waiting)
    assert sorted(order) == [0, 1, 2, 3, 4]
    pool.shutdown()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_no_exception_ends_a_thread(pool: ThreadPool, rested: Rested, error: type[BaseException]) -> None:
    """There would be one fewer each time."""
    for number in range(5):
        task = Task(lambda: (_ for _ in ()).throw(error))
        pool.add_task(task)
        rested.wait_for(4 + number)
    assert len(pool.threads) == 3
    pool.shutdown()


def test_every_thread_closes_its_connections_when_it_ends(pool: ThreadPool, closed: list[str]) -> None:
    """A thread's connection would stay open until the garbage collector comes by."""
    pool.shutdown(timeout=PATIENCE)
    assert len(set(closed)) == 3
    assert not pool.threads


def test_idle_connections_close_at_once_and_busy_ones_after_the_request(
    pool: ThreadPool, closed: list[str], rested: Rested
) -> None:
    """When the worker drains, the next dyno already needs them."""
    gate = threading.Event()
    task = Task(gate.wait)
    pool.add_task(task)
    pool.close_idle_connections()
    rested.wait_for(5)  # three at the start, two that woke to close
    assert len(closed) == 2
    gate.set()
    pool.shutdown(timeout=PATIENCE)
    assert len(set(closed)) == 3


def test_shutdown_drops_what_waits_and_does_not_wait_for_ever(pool: ThreadPool) -> None:
    """Nobody will serve it, also when a thread that didn't end in time has a rest."""
    gate = threading.Event()
    running, waiting = [Task(gate.wait) for _ in range(3)], Task()
    for task in [*running, waiting]:
        pool.add_task(task)
    pool.shutdown(timeout=0.1)
    assert len(pool.threads) == 3
    gate.set()
    eventually(lambda: not pool.threads)
    assert not waiting.done.is_set()


def test_threads_may_become_more_and_fewer(pool: ThreadPool, rested: Rested) -> None:
    """Whatever happens, `count` are left."""
    for count in (1, 5, 2, 7, 3):
        pool.set_thread_count(count)
    tasks = [Task() for _ in range(50)]
    for task in tasks:
        pool.add_task(task)
    assert all(task.done.wait(PATIENCE) for task in tasks)
    deadline = threading.Event()
    for _ in range(300):
        if len(pool.threads) - pool.stop_count == 3 and pool.stop_count == 0:
            break
        deadline.wait(0.1)
    assert len(pool.threads) == 3
    pool.shutdown()


def test_a_task_that_goes_first_overtakes_the_queue_and_is_no_delay(pool: ThreadPool) -> None:
    """A look at the database waits for a thread, but not for the requests that wait."""
    gate, order = threading.Event(), []
    pool.set_thread_count(1)
    pool.add_task(Task(gate.wait))
    last = Task(lambda: order.append("request"))
    pool.add_task(last)
    pool.add_first(Task(lambda: order.append("look")))
    assert pool.take_delays()[0] == 1
    gate.set()
    assert last.done.wait(PATIENCE)
    assert order == ["look", "request"]
    pool.shutdown()
