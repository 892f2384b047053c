"""The first line of a request (RFC 9112, 3): method, target and version; and the host that the target may name.

No regular expression runs over what can be long, and no urlsplit(), which drops characters from what it splits.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwaiter.server.errors import RefusedError
from headwaiter.server.header_fields import is_token

LONGEST = 8192  # bytes; Heroku's router takes no more (Dev Center: http-routing#http-validation-and-restrictions)
VISIBLE = bytes(range(0x21, 0x7F))
VERSIONS = {b"HTTP/1.0": "1.0", b"HTTP/1.1": "1.1"}
_OTHER_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_AUTHORITY = re.compile(r"[^/?#]*")
# RFC 3986, 3.2.2: an IPv6 address in brackets, or a name or IPv4 address.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")


class Target(NamedTuple):
    """What a request asks for. `path` is unquoted, its bytes as latin-1, as WSGI wants it."""

    path: str
    query: str
    fragment: str
    host: str  # with the port; empty where the target names none


def parse(line: bytes) -> tuple[str, str, str]:
    """Return method, target and version ("1.0" or "1.1"); raises RefusedError, with 400, 414, 501 or 505."""
    if len(line) > LONGEST:
        raise RefusedError(f"The request line is longer than {LONGEST} bytes.", 414)
    parts = line.split(b" ")
    if len(parts) != 3:
        raise RefusedError("The request line isn't a method, a target and a version with one space between them.")
    method, target, version = parts
    if not is_token(method) or method != method.upper():
        raise RefusedError("Malformed HTTP method: it must be a word in capitals.")
    if not target or target.translate(None, VISIBLE):
        raise RefusedError("The target is empty, or has a character that must be percent-encoded.")
    if version not in VERSIONS:
        if _OTHER_VERSION.fullmatch(version):
            raise RefusedError("This server speaks HTTP/1.1 and HTTP/1.0.", 505)
        raise RefusedError("The request line doesn't end with an HTTP version.")
    if method == b"CONNECT":
        raise RefusedError("CONNECT asks a proxy for a tunnel, and this is no proxy.", 501)
    return method.decode(), target.decode(), VERSIONS[version]


def split_target(method: str, target: str) -> Target:
    """Split `target`, which is a path, a URL with http or https, or, for OPTIONS, "*"; raises RefusedError."""
    host = ""
    if target == "*" and method == "OPTIONS":
        return Target("*", "", "", "")
    if not target.startswith("/"):
        scheme, _, rest = target.partition("://")
        host = _AUTHORITY.match(rest)[0]  # type: ignore[index]  # it matches anything
        if scheme.lower() not in ("http", "https") or not host or not is_host(host):
            raise RefusedError("The target is neither a path nor the address of a page.")
        target = rest[len(host) :]
        if not target.startswith("/"):
            target = "/" + target
    rest, _, fragment = target.partition("#")
    path, _, query = rest.partition("?")
    return Target(unquote_to_bytes(path).decode("latin-1"), query, fragment, host)


def is_host(text: str) -> bool:
    """Tell whether `text` is a name or an address, with or without a port; also when it's empty."""
    return _HOST.fullmatch(text) is not None
