"""The threads of a worker: a fixed number, warm ones first, each closing its own connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from headwaiter.server.thread_pool import Dispatcher, Seat

PATIENCE = 30.0


class Task:
    """Runs `work`; `done` is set afterwards."""

    def __init__(self, work: Callable[[], object] = lambda: None) -> None:
        self.work, self.done = work, threading.Event()
        self.thread = ""
        self.cancelled = False

    def service(self) -> None:
        self.thread = threading.current_thread().name
        try:
            self.work()
        finally:
            self.done.set()

    def cancel(self) -> None:
        self.cancelled = True


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
def dispatcher(rested: Rested, closed: list[str]) -> Dispatcher:
    made = Dispatcher(rested, lambda: closed.append(threading.current_thread().name))
    made.set_thread_count(3)
    rested.wait_for(3)
    return made


def test_one_request_after_the_other_uses_one_thread(dispatcher: Dispatcher, rested: Rested) -> None:
    """Its database connection is open; the other threads needn't open theirs."""
    names = set()
    for number in range(10):
        task = Task()
        dispatcher.add_task(task)
        rested.wait_for(4 + number)
        names.add(task.thread)
    assert len(names) == 1
    dispatcher.shutdown()


def test_work_never_shows_the_clock_of_earlier_work(dispatcher: Dispatcher) -> None:
    """The watcher may look before the thread has woken: it would report a slow request that has just come."""

    class Seen:
        """Stands before a resting thread's lock, and looks as the watcher does."""

        def __init__(self, seat: Seat) -> None:
            self.seat, self.wake, self.since = seat, seat.wake, 0.0

        def release(self) -> None:
            self.since = self.seat.since
            self.wake.release()

        def acquire(self) -> None:
            self.wake.acquire()

    last = dispatcher.resting[-1]
    last.since -= 3000.0
    last.wake = seen = Seen(last)  # type: ignore[assignment]
    before = time.monotonic()
    dispatcher.add_task(Task())
    assert seen.since >= before
    dispatcher.shutdown()


def test_more_tasks_than_threads_wait(dispatcher: Dispatcher) -> None:
    """None is lost, and the delays are counted once."""
    gate, order = threading.Event(), []
    running = [Task(gate.wait) for _ in range(3)]
    waiting = [Task(lambda number=number: order.append(number)) for number in range(5)]  # type: ignore[misc]
    for task in [*running, *waiting]:
        dispatcher.add_task(task)
    assert (dispatcher.busy, len(dispatcher.queue), dispatcher.has_rest()) == (3, 5, False)
    assert dispatcher.take_delays() == (5, 5)
    gate.set()
    assert waiting[-1].done.wait(PATIENCE)
    assert all(task.done.wait(PATIENCE) for task in waiting)
    assert sorted(order) == [0, 1, 2, 3, 4]
    dispatcher.shutdown()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_no_exception_ends_a_thread(dispatcher: Dispatcher, rested: Rested, error: type[BaseException]) -> None:
    """There would be one fewer each time."""
    for number in range(5):
        task = Task(lambda: (_ for _ in ()).throw(error))
        dispatcher.add_task(task)
        rested.wait_for(4 + number)
    assert len(dispatcher.seats) == 3
    dispatcher.shutdown()


def test_every_thread_closes_its_connections_when_it_ends(dispatcher: Dispatcher, closed: list[str]) -> None:
    """A thread's connection would stay open until the garbage collector comes by."""
    dispatcher.shutdown(timeout=PATIENCE)
    assert len(set(closed)) == 3
    assert not dispatcher.seats


def test_idle_connections_close_at_once_and_busy_ones_after_the_request(
    dispatcher: Dispatcher, closed: list[str], rested: Rested
) -> None:
    """When the worker drains, the next dyno already needs them."""
    gate = threading.Event()
    task = Task(gate.wait)
    dispatcher.add_task(task)
    dispatcher.close_idle_connections()
    rested.wait_for(5)  # three at the start, two that woke to close
    assert len(closed) == 2
    gate.set()
    dispatcher.shutdown(timeout=PATIENCE)
    assert len(set(closed)) == 3


def test_shutdown_cancels_what_waits_and_reports_the_rest(dispatcher: Dispatcher) -> None:
    """Nobody will serve them; a thread that doesn't end isn't waited for."""
    gate = threading.Event()
    running, waiting = [Task(gate.wait) for _ in range(3)], Task()
    for task in [*running, waiting]:
        dispatcher.add_task(task)
    assert dispatcher.shutdown(timeout=0.1)
    assert waiting.cancelled
    assert len(dispatcher.seats) == 3
    gate.set()


def test_threads_may_become_more_and_fewer(dispatcher: Dispatcher, rested: Rested) -> None:
    """Whatever happens, `count` are left."""
    for count in (1, 5, 2, 7, 3):
        dispatcher.set_thread_count(count)
    tasks = [Task() for _ in range(50)]
    for task in tasks:
        dispatcher.add_task(task)
    assert all(task.done.wait(PATIENCE) for task in tasks)
    deadline = threading.Event()
    for _ in range(300):
        if len(dispatcher.seats) - dispatcher.stop_count == 3 and dispatcher.stop_count == 0:
            break
        deadline.wait(0.1)
    assert len(dispatcher.seats) == 3
    dispatcher.shutdown()


def test_the_stack_names_the_innermost_call_first(dispatcher: Dispatcher) -> None:
    """What the log shows of a slow request."""
    gate, inside = threading.Event(), threading.Event()

    def slow_view() -> None:
        inside.set()
        gate.wait()

    dispatcher.add_task(Task(slow_view))
    assert inside.wait(PATIENCE)
    (seat,) = [seat for seat in dispatcher.seats.values() if seat.work]
    stack = dispatcher.stack(seat)
    assert "slow_view" in stack
    assert stack.index("slow_view") < stack.index("handler_thread")
    gate.set()
    dispatcher.shutdown()
