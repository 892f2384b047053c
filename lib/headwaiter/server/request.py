"""Reading a request: Waitress's parser, its body kept in our buffers, and the errors that we add to Waitress's own."""

from __future__ import annotations

import time
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest, Error

from headwaiter.server.buffers import BodyBuffer

ONCE = (b"\r\nhost:", b"\r\ncontent-length:", b"\r\ncontent-type:", b"\r\ntransfer-encoding:")


class RetryLaterError(Error):  # type: ignore[misc]  # waitress has no types
    """503 for a request that waited too long for a thread: whoever asked has gone."""

    code = 503
    reason = "Service Unavailable"
    retry_after = 5  # seconds

    def to_response(self, *ident: Any) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body; Waitress 3 passes its name, Waitress 2 nothing."""
        status, headers, body = super().to_response(*ident)
        return status, [*headers, ("Retry-After", str(self.retry_after))], body


class StorageError(Error):  # type: ignore[misc]
    """507 for an upload that the disk has no room for."""

    code = 507
    reason = "Insufficient Storage"


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request while it comes in. `adj.memory` is the Memory that all bodies share."""

    completed: bool
    error: Any
    received_at = 0.0  # time.monotonic() when the last byte was there
    path = ""  # Waitress logs it also where the request line couldn't be read
    refused = ""  # why this header isn't taken

    def received(self, data: bytes) -> int:
        """Take what belongs to this request from `data` and return how many bytes that was."""
        try:
            consumed: int = super().received(data)
        except OSError:
            self._refuse(StorageError("The server has no room for this upload now."))
            consumed = len(data)
        except ValueError:  # from urlsplit() and int(), for "http://[" and for a length of 5,000 digits
            self._refuse(BadRequest("The request can't be read."))
            consumed = len(data)
        if self.refused:
            self._refuse(BadRequest(self.refused))
        elif self.chunked and self._unread_framing() > self.adj.max_request_header_size:
            self._refuse(BadRequest("A chunk's size or the trailer is too long."))
        if self.completed:
            self.expect_continue = False  # Waitress would wait for a body that doesn't come, or that nobody wants
            self.received_at = time.monotonic()
        return consumed

    def _refuse(self, error: Error) -> None:
        self.error = self.error or error
        self.completed = True

    def _unread_framing(self) -> int:
        """Return how much Waitress holds, without a limit, of a chunk's unfinished size line and of the trailer."""
        receiver = self.body_rcv
        return len(getattr(receiver, "control_line", b"")) + len(getattr(receiver, "trailer", b""))

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the header, and give a body that is to follow a buffer of our own.

        Where two servers could read a request's length differently, one client can slip another's request in (RFC 9112,
        11.2): refuse what Waitress after 3.0.2 refuses, and end the connection after what it ends it.
        """
        super().parse_header(header_plus)
        header = header_plus.lower()
        if any(header.count(name) > 1 for name in ONCE):
            self.refused = "Host, Content-Length, Content-Type and Transfer-Encoding may come only once."
        elif self.version != "1.1" and "TRANSFER_ENCODING" in self.headers:
            self.refused = "Transfer-Encoding needs HTTP/1.1."
        elif self.chunked and "CONTENT_LENGTH" in self.headers:
            self.headers["CONNECTION"] = "close"
        if self.body_rcv is not None:
            self.body_rcv.buf = BodyBuffer(self.adj.memory, self.adj.inbuf_overflow)
