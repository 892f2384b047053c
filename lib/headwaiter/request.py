"""Reading a request: Waitress's parser, its body kept in our buffers, and the errors that we add to Waitress's own."""

from __future__ import annotations

import time
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.utilities import Error

from headwaiter.spool import FULL, BodyBuffer


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

    received_at = 0.0  # time.monotonic() when the last byte was there

    def received(self, data: bytes) -> int:
        """Take what belongs to this request from `data` and return how many bytes that was."""
        try:
            consumed: int = super().received(data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.error = StorageError("The server has no room for this upload now.")
            self.completed = True
            consumed = len(data)
        if self.completed:
            self.received_at = time.monotonic()
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the header, and give a body that is to follow a buffer of our own."""
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = BodyBuffer(self.adj.memory, self.adj.inbuf_overflow)
