"""What becomes of requests that are odd, old or hostile: the cases of docs/requests.md, which running this file writes.

The kinds come from the request suites of gunicorn (tests/requests) and llhttp (test/request), from RFC 9112, and from
attacks on this server; the inputs are our own.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "requests.md"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Case(NamedTuple):
    """`expected` is the status of a refusal, or what the app sees: method, path and body, or one header field."""

    group: str
    what: str
    data: bytes
    expected: int | str
    why: str = ""


def _line(target: str, *, method: str = "GET", version: str = "HTTP/1.1", host: str = "Host: a\r\n") -> bytes:
    return f"{method} {target} {version}\r\n{host}\r\n".encode("latin-1")


LINE, TARGET, FIELDS, LENGTH, CHUNKS, MORE = (
    "The request line",
    "The target",
    "Header fields",
    "Where the body ends",
    "Chunks and trailers",
    "Several requests on a connection",
)
CASES = (
    Case(LINE, "HTTP/1.0 and HTTP/1.1", _line("/", version="HTTP/1.0", host=""), "GET /"),
    Case(LINE, "HTTP/0.9: no version", b"GET /\r\n\r\n", 400),
    Case(LINE, "HTTP/2.0, and HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\n", 505),
    Case(LINE, "HTTP/1.2", _line("/", version="HTTP/1.2"), 505),
    Case(LINE, "a version that is none", _line("/", version="HTTP/1"), 400),
    Case(LINE, "another protocol's name", _line("/", version="ICE/1.0"), 400),
    Case(LINE, "a method in small letters", _line("/", method="get"), 400, "As gunicorn: no known client sends it."),
    Case(LINE, "a method with a bracket", _line("/", method="G(T"), 400),
    Case(LINE, "a method of its own (`MKCALENDAR`, `M-SEARCH`)", _line("/", method="M-SEARCH"), "M-SEARCH /"),
    Case(LINE, "two spaces, or a tab, between the parts", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Case(LINE, "a space at the end", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    Case(LINE, "a space in the target", _line("/a b"), 400),
    Case(LINE, "longer than 8,192 bytes", _line("/" + "a" * 8192), 414, "Heroku's router takes no longer ones."),
    Case(LINE, "lines that end with LF alone", b"GET / HTTP/1.1\nHost: a\n\n", 400, "RFC 9112, 2.2 allows either."),
    Case(LINE, "CR alone", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    Case(LINE, "blank lines before it", b"\r\n\r\n" + GET + b"\r\n", "GET /"),
    Case(TARGET, "a path with a query", _line("/a/b?c=d"), "GET /a/b"),
    Case(TARGET, "percent-encoding", _line("/%41%2F"), "GET /A/"),
    Case(TARGET, "two slashes first", _line("//evil/admin"), "GET //evil/admin"),
    Case(TARGET, "a URL: its host takes the place of Host", _line("http://b/x"), "HOST: b", "RFC 9112, 3.2.2."),
    Case(TARGET, "a URL with a user", _line("http://u:p@b/"), 400, "RFC 9110, 4.2.4: an error. gunicorn takes it."),
    Case(TARGET, "a URL with another scheme", _line("foo:/admin"), 400),
    Case(TARGET, "a name without a slash", _line("foo/bar"), 400),
    Case(TARGET, "`*` with OPTIONS", _line("*", method="OPTIONS"), "OPTIONS *"),
    Case(TARGET, "`*` with another method", _line("*"), 400),
    Case(TARGET, "CONNECT", _line("a:443", method="CONNECT"), 501, "It asks a proxy. gunicorn gives it to the app."),
    Case(TARGET, "a host and a port", _line("a:443"), 400),
    Case(TARGET, "a control character, NUL, or a byte above 126", _line("/\x01/admin"), 400),
    Case(TARGET, "a tab", _line("/a\tb"), 400),
    Case(FIELDS, "white space around a value", GET + b"X: \t b \t\r\n\r\n", "X: b"),
    Case(FIELDS, "an empty value", GET + b"X:\r\n\r\n", "X: "),
    Case(FIELDS, "Latin-1 in a value", GET + b"X: \xe9\r\n\r\n", "X: \u00e9"),
    Case(FIELDS, "a field that comes twice", GET + b"X: 1\r\nX: 2\r\n\r\n", "X: 1, 2"),
    Case(
        FIELDS, "two Cookie fields", GET + b"Cookie: a=1\r\nCookie: b=2\r\n\r\n", "COOKIE: a=1; b=2", "RFC 9113, 8.2.3."
    ),
    Case(FIELDS, "Host, Content-Length, Content-Type or Transfer-Encoding twice", GET + b"Host: a\r\n\r\n", 400),
    Case(FIELDS, "an underscore in a name: left out", GET + b"X-A: 1\r\nX_A: 2\r\n\r\n", "X_A: 1", "As gunicorn."),
    Case(FIELDS, "white space before the colon", GET + b"X : 1\r\n\r\n", 400),
    Case(FIELDS, "no colon", GET + b"X\r\n\r\n", 400),
    Case(FIELDS, "no name", GET + b": 1\r\n\r\n", 400),
    Case(FIELDS, "a name with a bracket, a quote or a space", GET + b"X[a]: 1\r\n\r\n", 400),
    Case(FIELDS, "a control character or NUL in a value", GET + b"X: a\0b\r\n\r\n", 400),
    Case(FIELDS, "CR or LF in a value", GET + b"X: a\rb\r\n\r\n", 400),
    Case(FIELDS, "a value continued on the next line", GET + b"X: a\r\n b\r\n\r\n", 400, "RFC 9112, 5.2."),
    Case(FIELDS, "white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    Case(FIELDS, "more than 100 fields", GET + b"X: 1\r\n" * 100 + b"\r\n", 431, "gunicorn's limit, too."),
    Case(
        FIELDS,
        "a field longer than 8,188 bytes",
        GET + b"X: " + b"a" * 8186 + b"\r\n\r\n",
        431,
        "Heroku's limit, and gunicorn's.",
    ),
    Case(FIELDS, "no Host, from a public address", b"GET / HTTP/1.1\r\n\r\n", 400, "RFC 9112, 3.2."),
    Case(FIELDS, "a Host that is no name", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    Case(
        FIELDS,
        "X-Forwarded-Proto and X-Forwarded-Ssl that disagree",
        GET + b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n",
        "X_FORWARDED_PROTO: https",
        "headwaiter reads X-Forwarded-Proto alone; gunicorn reads both and refuses.",
    ),
    Case(LENGTH, "Content-Length", POST + b"Content-Length: 5\r\n\r\nhello", "POST / hello"),
    Case(LENGTH, "a sign, a list, a hexadecimal or 5,000 digits", POST + b"Content-Length: +5\r\n\r\nhello", 400),
    Case(LENGTH, "an empty Content-Length", POST + b"Content-Length:\r\n\r\n", 400),
    Case(LENGTH, "neither", POST + b"\r\n", "POST /"),
    Case(LENGTH, "a GET with a body", GET + b"Content-Length: 5\r\n\r\nhello", "GET / hello"),
    Case(LENGTH, "both", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Case(LENGTH, "chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Case(LENGTH, "another Transfer-Encoding", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    Case(
        LENGTH,
        "`gzip, chunked` and `identity, chunked`",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        "The app would get packed bytes. gunicorn takes it.",
    ),
    Case(LENGTH, "`chunked, chunked`", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501),
    Case(LENGTH, "an empty Transfer-Encoding", POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    Case(CHUNKS, "chunks", CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "POST / hello world"),
    Case(
        CHUNKS,
        "sizes in capitals, and with zeros in front",
        CHUNKED + b"00A\r\n0123456789\r\n0\r\n\r\n",
        "POST / 0123456789",
    ),
    Case(
        CHUNKS,
        "extensions, quoted ones too, with white space",
        CHUNKED + b'1 ; a = "b;c"\r\nx\r\n0\r\n\r\n',
        "POST / x",
    ),
    Case(CHUNKS, "a size with a sign, 0x, _ or white space in front", CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    Case(CHUNKS, "no size", CHUNKED + b"\r\n0\r\n\r\n", 400),
    Case(CHUNKS, "LF alone after a size", CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400),
    Case(CHUNKS, "a chunk longer than its size", CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", 400),
    Case(CHUNKS, "a trailer: read and left out", CHUNKED + b"0\r\nX: 1\r\n\r\n", "POST /"),
    Case(
        CHUNKS,
        "Content-Length, Host or Transfer-Encoding in a trailer: left out",
        CHUNKED + b"0\r\nHost: evil\r\n\r\n",
        "HOST: a",
        "RFC 9110, 6.5.1. No field of a trailer reaches the app; gunicorn refuses these.",
    ),
    Case(CHUNKS, "a trailer that isn't made of header fields", CHUNKED + b"0\r\n\nGET /evil HTTP/1.1\r\n\r\n", 400),
    Case(MORE, "a second request behind the first", GET + b"\r\n" + _line("/2"), "GET /, GET /2"),
    Case(MORE, "a second request behind chunks", CHUNKED + b"0\r\n\r\n" + _line("/2"), "POST /, GET /2"),
    Case(MORE, "behind a request that is refused", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n" + _line("/2"), 505),
)

_INTRODUCTION = """\
# Which requests reach the site

