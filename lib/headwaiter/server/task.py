"""Answering one request: calling the app as PEP 3333 says, framing what it returns, and a line in the access log.

Waitress's tasks give the environment and its own error pages; what the app may say, and what is sent, is decided here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, cast

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, WSGITask, hop_by_hop
from waitress.utilities import build_http_date

from headwaiter import log
from headwaiter.server import proxy_headers
from headwaiter.server.buffers import READ_AT_ONCE, FileRange, real_file

_Base: Any = object
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2

_OURS = frozenset({"Content-Length", "Connection"})  # written from what we know, not from what was said


def framing(version: str, connection: str, *, has_length: bool, has_body: bool, head: bool) -> tuple[bool, bool]:
    """Return whether an answer is sent in chunks, and whether the connection closes after it.

    `version` ("1.0" or "1.1") and `connection` (its Connection header) are the request's. `has_body` is False for the
    statuses that have none, `head` is True for a request that wants none (RFC 9112, 6.3).
    """
    options = [option.strip() for option in connection.lower().split(",")]
    if version == "1.1":
        chunked = has_body and not has_length and not head
        return chunked, "close" in options or (has_body and not has_length)
    return False, not has_length or "keep-alive" not in options or "close" in options


@lru_cache(maxsize=1024)
def header_name(name: str) -> str:
    """Return `name` as it is sent; raises ValueError where an app may not send it. Only valid names are kept."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} isn't the name of a header: only letters, digits and !#$%&'*+-.^_`|~ may be in it")
    if name.lower() in hop_by_hop:
        raise ValueError(f"the header {name} belongs to the server, not to the app (PEP 3333)")
    return "-".join([part.capitalize() for part in name.split("-")])


def one_line(what: str, value: str) -> str:
    """Return `value`; raises ValueError where a client could read more than one line in it (RFC 9110, 5.5)."""
    if not isinstance(value, str) or "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"{what} is {value!r}: it has to be a str without line breaks and NUL")
    return value


@lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    return str(build_http_date(second))


class _Answer(_Base):  # type: ignore[misc]
    """What both kinds of task share."""

    complete: bool
    wrote_header: bool
    logged_write_excess: bool
    environ: dict[str, Any] | None = None  # a refusal has none
    header_bytes = 0
    began = 0.0
    bodiless = False  # the answer ends with its header: to HEAD, 204, 304
    head = False  # HEAD is asked: no body must follow, or the client takes it for the next answer

    def service(self) -> None:
        """Produce the answer, then count it and write it to the access log."""
        self.began = time.monotonic()
        self.head = self.channel.serving.command == "HEAD"
        bytes_before = self.channel.output.sent + self.channel.output.pending
        try:
            super().service()
        finally:
            if self.wrote_header or not self.channel.connected:
                self._account(bytes_before)

    def _account(self, bytes_before: int) -> None:
        channel = self.channel
        channel.connections.answered += 1
        if not channel.connections.settings.access_log:
            return
        request = channel.serving  # after an error of the app, self.request is an empty one
        log.line(
            "request",
            method=request.command or "-",  # of a request that can't be read, nothing is known
            path=(request.request_uri or "-").split("?", 1)[0],  # a query may hold secrets
            status=self.status[:3],
            bytes=max(0, channel.output.sent + channel.output.pending - bytes_before - self.header_bytes),
            duration_ms=round((time.monotonic() - self.began) * 1000, 1),
            queue_ms=round(channel.waited * 1000, 1),
            request_id=request.headers.get("X_REQUEST_ID"),
            remote=(self.environ or {}).get("REMOTE_ADDR") or str(channel.addr[0]),
            disconnected=not channel.connected or None,
        )

    def build_response_header(self) -> bytes:
        """Return the header; it closes the connection also when the worker wants it closed."""
        has_body = self.has_body
        has_length = has_body and self.content_length is not None
        self.bodiless = self.head or not has_body
        self.chunked_response, close = framing(
            self.version,
            self.request.headers.get("CONNECTION", ""),
            has_length=has_length,
            has_body=has_body,
            head=self.head,
        )
        # A request that was read already, in the same breath, is answered, too.
        if close or (self.channel.connections.close_after_answer() and len(self.channel.requests) < 2):
            self.close_on_finish = True
        lines = [f"HTTP/{self.version} {self.status}"]
        if has_length:
            lines.append(f"Content-Length: {self.content_length}")
        elif self.chunked_response:
            lines.append("Transfer-Encoding: chunked")
        if self.close_on_finish:
            lines.append("Connection: close")
        elif self.version == "1.0":
            lines.append("Connection: Keep-Alive")
        lines += self._other_lines()
        header = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.header_bytes = len(header)
        return header

    def _other_lines(self) -> list[str]:
        lines, names = [], set()
        for name, value in self.response_headers:
            if name not in _OURS:
                names.add(name)
                lines.append(f"{name}: {value}")
        ident = self.channel.adj.ident
        if "Server" in names:
            lines.append(f"Via: {ident or 'waitress'}")
        elif ident:
            lines.append(f"Server: {ident}")
        if "Date" not in names:
            lines.append(f"Date: {_http_date(int(self.start_time))}")
        return lines

    def write(self, data: bytes) -> None:
        """Send `data`; with the header in front, in the same send, when that hasn't been sent yet."""
        if not self.complete:
            raise RuntimeError("start_response was not called before body written")
        if not isinstance(data, bytes):
            data = _as_bytes(data)
        pieces = []
        if not self.wrote_header:
            pieces.append(self.build_response_header())
            self.wrote_header = True
        elif self.head and data and self.content_length is None:
            raise ClientDisconnected  # nobody hears this stream, which may be endless
        if data:
            pieces += self._framed(data)
        if pieces:
            self.channel.write_pieces(pieces)

    def _framed(self, data: bytes) -> list[bytes]:
        """Return what is to be sent of `data`: nothing where no body may follow, no more than the length said."""
        length, written = self.content_length, self.content_bytes_written
        self.content_bytes_written += len(data)
        if self.bodiless:
            return []
        if self.chunked_response:
            return [b"%X\r\n" % len(data), data, b"\r\n"]
        if length is not None and written + len(data) > length:
            if not self.logged_write_excess:
                self.logged_write_excess = True
                self.logger.warning("The app wrote more than its Content-Length of %s: the rest isn't sent", length)
            data = data[: max(0, length - written)]
            return [data] if data else []
        return [data]


