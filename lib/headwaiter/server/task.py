"""Answering one request: Waitress's tasks, with header and first bytes in one send, and a line in the access log."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, cast

from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import build_http_date

from headwaiter.server import access_log, proxy_headers

_Base: Any = object


@lru_cache(maxsize=1024)
def _capitalised(name: str) -> str:
    return "-".join([part.capitalize() for part in name.split("-")])


@lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    return str(build_http_date(second))


class _Answer(_Base):  # type: ignore[misc]
    """What both kinds of task share."""

    header_bytes = 0
    began = 0.0
    head = False  # HEAD is asked: no body must follow, or the client takes it for the next answer

    def service(self) -> None:
        """Produce the answer, then count it and write it to the access log."""
        self.began = time.monotonic()
        self.head = getattr(self.channel.serving, "command", None) == "HEAD"
        bytes_before = self.channel.bytes_out + self.channel.total_outbufs_len
        try:
            super().service()
        finally:
            if self.wrote_header or not self.channel.connected:
                self._account(bytes_before)

    def _account(self, bytes_before: int) -> None:
        channel = self.channel
        worker = channel.worker
        worker.stats.requests += 1
        if worker.settings.access_log:
            size = channel.bytes_out + channel.total_outbufs_len - bytes_before - self.header_bytes
            access_log.write(self, size=max(0, size), seconds=time.monotonic() - self.began)

    def build_response_header(self) -> bytes:
        """Return the header by Waitress's rules; it closes the connection also when the worker wants it closed."""
        has_body = self.has_body
        self.channel.bodiless = self.head or not has_body
        lines = [f"HTTP/{self.version} {self.status}"]
        told: dict[str, str] = {}
        for name, value in self.response_headers:
            name = _capitalised(name)
            if name == "Content-Length" and not has_body:
                continue
            told[name] = value
            lines.append(f"{name}: {value}")
        if has_body and self.content_length is not None and "Content-Length" not in told:
            told["Content-Length"] = str(self.content_length)
            lines.append(f"Content-Length: {self.content_length}")
        self._frame(lines, "Content-Length" in told, has_body, told.get("Connection"))
        ident = self.channel.adj.ident
        if "Server" in told:
            lines.append(f"Via: {ident or 'waitress'}")
        elif ident:
            lines.append(f"Server: {ident}")
        if "Date" not in told:
            lines.append(f"Date: {_http_date(int(self.start_time))}")
        header = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.header_bytes = len(header)
        return header

    def _frame(self, lines: list[str], has_length: bool, has_body: bool, told: str | None) -> None:
        """Say how the client finds the end of the answer: by its length, by chunks, or when the connection closes."""
        asked = [option.strip() for option in self.request.headers.get("CONNECTION", "").lower().split(",")]
        if self.version == "1.1":
            keep = (has_length or not has_body) and "close" not in asked
            if not has_length and not self.channel.bodiless:
                self.chunked_response = True
                lines.append("Transfer-Encoding: chunked")
        else:
            keep = has_length and "keep-alive" in asked and "close" not in asked
        # A request that was read already, in the same breath, is answered, too.
        if not keep or (self.channel.worker.closes_connections() and len(self.channel.requests) < 2):
            self.close_on_finish = True
        if self.close_on_finish:
            if told is None:
                lines.append("Connection: close")
        elif self.version == "1.0":
            lines.append("Connection: Keep-Alive")

    def write(self, data: bytes) -> None:
        """Send `data`; with the header in front, in the same send, when that hasn't been sent yet."""
        if self.head:
            if data and self.wrote_header and self.content_length is None:
                raise ClientDisconnected  # nobody hears this stream, which may be endless
            data = b""
        if self.wrote_header:
            super().write(data)
            return
        channel = self.channel
        pieces: list[bytes] = []
        channel.held = pieces
        try:
            super().write(data)
        finally:
            channel.held = None
        if pieces:
            channel.write_pieces(pieces)


class AppTask(_Answer, WSGITask):  # type: ignore[misc]
    """A request that the app answers."""

    def execute(self) -> None:
        """Call the app. What would end a thread, such as SystemExit, is an error of the app like any other."""
        try:
            super().execute()
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(f"the app raised {error!r}") from error

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, the router's headers brought into a form that Waitress takes."""
        if self.environ is not None:
            return cast("dict[str, Any]", self.environ)
        environ: dict[str, Any] = super().get_environment()
        worker = self.channel.worker
        environ["wsgi.multiprocess"] = worker.processes > 1
        if environ["SERVER_SOFTWARE"] is None:
            environ["SERVER_SOFTWARE"] = "headwaiter"
        adj = self.channel.adj
        if adj.trusted_proxy in ("*", environ["REMOTE_ADDR"]):
            proxy_headers.normalise(environ, frozenset(adj.trusted_proxy_headers or ()), adj.trusted_proxy_count)
        return environ


class RefusalTask(_Answer, ErrorTask):  # type: ignore[misc]
    """A request that Waitress or headwaiter answers itself: malformed, too large, too late, or the app failed."""
