"""Leaving without anybody noticing: take the last connections, answer everything that was begun, then go."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from headwaiter import log

QUIET_SECONDS = 1.0  # how long an open connection that says nothing may still begin its request
ACCEPT_SECONDS = 0.2  # how long we still take connections: the router learns of the stop a moment after we do
EMPTY_SECONDS = 0.05  # how long the kernel's queue must stay empty: a handshake that was under way takes a round trip
LONGEST_ACCEPT_SECONDS = 1.0  # at most until the listening sockets close, where new connections can't be refused

# IP_MINTTL and IPV6_MINHOPCOUNT (RFC 5082), which Python's socket module doesn't name: ip(7), ipv6(7).
_MINIMUM_TTL = ((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))
_NOBODY = 255  # hosts send with 64 or 128


def refuse_handshakes(listener: socket.socket) -> bool:
    """Have the kernel drop every new connection attempt to `listener`; what is in its queue can then be emptied.

    Otherwise a connection that enters between the last accept() and close() is reset. The client repeats its attempt
    after a second and finds the port closed or, better, our successor. Needs no privilege. Linux and TCP only; False
    where it can't be.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return _set_minimum_ttl(listener, _NOBODY)


def refuses_handshakes(listener: socket.socket) -> bool:
    """Tell whether some process has called refuse_handshakes() on `listener`, which they all share."""
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    level, option = _MINIMUM_TTL[0]
    return listener.getsockopt(level, option) == _NOBODY


def admit(connection: socket.socket) -> None:
    """Undo refuse_handshakes() for an accepted `connection`, which inherits it if its handshake was under way then."""
    if sys.platform == "linux" and connection.family in (socket.AF_INET, socket.AF_INET6):
        _set_minimum_ttl(connection, 0)


def _set_minimum_ttl(one: socket.socket, ttl: int) -> bool:
    # A dual-stack socket needs both.
    options = _MINIMUM_TTL if one.family == socket.AF_INET6 else _MINIMUM_TTL[:1]
    try:
        for level, option in options:
            one.setsockopt(level, option, ttl)
    except OSError:
        return False
    return True


class Drain:
    """One worker's way out, advanced by step(); `for_good` means that the whole dyno stops, not this worker alone."""

    def __init__(self, worker: Any, *, for_good: bool, reason: str) -> None:
        self.worker = worker
        self.for_good = for_good
        self.began = time.monotonic()
        self.deadline = self.began + worker.settings.drain_seconds
        self.listening = any(server.accepting for server in worker.servers)
        self.empty_since: float | None = None  # since when no new handshake can begin and the kernel's queue is empty
        self.over = False
        log.line(
            "drain",
            reason=reason,
            requests=worker.pool.busy + len(worker.pool.queue),
            connections=len(worker.channels()),
        )
        if not for_good:
            self._close_listeners()  # the others, and our successor, take what is in the queue
        worker.pool.close_idle_connections()

    def step(self) -> float:
        """Go on; return in how many seconds to call again."""
        now = time.monotonic()
        if self.listening:
            self._take_last_connections(now)
        self._close_quiet(now)
        if now >= self.deadline:
            self._cut(now)
        elif not self.listening and not self.worker.channels() and not self._working():
            self.over = True
            log.line("drained", seconds=round(now - self.began, 2))
        if self.listening:
            return 0.01
        return 0.05 if now - self.began < 5 else 0.2

    def _working(self) -> bool:
        pool = self.worker.pool
        return bool(pool.busy or pool.queue)

    def _take_last_connections(self, now: float) -> None:
        """Accept for a moment as ever, then only what is in the kernel's queue; close when that is empty.

        Where the kernel can't be made to refuse, clients that keep coming would keep it from getting empty.
        """
        waited = now - self.began
        taken = sum(server.accept_all() for server in self.worker.servers)
        if waited < ACCEPT_SECONDS:
            return
        if waited >= LONGEST_ACCEPT_SECONDS:
            self._close_listeners()
            return
        if self.worker.control is None:  # else the main process refuses, for all workers
            for server in self.worker.servers:
                refuse_handshakes(server.socket)
        if taken or not all(refuses_handshakes(server.socket) for server in self.worker.servers):
            self.empty_since = None
            return
        self.empty_since = self.empty_since or now
        if now - self.empty_since >= EMPTY_SECONDS:
            self._close_listeners()

    def _close_listeners(self) -> None:
        self.listening = False
        for server in self.worker.servers:
            server.stop_listening()

    def _close_quiet(self, now: float) -> None:
        """Close connections without a request. Not at once: one that is in use may just be sending its next."""
        wall = time.time()
        if now - self.began < QUIET_SECONDS:
            return
        for channel in self.worker.channels():
            busy = channel.requests or channel.request is not None or channel.total_outbufs_len
            quiet = not channel.lingering and wall - channel.last_activity >= QUIET_SECONDS
            if not busy and quiet and not channel.talks():
                channel.close_when_flushed = True
                self.worker.loop.settle(channel)

    def _cut(self, now: float) -> None:
        self.over = True
        channels = self.worker.channels()
        requests = sum(bool(channel.requests) for channel in channels)
        answers = sum(bool(channel.total_outbufs_len and not channel.requests) for channel in channels)
        uploads = sum(channel.request is not None and not channel.requests for channel in channels)
        if not (requests or answers or uploads):
            log.line("drained", seconds=round(now - self.began, 2))
            return
        log.line(
            "drained",
            seconds=round(now - self.began, 2),
            cut_requests=requests,
            cut_answers=answers,
            cut_uploads=uploads,
            msg="What was still under way had to be cut: --drain-seconds were over.",
        )
