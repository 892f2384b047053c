"""Reading a request: its header by request_line.py and header_fields.py, its body into our buffers.

Waitress's parser stays the base: it reads bodies of a known length, and its attributes are what the tasks read.
"""

from __future__ import annotations

import re
import time
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver

from headwaiter.server import header_fields, request_line
from headwaiter.server.buffers import BodyBuffer, Memory
from headwaiter.server.chunked import ChunkedReceiver
from headwaiter.server.errors import RefusedError

_LENGTH = re.compile(r"[0-9]{1,20}")


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """One request while it comes in. `memory` is what all bodies share, `peer` the address of who sends it."""

    completed: bool
    error: Any
    headers: dict[str, str]
    expect_continue: bool
    command = ""
    request_uri = ""
    received_at = 0.0  # time.monotonic() when the last byte was there
    path = ""  # Waitress logs it also where the request line couldn't be read

    def __init__(self, adj: Any, memory: Memory, peer: str) -> None:
        super().__init__(adj)
        self._memory = memory
        self._peer = peer
        self._head = bytearray()  # of a header that hasn't ended yet

    def received(self, data: bytes) -> int:
        """Take what belongs to this request from `data` and return how many bytes that was."""
        if self.completed:
            return 0
        try:
            consumed: int = super().received(data) if self.headers_finished else self._take_header(data)
        except RefusedError as error:
            self._refuse(error.with_traceback(None))
            consumed = len(data)
        except OSError:
            self._refuse(RefusedError("The server has no room for this upload now.", 507))
            consumed = len(data)
        if self.completed:
            self.expect_continue = False  # Waitress would wait for a body that doesn't come, or that nobody wants
            self.received_at = time.monotonic()
        return consumed

    def _refuse(self, error: Any) -> None:
        self.error = self.error or error
        self.completed = True

    def _take_header(self, data: bytes) -> int:
        """Collect the header, searching only what is new, and parse it when it's whole."""
        unread = data
        if not self._head:
            unread = data.lstrip(b"\r\n")  # blank lines, which some clients send after a body, don't begin a request
            if not unread:
                self.empty = self.completed = True
                return len(data)
        before = len(self._head)
        self._head += unread
        end = self._head.find(b"\r\n\r\n", max(0, before - 3))
        size = len(self._head) if end < 0 else end + 4
        if size >= self.adj.max_request_header_size:
            raise RefusedError(f"exceeds max_header of {self.adj.max_request_header_size}", 431)
        if end < 0:
            self._check_unfinished(before)
            return len(data)
        rest = len(self._head) - size
        header = bytes(self._head[:end])
        self._head.clear()
        self.headers_finished = True
        self._parse(header)
        return len(data) - rest

    def _check_unfinished(self, before: int) -> None:
        """Refuse at once what can't become a header any more; `before` says how much was looked at already."""
        start = max(0, before - 1)
        start += self._head.startswith(b"\n", start)  # the end of a line that was looked at
        lines = self._head.count(b"\r\n", start)
        returns = self._head.count(b"\r", start) - self._head.endswith(b"\r")
        if self._head.count(b"\n", start) != lines or returns != lines:
            raise RefusedError("Bare CR or LF found in HTTP message")
        if len(self._head) > request_line.LONGEST + 1 and self._head.find(b"\r", 0, request_line.LONGEST + 1) < 0:
            raise RefusedError(f"The request line is longer than {request_line.LONGEST} bytes.", 414)

    def _parse(self, header: bytes) -> None:
        """Read a whole `header`, which comes without the blank line at its end; raises RefusedError."""
        line, *lines = header.split(b"\r\n")
        self.command, self.request_uri, self.version = request_line.parse(line)
        self.headers = header_fields.parse(lines)
        self.path, self.query, self.fragment, host = request_line.split_target(self.command, self.request_uri)
        self._check_host(host)
        self.url_scheme = self.adj.url_scheme
        self._expect_body()
        self.completed = self.body_rcv is None
        self.expect_continue = self.version == "1.1" and self.headers.get("EXPECT", "").lower() == "100-continue"

    def _check_host(self, of_target: str) -> None:
        """Refuse a request without a usable Host (RFC 9112, 3.2), whose place a host in the target takes (3.2.2)."""
        host = self.headers.get("HOST", "")
        if not request_line.is_host(host):
            raise RefusedError("The header field Host isn't a name or an address.")
        if not host and self.version == "1.1" and ("X_FORWARDED_FOR" in self.headers or not is_local(self._peer)):
            raise RefusedError("The header field Host is missing.")
        if of_target:
            self.headers["HOST"] = of_target

    def _expect_body(self) -> None:
        """Decide where the body ends (RFC 9112, 6), and give it a buffer of our own."""
        coding = self.headers.pop("TRANSFER_ENCODING", None)
        length = self.headers.get("CONTENT_LENGTH")
        if coding is not None:
            if self.version != "1.1" or length is not None or not coding:
                raise RefusedError("Transfer-Encoding needs HTTP/1.1, a value, and no Content-Length beside it.")
            if coding.lower() != "chunked":
                raise RefusedError("Transfer-Encoding requested is not supported.", 501)
            self.chunked = True
            self.body_rcv = ChunkedReceiver(self._buffer(), self.adj.max_request_header_size)
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise RefusedError("Content-Length is invalid")
            self.content_length = int(length)
            if self.content_length >= self.adj.max_request_body_size:
                raise RefusedError(f"exceeds max_body of {self.adj.max_request_body_size}", 413)
            if self.content_length:
                self.body_rcv = FixedStreamReceiver(self.content_length, self._buffer())

    def _buffer(self) -> BodyBuffer:
        return BodyBuffer(self._memory, self.adj.inbuf_overflow)


def is_local(peer: str) -> bool:
    """Tell whether `peer` is an address of a private network or this machine; the name of a Unix socket's peer is."""
    import ipaddress  # here, as hardly any request needs it

    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return True
    return not (getattr(address, "ipv4_mapped", None) or address).is_global
