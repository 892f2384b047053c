"""The parent process: keeps workers running, passes signals on, ends when they have ended.

The process that loaded the site and forked the workers becomes this one by exec(): the same process id, the same
children, but a fresh interpreter of a few megabytes. A parent that kept the loaded site would own a copy of every page
that its workers have written since: 15 to 18 MB with a plain Django site, more with each package. That is also why
this module imports next to nothing. A worker that dies is replaced by starting the command again.

A worker and the keeper talk through a socket pair, one byte a message, so that each also learns of the other's death.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the same without enum: half a megabyte less
import marshal
import os
import select
import sys
import time

from headwaiter import log

TYPE_CHECKING = False  # typing's, without importing typing: that costs half a megabyte too
if TYPE_CHECKING:
    from typing import Any

# Worker to keeper: the site is loaded and waits for GO; it answers requests; it would like to be replaced.
LOADED, READY, RETIRE = b"L", b"R", b"r"
# Keeper to worker: serve now; or, to one that asked: you may leave, your successor is loaded.
GO = b"G"
RETIRED = 75  # exit status of a worker that asked to be replaced
CANNOT_LOAD = 78  # exit status of a worker whose site can't be imported
SOFTWARE = 70

WORKER_VARIABLE = "_HEADWAITER_WORKER"  # tells a started worker what it is; taken out of its environment at once
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EARLY_SECONDS = 5.0  # a worker that dies younger than this didn't boot
TRIES = 5  # early deaths in a row, with nobody serving, until we give up
LONGEST_PAUSE = 30.0  # seconds between tries, while other workers serve
MARGIN_SECONDS = 2.0  # what workers get over the drain's deadline before SIGKILL


def main() -> None:
    """Run as the keeper of the workers that the state in the pipe `sys.argv[1]` describes; never returns."""
    with os.fdopen(int(sys.argv[1]), "rb") as pipe:
        state = marshal.loads(pipe.read())  # noqa: S302  # our own, from before exec()
    sys.exit(Keeper(state).run())


class Worker:
    """One worker process, alive or not yet collected."""

    def __init__(self, number: int, pid: int, fd: int, *, successor: bool = False) -> None:
        self.number = number
        self.pid = pid
        self.fd = fd  # our end of the socket pair
        self.successor = successor  # waits for the worker of the same number to leave
        self.started = time.monotonic()
        self.ready = 0.0  # since when it answers requests
        self.loaded = False
        self.wants_to_retire = False
        self.killed = False
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)

    def tell(self, word: bytes) -> None:
        """Send `word`; one that has just died doesn't matter, Keeper.reap() will find it."""
        try:
            os.write(self.fd, word)
        except OSError:
            return

    def hear(self) -> bytes:
        """Return what it has said since, nothing when its end is closed."""
        try:
            return os.read(self.fd, 16)
        except OSError:
            return b""

    def kill(self, number: int) -> None:
        """Send it the signal `number`."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


class Keeper:
    """Holds the listening sockets open, for replacements, and one control socket for each worker."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.listeners: list[int] = state["listeners"]
        self.command: list[str] = state["command"]
        self.directory: str = state["directory"]
        self.threads: int = state["threads"]
        self.processes: int = state["processes"]
        self.connections: list[int] = state["connections"]  # what the budget counted on, for a worker's advice
        self.drain_seconds: float = state["drain_seconds"]
        self.boot: dict[str, object] | None = state["boot"]  # what the ready line says, until it's said
        self.started: float = state["started"]
        self.workers = [Worker(*worker) for worker in state["workers"]]
        self.early_deaths = 0  # in a row
        self.next_start = 0.0
        self.deadline: float | None = None  # of the drain
        self.signals: list[int] = []  # arrived and not yet acted on
        self.interrupts = 0
        self.status = 0
        self.poll = select.poll()
        self.wake, self.wake_in = os.pipe()
        for fd in (self.wake, self.wake_in):
            os.set_blocking(fd, False)
        for fd in self.listeners:
            os.set_inheritable(fd, False)
        for fd in (self.wake, *(worker.fd for worker in self.workers)):
            self.poll.register(fd, select.POLLIN)

    def run(self) -> int:
        """Keep the workers until the drain has ended or booting has failed; return the exit status."""
        signal.set_wakeup_fd(self.wake_in, warn_on_full_buffer=False)
        for number in (*STOPS, signal.SIGCHLD):
            signal.signal(number, lambda number, _: self.signals.append(number))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        while True:
            while self.signals:
                self.on_signal(self.signals.pop(0))
            self.reap()
            self.kill_late()
            self.fill_places()
            if self.deadline is not None and not self.workers:
                return self.status
            for fd, _ in self.poll.poll(self.pause()):
                if fd == self.wake:
                    os.read(self.wake, 512)
                else:
                    self.on_words(fd)

    def pause(self) -> float:
        """Return how many milliseconds may pass until something is due without an event."""
        now = time.monotonic()
        due = now + 60
        if self.deadline is not None:
            due = self.deadline + MARGIN_SECONDS
        elif len(self.in_place()) < self.processes:
            due = self.next_start
        return max(1.0, min(60.0, due - now) * 1000)

    def in_place(self) -> dict[int, Worker]:
        """Return the workers by number; a successor in waiting has no place yet."""
        return {worker.number: worker for worker in self.workers if not worker.successor}

    # Signals

    def on_signal(self, number: int) -> None:
        """Drain; SIGTERM comes several times on a dyno and means the same each time, the second SIGINT means now."""
        if number == signal.SIGINT:
            self.interrupts += 1
            if self.interrupts > 1:
                for worker in self.workers:
                    worker.kill(signal.SIGKILL)
                os._exit(130)
        if number != signal.SIGCHLD and self.deadline is None:
            self.drain()

    def drain(self) -> None:
        """Tell every worker to drain, and let go of the listening sockets so that new clients are refused."""
        self.deadline = time.monotonic() + self.drain_seconds
        for worker in self.workers:
            worker.kill(signal.SIGTERM)
        for fd in self.listeners:
            os.close(fd)
        self.listeners = []

    def kill_late(self) -> None:
        """End the workers that are still there after the drain's deadline and the margin."""
        if self.deadline is None or time.monotonic() < self.deadline + MARGIN_SECONDS:
            return
        for worker in self.workers:
            if not worker.killed:
                worker.killed = True
                message = f"Didn't end within {self.drain_seconds:g} seconds of draining: killed."
                log.line("warning", worker=worker.number, worker_pid=worker.pid, msg=message)
                worker.kill(signal.SIGKILL)

    # What workers say

    def on_words(self, fd: int) -> None:
        """Take in what the worker at the other end of `fd` says."""
        worker = next(worker for worker in self.workers if worker.fd == fd)
        words = worker.hear()
        if not words:  # it has ended or is about to; reap() tells which
            self.unwatch(worker)
        if LOADED in words:
            worker.loaded = True
            self.on_loaded(worker)
        if READY in words:
            self.on_ready(worker)
        if RETIRE in words:
            worker.wants_to_retire = True

    def unwatch(self, worker: Worker) -> None:
        """Stop polling a worker that says no more; twice does no harm."""
        try:
            self.poll.unregister(worker.fd)
        except KeyError:
            return

    def on_ready(self, worker: Worker) -> None:
        """Note it, and say once that every first worker answers requests."""
        worker.ready = time.monotonic()
        if self.boot is not None and sum(bool(worker.ready) for worker in self.workers) >= self.processes:
            log.line("ready", **self.boot, seconds=round(time.monotonic() - self.started, 2))
            self.boot = None

    def on_loaded(self, worker: Worker) -> None:
        """Let a started worker serve, or, when it is to follow another, let that one leave first."""
        if worker.successor:
            self.in_place()[worker.number].tell(GO)
        else:
            worker.tell(GO)

    # Starting

    def fill_places(self) -> None:
        """Fill each free place, and start the successor of one worker that would like to leave."""
        if self.deadline is not None:
            return
        for number in range(1, self.processes + 1):
            if number not in self.in_place():
                self.fill_place(number)
        places = self.in_place()
        if len(places) < self.processes or len(places) < len(self.workers) or time.monotonic() < self.next_start:
            return
        for worker in places.values():
            if worker.wants_to_retire:
                worker.wants_to_retire = False
                self.start(worker.number, successor=True)
                return

    def fill_place(self, number: int) -> None:
        """Give the free place to its successor in waiting, else to a new worker once the pause is over."""
        for worker in self.workers:
            if worker.number == number:
                worker.successor = False
                if worker.loaded:
                    worker.tell(GO)
                return
        if time.monotonic() >= self.next_start:
            self.start(number)

    def start(self, number: int, *, successor: bool = False) -> None:
        """Start the command again as worker `number`; it loads the site, says so and waits for GO."""
        ours, theirs = _socket_pair()
        numbers = [number, theirs, self.processes, self.threads, *self.connections, *self.listeners]
        environ = {**os.environ, WORKER_VARIABLE: ",".join(map(str, numbers))}
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        pid = os.fork()
        if pid == 0:
            self.become_worker(environ, (theirs, *self.listeners))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.close(theirs)
        self.poll.register(ours, select.POLLIN)
        self.workers.append(Worker(number, pid, ours, successor=successor))

    def become_worker(self, environ: dict[str, str], inherited: tuple[int, ...]) -> None:
        """Replace the forked child's image; runs in the child and never returns."""
        try:
            for fd in inherited:
                os.set_inheritable(fd, True)
            for number in STOPS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.chdir(self.directory)
            os.execve(self.command[0], self.command, environ)  # noqa: S606  # no shell is wanted
        finally:
            os._exit(SOFTWARE)

    # Ending

    def reap(self) -> None:
        """Collect what has ended; as process 1 of a container that includes orphans we never knew."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for worker in [worker for worker in self.workers if worker.pid == pid]:
                self.on_end(worker, os.waitstatus_to_exitcode(status))

    def on_end(self, worker: Worker, code: int) -> None:
        """Log the end of a worker and decide whether and when its place is filled again."""
        if READY in worker.hear():
            self.on_ready(worker)
        self.workers.remove(worker)
        self.unwatch(worker)
        os.close(worker.fd)
        if self.deadline is not None:
            if code not in (0, RETIRED, -signal.SIGTERM) and not worker.killed:
                self.status = self.status or 1
                _log_end(worker, code, "Ended while draining.")
        elif code == RETIRED:
            _log_end(worker, code, "Retired in order; its successor takes over.")
        else:
            self.on_death(worker, code)

    def on_death(self, worker: Worker, code: int) -> None:
        """Decide when a worker that died is replaced: at once, later when deaths repeat, or never."""
        _log_end(worker, code, "Died; starting another.")
        now = time.monotonic()
        if worker.ready and now - worker.ready >= EARLY_SECONDS:
            self.early_deaths = 0
            return
        self.early_deaths += 1
        if self.early_deaths > 1:
            self.next_start = now + min(0.25 * 2 ** (self.early_deaths - 2), LONGEST_PAUSE)
        lives = [now - other.ready for other in self.workers if other.ready]
        cannot_load = code == CANNOT_LOAD and not lives
        if cannot_load or (self.early_deaths >= TRIES and max(lives, default=0.0) < EARLY_SECONDS):
            self.give_up(code)

    def give_up(self, code: int) -> None:
        """End everything: workers don't live long enough to serve, and trying for ever would hide it."""
        message = "Workers end as soon as they start: giving up. The lines above tell why."
        log.line("boot-failed", deaths=self.early_deaths, **_cause(code), msg=message)
        self.drain()
        self.status = code if code > 0 else SOFTWARE


def _socket_pair() -> tuple[int, int]:
    import _socket  # not socket, whose enums cost as much as signal's

    first, second = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    return first.detach(), second.detach()


def _cause(code: int) -> dict[str, object]:
    if code >= 0:
        return {"status": code}
    names = sorted(name for name in dir(signal) if name[:3] == "SIG" and getattr(signal, name) == -code)
    return {"signal": names[0] if names else -code}


def _log_end(worker: Worker, code: int, message: str) -> None:
    lived = round(time.monotonic() - worker.started, 1)
    if code == -signal.SIGKILL:
        message += " Unless somebody killed it, memory ran out."
    log.line("worker-exit", worker=worker.number, worker_pid=worker.pid, **_cause(code), seconds=lived, msg=message)
