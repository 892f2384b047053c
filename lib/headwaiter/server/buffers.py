"""Buffers with a ceiling: what slow clients have yet to send or to read waits in memory while there's room, or on disk.

A BodyBuffer has the interface of waitress.buffers, as Waitress's receiver of a body writes to it.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections import deque
from io import BufferedRandom, BufferedReader, BytesIO, FileIO
from itertools import islice
from stat import S_ISREG
from tempfile import _TemporaryFileWrapper
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    Octets = bytes | bytearray | memoryview

MEMORY_OF_ALL = 32 * 1024 * 1024  # bytes that the buffers of one process may keep in memory together
MEMORY_OF_ONE = 1024 * 1024  # and one of them; Waitress's outbuf_overflow
ALWAYS_IN_MEMORY = 4 * 1024  # a buffer this small isn't worth a file: creating one costs more
SMALL = 4 * 1024  # pieces below this are joined, for a piece costs some 50 bytes of its own
READ_AT_ONCE = 64 * 1024
ON_DISK_OF_ONE = 1024 * 1024 * 1024  # one response; the same as Waitress's max_request_body_size
KEEP_FREE = 256 * 1024 * 1024  # bytes of disk that we never take: the app needs temporary files, too
LOOK_AT_DISK_EVERY = 8 * 1024 * 1024


class NoRoomError(OSError):
    """Neither memory nor disk can take more; raised with errno ENOSPC."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOSPC, message)


class ShortFileError(Exception):
    """A file ended before the length that the client was promised."""


class Memory:
    """Bytes of memory that the buffers of one process share; all methods may be called from any thread."""

    def __init__(self, limit: int = MEMORY_OF_ALL) -> None:
        self.limit = limit
        self.used = 0
        self._lock = threading.Lock()

    def take(self, size: int, *, always: bool = False) -> bool:
        """Reserve `size` bytes and return True, or return False when that's more than is left."""
        with self._lock:
            if not always and self.used + size > self.limit:
                return False
            self.used += size
            return True

    def give_back(self, size: int) -> None:
        """Return `size` bytes that were taken before."""
        with self._lock:
            self.used -= size


def temporary_file() -> IO[bytes]:
    """Return an unnamed, unbuffered file in the usual directory (TMPDIR)."""
    return cast("IO[bytes]", tempfile.TemporaryFile(buffering=0))


class OutBuffer:
    """The bytes of a response that the client hasn't taken yet, first in, first out: memory, then a temporary file."""

    def __init__(self, memory: Memory, on_disk_limit: int = ON_DISK_OF_ONE) -> None:
        self._memory = memory
        self._on_disk_limit = on_disk_limit
        self._pieces: deque[Any] = deque()
        self._held = 0  # bytes in _pieces
        self._file: IO[bytes] | None = None
        self._start = 0  # of what is unsent in the file
        self._end = 0
        self._check_disk_at = LOOK_AT_DISK_EVERY

    def __len__(self) -> int:
        return self._held + self._end - self._start

    def append(self, data: Octets, *, in_memory: bool = False) -> None:
        """Add `data` at the end, or nothing of it; raises OSError where there's no room (NoRoomError) or no file.

        `in_memory` says that it may overstep the limits.
        """
        size = len(data)
        if not size:
            return
        if self._file is None and self._takes_memory(size, in_memory):
            self._held += size
            if size < SMALL and self._pieces and isinstance(self._pieces[-1], bytearray):
                self._pieces[-1] += data
            else:
                self._pieces.append(bytearray(data) if size < SMALL else data)
            return
        self._append_to_file(data, size)

    def _takes_memory(self, size: int, in_memory: bool) -> bool:
        held = self._held + size
        always = in_memory or held <= ALWAYS_IN_MEMORY
        return (always or held <= MEMORY_OF_ONE or not self._held) and self._memory.take(size, always=always)

    def _append_to_file(self, data: Octets, size: int) -> None:
        if self._end - self._start + size > self._on_disk_limit:
            raise NoRoomError("this response has as much on disk as one may")
        if self._file is None:
            self._file = temporary_file()
        fd = self._file.fileno()
        if self._end + size > self._check_disk_at:
            self._check_disk_at = self._end + size + LOOK_AT_DISK_EVERY
            if shutil.disk_usage(fd).free < KEEP_FREE:
                self._check_disk_at = 0
                raise NoRoomError("the disk is nearly full")
        write_whole(fd, data, self._end)
        self._end += size

    def send_to(self, sock: Any) -> int:
        """Send from the start what `sock` takes in one call and drop it; return how many bytes; raises OSError."""
        try:
            if len(self._pieces) > 1:
                sent = sock.sendmsg(list(islice(self._pieces, 64)))
            elif self._pieces:
                sent = sock.send(self._pieces[0])
            else:
                sent = send_file(sock, cast("IO[bytes]", self._file).fileno(), self._start, self._end - self._start)
        except (BlockingIOError, InterruptedError):
            return 0
        self._drop(sent)
        return cast("int", sent)

    def _drop(self, count: int) -> None:
        """Forget the first `count` bytes, which have been sent."""
        while count and self._pieces:
            size = len(self._pieces[0])
            if size > count:
                self._pieces[0] = memoryview(self._pieces[0])[count:]
                size = count
            else:
                self._pieces.popleft()
            self._held -= size
            self._memory.give_back(size)
            count -= size
        self._start += count
        if self._file is not None and self._start == self._end and not self._pieces:
            self._close_file()

    def close(self) -> None:
        """Give memory and disk back."""
        self._pieces.clear()
        self._memory.give_back(self._held)
        self._held = 0
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._start = self._end = 0
        self._check_disk_at = LOOK_AT_DISK_EVERY


