"""The access log: one line for each answer. Off by default, for Heroku's router writes one, too."""

from __future__ import annotations

from headwaiter import log
from headwaiter.server import proxy_headers
from headwaiter.server.request import Parser


def write(
    request: Parser, *, status: str, size: int, began: float, ended: float, behind_router: bool, remote: str, gone: bool
) -> None:
    """Log the answer to `request`, on which a thread worked from `began` to `ended` (time.monotonic()).

    `size` counts the bytes of the body; `gone` says that the client left. The path comes without its query, which may
    hold secrets. queue_ms counts from X-Request-Start where a trusted router sets it, else from the complete receipt.
    """
    queued = began - (request.received_at or began)
    start = request.headers.get("X_REQUEST_START") if behind_router else None
    if start:
        waited = proxy_headers.seconds_since_start(start)
        queued = queued if waited is None else waited - (ended - began)
    log.line(
        "request",
        method=getattr(request, "command", None) or "-",  # of a request that can't be read, nothing is known
        path=(getattr(request, "request_uri", None) or "-").split("?", 1)[0],
        status=status[:3],
        bytes=size,
        duration_ms=round((ended - began) * 1000, 1),
        queue_ms=round(max(0.0, queued) * 1000, 1),
        request_id=request.headers.get("X_REQUEST_ID"),
        remote=remote,
        disconnected=gone or None,
    )
