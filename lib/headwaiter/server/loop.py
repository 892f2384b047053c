"""The main loop of a worker: its cost grows with what happens, not with how many clients are connected.

Waitress asks every connection on every turn whether it wants to read or write. Here epoll keeps the answers, and a
connection is asked again only after something happened to it. Pool threads tell the loop through touch(); where epoll
is missing (macOS), Waitress's own poll asks everybody as before.
"""

from __future__ import annotations

import select
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from waitress import wasyncore

from headwaiter.server.channel import IN, Channel


class Worker(Protocol):
    """What the loop needs to know of its worker (worker.py)."""

    def tick(self) -> float:
        """Do what is due by the clock; return in how many seconds to call again."""

    def accepts(self) -> bool:
        """Tell whether a new connection is welcome now."""

    def finished(self) -> bool:
        """Tell whether the loop shall end."""


class _Loop:
    """What both loops share: the map of sockets, and being woken."""

    def __init__(self, socket_map: dict[int, Any]) -> None:
        self.map = socket_map
        self.changed: deque[Channel] = deque()
        self.trigger: Any = None  # of one of the servers, once there is one
        self.gated = False  # listeners aren't watched, so whoever makes room must wake the loop
        self._woken = False

    def touch(self, channel: Channel) -> None:
        """Have the loop look at `channel` soon; from any thread."""
        self.changed.append(channel)
        self.wake()

    def wake(self) -> None:
        """Have the loop make a turn soon; from any thread. One byte is enough for many calls."""
        if not self._woken:
            self._woken = True
            self.trigger.pull_trigger()

    def forget(self, channel: Channel) -> None:
        """Stop watching `channel`, whose socket is about to be closed."""

    def settle(self, channel: Channel) -> None:
        """Close `channel` when it's done."""
        if channel._fileno is not None and channel.done():
            channel.finish()

    def react(self, channel: Channel, flags: int) -> None:
        """Have `channel` react to `flags`. Whatever goes wrong costs this connection alone."""
        try:
            channel.on_event(flags)
            self.settle(channel)
        except Exception:
            channel.logger.exception("Unexpected exception, closing %r", channel)
            channel.handle_close()

    def _settle_changed(self) -> None:
        while self.changed:
            self.settle(self.changed.popleft())

    def close(self) -> None:
        """Give back what the loop holds."""


class ReadinessLoop(_Loop):
    """The loop over epoll."""

    def __init__(self, socket_map: dict[int, Any]) -> None:
        super().__init__(socket_map)
        self.epoll = select.epoll()
        self.listeners: dict[int, bool] = {}  # fd -> whether it's watched

    def run(self, worker: Worker) -> None:
        """Serve until the worker has finished."""
        pause = worker.tick()
        while not worker.finished():
            self._settle_changed()
            self._watch_listeners(worker)
            self._turn(self.epoll.poll(0 if self.changed else pause))
            pause = worker.tick()

    def _turn(self, events: list[tuple[int, int]]) -> None:
        listeners = []
        for fd, flags in events:
            watched = self.map.get(fd)
            if isinstance(watched, Channel):
                self.react(watched, flags)
            elif watched is None:
                self._unregister(fd)
            elif watched.accepting:
                listeners.append(watched)
            else:
                watched.handle_read()
                # Not before it's read, or the byte of a call in between would be read, too, and later ones not written.
                self._woken = False
        # Last: a new connection may get the number of one that was closed above, whose event is still in the list.
        for listener in listeners:
            listener.handle_accept()

    def settle(self, channel: Channel) -> None:
        """Tell epoll what `channel` waits for now, or close it when it's done."""
        super().settle(channel)
        fd = channel._fileno
        if fd is None or self.map.get(fd) is not channel:
            return
        # Asked again after each change of `interest`: see Channel.needs_a_look().
        while (wanted := channel.wanted()) != channel.interest:
            before, channel.interest = channel.interest, wanted
            try:
                if before < 0:
                    self.epoll.register(fd, wanted)
                else:
                    self.epoll.modify(fd, wanted)
            except OSError:
                channel.logger.exception("epoll refused %r, closing it", channel)
                channel.handle_close()
                return
            if channel.done():
                channel.finish()
                if channel._fileno is None:
                    return

    def forget(self, channel: Channel) -> None:
        """Stop watching `channel`, whose socket is about to be closed."""
        if channel.interest >= 0 and channel._fileno is not None:
            self._unregister(channel._fileno)
        channel.interest = -1

    def _unregister(self, fd: int) -> None:
        with suppress(OSError, ValueError):
            self.epoll.unregister(fd)

    def _watch_listeners(self, worker: Worker) -> None:
        """Watch the listening sockets only while a connection is welcome."""
        welcome = worker.accepts()
        # Written before it's asked again: a thread that gets free reads it after it said so (see Channel.needs_a_look).
        self.gated = not welcome
        if not welcome and worker.accepts():
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
            self._unregister(fd)

    def add_trigger(self, fd: int) -> None:
        """Watch the pipe through which the loop is woken."""
        self.epoll.register(fd, IN)

    def close(self) -> None:
        """Give back what the loop holds."""
        self.epoll.close()


class PollLoop(_Loop):
    """The loop over Waitress's own poll, where epoll is missing: right, but slow with many connections.

    That is on macOS, and in sites that gevent or eventlet has patched: their poll() lets other greenlets run.
    """

    def run(self, worker: Worker) -> None:
        """Serve until the worker has finished."""
        # eventlet's patching leaves select() alone.
        poll = wasyncore.poll2 if hasattr(select, "poll") else wasyncore.poll
        pause = worker.tick()
        while not worker.finished():
            self._woken = False
            self._settle_changed()
            self.gated = True
            poll(min(pause, 1.0), self.map)
            self.changed.extend(watched for watched in self.map.values() if isinstance(watched, Channel))
            pause = worker.tick()

    def add_listener(self, fd: int) -> None:
        """Nothing to do: Waitress asks readable() of everything in the map."""

    def forget_listener(self, fd: int) -> None:
        """Nothing to do."""

    def add_trigger(self, fd: int) -> None:
        """Nothing to do, as for listeners."""


def make_loop(socket_map: dict[int, Any]) -> ReadinessLoop | PollLoop:
    """Return the best loop that this system offers."""
    return ReadinessLoop(socket_map) if hasattr(select, "epoll") else PollLoop(socket_map)