class FileRange:
    """`size` bytes of the real `file`, from where it stands: the kernel copies them (sendfile).

    It has a file descriptor of its own, so the app's file can be closed while a slow client is still reading.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._start = file.tell()
        self._remain = size
        self._fd = os.dup(file.fileno())

    def __len__(self) -> int:
        return self._remain

    def send_to(self, sock: Any) -> int:
        """Send what `sock` takes in one call; return how many bytes; raises OSError, and ShortFileError."""
        try:
            sent = send_file(sock, self._fd, self._start, self._remain)
        except (BlockingIOError, InterruptedError):
            return 0
        self._start += sent
        self._remain -= sent
        return sent

    def close(self) -> None:
        self._remain = 0
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def real_file(file: Any) -> IO[bytes] | None:
    """Return the regular file on disk that `file` is or merely wraps, flushed; else None.

    Only the standard library's own file types qualify: a GzipFile, say, has a fileno(), but of the packed bytes. A
    wrapper's read() has to be the file's own, as that of Django's File is; one that decrypts has another.
    """
    while (inner := getattr(file, "file", None)) is not None:  # Django's FieldFile has a File, which has the real one
        if type(file) is not _TemporaryFileWrapper and file.read != getattr(inner, "read", None):
            return None
        file = inner
    if type(file) not in (BufferedReader, BufferedRandom, FileIO) or type(getattr(file, "raw", file)) is not FileIO:
        return None
    if not S_ISREG(os.fstat(file.fileno()).st_mode):
        return None
    if file.writable():
        file.flush()
    return cast("IO[bytes]", file)


class BodyBuffer:
    """The body of a request as it comes in: memory up to a limit, then a temporary file. Used by the loop alone."""

    def __init__(self, memory: Memory, overflow: int) -> None:
        self._memory = memory
        self._overflow = overflow
        self._taken = 0
        self._size = 0
        self._file: Any = BytesIO()

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Add `data` at the end; raises OSError when it has to go to disk and can't."""
        size = len(data)
        if isinstance(self._file, BytesIO) and not self._takes_memory(size):
            self._move_to_disk()
        if isinstance(self._file, BytesIO):
            self._file.write(data)
        else:
            write_whole(self._file.fileno(), data, self._size)
        self._size += size

    def _takes_memory(self, size: int) -> bool:
        size += self._size
        if size > self._overflow or not self._memory.take(size - self._taken, always=size <= ALWAYS_IN_MEMORY):
            return False
        self._taken = size
        return True

    def _move_to_disk(self) -> None:
        file = temporary_file()
        try:
            write_whole(file.fileno(), self._file.getbuffer(), 0)
        except OSError:
            file.close()
            raise
        self._file = file
        self._give_back()

    def getfile(self) -> Any:
        """Return the body as a file at its start, as the app reads it."""
        if not isinstance(self._file, BytesIO | BufferedReader):
            self._file = BufferedReader(cast("Any", self._file), READ_AT_ONCE)
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give memory and disk back."""
        self._file.close()
        self._give_back()

    def _give_back(self) -> None:
        self._memory.give_back(self._taken)
        self._taken = 0


def write_whole(fd: int, data: Octets, offset: int) -> None:
    """Write all of `data` at `offset`; raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]


def send_file(sock: Any, fd: int, offset: int, count: int) -> int:
    """Send up to `count` bytes of the file `fd` from `offset` in one call; raises OSError, and ShortFileError."""
    sent = os.sendfile(sock.fileno(), fd, offset, min(count, READ_AT_ONCE * 4))
    if not sent:
        raise ShortFileError("the file became shorter while it was being sent")
    return sent