<!-- Made by test/support/request_cases.py. -->

What can be read in two ways is refused: where two servers on the way read it differently, one client could slip in
another's request. The kinds of requests below come from RFC 9110 and RFC 9112, and from the request suites of
[gunicorn](https://github.com/benoitc/gunicorn) and [llhttp](https://github.com/nodejs/llhttp). A refused request
ends its connection.

Of the 74 invalid requests in gunicorn's suite (August 2026), gunicorn 27.0.1 with its defaults refuses 67, and
headwaiter keeps 62 of these from the site: 57 get an error, and 5 are unfinished, so that headwaiter waits until the
client leaves. The other five differ on purpose: a request line may have 8,192 bytes (gunicorn: 4,094), three trailers
are left out instead of refused, and X-Forwarded-Ssl isn't read at all.

A request without Host is taken from a private address or this machine, and without X-Forwarded-For: health checks send
such requests. Everybody else gets 400.
"""


def document() -> str:
    """Return the text of docs/requests.md."""
    parts = [_INTRODUCTION]
    for group, cases in groupby(CASES, key=lambda case: case.group):
        parts.append(
            f"\n## {group}\n\n| A request with | Answer, or what the site sees | Reason |\n| --- | --- | --- |\n"
        )
        for case in cases:
            outcome = f"`{case.expected}`" if isinstance(case.expected, str) else f"**{case.expected}**"
            parts.append(f"| {case.what} | {outcome} | {case.why} |\n")
    return "".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
