"""The main loop of a worker: its cost grows with what happens, not with how many clients are connected.

Waitress asks every connection on every turn whether it wants to read or write. Here epoll keeps the answers, and a
connection is asked again only after something happened to it. Pool threads tell the loop through touch() and wake().

Why no change is lost, without a lock:

    the loop's thread                                   a pool thread
    1. writes what it watches (`interest`, `gated`)     3. changes what is asked about (output, requests, resting)
    2. then asks (wanted(), done(), accepts())          4. then reads what is watched, and wakes the loop if it must

Either line 2 comes after line 3 and sees the change; or it comes before it, so that line 1 comes before line 4, which
sees what is watched now.
"""

from __future__ import annotations

import select
from collections import deque
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

IN, OUT = select.POLLIN, select.POLLOUT  # the same numbers as EPOLLIN and EPOLLOUT


class Owner(Protocol):
    """What the loop asks of its worker (worker.py)."""

    def tick(self) -> float: ...
    def accepts(self) -> bool: ...
    def finished(self) -> bool: ...


class Watched(Protocol):
    """What the loop asks of a connection (channel.py)."""

    fd: int | None  # None once it's closed
    interest: int  # what the loop watches for; -1 before it watches anything
    logger: Any

    def wanted(self) -> int: ...
    def done(self) -> bool: ...
    def on_event(self, flags: int) -> None: ...
    def finish(self) -> None: ...
    def handle_close(self) -> None: ...


Connection = TypeVar("Connection", bound=Watched)


class _Poll:
    """Has epoll's interface where only poll() is, as on macOS; it's slow with many connections."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register, self.modify, self.unregister = self._poll.register, self._poll.modify, self._poll.unregister

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        return self._poll.poll(seconds * 1000)

    def close(self) -> None:
        """There's nothing to close."""


class _Select:
    """The same over select(), all that eventlet's monkey-patching leaves; its select() lets the pool's threads run."""

    def __init__(self) -> None:
        self._interest: dict[int, int] = {}

    def register(self, fd: int, flags: int) -> None:
        self._interest[fd] = flags

    modify = register

    def unregister(self, fd: int) -> None:
        self._interest.pop(fd, None)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        wanted = list(self._interest.items())
        ready = select.select(
            [fd for fd, flags in wanted if flags & IN], [fd for fd, flags in wanted if flags & OUT], [], seconds
        )
        return [*((fd, IN) for fd in ready[0]), *((fd, OUT) for fd in ready[1])]

    def close(self) -> None:
        self._interest.clear()


def _poller() -> Any:
    if hasattr(select, "epoll"):
        return select.epoll()
    return _Poll() if hasattr(select, "poll") else _Select()


class Loop(Generic[Connection]):
    """Serves the sockets of one worker; `others` are those that aren't connections: listeners, triggers, the like."""

    def __init__(self, others: dict[int, Any]) -> None:
        self.others = others
        self.connections: dict[int, Connection] = {}
        self.changed: deque[Connection] = deque()
        self.trigger: Any = None  # of one of the servers, once there is one
        self.gated = False  # listeners aren't watched, so whoever makes room must wake the loop
        self.epoll: Any = _poller()
        self.listeners: dict[int, bool] = {}  # fd -> whether it's watched
        self._woken = False

    def run(self, owner: Owner) -> None:
        """Serve until the worker has finished."""
        pause = owner.tick()
        while not owner.finished():
            while self.changed:
                self.settle(self.changed.popleft())
            self._watch_listeners(owner)
            self._turn(self.epoll.poll(0 if self.changed else pause))
            pause = owner.tick()

    def touch(self, connection: Connection) -> None:
        """Have the loop look at `connection` soon; from any thread."""
        self.changed.append(connection)
        self.wake()

    def wake(self) -> None:
        """Have the loop make a turn soon; from any thread. One byte is enough for many calls."""
        if not self._woken:
            self._woken = True
            self.trigger.pull_trigger()

    def _turn(self, events: list[tuple[int, int]]) -> None:
        # Looked up at once: a new connection may get the number of one that is closed here before its event's turn.
        for connection, fd, flags in [(self.connections.get(fd), fd, flags) for fd, flags in events]:
            if connection is not None:
                if connection.fd == fd:
                    self.react(connection, flags)
            elif fd in self.listeners:
                self.others[fd].handle_accept()
            elif fd in self.others:
                self.others[fd].handle_read()
                # Not before it's read, or the byte of a call in between would be read, too, and later ones not written.
                self._woken = False
            elif fd not in self.connections:
                self.unregister(fd)

    def react(self, connection: Connection, flags: int) -> None:
        """Have `connection` react to `flags`. Whatever goes wrong costs this connection alone."""
        try:
            connection.on_event(flags)
            self.settle(connection)
        except Exception:
            connection.logger.exception("Unexpected exception, closing %r", connection)
            connection.handle_close()

    def settle(self, connection: Connection) -> None:
        """Watch for what `connection` waits for now, or close it when it's done."""
        while connection.fd is not None:
            if connection.done():
                connection.finish()
                if connection.fd is None:
                    return
            wanted = connection.wanted()
            if wanted == connection.interest:
                return
            before, connection.interest = connection.interest, wanted  # line 1; the next round is line 2
            try:
                (self.epoll.register if before < 0 else self.epoll.modify)(connection.fd, wanted)
            except OSError:
                connection.logger.exception("epoll refused %r, closing it", connection)
                connection.handle_close()

    def add(self, connection: Connection) -> None:
        """Watch `connection` from the next turn on."""
        if connection.fd is not None:
            self.connections[connection.fd] = connection
            self.changed.append(connection)

    def forget(self, connection: Connection) -> None:
        """Stop watching `connection`, whose socket is about to be closed."""
        if connection.fd is not None:
            self.connections.pop(connection.fd, None)
            if connection.interest >= 0:
                self.unregister(connection.fd)
        connection.interest = -1

    def unregister(self, fd: int) -> None:
        """Stop watching `fd`; one that isn't watched does no harm."""
        with suppress(OSError, ValueError, KeyError):
            self.epoll.unregister(fd)

    def _watch_listeners(self, owner: Owner) -> None:
        """Watch the listening sockets only while a connection is welcome."""
        welcome = owner.accepts()
        self.gated = not welcome  # line 1
        if not welcome and owner.accepts():  # line 2
            self.gated, welcome = False, True
        for fd, watched in self.listeners.items():
            if watched != welcome:
                self.epoll.modify(fd, IN if welcome else 0)
                self.listeners[fd] = welcome

    def add_listener(self, fd: int) -> None:
        """Watch the listening socket `fd`."""
        self.epoll.register(fd, 0)
        self.listeners[fd] = False

    def forget_listener(self, fd: int) -> None:
        """Stop watching the listening socket `fd`, which is about to be closed."""
        if self.listeners.pop(fd, None) is not None:
            self.unregister(fd)

    def add_trigger(self, fd: int) -> None:
        """Watch the pipe through which the loop is woken."""
        self.epoll.register(fd, IN)

    def close(self) -> None:
        self.epoll.close()
