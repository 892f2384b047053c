"""Header fields (RFC 9110, 5; RFC 9112, 5), of a request and of the trailer after a chunked body.

No regular expression: Waitress's needs time that grows with the square of a field's length.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from headwaiter.server.errors import RefusedError

MOST = 100  # fields of one request; gunicorn's limit_request_fields
LONGEST = 8188  # bytes of one, 8,190 with its end: gunicorn's limit, just below that of Heroku's router
TOKEN = b"!#$%&'*+-.^_`|~" + string.digits.encode() + string.ascii_letters.encode()
TEXT = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
# Where two servers could read a request differently, one client can slip in another's request (RFC 9112, 11.2).
ONCE = frozenset({"HOST", "CONTENT_LENGTH", "CONTENT_TYPE", "TRANSFER_ENCODING"})
FRAMING = frozenset({"CONTENT_LENGTH", "TRANSFER_ENCODING"})
SEPARATORS = {"COOKIE": "; "}  # RFC 9113, 8.2.3; all others are lists with commas (RFC 9110, 5.3)


def parse(lines: Sequence[bytes]) -> dict[str, str]:
    """Return the fields by name, in upper case with "_" for "-", as WSGI wants it; raises RefusedError.

    Several of a name are joined. Names with "_" are left out, as in Waitress: an app couldn't tell them from those with
    "-". Where another server might take them for the length of the body, the request is refused.
    """
    if len(lines) > MOST:
        raise RefusedError(f"The request has {len(lines)} header fields; {MOST} are allowed.", 431)
    fields: dict[str, str] = {}
    for line in lines:
        name, value = split(line)
        key = name.upper().replace("-", "_")
        if "_" in name:
            if key in FRAMING:
                raise RefusedError(f"The header field {name} looks like one that says where the body ends.")
            continue
        if key not in fields:
            fields[key] = value
        elif key in ONCE:
            raise RefusedError(f"The header field {name} may come only once.")
        else:
            fields[key] += SEPARATORS.get(key, ", ") + value
    return fields


def split(line: bytes) -> tuple[str, str]:
    """Return the name and the value of one field without the white space around the value; raises RefusedError."""
    if len(line) > LONGEST:
        raise RefusedError(f"A header field is longer than {LONGEST} bytes.", 431)
    name, colon, value = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        raise RefusedError("A header field is continued on the next line, which RFC 9112 (5.2) no longer allows.")
    if not colon or not is_token(name):
        raise RefusedError("Invalid header: a line isn't a name, a colon and a value.")
    if value.translate(None, TEXT):
        raise RefusedError(f"The header field {name.decode()} has a control character in its value.")
    return name.decode(), value.strip(b" \t").decode("latin-1")


def is_token(text: bytes) -> bool:
    """Tell whether `text` is a token (RFC 9110, 5.6.2), as methods and names of header fields are."""
    return bool(text) and not text.translate(None, TOKEN)
