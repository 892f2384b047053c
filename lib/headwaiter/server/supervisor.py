"""The main process: keeps the imported site, forks every worker from itself, passes signals on, ends when they ended.

A worker that dies or retires is replaced by a fork, which takes milliseconds whatever the site's import takes. With
--no-preload each worker imports the site itself, and this process stays light.

What is called here comes from its module before the site is imported: gevent and eventlet replace some of it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from os import fork, waitpid
from select import poll
from typing import TYPE_CHECKING, Any, NoReturn

from headwaiter import log
from headwaiter.budget import database
from headwaiter.server import control, drain, exchange, listen, signals, worker
from headwaiter.server.scaling import Scaling
from headwaiter.settings import Settings

if TYPE_CHECKING:
    from headwaiter.budget.live import LiveBudget

CANNOT_LOAD = 78  # exit status of a worker that can't import the site (cli.py)
SOFTWARE = 70
TRIES = 5  # workers in a row that end before they're ready, with nobody serving, until we give up
LONGEST_PAUSE = 30.0  # seconds between those tries, while other workers serve
RETRY_SECONDS = 1.0  # until the next try, where the system had no room for a process: its limit, memory, open files
LONGEST_PAUSE_AFTER_SERVICE = 1.0  # seconds until a worker that has served is replaced, when deaths repeat
DEATHS_SECONDS = 60.0  # in which deaths are counted for the log, and
REPEATED_SECONDS = 10.0  # for the pause
MARGIN_SECONDS = 2.0  # what workers get over the drain's deadline before SIGKILL
EXIT_SECONDS = 1.0  # what exit handlers and threads of the site get at least
READY_SECONDS = 1.0  # at most, until a forked worker serves; that takes milliseconds
FIRST_REQUEST_SECONDS = 0.05  # left to the first request: the boot line costs 15 ms of a lone CPU
Application = Callable[..., Any]


class Listener(socket.socket):
    """A listening socket that gives IPv4 clients' addresses as IPv4."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; on a dual-stack socket an IPv4 client would come as ::ffff:192.0.2.1."""
        connection, address = super().accept()
        if self.family == socket.AF_INET6 and address[0].startswith("::ffff:"):
            address = (address[0][len("::ffff:") :], address[1])
        return connection, address


