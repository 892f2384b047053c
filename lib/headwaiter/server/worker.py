"""One worker: Waitress's server classes on our loop, from the first connection to the last answer."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import waitress
from waitress.adjustments import Adjustments

from headwaiter import log
from headwaiter.server import compat, signals
from headwaiter.server.buffers import ON_DISK_OF_ONE
from headwaiter.server.control import Control
from headwaiter.server.exchange import Slot
from headwaiter.server.scaling import Look
from headwaiter.settings import ROUTER_TRUST, Settings

if TYPE_CHECKING or not compat.missing_parts():
    from headwaiter.server.accept import Gate, Inbox, make_server
    from headwaiter.server.channel import Channel, Connections
    from headwaiter.server.drain import Drain
    from headwaiter.server.housekeeping import Housekeeping
    from headwaiter.server.loop import Loop
    from headwaiter.server.memory import resident_mb
    from headwaiter.server.switch_interval import SwitchInterval
    from headwaiter.server.thread_pool import ThreadPool

LEFT_AT_ONCE = 130  # a second SIGINT: what a shell makes of it
CONNECTIONS = 10_000  # at most; half of the file descriptors if these are fewer
SPARE_FDS = 200  # for the app: database connections, files


class Worker:
    """Everything one worker process has: its listening sockets, connections, threads and buffers."""

    def __init__(
        self,
        application: Any,
        listeners: Sequence[socket.socket],
        settings: Settings,
        *,
        threads: int,
        processes: int = 1,
        control: Control | None = None,
        slot: Slot | None = None,
    ) -> None:
        self.settings = settings
        self.control = control
        self.drain: Drain | None = None
        self.stopping = ""  # the signal that asked for it, before the drain begins
        self.leaving = ""  # why it asked the main process for leave
        self.interrupts = 0
        self.left = False
        self.next_second = 0.0
        self.look: Look | None = None  # the last one; where all threads are busy, it waits
        self.loop: Loop[Channel] = Loop({})
        pool = ThreadPool(self._thread_rests, close_database_connections)
        adj = adjustments(settings, threads)
        self.connections = Connections(settings, self.loop, pool, processes=processes, limit=adj.connection_limit)
        self.gate = Gate(self.connections)
        self.housekeeping = Housekeeping(self.connections)
        self.switch_interval = SwitchInterval(pool)
        self.servers = [
            make_server(application, listener, number, adj, self.connections, self.housekeeping, self.gate)
            for number, listener in enumerate(listeners)
        ]
        self.inbox = self._join(slot) if slot else None
        pool.set_thread_count(threads)
        if control:
            self.loop.others[control.fileno()] = self
            self.loop.add_trigger(control.fileno())

    def _join(self, slot: Slot) -> Inbox:
        """Take part in the exchange of connections."""
        inbox = Inbox(slot, self.servers)
        self.connections.slot = slot
        self.connections.pool.report_load = slot.report
        self.loop.others[slot.fileno()] = inbox
        self.loop.add_trigger(slot.fileno())
        return inbox

    # What the loop asks

    def run(self) -> int:
        """Serve until drained; return the exit status."""
        if self.control:
            self.control.send("ready")
        try:
            self.loop.run(self)
        finally:
            rest = self.drain.deadline - time.monotonic() if self.drain else 0.0
            self._close(0.0 if self.left else max(0.1, rest))
        return LEFT_AT_ONCE if self.left else 0

    def tick(self) -> float:
        """Do what is due by the clock; return in how many seconds to call again."""
        now = time.monotonic()
        if self.stopping and not (self.drain and self.drain.for_good):
            self._stop()
        self.housekeeping.tick(now)
        self.switch_interval.tick(now)
        if now >= self.next_second:
            self.next_second = now + 1.0
            if self.inbox:
                self.inbox.handle_read()  # puts the scoreboard right (exchange.py)
            if not self.drain and (reason := self._reason_to_retire()):
                self._ask_for_leave(reason)
        if self.drain:
            return self.drain.step()
        if self.loop.gated:
            return 0.1
        return 0.25 if self.connections.count() > 200 else 1.0

    def finished(self) -> bool:
        """Tell whether the loop shall end."""
        return self.left or bool(self.drain and self.drain.over)

    def accepts(self) -> bool:
        """Tell whether a new connection is welcome now."""
        return self.gate.is_open()

    # Leaving

    def start_drain(self, reason: str, *, for_good: bool) -> None:
        """Begin to leave: the other workers pass nothing on to here; where some stay, they get what is idle."""
        if self.inbox:
            self.connections.pool.stop_reporting()
            self.inbox.slot.leave()
            self.inbox.handle_read()  # line 2 of exchange.py
        if for_good:
            self.connections.slot = None
        self.drain = Drain(self.connections, self.servers, for_good=for_good, reason=reason, alone=self.control is None)

    def handle_read(self) -> None:
        """Take in what the main process says; it's the loop that calls."""
        if not self.control:
            return
        lines = self.control.receive()
        if lines is None:
            self._on_parent_gone(self.control)
        for words in lines or ():
            self.take_order(*words)

    def take_order(self, word: str, *rest: str) -> None:
        """Do what the main process says (control.py)."""
        if word == "drain" and not (self.drain and self.drain.for_good):
            self.start_drain(rest[0], for_good=True)
        elif word == "retire" and not self.drain:
            self.start_drain(self.leaving or "surplus", for_good=False)
        elif word == "processes":
            self.connections.processes = int(rest[0])
        elif word == "threads" and not self.drain:
            self.connections.pool.set_thread_count(int(rest[0]))
        elif word == "look" and not self.drain:
            self._look(rest)

    def _look(self, aliases: Sequence[str]) -> None:
        """Ask these databases with the next thread that is free; one look at a time, as all may be busy for long."""
        if self.control and (self.look is None or self.look.over):
            self.look = Look(aliases, self.control)
            self.connections.pool.add_first(self.look)

    def _on_parent_gone(self, control: Control) -> None:
        """Drain, as nobody would replace this worker and the port must become free."""
        log.line("warning", msg="The parent process has gone: draining.")
        del self.loop.others[control.fileno()]
        self.loop.unregister(control.fileno())  # a process that the site forked may keep it open
        control.close()
        self.control = None
        if self.drain:
            self.drain.alone = True
        self.stopping = self.stopping or "parent-gone"

    def handle_signal(self, number: int, _frame: object = None) -> None:
        """React to a signal to stop; the rest happens in the loop, which the wake-up byte reaches too."""
        self.stopping = self.stopping or signal.Signals(number).name
        if number == signal.SIGINT and not self.control:
            self.interrupts += 1
            self.left = self.interrupts > 1

    def _stop(self) -> None:
        """Leave because of a signal. Only the main process knows whether it's for all or for this worker alone."""
        if self.control:
            self._ask_for_leave(self.stopping)
        else:
            self.start_drain(self.stopping, for_good=True)

    def _ask_for_leave(self, reason: str) -> None:
        """Have the main process start a successor, then let this worker leave; without one, leave."""
        if not self.control:
            self.start_drain(reason, for_good=False)
        elif not self.leaving:
            self.leaving = reason
            self.control.send("leave")

    def _reason_to_retire(self) -> str:
        settings = self.settings
        if settings.max_requests and self.connections.answered >= settings.max_requests:
            return "max-requests"
        if settings.max_memory_mb and resident_mb() > settings.max_memory_mb:
            return "max-memory"
        return ""

    def _thread_rests(self) -> None:
        if self.loop.gated:
            self.loop.wake()

    def _close(self, timeout: float) -> None:
        self.connections.pool.shutdown(timeout)
        for channel in self.connections.all():
            channel.handle_close()
        for server in self.servers:
            server.stop_listening()
            server.trigger.close()
        self.loop.close()