def _as_bytes(data: Any) -> bytes:
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"the app's answer has to consist of bytes, not of {type(data).__name__}")


def _read(file: Any, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, READ_AT_ONCE))):
        size -= len(piece)
        yield piece


class AppTask(_Answer, WSGITask):  # type: ignore[misc]
    """A request that the app answers."""

    def execute(self) -> None:
        """Call the app. What would end a thread, such as SystemExit, is an error of the app like any other."""
        try:
            chunks = self.channel.server.application(self.get_environment(), self.start_response)
            try:
                self._send(chunks)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(f"the app raised {error!r}") from error

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take status and headers, and return write(), as PEP 3333 says; raises ValueError for what can't be sent."""
        if exc_info:
            try:
                if self.wrote_header:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.complete:
            raise AssertionError("start_response called a second time without providing exc_info.")
        if not "2" <= one_line("the status", status)[:1] <= "9":
            raise ValueError(f"the status {status!r} can't end a request: 200 to 999 and a reason are needed")
        self.content_length = None
        self.response_headers = [(header_name(name), one_line(name, value)) for name, value in headers]
        for name, value in self.response_headers:
            if name == "Content-Length":
                if not (value.isascii() and value.isdigit()):
                    raise ValueError(f"the Content-Length {value!r} isn't a number of bytes")
                self.content_length = int(value)
        self.status, self.complete = status, True
        return self.write

    def _send(self, chunks: Any) -> None:
        if isinstance(chunks, ReadOnlyFileBasedBuffer) and not self.wrote_header:
            chunks = self._open_file(chunks)
        alone = hasattr(chunks, "__len__") and len(chunks) == 1
        for chunk in chunks:
            if alone and self.content_length is None and not self.wrote_header:
                self.content_length = len(chunk)
            if chunk:  # the header waits for the first byte (PEP 3333)
                self.write(chunk)
        length = self.content_length
        if length is not None and self.content_bytes_written < length and self.has_body and not self.head:
            self.close_on_finish = True  # or the client would wait for the rest
            self.logger.warning(
                "The app wrote %s bytes, its Content-Length is %s: closing", self.content_bytes_written, length
            )

    def _open_file(self, wrapper: Any) -> Iterable[bytes]:
        """Hand a real file to the channel; return what this thread has to read, since reading may take long."""
        size = wrapper.prepare(self.content_length)
        if not size:
            return cast("Iterable[bytes]", wrapper)
        self.content_length = size
        if self.head or not self.has_body:
            return ()
        file = real_file(wrapper.file)
        if file is None:
            return _read(wrapper.file, size)
        self.write(b"")
        self.channel.write_file(FileRange(file, size))
        self.content_bytes_written = size
        return ()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, the router's headers brought into a form that Waitress takes."""
        if self.environ is not None:
            return self.environ
        environ: dict[str, Any] = super().get_environment()
        environ["wsgi.multiprocess"] = self.channel.connections.processes > 1
        if environ["SERVER_SOFTWARE"] is None:
            environ["SERVER_SOFTWARE"] = "headwaiter"
        adj = self.channel.adj
        if adj.trusted_proxy in ("*", environ["REMOTE_ADDR"]):
            proxy_headers.normalise(environ, frozenset(adj.trusted_proxy_headers or ()), adj.trusted_proxy_count)
        return environ


class RefusalTask(_Answer, ErrorTask):  # type: ignore[misc]
    """A request that Waitress or headwaiter answers itself: malformed, too large, too late, or the app failed."""
