"""What Heroku's router (or another trusted proxy) says about a request, made fit for Waitress's strict parser.

Waitress answers 400 to any X-Forwarded-Proto but one plain http or https, and to any list in X-Forwarded-Port; honest
users sit behind proxies that send more. The last entry of a list is the one that the nearest, trusted proxy wrote.
"""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from typing import Any

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORT = re.compile(r"[0-9]{1,5}")
_START = re.compile(r"(?:t=)?([0-9]{9,20})(\.[0-9]{1,9})?")
LONGEST_WAIT = 3600.0  # seconds; a header that says more comes from a clock that is wrong


def normalise(environ: MutableMapping[str, Any], headers: frozenset[str], count: int) -> None:
    """Bring the trusted forwarding `headers` (lower case) of `environ` into the one form that Waitress takes.

    `count` proxies are trusted, so the entry counts that the outermost of them wrote. An unknown scheme is dropped: the
    request then counts as plain http, never as secure.
    """
    if "x-forwarded-proto" in headers and "HTTP_X_FORWARDED_PROTO" in environ:
        _replace(environ, "HTTP_X_FORWARDED_PROTO", scheme(environ["HTTP_X_FORWARDED_PROTO"], count))
    if "x-forwarded-port" in headers and "HTTP_X_FORWARDED_PORT" in environ:
        _replace(environ, "HTTP_X_FORWARDED_PORT", port(environ["HTTP_X_FORWARDED_PORT"], count))
    if "x-forwarded-for" in headers and "HTTP_X_FORWARDED_FOR" in environ:
        hops = environ["HTTP_X_FORWARDED_FOR"].replace('"', "").split(",")[-count:]
        _replace(environ, "HTTP_X_FORWARDED_FOR", ",".join(hops).strip())


def _replace(environ: MutableMapping[str, Any], name: str, value: str | None) -> None:
    if value:
        environ[name] = value
    else:
        del environ[name]


def scheme(value: str, count: int = 1) -> str | None:
    """Return "http" or "https" for the X-Forwarded-Proto `value`, or None when it says nothing known."""
    return SCHEMES.get(_entry(value, count).lower())


def port(value: str, count: int = 1) -> str | None:
    """Return the port that the X-Forwarded-Port `value` tells, or None when that isn't a port."""
    entry = _entry(value, count)
    return entry if _PORT.fullmatch(entry) and 0 < int(entry) < 65536 else None


def _entry(value: str, count: int) -> str:
    entries = value.split(",")
    return entries[-min(count, len(entries))].strip(" \t\"'")


def seconds_since_start(value: str, now: float | None = None) -> float | None:
    """Return the seconds from X-Request-Start (`value`) until `now` (Unix time), or None when it can't be read.

    Heroku sends milliseconds; others "t=" and seconds, milliseconds or microseconds, with or without a fraction. The
    clocks differ: a start slightly in the future counts as zero.
    """
    match = _START.fullmatch(value.strip())
    if not match:
        return None
    start = float(match[1] + (match[2] or ""))
    while start > 1e11:
        start /= 1000
    waited = (time.time() if now is None else now) - start
    return max(0.0, waited) if -5 < waited < LONGEST_WAIT else None