class Process:
    """One worker process, alive or not yet collected."""

    def __init__(
        self, number: int, pid: int, line: control.Control, slot: exchange.Slot | None, follows: Process | None
    ) -> None:
        self.number = number
        self.pid = pid
        self.control = line
        self.slot = slot
        self.follows = follows  # the worker whose place it takes as soon as it's ready
        self.started = time.monotonic()
        self.ready = False
        self.wants_to_leave = False
        self.leaving = False
        self.killed = False

    def kill(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def retire(self) -> None:
        """Let it end in order. Whoever takes its place serves already."""
        self.leaving = True
        self.control.send("retire")


class Supervisor:
    """Keeps `processes` workers on the bound `sockets`.

    `load` returns the application, in each worker; `announce` logs the boot, while the workers already serve; `live`
    says how many processes and threads there are to be from then on.
    `started` is time.monotonic() of the command's start.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: Sequence[socket.socket],
        arrivals: signals.Arrivals,
        *,
        processes: int,
        threads: int,
        load: Callable[[], Application],
        announce: Callable[[], None],
        started: float,
        live: LiveBudget | None = None,
    ) -> None:
        self.settings = settings
        self.sockets = list(sockets)
        self.arrivals = arrivals
        self.processes = processes
        self.threads = threads
        self.load = load
        self.announce: Callable[[], None] | None = announce
        self.announce_at = time.monotonic() + READY_SECONDS
        self.boot = listen.describe(sockets[0])
        self.started = started
        self.said_ready = False
        self.workers: list[Process] = []
        self.failed_starts = 0  # in a row
        self.deaths: list[float] = []  # of workers that had served, in the last DEATHS_SECONDS
        self.next_start = 0.0
        self.refuse_at: float | None = None
        self.deadline: float | None = None  # of the drain
        self.interrupts = 0
        self.status = 0
        self.scaling = Scaling(live, self.serving, self.resize) if live else None
        self.exchange = exchange.make(processes)
        self.poll = poll()
        self.poll.register(arrivals.wake, select.POLLIN)

    def run(self) -> int:
        """Keep the workers until the drain has ended or booting has failed; return the exit status.

        In a worker this raises SystemExit when it has drained, or what `load` raises.
        """
        while True:
            for number in self.arrivals.take():
                self.on_signal(number)
            self.reap()
            self.do_what_is_due()
            self.fill_places()
            if self.deadline is not None and not self.workers:
                leave_by(max(self.deadline, time.monotonic() + EXIT_SECONDS), self.status)
                return self.status
            for fd, _ in self.poll.poll(self.pause() * 1000):
                if fd != self.arrivals.wake:
                    self.hear(next(each for each in self.workers if each.control.fileno() == fd))

    def serving(self) -> list[control.Control]:
        """Return the lines to the workers that serve."""
        return [each.control for each in self.workers if each.ready and not each.leaving]

    def resize(self, processes: int, threads: int) -> None:
        """Change how many workers there are, and their threads: surplus workers drain and end, missing ones start."""
        self.processes, self.threads = processes, threads
        for each in self.workers:
            each.control.send("threads", threads)
            each.control.send("processes", processes)
            if each.number > processes and not each.leaving:
                each.retire()

    def pause(self) -> float:
        """Return how many seconds may pass until something is due without an event."""
        now = time.monotonic()
        due = [now + 60.0]
        if self.announce:
            due.append(self.announce_at)
        if self.refuse_at is not None:
            due.append(self.refuse_at)
        if self.deadline is not None:
            due.append(self.deadline + MARGIN_SECONDS)
        elif self.next_start > now:
            due.append(self.next_start)
        if self.scaling and self.deadline is None:
            due.append(self.scaling.due)
        return max(0.001, min(due) - now)

    def in_place(self) -> dict[int, Process]:
        """Return the workers by number, without those that are leaving and successors that aren't ready."""
        return {each.number: each for each in self.workers if not each.leaving and each.follows is None}

    def do_what_is_due(self) -> None:
        """Act by the clock: the boot line, the refusal of new connections, the end of late workers."""
        now = time.monotonic()
        if self.announce and now >= self.announce_at:
            self.announce()
            self.announce = None
            self.say_ready()
        if self.scaling and self.deadline is None:
            self.scaling.tick(now)
        if self.refuse_at is not None and now >= self.refuse_at:
            self.refuse_at = None
            self.refuse_connections()
        if self.deadline is not None and now >= self.deadline + MARGIN_SECONDS:
            self.kill_late()

    # Signals and the drain

    def on_signal(self, number: int) -> None:
        """Drain; SIGTERM comes several times on a dyno and means the same each time, the second SIGINT means now."""
        if number == signal.SIGINT:
            self.interrupts += 1
            if self.interrupts > 1:
                for each in self.workers:
                    each.kill(signal.SIGKILL)
                os._exit(worker.LEFT_AT_ONCE)
        if number != signal.SIGCHLD and self.deadline is None:
            self.start_drain(signal.Signals(number).name)

    def start_drain(self, reason: str) -> None:
        """Have every worker take the last connections and leave; those that import the site still end at once."""
        now = time.monotonic()
        self.deadline = now + self.settings.drain_seconds
        self.refuse_at = now + drain.ACCEPT_SECONDS
        for each in self.workers:
            each.control.send("drain", reason)
            each.kill(signal.SIGTERM)

    def refuse_connections(self) -> None:
        """Have the kernel refuse new connections, for all processes: the workers then empty its queue and close."""
        for one in self.sockets:
            listen.refuse_handshakes(one)
            one.close()

    def kill_late(self) -> None:
        """End the workers that are still there after the drain's deadline and the margin."""
        for each in self.workers:
            if not each.killed:
                each.killed = True
                message = f"Didn't end within {self.settings.drain_seconds:g} seconds of draining: killed."
                log.line("warning", worker=each.number, worker_pid=each.pid, msg=message)
                each.kill(signal.SIGKILL)

    # What workers say

    def hear(self, one: Process) -> None:
        """Take in what the worker `one` says."""
        lines = one.control.receive()
        if lines is None:  # it has ended or is about to; reap() tells which
            self.unwatch(one)
        for word, *rest in lines or ():
            if word == "ready":
                self.on_ready(one)
            elif word == "leave":
                one.wants_to_leave = True
            elif self.scaling and self.deadline is None:
                self.scaling.hear(word, *rest)

    def unwatch(self, one: Process) -> None:
        """Stop polling a worker that says no more; twice does no harm."""
        with suppress(KeyError):
            self.poll.unregister(one.control.fileno())

    def on_ready(self, one: Process) -> None:
        """Give it its place; the one before it may leave."""
        self.failed_starts = 0
        one.ready = True
        if one.follows:
            one.follows.retire()
            one.follows = None
        if self.announce:
            self.announce_at = min(self.announce_at, time.monotonic() + FIRST_REQUEST_SECONDS)
        self.say_ready()

    def say_ready(self) -> None:
        """Say once, after the boot line, that every first worker answers requests."""
        if self.said_ready or self.announce or sum(each.ready for each in self.workers) < self.processes:
            return
        self.said_ready = True
        seconds = round(time.monotonic() - self.started, 2)
        log.line("ready", **self.boot, processes=self.processes, threads=self.threads, seconds=seconds)

    # Starting

    def fill_places(self) -> None:
        """Fork a worker for each free place, and the successor of one that would like to leave, one at a time."""
        if self.deadline is not None or time.monotonic() < self.next_start:
            return
        places = self.in_place()
        for number in range(1, self.processes + 1):
            if number not in places and not self.start(number):
                return
        if any(each.leaving or each.follows for each in self.workers):
            return
        for each in places.values():
            if each.wants_to_leave:
                self.start(each.number, follows=each)
                return

    def start(self, number: int, follows: Process | None = None) -> bool:
        """Fork worker `number`; where the system has no room for it, say so, try again later and return False.

        Gives up after TRIES times without any worker: then the platform had better start a new dyno.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        slot = self.exchange.claim() if self.exchange else None
        lines: tuple[control.Control, ...] = ()
        try:
            lines = ours, theirs = control.pair()
            pid = fork()
        except OSError as error:
            for line in lines:
                line.close()
            if self.exchange and slot:
                self.exchange.release(slot)
            self.next_start = time.monotonic() + RETRY_SECONDS
            message = f"No process could be started for this worker: trying again in {RETRY_SECONDS:g} s."
            log.line("warning", worker=number, error=error.strerror, msg=message)
            if not self.workers:
                self.failed_starts += 1
                if self.failed_starts >= TRIES:
                    self.give_up(SOFTWARE)
            return False
        if pid == 0:
            ours.close()
            self.become_worker(number, theirs, slot)
        theirs.close()
        self.poll.register(ours.fileno(), select.POLLIN)
        self.workers.append(Process(number, pid, ours, slot, follows))
        return True

    def become_worker(self, number: int, line: control.Control, slot: exchange.Slot | None) -> NoReturn:
        """Serve in the forked child; SIGTERM and the like have their default actions until the server is there."""
        # The siblings' ends: as long as somebody holds one, that worker wouldn't notice that the parent has gone.
        for each in self.workers:
            each.control.close()
        log.context(worker=number)
        if "gevent" in sys.modules:
            sys.modules["gevent"].reinit()  # its loop's epoll belongs to the parent
        gc.enable()
        application = self.load()
        database.on_refusal(lambda: line.send("refused"))
        sockets = [Listener(fileno=one.detach()) for one in self.sockets]
        status, deadline = worker.serve(
            application,
            sockets,
            self.settings,
            threads=self.threads,
            processes=self.processes,
            control=line,
            slot=slot,
        )
        leave_by(max(deadline, time.monotonic() + EXIT_SECONDS), status)
        sys.exit(status)

    # Ending

    def reap(self) -> None:
        """Collect what has ended; as process 1 of a container that includes orphans we never knew."""
        workers = {each.pid: each for each in self.workers}
        for pid in [-1] if os.getpid() == 1 else list(workers):
            with suppress(ChildProcessError):
                while (ended := waitpid(pid, os.WNOHANG))[0]:
                    if ended[0] in workers:
                        self.on_end(workers[ended[0]], os.waitstatus_to_exitcode(ended[1]))

    def on_end(self, one: Process, code: int) -> None:
        """Log the end of a worker and decide whether and when its place is filled again."""
        self.hear(one)
        self.unwatch(one)
        self.workers.remove(one)
        one.control.close()
        if self.exchange and one.slot:
            self.exchange.release(one.slot)
        for each in self.workers:
            if each.follows is one:
                each.follows = None
        if self.deadline is not None:
            if code not in (0, -signal.SIGTERM) and not one.killed:
                self.status = self.status or 1
                _log_end(one, code, "Ended while draining.")
        elif one.leaving:
            _log_end(one, code, "Retired in order.")
        else:
            self.on_death(one, code)

    def on_death(self, one: Process, code: int) -> None:
        """Replace a worker that died: at once, and after a pause when deaths repeat; or give up if none ever served."""
        now = time.monotonic()
        if one.ready:
            self.deaths = [*(died for died in self.deaths if now - died < DEATHS_SECONDS), now]
            times = len(self.deaths)
            repeated = sum(now - died < REPEATED_SECONDS for died in self.deaths[:-1])
            pause = min(0.1 * repeated, LONGEST_PAUSE_AFTER_SERVICE)
            often = f" It is the {times}. death in {DEATHS_SECONDS:g} s." if times > 1 else ""
            _log_end(one, code, f"Died; starting another.{often}")
        else:
            self.failed_starts += 1
            pause = min(0.25 * 2 ** (self.failed_starts - 1), LONGEST_PAUSE)
            _log_end(one, code, "Ended before it could serve.")
        self.next_start = now + pause
        hopeless = code == CANNOT_LOAD or self.failed_starts >= TRIES
        if hopeless and not one.ready and not any(each.ready for each in self.workers):
            self.give_up(code)

    def give_up(self, code: int) -> None:
        """End everything: no worker gets so far that it serves, and trying for ever would hide it."""
        message = "Workers don't start, or end before they can serve: giving up. The lines above say why."
        log.line("boot-failed", deaths=self.failed_starts, **_cause(code), msg=message)
        self.start_drain("boot-failed")
        self.status = code if code > 0 else SOFTWARE


def leave_by(deadline: float, status: int) -> None:
    """See to it that this process ends by `deadline` (time.monotonic()), whatever Python waits for at its end.

    It waits for threads that aren't daemons, then for the functions registered with atexit.
    """

    def leave() -> None:
        time.sleep(max(0.0, deadline - time.monotonic()))
        others = (one for one in threading.enumerate() if one is not threading.main_thread())
        names = sorted(one.name for one in others if not one.daemon and one.is_alive())
        what = f"these threads of the site are still running: {', '.join(names)}"
        if not names:
            what = "exit handlers of the site (atexit) are still running"
        log.line("warning", msg=f"Drained, but {what}. Ending them.")
        os._exit(status)

    threading.Thread(target=leave, name="headwaiter-leave", daemon=True).start()


def _cause(code: int) -> dict[str, object]:
    if code >= 0:
        return {"status": code}
    try:
        return {"signal": signal.Signals(-code).name}
    except ValueError:  # a real-time signal
        return {"signal": -code}


def _log_end(one: Process, code: int, message: str) -> None:
    lived = round(time.monotonic() - one.started, 1)
    if code == -signal.SIGKILL:
        message += " Unless somebody killed it, memory ran out."
    log.line("worker-exit", worker=one.number, worker_pid=one.pid, **_cause(code), seconds=lived, msg=message)
