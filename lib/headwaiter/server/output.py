"""What one connection has to send: at once what the socket takes, the rest from memory or disk.

A pool thread writes, the loop sends on; both hold `lock` meanwhile. Neither ever waits for the client, but for a thread
whose answer has no room in memory or on disk.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from waitress.channel import ClientDisconnected

from headwaiter import log
from headwaiter.server.buffers import FileRange, Memory, OutBuffer, ShortFileError

SEND_IN_ONE_TURN = 512 * 1024  # bytes; then it's the next client's turn
JOIN_BELOW = 32 * 1024  # pieces this small are cheaper joined than sent as a vector
WAIT_BELOW = 256 * 1024  # a thread that waits for room goes on when this little is left to send


class Output:
    """The way out of one connection."""

    def __init__(self, sock: socket.socket, memory: Memory, disk_limit: int, lock: threading.Condition) -> None:
        self.socket = sock
        self.lock = lock
        self.pending = 0  # bytes that wait
        self.sent = 0  # bytes, in all
        self.last_sent = 0.0  # time.time()
        self.broken = False  # the client has gone, or what it was promised isn't there: only closing is left
        self.closed = False
        self._memory = memory
        self._disk_limit = disk_limit
        self._files: list[FileRange | OutBuffer] = []  # what goes before `_last`
        self._last = OutBuffer(memory, disk_limit)

    def write(self, pieces: list[bytes], call_loop: Callable[[], None]) -> None:
        """Send `pieces`, in one system call if possible, and keep the rest; raises ClientDisconnected."""
        with self.lock:
            self._check()
            total = sum(map(len, pieces))
            if total < JOIN_BELOW and len(pieces) > 1:
                pieces = [b"".join(pieces)]
            sent = 0 if self.pending else self._send(pieces)
            if sent < total:
                self._check()
                for piece in pieces:
                    if sent < len(piece):
                        self._keep(memoryview(piece)[sent:] if sent else piece, call_loop)
                    sent = max(0, sent - len(piece))

    def write_file(self, file: FileRange) -> None:
        """Send `file` likewise, and close it once it's sent or nobody is left to send it to."""
        with self.lock:
            try:
                self._check()
            except ClientDisconnected:
                file.close()
                raise
            self._files += [self._last, file]
            self._last = OutBuffer(self._memory, self._disk_limit)
            self.pending += len(file)
            self._flush()
            self._check()

    def send_more(self) -> None:
        """Send of what waits what the socket takes, up to a fair share, unless a pool thread is just adding to it."""
        if not self.lock.acquire(True, 0.001):
            return
        try:
            self._flush()
            if self.pending < WAIT_BELOW:
                self.lock.notify_all()
        finally:
            self.lock.release()

    def close(self) -> None:
        """Give memory and files back; whoever writes or waits gets ClientDisconnected."""
        with self.lock:
            self.closed = True
            self.pending = 0
            for buffer in (*self._files, self._last):
                buffer.close()
            self.lock.notify_all()

    def _check(self) -> None:
        if self.closed or self.broken:
            raise ClientDisconnected

    def _send(self, pieces: list[bytes]) -> int:
        try:
            sent = self.socket.send(pieces[0]) if len(pieces) == 1 else self.socket.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.broken = True
            return 0
        self.sent += sent
        self.last_sent = time.time()
        return sent

    def _keep(self, data: bytes | memoryview, call_loop: Callable[[], None]) -> None:
        """Keep `data` for later. When neither memory nor disk has room, wait until the client has taken what it has."""
        try:
            self._last.append(data)
        except OSError:
            while self.pending >= WAIT_BELOW:
                call_loop()
                self.lock.wait(1.0)
                self._check()
            self._files.append(self._last)
            self._last = OutBuffer(self._memory, self._disk_limit)
            self._last.append(data, in_memory=True)
        self.pending += len(data)

    def _flush(self) -> None:
        before = self.sent
        while self.pending and not self.broken and self.sent - before < SEND_IN_ONE_TURN:
            buffer = self._files[0] if self._files else self._last
            if not len(buffer):
                self._files.pop(0).close()
                continue
            try:
                sent = buffer.send_to(self.socket)
            except ShortFileError as error:
                log.line("warning", msg=f"An answer was cut: {error}.")
                self.broken = True
                return
            except OSError:
                self.broken = True
                return
            if not sent:
                break
            self.pending -= sent
            self.sent += sent
        if self.sent > before:
            self.last_sent = time.time()
