"""One client's connection: Waitress's channel, reading and writing without ever waiting for the client.

The loop's thread reads, parses and closes; a pool thread serves a request and sends what the socket takes at once. The
rest waits in an OutBuffer and the loop sends it. A pool thread calls loop.touch() when the loop has something to do.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel

from headwaiter import log
from headwaiter.server import proxy_headers
from headwaiter.server.buffers import FileRange, OutBuffer, ShortFileError
from headwaiter.server.errors import RetryLaterError
from headwaiter.server.request import Parser
from headwaiter.server.task import AppTask, RefusalTask

IN = getattr(select, "EPOLLIN", 1)
OUT = getattr(select, "EPOLLOUT", 4)
GONE = getattr(select, "EPOLLHUP", 16) | getattr(select, "EPOLLERR", 8)

SEND_IN_ONE_TURN = 512 * 1024  # bytes; then it's the next client's turn
JOIN_BELOW = 32 * 1024  # pieces this small are cheaper joined than sent as a vector
WAIT_BELOW = 256 * 1024  # a thread that waits for room goes on when this little is left to send
LINGER_SECONDS = 2.0  # how long we listen to a client that still talks after its last answer
PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that the loop watches. `server` is one of our servers (worker.py)."""

    task_class = AppTask
    error_task_class = RefusalTask

    interest = -1  # what epoll was told; -1 before it was told anything
    muted = False  # the client sent more while its request runs: don't ask again until that has been answered
    half_closed = False  # the client will send nothing more, but perhaps still reads
    lingering = False  # everything is sent; only the client's last words are awaited
    linger_wanted = False
    answering = False  # bytes of the present answer have been sent
    requests: list[Any]  # complete ones, the first of which a pool thread serves
    request: Any = None  # what has come of the next request
    serving: Any = None  # the request that a pool thread answers now, or answered last
    bytes_in = 0
    bytes_out = 0
    rate_from = 0.0  # since when, and from which count, bytes_in is measured against the minimum rate
    rate_bytes = 0

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002  # Waitress's name
        self.worker = server.worker
        super().__init__(server, sock, addr, adj, map=map)
        self.outbufs: list[Any] = [OutBuffer(self.worker.memory, adj.outbuf_high_watermark)]

    def parser_class(self, adj: Any) -> Parser:
        """Return a parser for this client's next request."""
        return Parser(adj, self.addr[0])

    # In the loop's thread

    def add_channel(self, map: Any = None) -> None:  # noqa: A002
        """Enter the map of watched sockets."""
        super().add_channel(map)
        self.worker.loop.changed.append(self)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002
        """Leave the map of watched sockets."""
        self.worker.loop.forget(self)
        super().del_channel(map)

    def wanted(self) -> int:
        """Return what epoll shall watch for. Hang-ups and errors are always told."""
        if self.lingering:
            return IN
        if self.total_outbufs_len:
            return OUT
        if self.half_closed:
            return 0
        return IN if self.readable() or (self.requests and not self.muted) else 0

    def done(self) -> bool:
        """Tell whether nothing is left to do but to close."""
        if self.will_close:
            return True
        if self.total_outbufs_len or self.lingering:
            return False
        return bool(self.close_when_flushed or (self.half_closed and not self.requests))

    def needs_a_look(self) -> bool:
        """Tell whether the loop must act; asked by a pool thread after it changed something.

        The loop first writes `interest` and then asks wanted() again, we change first and then read `interest`: so at
        least one of the two sees the other's change.
        """
        if self.total_outbufs_len:
            return not self.interest & OUT or self.will_close
        return bool(self.will_close or self.close_when_flushed or self.half_closed or not self.interest & IN)

    def readable(self) -> bool:
        """Tell whether more of a request may be read now."""
        if self.worker.drain and self.requests:
            return False  # what was read is answered, so read no more than that
        return not self.half_closed and bool(super().readable())

    def on_event(self, flags: int) -> None:
        """React to what epoll told about this connection."""
        if flags & IN:
            if self.readable():
                self.handle_read()
            elif not self.total_outbufs_len and self.requests:
                self._look_ahead()
        if flags & OUT and self.connected:
            self.handle_write()
        if flags & GONE and self._fileno is not None:
            self.handle_close()

    def handle_read(self) -> None:
        """Read once what is there."""
        if self.lingering:
            self._discard()
            return
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
            if not self.requests or self.worker.behind_router:
                self.half_closed = True
                self.will_close = True
                return
            self.half_closed = True
            if self.requests[0].version != "1.1":
                return
            with self.outbuf_lock:
                if not self.answering and not self.total_outbufs_len:
                    self._try_send([PROBE])

    def handle_write(self) -> None:
        """Send on what waits, unless a pool thread is just adding to it."""
        if not self.outbuf_lock.acquire(True, 0.001):
            return
        try:
            self._flush_some()
            if self.total_outbufs_len < WAIT_BELOW:
                self.outbuf_lock.notify_all()
        finally:
            self.outbuf_lock.release()

    def finish(self) -> None:
        """Close; or, when the client is still sending, listen a little, for a reset would take the answer from it."""
        if self.connected and not self.will_close and (self.linger_wanted or self.talks()):
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.handle_close()
                return
            self.lingering = True
            self.close_when_flushed = False
            self.worker.lingering[self] = time.monotonic() + LINGER_SECONDS
            return
        self.handle_close()

    def talks(self) -> bool:
        """Tell whether the client has sent something that wasn't read yet."""
        if self.half_closed:
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
        if self._fileno is None:
            return
        self.worker.lingering.pop(self, None)
        super().handle_close()
        with self.requests_lock:
            partial, self.request = self.request, None
        if partial is not None:
            partial.close()

    # In any thread

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send what the socket takes, up to a fair share; needs outbuf_lock. Never closes: the loop does."""
        sent_before = self.bytes_out
        while not self.will_close and self.bytes_out - sent_before < SEND_IN_ONE_TURN:
            outbuf = self.outbufs[0]
            if not len(outbuf):
                if len(self.outbufs) == 1:
                    break
                self.outbufs.pop(0).close()
                continue
            try:
                sent = outbuf.send_to(self.socket)
            except ShortFileError as error:
                log.line("warning", msg=f"An answer was cut: {error}.")
                self.will_close = True
                break
            except OSError:
                self.will_close = True
                break
            if not sent:
                break
            self.total_outbufs_len -= sent
            self.bytes_out += sent
        if self.bytes_out == sent_before:
            return False
        self.last_activity = time.time()
        return True

    # In a pool thread

    def service(self) -> None:
        """Serve the request that came first."""
        if self.close_when_flushed or self.will_close:
            self._forget_requests()  # read ahead while the answer before them ended the connection
            return
        request = self.requests[0]
        self.answering, self.serving = False, request
        limit = self.worker.settings.queue_seconds
        if limit and not request.error and self._waited(request) > limit:
            request.error = RetryLaterError("The server is busy. Please try again in a moment.")
        if request.error:
            self.linger_wanted = True
        try:
            super().service()
        except BaseException:
            self.will_close = True
            self.worker.loop.touch(self)
            raise
        if self.needs_a_look():
            self.worker.loop.touch(self)

    def _waited(self, request: Any) -> float:
        """Return how many seconds ago `request` was complete; behind a router, also while nobody had accepted it."""
        waited = time.monotonic() - request.received_at
        start = request.headers.get("X_REQUEST_START") if self.worker.behind_router else None
        if start and request.body_rcv is None:  # a slow upload's time is its client's
            waited = max(waited, proxy_headers.seconds_since_start(start) or 0.0)
        return float(waited)

    def _forget_requests(self) -> None:
        with self.requests_lock:
            forgotten = list(self.requests)
            self.requests = []
        for request in forgotten:
            request.close()
        self.worker.loop.touch(self)

    def write_soon(self, data: Any) -> int:
        """Send `data`, or what of it the client takes at once, and keep the rest for the loop to send."""
        return self.write_pieces([data])

    def write_pieces(self, pieces: list[bytes], file: FileRange | None = None) -> int:
        """Send all of `pieces`, or `file`, as write_soon() does; pieces in one system call if possible."""
        total = sum(map(len, pieces))
        with self.outbuf_lock:
            if not self.connected:
                if file:
                    file.close()
                raise ClientDisconnected
            self.answering = True
            if file:
                self._append_file(file)
            else:
                self._send_or_keep(pieces, total)
            if self.will_close:
                self.worker.loop.touch(self)
                raise ClientDisconnected
        if self.total_outbufs_len and not self.interest & OUT:
            self.worker.loop.touch(self)
        return total

    def _append_file(self, file: FileRange) -> None:
        self.outbufs.append(file)
        self.outbufs.append(OutBuffer(self.worker.memory, self.adj.outbuf_high_watermark))
        self.total_outbufs_len += len(file)
        self._flush_some()

    def _send_or_keep(self, pieces: list[Any], total: int) -> None:
        if total < JOIN_BELOW and len(pieces) > 1:
            pieces = [b"".join(pieces)]
        sent = 0 if self.total_outbufs_len else self._try_send(pieces)
        if sent == total or self.will_close:
            return
        for piece in pieces:
            if sent >= len(piece):
                sent -= len(piece)
                continue
            self._keep(memoryview(piece)[sent:] if sent else piece)
            sent = 0

    def _try_send(self, pieces: list[Any]) -> int:
        try:
            sent: int = self.socket.send(pieces[0]) if len(pieces) == 1 else self.socket.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.will_close = True
            return 0
        self.bytes_out += sent
        self.last_activity = time.time()
        return sent

    def _keep(self, data: Any) -> None:
        """Keep `data` for later. When neither memory nor disk has room, wait until the client has taken what it has."""
        try:
            self.outbufs[-1].append(data)
        except OSError:
            self.worker.out_of_room += 1
            while self.connected and self.total_outbufs_len >= WAIT_BELOW:
                self.worker.loop.touch(self)
                self.outbuf_lock.wait(1.0)
            if not self.connected:
                raise ClientDisconnected from None
            self.outbufs.append(OutBuffer(self.worker.memory, self.adj.outbuf_high_watermark))
            self.outbufs[-1].append(data, in_memory=True)
        self.total_outbufs_len += len(data)
