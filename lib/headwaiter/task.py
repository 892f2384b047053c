"""Answering one request: Waitress's tasks, with header and first bytes in one send, and a line in the access log."""

from __future__ import annotations

import time
from typing import Any, cast

from waitress.task import ErrorTask, WSGITask

from headwaiter import access, router

_Base: Any = object


class _Answer(_Base):  # type: ignore[misc]
    """What both kinds of task share."""

    header_bytes = 0
    began = 0.0

    def service(self) -> None:
        """Produce the answer, then count it and write it to the access log."""
        self.began = time.monotonic()
        bytes_before = self.channel.bytes_out + self.channel.total_outbufs_len
        try:
            super().service()
        finally:
            if self.wrote_header or not self.channel.connected:
                self._account(bytes_before)

    def _account(self, bytes_before: int) -> None:
        channel = self.channel
        worker = channel.worker
        ended = time.monotonic()
        worker.stats.count(ended - (channel.serving.received_at or self.began))
        if worker.settings.access_log:
            size = channel.bytes_out + channel.total_outbufs_len - bytes_before - self.header_bytes
            access.write(self, size=max(0, size), seconds=ended - self.began)

    def build_response_header(self) -> bytes:
        """Return the header, with Connection: close when this connection isn't to be kept."""
        if self.channel.worker.closes_connections():
            self.request.headers["CONNECTION"] = "close"
        header: bytes = super().build_response_header()
        self.header_bytes = len(header)
        return header

    def write(self, data: bytes) -> None:
        """Send `data`; with the header in front, in the same send, when that hasn't been sent yet."""
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
            router.normalise(environ, frozenset(adj.trusted_proxy_headers or ()), adj.trusted_proxy_count)
        return environ


class RefusalTask(_Answer, ErrorTask):  # type: ignore[misc]
    """A request that Waitress or headwaiter answers itself: malformed, too large, too late, or the app failed."""
