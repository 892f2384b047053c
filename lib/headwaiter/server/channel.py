"""One client's connection: Waitress's channel, reading and writing without ever waiting for the client.

The loop's thread reads, parses and closes; a pool thread serves a request and sends what the socket takes at once. The
rest waits in an Output and the loop sends it.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from enum import Enum
from select import POLLERR, POLLHUP
from typing import Any

from waitress import wasyncore
from waitress.channel import ClientDisconnected, HTTPChannel

from headwaiter.server import proxy_headers
from headwaiter.server.buffers import FileRange, Memory
from headwaiter.server.errors import RetryLaterError
from headwaiter.server.exchange import Handed, Slot
from headwaiter.server.loop import IN, OUT, Loop
from headwaiter.server.output import Output
from headwaiter.server.request import Parser
from headwaiter.server.task import AppTask, RefusalTask
from headwaiter.server.thread_pool import ThreadPool
from headwaiter.settings import Settings

GONE = POLLHUP | POLLERR
LINGER_SECONDS = 2.0  # how long we listen to a client that still talks after its last answer
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    """How far the client's side of a connection is; only the loop's thread changes it."""

    OPEN = 1
    HALF_CLOSED = 2  # it will send nothing more, but perhaps still reads
    LINGERING = 3  # everything is sent; only its last words are awaited


class Connections:
    """What the connections of one worker share."""

    def __init__(
        self, settings: Settings, loop: Loop[Channel], pool: ThreadPool, *, processes: int, limit: int
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.pool = pool
        self.processes = processes  # that share the listening sockets
        self.limit = limit  # of open connections
        self.behind_router = settings.trust_proxy
        self.memory = Memory()
        self.answered = 0  # requests; threads add without a lock: one lost in a million doesn't matter
        self.draining = False
        self.slot: Slot | None = None  # where this worker can pass connections on to others
        self.lingering: dict[Channel, float] = {}  # until when (time.monotonic())

    def all(self) -> list[Channel]:
        return list(self.loop.connections.values())

    def count(self) -> int:
        return len(self.loop.connections)

    def close_after_answer(self) -> bool:
        """Tell whether answers end their connection: when draining, unless another worker takes it afterwards."""
        return self.draining and (self.slot is None or self.slot.less_busy() is None)

    def better_place(self, channel: Channel) -> int | None:
        """Return the slot of a worker that is to serve the next request of `channel`; None when it's this one."""
        if self.slot is None:
            return None
        if self.draining:
            return self.slot.less_busy()
        # A move costs both workers a turn of their loops: it has to be for a difference of two requests; or, where no
        # thread rests here, for one that rests there or a difference of five. The thread that has just answered on this
        # connection still counts as busy.
        load, threads = self.pool.busy + len(self.pool.queue) - channel.in_thread, len(self.pool.threads)
        return self.slot.less_busy(load - 1 if load < threads else max(threads, load - 4))

    def pass_on(self, channel: Channel, to: int) -> bool:
        """Give the idle `channel` to the worker in slot `to`, and tell whether it has gone."""
        if self.slot is None or channel.fd is None:
            return False
        if not self.slot.pass_on(Handed(channel.fd, channel.server.number, channel.addr), to):
            return False
        channel.handle_close()
        return True


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that the loop watches. `server` is the Waitress server that accepted it (accept.py)."""

    task_class = AppTask
    error_task_class = RefusalTask

    fd: int | None = None
    interest = -1  # what the loop watches for; -1 before it watches anything
    phase = Phase.OPEN
    muted = False  # the client sent more while its request runs: don't ask again until that has been answered
    answering = False  # bytes of the present answer have been sent
    requests: list[Any]  # complete ones, the first of which a pool thread serves
    request: Any = None  # what has come of the next request
    serving: Any = None  # the request that a pool thread answers now, or answered last
    bytes_in = 0
    handed_over = False  # by another worker, and not read yet
    in_thread = False  # a pool thread is in service()
    waited = 0.0  # seconds that `serving` waited for its thread
    rate_from = 0.0  # since when, and from which count, bytes_in is measured against the minimum rate
    rate_bytes = 0

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, connections: Connections) -> None:
        self.connections = connections
        super().__init__(server, sock, addr, adj)
        self.output = Output(sock, connections.memory, adj.outbuf_high_watermark, self.outbuf_lock)

    def parser_class(self, adj: Any) -> Parser:
        """Return a parser for this client's next request."""
        return Parser(adj, self.connections.memory, self.addr[0])

    # In the loop's thread

    def add_channel(self, map: Any = None) -> None:  # noqa: A002
        """Enter the loop, not Waitress's map of sockets."""
        self.fd = self._fileno
        self.connections.loop.add(self)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002
        self.connections.loop.forget(self)
        self.fd = self._fileno = None

    def wanted(self) -> int:
        """Return what the loop shall watch for. Hang-ups and errors are always reported."""
        if self.phase is Phase.LINGERING:
            return IN
        if self.output.pending:
            return OUT
        if self.phase is Phase.HALF_CLOSED:
            return 0
        return IN if self.readable() or (self.requests and not self.muted) else 0

    def done(self) -> bool:
        """Tell whether nothing is left to do but to close."""
        if self.will_close or self.output.broken:
            return True
        if self.output.pending or self.phase is Phase.LINGERING:
            return False
        return bool(self.close_when_flushed or (self.phase is Phase.HALF_CLOSED and not self.requests))

    def needs_a_look(self) -> bool:
        """Tell whether the loop must act; asked by a pool thread after it changed something (loop.py, line 4)."""
        if self.will_close or self.output.broken:
            return True
        if self.output.pending:
            return not self.interest & OUT
        return bool(self.close_when_flushed or self.phase is Phase.HALF_CLOSED or not self.interest & IN)

    def readable(self) -> bool:
        """Tell whether more of a request may be read now."""
        if self.phase is not Phase.OPEN or self.will_close or self.close_when_flushed or self.output.pending:
            return False
        # In a drain, what was read is answered, so read no more than that.
        return len(self.requests) <= (0 if self.connections.draining else self.adj.channel_request_lookahead)

    def idle(self) -> bool:
        """Tell whether nothing of a request has been read, and nothing of an answer is left to send."""
        return self.request is None and not self.requests and self.readable()

    def silent_for(self, wall: float) -> float:
        """Return for how many seconds before `wall` (time.time()) neither side sent anything."""
        return float(wall - max(self.last_activity, self.output.last_sent))

    def on_event(self, flags: int) -> None:
        """React to what the loop watched for."""
        if flags & IN:
            if self.phase is Phase.LINGERING:
                self._discard()
            elif self.readable():
                if flags & GONE or not self._moves_on():
                    self.handle_read()
            elif not self.output.pending and self.requests:
                self._look_ahead()
        if flags & OUT and self.connected:
            self.output.send_more()
        if flags & GONE and self.fd is not None:
            self.handle_close()

    def _moves_on(self) -> bool:
        """Pass this connection on, if its next request has come; one that was handed over is read here first."""
        if self.handed_over or not self.idle():
            return False
        to = self.connections.better_place(self)
        return to is not None and self.talks() and self.connections.pass_on(self, to)

    def handle_read(self) -> None:
        """Read once what is there."""
        self.handed_over = False
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.handle_close()
            return
        if not data:
            self._client_finished()
            return
        self.last_activity = time.time()
        if self.request is None:
            self.rate_from, self.rate_bytes = self.last_activity, self.bytes_in
        self.bytes_in += len(data)
        self.muted = False
        self.received(data)

    def _look_ahead(self) -> None:
        """While a request runs or waits, learn whether the client is still there, without reading on."""
        try:
            ahead = self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.handle_close()
            return
        if ahead:
            self.muted = True
        else:
            self._client_finished()

    def _client_finished(self) -> None:
        """The client sent its end of file: it left, or it only has nothing more to say and waits for the answer.

        Behind a router it left. Elsewhere an interim answer, which clients must ignore (RFC 9110, 15.2), finds out: a
        client that left answers with a reset, and its request is skipped when it still waits for a thread.
        """
        with self.requests_lock:
            self.phase = Phase.HALF_CLOSED
            if not self.requests or self.connections.behind_router:
                self.will_close = True
                return
            if self.requests[0].version != "1.1":
                return
            with self.output.lock, suppress(ClientDisconnected):
                if not self.answering and not self.output.pending:
                    self._send([CONTINUE])

    def finish(self) -> None:
        """Close; or, when the client is still sending, listen a little, for a reset would take the answer from it."""
        refused = self.serving is not None and self.serving.error
        if not self.connected or self.will_close or self.output.broken or not (refused or self.talks()):
            self.handle_close()
            return
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()
            return
        self.phase = Phase.LINGERING
        self.close_when_flushed = False
        self.connections.lingering[self] = time.monotonic() + LINGER_SECONDS

    def talks(self) -> bool:
        """Tell whether the client has sent something that wasn't read yet."""
        if self.phase is Phase.HALF_CLOSED:
            return False
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _discard(self) -> None:
        try:
            data = self.socket.recv(64 * 1024)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.handle_close()

    def handle_close(self) -> None:
        """Close at once; only called in the loop's thread. A pool thread's next write raises ClientDisconnected."""
        if self.fd is None:
            return
        self.connections.lingering.pop(self, None)
        self.connected = False
        self.output.close()
        wasyncore.dispatcher.close(self)
        with self.requests_lock:
            partial, self.request = self.request, None
        if partial is not None:
            partial.close()

    # In a pool thread

    def service(self) -> None:
        """Serve the request that came first."""
        if self.close_when_flushed or self.will_close:
            self._forget_requests()  # read ahead while the answer before them ended the connection
            return
        request = self.requests[0]
        self.answering, self.serving, self.in_thread = False, request, True
        self.waited = self._waited(request)
        limit = self.connections.settings.queue_seconds
        if limit and not request.error and self.waited > limit:
            request.error = RetryLaterError("The server is busy. Please try again in a moment.")
        try:
            super().service()
        except BaseException:
            self.will_close = True
            raise
        finally:
            self.in_thread = False
            if self.needs_a_look():
                self._call_loop()

    def _waited(self, request: Any) -> float:
        """Return how many seconds ago `request` was complete; behind a router, also while nobody had accepted it."""
        waited = time.monotonic() - request.received_at
        start = request.headers.get("X_REQUEST_START") if self.connections.behind_router else None
        if start and request.body_rcv is None:  # a slow upload's time is its client's
            waited = max(waited, proxy_headers.seconds_since_start(start) or 0.0)
        return float(waited)

    def _forget_requests(self) -> None:
        with self.requests_lock:
            forgotten = list(self.requests)
            self.requests = []
        for request in forgotten:
            request.close()
        self._call_loop()

    def write_soon(self, data: bytes) -> int:
        """Send `data`, or what of it the client takes at once, and keep the rest for the loop to send."""
        self.write_pieces([data])
        return len(data)

    def write_pieces(self, pieces: list[bytes]) -> None:
        """Send all of `pieces` as write_soon() does, in one system call if possible."""
        self.answering = True
        self._send(pieces)

    def write_file(self, file: FileRange) -> None:
        """Send `file` as write_soon() does, and close it."""
        self._send([], file)

    def _send(self, pieces: list[bytes], file: FileRange | None = None) -> None:
        try:
            if file:
                self.output.write_file(file)
            else:
                self.output.write(pieces, self._call_loop)
        finally:
            if self.output.broken or (self.output.pending and not self.interest & OUT):
                self._call_loop()

    # In any thread

    def _call_loop(self) -> None:
        self.connections.loop.touch(self)

    def send_continue(self) -> None:
        """Tell a client that asks first to send its body."""
        self.request.expect_continue = False
        self.request.completed = False
        self.sent_continue = True
        with suppress(ClientDisconnected):
            self._send([CONTINUE])

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Do nothing: Waitress waits here, before the next request, for clients that are slow to read."""
