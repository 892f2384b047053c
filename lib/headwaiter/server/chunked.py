"""A body in chunks (RFC 9112, 7.1), read strictly: where it ends must be the same for every server on its way."""

from __future__ import annotations

import re
from typing import Any

from headwaiter.server import header_fields
from headwaiter.server.errors import RefusedError

LONGEST_SIZE_LINE = 4096  # bytes; extensions, which nobody uses, make it long
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
_PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# Each byte fits one place only, so a failure costs as much time as the line is long.
_EXTENSIONS = re.compile(rb"(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)+" % (_TOKEN, _TOKEN, _QUOTED))

FORBIDDEN = frozenset({"CONTENT-LENGTH", "HOST", "TRANSFER-ENCODING"})  # in a trailer; RFC 9110, 6.5.1
SIZE, END, TRAILER = "size", "end", "trailer"  # what the next line is: a chunk's size, its end, a field after the last


class ChunkedReceiver:
    """Reads a body in chunks, with the interface of Waitress's own receiver. Extensions and trailer are dropped."""

    completed = False
    error: RefusedError | None = None

    def __init__(self, buf: Any, longest_trailer: int) -> None:
        self.buf = buf
        self._longest_trailer = longest_trailer  # bytes
        self._line = bytearray()  # one that hasn't ended yet
        self._next = SIZE
        self._data_left = 0  # bytes of the present chunk
        self._trailer_fields = 0
        self._trailer_size = 0

    def __len__(self) -> int:
        return len(self.buf)

    def getfile(self) -> Any:
        return self.buf.getfile()

    def getbuf(self) -> Any:
        return self.buf

    def received(self, data: bytes) -> int:
        """Take what belongs to the body from `data` and return how many bytes that was; sets `error` or `completed`."""
        pieces = []
        position = 0
        try:
            while position < len(data) and not self.completed:
                if self._data_left:
                    piece = data[position : position + self._data_left]
                    pieces.append(piece)
                    position += len(piece)
                    self._data_left -= len(piece)
                else:
                    position = self._take_line(data, position)
        except RefusedError as error:
            self.error = error.with_traceback(None)
            return len(data)
        if pieces:
            self.buf.append(b"".join(pieces))
        return position

    def _take_line(self, data: bytes, start: int) -> int:
        """Read to the end of the line that goes on at `start`; return where that was."""
        if not self._line and (plain := self._take_plain_line(data, start)):
            return plain
        end = data.find(b"\n", start) + 1
        line: bytes | bytearray = data[start:end] if end else data[start:]
        if self._line:
            self._line += line
            line = self._line
        if len(line) > self._longest_line() + (2 if end else 1):
            raise RefusedError(self._too_long())
        if not end:
            self._line = line if line is self._line else bytearray(line)
            return len(data)
        if not line.endswith(b"\r\n"):
            raise RefusedError("A line of the chunked body ends with a bare LF.")
        self._line_ended(bytes(line[:-2]))
        self._line.clear()
        return end

    def _take_plain_line(self, data: bytes, start: int) -> int:
        """Read a whole end of a chunk or size without extensions, as most are, in half the time; else return 0."""
        if self._next == END and data.startswith(b"\r\n", start):
            self._next = SIZE
            return start + 2
        if self._next == SIZE and (size := _PLAIN_SIZE.match(data, start)):
            self._data_left = int(size[1], 16)
            self._next = END if self._data_left else TRAILER
            return size.end()
        return 0

    def _longest_line(self) -> int:
        if self._next == END:
            return 0
        return LONGEST_SIZE_LINE if self._next == SIZE else self._longest_trailer - self._trailer_size

    def _too_long(self) -> str:
        return "Chunk not properly terminated" if self._next == END else "A chunk's size or the trailer is too long."

    def _line_ended(self, line: bytes) -> None:
        if self._next == END:
            self._next = SIZE
        elif self._next == SIZE:
            self._data_left = chunk_size(line)
            self._next = END if self._data_left else TRAILER
        elif line:
            name, _ = header_fields.split(line)
            if name.upper() in FORBIDDEN:
                raise RefusedError(f"{name} may not come after the body.")
            self._trailer_fields += 1
            self._trailer_size += len(line) + 2
            if self._trailer_fields > header_fields.MOST:
                raise RefusedError("The trailer has too many fields.", 431)
        else:
            self.completed = True


def chunk_size(line: bytes) -> int:
    """Return the number of bytes that the size line of a chunk announces; raises RefusedError."""
    size = _SIZE.match(line)
    if not size:
        raise RefusedError("Invalid chunk size")
    extensions = line[size.end() :]
    if extensions and not _EXTENSIONS.fullmatch(extensions):
        raise RefusedError("Invalid chunk extension" if b";" in extensions else "Invalid chunk size")
    return int(size[0], 16)
