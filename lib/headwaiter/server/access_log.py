"""The access log: one line for each answer. Off by default, for Heroku's router writes one, too."""

from __future__ import annotations

from typing import Any

from headwaiter import log
from headwaiter.server import proxy_headers


def write(task: Any, *, size: int, seconds: float) -> None:
    """Log the answer that `task` gave: `size` bytes of body after `seconds` in its thread.

    The path comes without its query, which may hold secrets. queue_ms counts from X-Request-Start where a trusted
    router sets it, else from the complete receipt.
    """
    request = task.channel.serving  # of an error in the app, task.request has but the error
    environ = getattr(task, "environ", None) or {}
    log.line(
        "request",
        method=getattr(request, "command", None) or "-",
        path=_path(request),
        status=task.status[:3],
        bytes=size,
        duration_ms=round(seconds * 1000, 1),
        queue_ms=round(queue_seconds(task) * 1000, 1),
        request_id=request.headers.get("X_REQUEST_ID"),
        remote=environ.get("REMOTE_ADDR") or _address(task.channel.addr),
        disconnected=None if task.channel.connected else True,
    )


def queue_seconds(task: Any) -> float:
    """Return how long the request waited before its thread took it up."""
    header = task.channel.serving.headers.get("X_REQUEST_START")
    if header and task.channel.connections.behind_router:
        waited = proxy_headers.seconds_since_start(header, task.start_time)
        if waited is not None:
            return waited
    return max(0.0, float(task.began - (task.channel.serving.received_at or task.began)))


def _path(request: Any) -> str:
    uri = getattr(request, "request_uri", None)
    return uri.split("?", 1)[0] if uri else "-"


def _address(address: Any) -> str:
    return str(address[0]) if isinstance(address, tuple) and address else "-"
