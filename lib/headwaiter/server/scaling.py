"""The main process's part of the live budget: has a worker look, and resizes the dyno to what the budget then says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headwaiter import log
from headwaiter.server.control import Control

if TYPE_CHECKING:
    from headwaiter.budget.live import LiveBudget


class Scaling:
    """Follows `live`. One worker looks, for all of the dyno: `workers` returns the lines to those that serve.

    `resize` is called with the number of processes and the threads of each when they change.
    """

    def __init__(
        self, live: LiveBudget, workers: Callable[[], Sequence[Control]], resize: Callable[[int, int], None]
    ) -> None:
        self.live = live
        self.workers = workers
        self.resize = resize
        self.turn = 0

    @property
    def due(self) -> float:
        """When tick() has something to do, in time.monotonic()."""
        return self.live.next_look

    def tick(self, now: float) -> None:
        """Have a worker look when it's time; the next one each time, as one that is stuck must not blind the dyno."""
        if now < self.live.next_look:
            return
        self.live.look_begins(now)
        workers = self.workers()
        if workers:
            self.turn += 1
            workers[self.turn % len(workers)].send("look", *self.live.aliases)

    def hear(self, word: str, *rest: str) -> None:
        """Take in what a worker saw, or that a connect was refused."""
        if word == "refused":
            self.live.hurry(time.monotonic())
        elif word == "seen":
            self.follow(rest[0])

    def follow(self, seen: str) -> None:
        """Make the change that `seen` (of look.to_json) asks for, if any, and log it."""
        from headwaiter.budget import look  # here: a dyno without a database server needs none of it

        change = self.live.take(look.from_json(seen), time.monotonic())
        if change is None:
            return
        log.line(
            "budget",
            processes=change.budget.processes,
            threads=change.budget.threads,
            processes_before=change.before.processes,
            threads_before=change.before.threads,
            dynos=change.budget.inputs.dynos,
            msg=f"{change.reason[:1].upper()}{change.reason[1:]}: {change.budget.sentence}",
        )
        self.resize(change.budget.processes, change.budget.threads)


class Look:
    """Asks the databases, as a task of a worker's thread pool, and tells the main process."""

    requests = ()  # housekeeping looks for those of a slow request

    def __init__(self, aliases: Sequence[str], control: Control) -> None:
        self.aliases = aliases
        self.control = control
        self.over = False

    def service(self) -> None:
        """Look, in a pool thread."""
        from headwaiter.budget import look

        try:
            self.control.send("seen", look.to_json(look.ask(self.aliases)))
        finally:
            self.over = True