def adjustments(settings: Settings, threads: int) -> Adjustments:
    """Return Waitress's settings: the user's own, then ours, then Waitress's defaults."""
    return Adjustments(**_options(settings, threads))


def _options(settings: Settings, threads: int) -> dict[str, object]:
    """Return keyword arguments for Waitress, only those that the installed one knows."""
    chosen = dict(settings.waitress)
    defaults: dict[str, object] = {
        "connection_limit": connection_limit(),
        "backlog": 4096,  # the kernel takes at most net.core.somaxconn
        "channel_request_lookahead": 1,  # a kept connection's next request often comes before the thread is through
        "recv_bytes": 32 * 1024,
        "max_request_header_size": 64 * 1024,  # nginx: 32 KB; a slow client holds it in memory
        "inbuf_overflow": 256 * 1024,  # bytes of a body in memory, while all bodies together keep their share
        "outbuf_high_watermark": ON_DISK_OF_ONE,
        "channel_timeout": 120,  # the router keeps idle connections 90 s
        "clear_untrusted_proxy_headers": True,
        "asyncore_use_poll": True,  # only for Waitress's own loop: select() fails from file descriptor 1024 on
        "ident": None,
    }
    if settings.trust_proxy:
        defaults |= ROUTER_TRUST
    known = {name: value for name, value in defaults.items() if name in Adjustments._param_map}
    return {**known, **chosen, "threads": threads}


