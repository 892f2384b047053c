"""The threads of one worker. The one that rested last works first: its database connection is still warm."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress.task import ThreadedTaskDispatcher


class WorkerThread:
    """One thread: where it rests, and what it works on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.work: Any = None
        self.wake = threading.Lock()
        self.wake.acquire()
        self.since = 0.0  # time.monotonic() when it took up `work`
        self.reported = False
        self.ident: int | None = None

    def take(self, task: Any) -> None:
        """Have `task` as work. The clock first: work with an old clock looks like a slow request."""
        self.since, self.reported = time.monotonic(), False
        self.work = task


class ThreadPool(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Hands each complete request to a resting thread, or queues it.

    `on_rest` is called from a thread that found no more work; `close_connections` in each thread before it ends, and
    when close_idle_connections() asks for it.
    """

    def __init__(self, on_rest: Callable[[], None], close_connections: Callable[[], None]) -> None:
        super().__init__()
        self.on_rest = on_rest
        self.close_connections = close_connections
        self.threads: dict[int, WorkerThread] = {}
        self.resting: list[WorkerThread] = []
        self.busy_since = 0.0  # time.monotonic() when a thread last left its rest: no later than all have been busy
        self.leaving = 0  # threads that end, and still count in `threads`
        self.report_load: Callable[[int], None] | None = None  # is called with how many requests run or wait
        self.closing = False  # connections close after each request, for nothing more is to come
        self.deepest = 0  # queue depth since the last look, and when it last grew
        self.delayed = 0

    @property
    def busy(self) -> int:
        """How many threads work on a request."""
        return len(self.threads) - len(self.resting)

    def has_rest(self) -> bool:
        """Tell whether a thread is free for one more request."""
        return bool(self.resting) and not self.queue

    def longest(self, now: float) -> float:
        """Return for how many seconds the oldest work in a thread has run at `now` (time.monotonic())."""
        with self.lock:
            return max((now - one.since for one in self.threads.values() if one.work is not None), default=0.0)

    def set_thread_count(self, count: int) -> None:
        """Start threads until there are `count`, or let the surplus end after their present work."""
        with self.lock:
            staying = len(self.threads) - self.leaving - self.stop_count
            surplus = [self._leave() for _ in range(staying - count)]
            free = (number for number in itertools.count() if number not in self.threads)
            for number in list(itertools.islice(free, max(0, count - staying))):
                self.threads[number] = WorkerThread(number)
                self.start_new_thread(self.handler_thread, number)
            self._load_changed()
        for thread in surplus:
            if thread is not None:
                thread.wake.release()

    def stop_reporting(self) -> None:
        """Call report_load() no more."""
        with self.lock:
            self.report_load = None

    def _load_changed(self) -> None:
        if self.report_load:
            self.report_load(self.busy + len(self.queue))

    def _leave(self) -> WorkerThread | None:
        self.stop_count += 1
        return self.resting.pop() if self.resting else None

    def handler_thread(self, thread_no: int) -> None:
        """Work until asked to end. No exception of the app ends a thread."""
        thread = self.threads[thread_no]
        thread.ident = threading.get_ident()
        try:
            while self._next(thread):
                self._work(thread)
        finally:
            self._close_connections()
            with self.lock:
                self.leaving -= 1
                self.threads.pop(thread_no, None)
                self._load_changed()
                self.thread_exit_cv.notify_all()

    def _next(self, thread: WorkerThread) -> bool:
        """Wait for work; False when this thread shall end. A queued task always goes first."""
        while True:
            with self.lock:
                if self.queue:
                    thread.take(self.queue.popleft())
                    self._load_changed()
                    return True
                if self.stop_count:
                    self.stop_count -= 1
                    self.leaving += 1
                    return False
                self.resting.append(thread)
                self._load_changed()
            self.on_rest()
            thread.wake.acquire()
            if thread.work is not None:
                return True
            if self.closing:
                self._close_connections()

    def _work(self, thread: WorkerThread) -> None:
        try:
            thread.work.service()
        except BaseException:
            self.logger.exception("Exception when servicing %r", thread.work)
        finally:
            thread.work = None
        if self.closing:
            self._close_connections()

    def _close_connections(self) -> None:
        try:
            self.close_connections()
        except Exception:
            self.logger.exception("Exception when closing this thread's database connections")

    def add_task(self, task: Any) -> None:
        """Give `task` to a resting thread or queue it; from any thread."""
        with self.lock:
            if self.resting and not self.queue:
                thread = self.resting.pop()
                thread.take(task)
                self.busy_since = thread.since
                self._load_changed()
            else:
                self.queue.append(task)
                self.delayed += 1
                self.deepest = max(self.deepest, len(self.queue))
                self._load_changed()
                return
        thread.wake.release()

    def add_first(self, task: Any) -> None:
        """Give `task` to a resting thread, or queue it in front of all others; it doesn't count as one that waited."""
        with self.lock:
            if not self.resting or self.queue:
                self.queue.appendleft(task)
                return
            thread = self.resting.pop()
            thread.take(task)
        thread.wake.release()

    def close_idle_connections(self) -> None:
        """From now on, close a thread's database connections as soon as it has no request: at once where it rests."""
        with self.lock:
            self.closing = True
            woken, self.resting = self.resting, []
        for thread in woken:
            thread.wake.release()

    def shutdown(self, timeout: float = 5) -> None:
        """Drop what is queued and end all threads, waiting up to `timeout` seconds."""
        with self.lock:
            self.queue.clear()
        self.set_thread_count(0)
        deadline = time.monotonic() + timeout
        with self.lock:
            while self.threads and time.monotonic() < deadline:
                self.thread_exit_cv.wait(min(0.1, timeout))

    def take_delays(self) -> tuple[int, int]:
        """Return how many requests had to wait for a thread since the last call, and the longest queue."""
        with self.lock:
            taken = self.delayed, self.deepest
            self.delayed = self.deepest = 0
        return taken
