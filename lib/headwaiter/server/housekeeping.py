"""What a worker does by the clock: drop clients that are too slow, make room, and say what it sees."""

from __future__ import annotations

import heapq
import time
from collections import Counter

from headwaiter import log
from headwaiter.server import stack
from headwaiter.server.channel import Channel, Connections, Phase
from headwaiter.server.thread_pool import WorkerThread

ROUND_SECONDS = 5.0  # every connection is looked at about this often
SLICES = 20  # in as many steps, so that no request waits for a look at thousands
QUEUE_LINE_SECONDS = 60.0
NEW_SECONDS = 1.0  # a connection this new is about to say something
MIN_RATE_SECONDS = 60.0  # how long a client may be slower than the minimum rate
ROOM_FOR = 50  # when there's no room, one connection in this many is closed


class Housekeeping:
    """Looks after the connections and threads of one worker; `tick()` comes from the loop."""

    def __init__(self, connections: Connections) -> None:
        now = time.monotonic()
        self.connections = connections
        self.unseen: list[Channel] = []  # in this round
        self.share = 0  # of them in each slice
        self.next_slice = self.next_second = now
        self.next_queue_line = now
        self.dropped: Counter[str] = Counter()
        self.example = ""
        self.next_dropped_line = now

    def tick(self, now: float) -> None:
        """Do what is due at `now` (time.monotonic())."""
        if now >= self.next_slice:
            self.next_slice = now + ROUND_SECONDS / SLICES
            self._review_slice(time.time())
            if self.connections.count() > self.connections.limit:
                self.make_room()
        if now >= self.next_second:
            self.next_second = now + 1.0
            self._close_lingering(now)
            self._report_slow_requests(now)
            self._report_queue(now)
            self._report_dropped(now)

    # Connections

    def _review_slice(self, wall: float) -> None:
        if not self.unseen:
            self.unseen = self.connections.all()
            self.share = -(-len(self.unseen) // SLICES)
        for channel in self.unseen[: self.share]:
            if channel.fd is not None:
                self._review(channel, wall)
        del self.unseen[: self.share]

    def _review(self, channel: Channel, wall: float) -> None:
        silent = channel.silent_for(wall) > channel.adj.channel_timeout
        if channel.output.pending:
            if silent:
                self.drop(channel, "reads-nothing")
        elif channel.requests or channel.phase is Phase.LINGERING:
            return
        elif silent:
            channel.will_close = True
            self.connections.loop.settle(channel)
        elif channel.request is not None and self._too_slow(channel, wall):
            self.drop(channel, "sends-too-slowly")

    def _too_slow(self, channel: Channel, wall: float) -> bool:
        """Compare the bytes of the last MIN_RATE_SECONDS with the minimum; a new period begins after each look."""
        settings = self.connections.settings
        seconds = wall - channel.rate_from
        if not settings.min_rate or seconds < MIN_RATE_SECONDS:
            return False
        if channel.bytes_in - channel.rate_bytes < settings.min_rate * seconds:
            return True
        channel.rate_from, channel.rate_bytes = wall, channel.bytes_in
        return False

    def drop(self, channel: Channel, reason: str) -> None:
        """Close `channel` for `reason`, which the log tells."""
        self.dropped[reason] += 1
        self.example = str(channel.addr[0]) if channel.addr else ""
        channel.will_close = True
        self.connections.loop.settle(channel)

    def make_room(self) -> bool:
        """Close the connections that are missed least, and tell whether there was one.

        First those that wait between two requests, then those that never said anything, then those that have been at
        sending a header for longest; the longest silent first. Whoever has a request under way stays.
        """
        new = time.time() - NEW_SECONDS
        channels = [
            c for c in self.connections.all() if not (c.requests or c.output.pending or c.phase is Phase.LINGERING)
        ]
        choices = (
            ("idle", [c for c in channels if c.request is None and c.bytes_in]),
            ("silent", [c for c in channels if c.request is None and not c.bytes_in and c.last_activity < new]),
            ("unfinished-header", [c for c in channels if c.request is not None and not c.request.headers_finished]),
        )
        for kind, candidates in choices:
            if candidates:
                count = max(1, len(channels) // ROOM_FOR)
                for channel in heapq.nsmallest(count, candidates, key=lambda c: (c.rate_from, c.last_activity)):
                    self.drop(channel, f"room-for-others-{kind}")
                return True
        return False

    def _close_lingering(self, now: float) -> None:
        for channel in [channel for channel, until in self.connections.lingering.items() if now > until]:
            channel.handle_close()

    # The log

    def _report_slow_requests(self, now: float) -> None:
        limit = self.connections.settings.slow_request_seconds
        for thread in list(self.connections.pool.threads.values()):
            channel = thread.work
            if limit and channel is not None and not thread.reported and now - thread.since > limit:
                thread.reported = True
                self._report_slow_request(thread, channel, now)

    def _report_slow_request(self, thread: WorkerThread, channel: Channel, now: float) -> None:
        try:
            request = channel.requests[0]
        except IndexError:  # it has just ended
            return
        log.line(
            "slow-request",
            seconds=round(now - thread.since, 1),
            method=request.command,
            path=request.request_uri.split("?", 1)[0],
            request_id=request.headers.get("X_REQUEST_ID"),
            thread=thread.number,
            stack=stack.of_thread(thread.ident),
        )

    def _report_queue(self, now: float) -> None:
        if now < self.next_queue_line:
            return
        delayed, deepest = self.connections.pool.take_delays()
        if delayed:
            self.next_queue_line = now + QUEUE_LINE_SECONDS
            log.line("queue", waited=delayed, deepest=deepest, threads=len(self.connections.pool.threads))

    def _report_dropped(self, now: float) -> None:
        if not self.dropped or now < self.next_dropped_line:
            return
        self.next_dropped_line = now + ROUND_SECONDS
        for reason, count in self.dropped.items():
            log.line("slow-client", dropped=count, reason=reason, remote=self.example)
        self.dropped.clear()