def connection_limit() -> int:
    """Raise the limit of open files as far as allowed, and return how many connections fit: each may need a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS + SPARE_FDS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass
    return max(100, min(CONNECTIONS, (soft - SPARE_FDS) // 2))


def close_database_connections() -> None:
    """Close the Django connections of the calling thread; does nothing for a site without Django."""
    if "django" in sys.modules:
        from headwaiter.budget import database  # the only module that imports Django

        database.close_all()


@contextmanager
def _signals(worker: Worker) -> Iterator[None]:
    """Give the signals to stop to `worker`, where this is the main thread; those that come later do nothing."""
    pipe_end = worker.loop.trigger.trigger
    os.set_blocking(pipe_end, False)
    try:
        signals.handle(signals.STOPS, worker.handle_signal, wakeup_fd=pipe_end)
    except ValueError:  # not the main thread; threading doesn't know for certain where eventlet has patched it
        yield
        return
    try:
        yield
    finally:
        signals.set_wakeup_fd(-1)
        signals.ignore(signals.STOPS)


def serve(
    application: Any,
    listeners: Sequence[socket.socket],
    settings: Settings,
    *,
    threads: int,
    processes: int = 1,
    control: Control | None = None,
    slot: Slot | None = None,
) -> tuple[int, float]:
    """Serve `application` on the bound `listeners` until drained; return the exit status and the drain's deadline.

    `control` is the line to the main process, which decides when this worker leaves. Without one a signal does. `slot`
    is the worker's part of the exchange of connections. The status is 0, or 130 after a second SIGINT; the deadline is
    of time.monotonic().
    """
    missing = compat.missing_parts()
    if missing:
        _serve_plainly(application, listeners, settings, threads, missing, control)
        return 0, time.monotonic()
    worker = Worker(application, listeners, settings, threads=threads, processes=processes, control=control, slot=slot)
    with _signals(worker):
        status = worker.run()
    return status, worker.drain.deadline if worker.drain else time.monotonic()


def _leave_with_parent(control: Control) -> None:
    """End this process when the main process has gone: the port must become free."""

    def watch() -> None:
        control.socket.setblocking(True)
        while control.receive() is not None:
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="headwaiter-control", daemon=True).start()


def _serve_plainly(
    application: Any,
    listeners: Sequence[socket.socket],
    settings: Settings,
    threads: int,
    missing: list[str],
    control: Control | None,
) -> None:
    """Serve with Waitress as it is, because it lacks what we build on."""
    from headwaiter import usage  # here, as hardly any boot needs it

    log.line(
        "warning",
        waitress=usage.versions().get("waitress", "unknown"),
        missing=",".join(missing),
        msg="This Waitress isn't one we know: serving without protection from slow clients and without a full drain.",
    )

    def leave(*_: object) -> None:
        raise SystemExit(0)

    signals.handle(signals.STOPS, leave)
    server = waitress.create_server(application, sockets=list(listeners), **_options(settings, threads))
    if control:
        _leave_with_parent(control)
        control.send("ready")
    server.run()
