"""Answers that the server gives itself, in the form in which Waitress sends its own errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from waitress.utilities import Error


class RefusedError(Exception, Error):  # type: ignore[misc]  # waitress has no types
    """Raised for a request that isn't taken; sent as the answer, with `why` for whoever wrote the client."""

    def __init__(self, why: str, code: int = 400) -> None:
        super().__init__(why)
        self.body = why
        self.code = code
        self.reason = HTTPStatus(code).phrase


class RetryLaterError(Error):  # type: ignore[misc]
    """503 for a request that waited too long for a thread: whoever asked has gone."""

    code = 503
    reason = "Service Unavailable"
    retry_after = 5  # seconds

    def to_response(self, *ident: Any) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body; Waitress 3 passes its name, Waitress 2 nothing."""
        status, headers, body = super().to_response(*ident)
        return status, [*headers, ("Retry-After", str(self.retry_after))], body
