"""Leaving without anybody noticing: take the last connections, answer everything that was begun, then go."""

from __future__ import annotations

import time
from collections.abc import Sequence

from headwaiter import log
from headwaiter.server import listen
from headwaiter.server.accept import Acceptor
from headwaiter.server.channel import Connections, Phase

QUIET_SECONDS = 1.0  # how long an open connection that says nothing may still begin its request
ACCEPT_SECONDS = 0.2  # how long we still take connections: the router learns of the stop a moment after we do
EMPTY_SECONDS = 0.05  # how long the kernel's queue must stay empty: a handshake that was under way takes a round trip
LONGEST_ACCEPT_SECONDS = 1.0  # at most until the listening sockets close, where new connections can't be refused


class Drain:
    """One worker's way out, advanced by step().

    `for_good` means that the whole dyno stops, not this worker alone; `alone`, that there's no main process.
    """

    def __init__(
        self, connections: Connections, servers: Sequence[Acceptor], *, for_good: bool, reason: str, alone: bool
    ) -> None:
        self.connections = connections
        self.servers = servers
        self.for_good = for_good
        self.alone = alone
        self.began = time.monotonic()
        self.deadline = self.began + connections.settings.drain_seconds
        self.listening = any(server.accepting for server in servers)
        self.empty_since: float | None = None  # since when no new handshake can begin and the kernel's queue is empty
        self.over = False
        requests = connections.pool.busy + len(connections.pool.queue)
        if not for_good:
            self._close_listeners()  # the others, and our successor, take what is in the queue
        connections.draining = True
        connections.pool.close_idle_connections()
        log.line("drain", reason=reason, requests=requests, connections=len(connections.all()))

    def step(self) -> float:
        """Go on; return in how many seconds to call again."""
        now = time.monotonic()
        if self.listening:
            self._take_last_connections(now)
        self._pass_on_idle()
        self._close_quiet(now)
        pool = self.connections.pool
        if now >= self.deadline or not (self.listening or self.connections.all() or pool.busy or pool.queue):
            self._end(now)
        if self.listening:
            return 0.01
        return 0.05 if now - self.began < 5 else 0.2

    def _take_last_connections(self, now: float) -> None:
        """Accept for a moment as ever, then only what is in the kernel's queue; close when that is empty.

        Where the kernel can't be made to refuse, clients that keep coming would keep it from getting empty.
        """
        waited = now - self.began
        taken = sum(server.accept_all() for server in self.servers)
        if waited < ACCEPT_SECONDS:
            return
        if waited >= LONGEST_ACCEPT_SECONDS:
            self._close_listeners()
            return
        if self.alone:  # else the main process refuses, for all workers
            for server in self.servers:
                listen.refuse_handshakes(server.socket)
        if taken or not all(listen.refuses_handshakes(server.socket) for server in self.servers):
            self.empty_since = None
            return
        self.empty_since = self.empty_since or now
        if now - self.empty_since >= EMPTY_SECONDS:
            self._close_listeners()

    def _close_listeners(self) -> None:
        self.listening = False
        for server in self.servers:
            server.stop_listening()

    def _pass_on_idle(self) -> None:
        """Give the connections that wait for their next request to the workers that stay, if some do."""
        for channel in self.connections.all() if self.connections.slot else ():
            to = self.connections.better_place(channel) if channel.idle() else None
            if to is not None:
                self.connections.pass_on(channel, to)

    def _close_quiet(self, now: float) -> None:
        """Close connections without a request. Not at once: one that is in use may just be sending its next."""
        wall = time.time()
        if now - self.began < QUIET_SECONDS:
            return
        for channel in self.connections.all():
            busy = channel.requests or channel.request is not None or channel.output.pending
            quiet = channel.phase is not Phase.LINGERING and channel.silent_for(wall) >= QUIET_SECONDS
            if not busy and quiet and not channel.talks():
                channel.close_when_flushed = True
                self.connections.loop.settle(channel)

    def _end(self, now: float) -> None:
        self.over = True
        channels = self.connections.all()
        requests = sum(bool(channel.requests) for channel in channels)
        answers = sum(bool(channel.output.pending and not channel.requests) for channel in channels)
        uploads = sum(channel.request is not None and not channel.requests for channel in channels)
        cut: dict[str, object] = {}
        if requests or answers or uploads:
            cut = {"cut_requests": requests, "cut_answers": answers, "cut_uploads": uploads}
            cut["msg"] = "What was still under way had to be cut: --drain-seconds were over."
        log.line("drained", seconds=round(now - self.began, 2), **cut)
