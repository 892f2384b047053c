"""What becomes of odd, old and hostile requests: the cases of docs/requests.md, which running this file writes.

The cases follow what the request suites of gunicorn (tests/requests) and llhttp (test/request, test/url.md) look at,
with inputs of our own, and add findings of our own. Each says what the app gets or which status the client gets, and
why where that differs from the project it comes from.
"""

# ruff: noqa: E501  # a case is a line

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from headwaiter.server.request import Parser
from parsing import read

HOST = b"Host: example.com\r\n"
TAKEN, REFUSED = "taken", "refused"
OUR_OWN = ""


class Case(NamedTuple):
    """`theirs` is what gunicorn or llhttp does by default: TAKEN, REFUSED, or OUR_OWN for a case of our own."""

    suite: str
    about: str
    data: bytes
    outcome: str
    theirs: str
    why: str = ""
    peer: str = "127.0.0.1"

    @property
    def differs(self) -> bool:
        """Tell whether we take what they refuse, or the other way round."""
        return bool(self.theirs) and (self.theirs == REFUSED) != self.outcome[0].isdigit()


def get(target: bytes = b"/", fields: bytes = b"", *, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return get(b"/p", fields, method=b"POST") + body


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


def line(first: bytes) -> bytes:
    return first + b"\r\n" + HOST + b"\r\n"


SMUGGLE = "Two servers could read the length differently (RFC 9112, 11.2)."
CODINGS = "The body can't be decoded; RFC 9112, 6.1 wants 501."
USERINFO = "RFC 9110, 4.2.4: it's there to deceive."
NO_PROXY = "A tunnel is a proxy's business (RFC 9110, 9.3.6)."
OTHER_PROTOCOL = "Only HTTP is spoken here."
ANY_METHOD = "Any method is taken, as RFC 9110, 9.1 leaves it to the app."
DASHES = "A token (RFC 9110, 5.6.2)."

GUNICORN: list[tuple[Any, ...]] = [
    ("a form with a length", post(b"Content-Type: application/json\r\nContent-Length: 7\r\n", b'{"a":1}'),
     "POST /p Content-Length=7 Content-Type=application/json body={\"a\":1}", TAKEN),
    ("the usual fields of a browser", get(b"/i.ico", b"User-Agent: Mozilla/5.0 (X11)\r\nAccept: a/b,*/*;q=0.8\r\n"),
     "GET /i.ico Accept=a/b,*/*;q=0.8 User-Agent=Mozilla/5.0 (X11)", TAKEN),
    ("an equals sign in Host", b"GET / HTTP/1.1\r\nHost: 0.0.0.0=80\r\n\r\n", "GET / Host=0.0.0.0=80", TAKEN),
    ("plus signs as a value", get(b"/", b"aaaaaa:+++++\r\n"), "GET / Aaaaaa=+++++", TAKEN),
    ("a fragment in the target", get(b"/forum/1?page=2#post-3"), "GET /forum/1?page=2", TAKEN),
    ("HTTP/1.0 without Host", b"GET /old HTTP/1.0\r\n\r\n", "GET /old", TAKEN),
    ("an oddly written field name", post(b"conTENT-Length: 5\r\n", b"HELLO"), "POST /p Content-Length=5 body=HELLO", TAKEN),
    ("a body of GET", get(b"/b", b"Content-Length: 3\r\n") + b"abc", "GET /b Content-Length=3 body=abc", TAKEN),
    ("Content-Length: 0", get(b"/b", b"Content-Length: 0\r\n"), "GET /b Content-Length=0", TAKEN),
    ("a body with HTTP/1.0", b"POST /o HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "POST /o Content-Length=2 body=hi", TAKEN),
    ("a body that looks like a request", post(b"Content-Length: 18\r\n", b"GET / HTTP/1.1\r\n\r\n"),
     "POST /p Content-Length=18 body=GET / HTTP/1.1\r\n\r\n", TAKEN),
    ("one chunk", chunks(b"b\r\nhello world\r\n0\r\n\r\n"), "POST /p Content-Length=11 body=hello world", TAKEN),
    ("a last chunk of three zeros", chunks(b"2\r\nab\r\n000\r\n\r\n"), "POST /p Content-Length=2 body=ab", TAKEN),
    ("leading zeros in a chunk size", chunks(b"0002\r\nab\r\n0\r\n\r\n"), "POST /p Content-Length=2 body=ab", TAKEN),
    ("a chunk size in capitals", chunks(b"A\r\n0123456789\r\n0\r\n\r\n"), "POST /p Content-Length=10 body=0123456789", TAKEN),
    ("a trailer", chunks(b"2\r\nab\r\n0\r\nVary: *\r\nContent-Type: a/b\r\n\r\n"), "POST /p Content-Length=2 body=ab", TAKEN),
    ("chunk extensions with spaces", chunks(b"2; some; a = b\r\nab\r\n0\r\n\r\n"), "POST /p Content-Length=2 body=ab", TAKEN),
    ("a quoted chunk extension", chunks(b'2;a="b c"\r\nab\r\n0\r\n\r\n'), "POST /p Content-Length=2 body=ab", TAKEN),
    ("quotes in the target", get(b'/"q"?a="b"'), 'GET /"q"?a="b"', TAKEN),
    ("a field that comes twice", get(b"/", b"If-Match: a\r\nIf-Match: b\r\n"), "GET / If-Match=a, b", TAKEN),
    ("two requests at once", get(b"/1") + get(b"/2"), "GET /1; GET /2", TAKEN),
    ("a request after chunks", chunks(b"2\r\nab\r\n0\r\n\r\n") + get(b"/2"), "POST /p Content-Length=2 body=ab; GET /2", TAKEN),
    ("several slashes first", get(b"///a//b"), "GET ///a//b", TAKEN, "Django gets one slash in front, as from Waitress."),
    ("white space around a value", get(b"/", b"Name: \t value \t \r\n"), "GET / Name=value", TAKEN),
    ("a tab around a value", get(b"/", b"Name:\tvalue\t\r\n"), "GET / Name=value", TAKEN),
    ("bytes over 127 in a value", get(b"/", b"Name: caf\xc3\xa9\r\n"), "GET / Name=caf\u00c3\u00a9", TAKEN),
    ("punctuation in a field name", get(b"/", b"X.Custom|Pipe: ok\r\n"), "GET / X.custom|pipe=ok", TAKEN),
    ("a method with a dash first", get(b"/", method=b"-BLARGH"), "-BLARGH /", TAKEN, DASHES),
    ("an address as the target", get(b"http://example.com/f?q=1"), "GET /f?q=1", TAKEN),
    ("an address with https", get(b"https://example.com/f"), "GET /f", TAKEN),
    ("an address with IPv6", get(b"http://[::1]:8080/f"), "GET /f Host=[::1]:8080", TAKEN),
    ("an address with a user's name", get(b"http://u:p@example.com/f"), "400", TAKEN, USERINFO),
    ("OPTIONS *", get(b"*", method=b"OPTIONS"), "OPTIONS *", TAKEN),
    ("CONNECT", get(b"example.com:443", method=b"CONNECT"), "501", TAKEN, NO_PROXY),
    ("Transfer-Encoding: gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), "501", TAKEN, CODINGS),
    ("gzip and chunked on two lines", post(b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
     "400", TAKEN, SMUGGLE),
    ("Transfer-Encoding: identity, chunked", post(b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n"), "501", TAKEN, CODINGS),
    ("an unfinished request line", b"GET /foo HTTP/1.1", "unfinished", OUR_OWN),
    ("no target", b"GET HTTP/1.1\r\n\r\n", "400", REFUSED),
    ("line feeds for spaces", b"GET\n/\nHTTP/1.1\r\n\r\n", "400", REFUSED),
    ("a colon in the method", get(method=b"bl:a"), "400", REFUSED),
    ("a colon after the method", get(method=b"GET:"), "400", REFUSED),
    ("a method in small letters", get(method=b"-bl"), "400", REFUSED),
    ("NUL in the method", get(method=b"GET\0"), "400", REFUSED),
    ("NUL and a word in the method", get(method=b"GET\0PROXY"), "400", REFUSED),
    ("a letter beyond ASCII in the method", get(method=b"GET\xdf"), "400", REFUSED),
    ("a letter beyond ASCII in a field name", get(b"/", b"Content-Length\xff: 3\r\n"), "400", REFUSED),
    ("another protocol", line(b"GET /foo FTP/1.1"), "400", REFUSED),
    ("a version without a dot", line(b"GET / HTTP/111"), "400", REFUSED),
    ("a version with many digits", line(b"GET / HTTP/1111111.1"), "400", REFUSED),
    ("HTTP/0.99", line(b"GET / HTTP/0.99"), "400", REFUSED),
    ("HTTP/2.0", line(b"GET / HTTP/2.0"), "505", REFUSED),
    ("NUL in a field name", get(b"/", b"ba\0z: bar\r\n"), "400", REFUSED),
    ("a request line of 9,000 bytes", get(b"/" + b"q" * 9000), "414", REFUSED),
    ("a request line of 5,000 bytes", get(b"/" + b"q" * 4980), "GET /" + "q" * 4980, REFUSED,
     "Heroku's router takes 8,192 bytes; gunicorn's default is 4,094."),
    ("a field of 8,200 bytes", get(b"/", b"Name: " + b"x" * 8194 + b"\r\n"), "431", REFUSED),
    ("101 header fields", get(b"/", b"a:b\r\n" * 100), "431", REFUSED),
    ("a length below zero", post(b"CONTENT-LENGTH: -1\r\n"), "400", REFUSED),
    ("a length of minus zero", post(b"Content-Length: -0\r\n"), "400", REFUSED),
    ("a length with a plus sign", post(b"Content-Length: +1\r\n", b"a"), "400", REFUSED),
    ("a length with an underscore", post(b"Content-Length: 0_1\r\n", b"a"), "400", REFUSED),
    ("a length of words", post(b"Content-Length: bla-bla\r\n"), "400", REFUSED),
    ("two numbers as a length", post(b"Content-Length: 3 1\r\n", b"abc"), "400", REFUSED),
    ("a list as a length", post(b"Content-Length: 5, 5\r\n", b"hello"), "400", REFUSED),
    ("two lengths", post(b"Content-Length: 3\r\nContent-Length: 2\r\n", b"abc"), "400", REFUSED),
    ("a space before the colon", post(b"Content-Length : 3\r\n", b"abc"), "400", REFUSED),
    ("an unknown scheme in the target", get(b"s://]ufd/:"), "400", REFUSED),
    ("X-Forwarded-Proto and X-Forwarded-Ssl that contradict", get(b"/", b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n"),
     "GET / X-Forwarded-Proto=https X-Forwarded-Ssl=off", REFUSED, "X-Forwarded-Ssl decides nothing here."),
    ("two values of Content-Type", get(b"/", b"Content-Type: a/b\r\nContent-Type: c/d\r\n"), "400", REFUSED),
    ("two values of Host", get(b"/", HOST), "400", REFUSED),
    ("Transfer_Encoding beside Transfer-Encoding", post(b"Transfer_Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
     "400", TAKEN, SMUGGLE),
    ("Content_Length", post(b"Content_Length: 3\r\n"), "400", TAKEN, SMUGGLE),
    ("an underscore in another name", get(b"/", b"X_Name: v\r\n"), "GET /", TAKEN),
    ("an underscore in a chunk size", chunks(b"1_0\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a length beside chunks", post(b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), "400", REFUSED),
    ("chunked twice on one line", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), "501", REFUSED),
    ("chunked twice among others", post(b"Transfer-Encoding: identity, chunked, identity, chunked\r\n"), "501", REFUSED),
    ("chunked on two lines", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "400", REFUSED),
    ("chunks with HTTP/1.0", b"POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", REFUSED),
    ("chunked before gzip", post(b"Transfer-Encoding: chunked, gzip\r\n"), "501", REFUSED),
    ("a space after a chunk size", chunks(b"5 \r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a space before a chunk size", chunks(b" 5\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a line feed in a chunk size", chunks(b"5\n;\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("an extension without a chunk size", chunks(b" ;foo=bar\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a blank line for a chunk size", chunks(b"\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a bare CR in a chunk extension", chunks(b"5;a=b\rc\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a sign before a chunk size", chunks(b"+5\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("a minus before a chunk size", chunks(b"-5\r\nhello\r\n0\r\n\r\n"), "400", REFUSED),
    ("chunks that don't end", chunks(b"2\r\nab\r\n0\r\n"), "unfinished", OUR_OWN),
    ("Content-Length in a trailer", chunks(b"0\r\nContent-Length: 9\r\n\r\n"), "400", REFUSED),
    ("Host in a trailer", chunks(b"0\r\nHost: evil.example\r\n\r\n"), "400", REFUSED),
    ("Transfer-Encoding in a trailer", chunks(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400", REFUSED),
    ("a line feed in a value", get(b"/", b"Newline: a\nContent-Length: 26\r\n"), "400", REFUSED),
    ("a folded value", get(b"/", b"Long: one\r\n two\r\n"), "400", REFUSED),
    ("BEL in a value", get(b"/", b"Name: a\x07b\r\n"), "400", REFUSED),
    ("DEL in a value", get(b"/", b"Name: a\x7fb\r\n"), "400", REFUSED),
    ("GET *", get(b"*"), "400", REFUSED),
    ("GET with a host and port alone", get(b"example.com:443"), "400", REFUSED),
    ("a path without a slash", get(b"foo/bar"), "400", REFUSED),
    ("the PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n" + get(), "400", REFUSED),
]  # fmt: skip
LLHTTP: list[tuple[Any, ...]] = [
    ("Connection as a list", get(b"/", b"Connection: a, close, b\r\n"), "GET / Connection=a, close, b", TAKEN),
    ("a bare CR in a value", get(b"/", b"Connection: keep\ralive\r\n"), "400", REFUSED),
    ("a space before Connection's colon", get(b"/", b"Connection : upgrade\r\n"), "400", REFUSED),
    ("a request for another protocol", get(b"/", b"Connection: upgrade\r\nUpgrade: ws\r\n"),
     "GET / Connection=upgrade Upgrade=ws", TAKEN, "Upgrade may be ignored (RFC 9110, 7.8)."),
    ("a length with leading zeros", post(b"Content-Length: 003\r\n", b"abc"), "POST /p Content-Length=003 body=abc", TAKEN),
    ("a length of 22 digits", post(b"Content-Length: 1" + b"0" * 21 + b"\r\n"), "400", REFUSED),
    ("an empty length", post(b"Content-Length:\r\n"), "400", REFUSED),
    ("a length with tabs around", post(b"Content-Length:\t2\t \r\n", b"ab"), "POST /p Content-Length=2 body=ab", TAKEN),
    ("CR for the dash of Content-Length", post(b"Content\rLength: 3\r\n", b"abc"), "400", REFUSED),
    ("a bare CR after the header", b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\rabc", "400", REFUSED),
    ("identity beside a length", post(b"Content-Length: 1\r\nTransfer-Encoding: identity\r\n", b"a"), "400", REFUSED),
    ("three empty codings beside a length", post(b"Content-Length: 9\r\n" + b"Transfer-Encoding:\r\n" * 3), "400", REFUSED),
    ("an unknown coding", post(b"Transfer-Encoding: pigeons\r\n"), "501", REFUSED),
    ("chunkedchunked", post(b"Transfer-Encoding: chunkedchunked\r\n", b"0\r\n\r\n"), "501", REFUSED),
    ("deflate, chunked", post(b"Transfer-Encoding: deflate, chunked\r\n", b"0\r\n\r\n"), "501", TAKEN, CODINGS),
    ("words after a chunk size", chunks(b"2 erfrf\r\naa\r\n0\r\n\r\n"), "400", REFUSED),
    ("a semicolon after a chunk size", chunks(b"2;\r\naa\r\n0\r\n\r\n"), "400", REFUSED),
    ("several chunk extensions", chunks(b"2;a;b=c;d=e\r\naa\r\n0\r\n\r\n"), "POST /p Content-Length=2 body=aa", TAKEN),
    ("escapes in a chunk extension", chunks(b'2;a="\\"b\\" \\\\";c\r\naa\r\n0\r\n\r\n'), "POST /p Content-Length=2 body=aa", TAKEN),
    ("an open quote in a chunk extension", chunks(b'2;a="b;c\r\naa\r\n0\r\n\r\n'), "400", REFUSED),
    ("no last chunk", chunks(b"3\r\nfoo\r\n\r\n"), "400", REFUSED),
    ("two CRs after a chunk size", chunks(b"5\r\r;ABCD\r\n"), "400", REFUSED),
    ("a chunk longer than it said", chunks(b"5\r\nABCDE0\r\n\r\n"), "400", REFUSED),
    ("the protocol ICE", line(b"GET /music ICE/1.0"), "400", REFUSED),
    ("SOURCE with ICE", line(b"SOURCE /music ICE/1.0"), "400", TAKEN, OTHER_PROTOCOL),
    ("OPTIONS with RTSP", line(b"OPTIONS /music RTSP/1.0"), "400", TAKEN, OTHER_PROTOCOL),
    ("a protocol that only begins like HTTP", line(b"GET /music IHTTP/1.0"), "400", REFUSED),
    ("ANNOUNCE, which is RTSP's", get(method=b"ANNOUNCE"), "ANNOUNCE /", REFUSED, ANY_METHOD),
    ("MKCOLA, which doesn't exist", get(method=b"MKCOLA"), "MKCOLA /", REFUSED, ANY_METHOD),
    ("M-SEARCH *", get(b"*", method=b"M-SEARCH"), "400", TAKEN, "RFC 9112, 3.2.4: only OPTIONS has it."),
    ("PRI *", b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", "400", REFUSED),
    ("PURGE", get(b"/f", method=b"PURGE"), "PURGE /f", TAKEN),
    ("QUERY with a body", get(b"/c", b"Content-Length: 2\r\n", method=b"QUERY") + b"ab", "QUERY /c Content-Length=2 body=ab", TAKEN),
    ("CR between fields", b"GET / HTTP/1.1\r\nFoo: 1\rBar: 2\r\n\r\n", "400", REFUSED),
    ("an LF between fields", post(b"x:x\nTransfer-Encoding: chunked\r\n"), "400", REFUSED),
    ("an LF after an empty value", post(b"x:\nTransfer-Encoding: chunked\r\n"), "400", REFUSED),
    ("an at sign in a field name", get(b"/", b"Fo@: x\r\n"), "400", REFUSED),
    ("a control character in a field name", get(b"/", b"Foo\x01: x\r\n"), "400", REFUSED),
    ("no field name", get(b"/", b": Bar\r\n"), "400", REFUSED),
    ("a field name on two lines", get(b"/", b"name\r\n : value\r\n"), "400", REFUSED),
    ("HTTP/5.6", line(b"GET / HTTP/5.6"), "505", REFUSED),
    ("a space before the first field", b"GET / HTTP/1.1\r\n Host: foo\r\n\r\n", "400", REFUSED),
    ("a space before a later field", get(b"/", b"Foo: bar\r\n Content-Length: 38\r\n"), "400", REFUSED),
    ("line feeds alone", b"GET / HTTP/1.1\nHost: x\n\n", "400", REFUSED),
    ("FF in a value", get(b"/", b"Name: a\x0cb\r\n"), "400", REFUSED),
    ("a blank line first", b"\r\n" + get(b"/t"), "GET /t", TAKEN),
    ("no version", b"GET /\r\n\r\n", "400", TAKEN, "HTTP/0.9 has no header, so no Host."),
    ("a byte of 255 in a value", get(b"/", b"Name: \xffv\r\n"), "GET / Name=\u00ffv", TAKEN),
    ("three requests with bodies", b"".join(post(b"Content-Length: 1\r\n", body) for body in (b"a", b"b", b"c")),
     "; ".join(f"POST /p Content-Length=1 body={body}" for body in "abc"), TAKEN),
    ("two question marks", get(b"/t?a=b?c"), "GET /t?a=b?c", TAKEN),
    ("a bar in the query", get(b"/t?q=|"), "GET /t?q=|", TAKEN),
    ("an address that ends with its query", get(b"http://toad.example?a=b"), "GET /?a=b Host=toad.example", TAKEN),
    ("an address that ends with its port", get(b"http://toad.example:12"), "GET / Host=toad.example:12", TAKEN),
    ("UTF-8 in the target", get(b"/\xce\xb4"), "400", REFUSED),
    ("a space in the target", get(b"/foo bar/"), "400", REFUSED),
    ("a scheme without slashes", get(b"schema:/path"), "400", REFUSED),
    ("a tab in the target", get(b"/foo\tbar"), "400", REFUSED),
    ("FF in the target", get(b"/foo\x0cbar"), "400", REFUSED),
    ("an encoded space", get(b"/a%20b?c=%20"), "GET /a b?c=%20", TAKEN),
    ("two at signs in an address", get(b"http://a:b@@host.example/"), "400", REFUSED),
    ("a password in an address", get(b"http://a%12:b@toad.example/"), "400", TAKEN, USERINFO),
    ("a zone in an IPv6 address", get(b"http://[fe80::a%25eth0]/"), "400", TAKEN, "It means nothing to another machine (RFC 6874)."),
]  # fmt: skip
OWN: list[tuple[Any, ...]] = [
    ("zeros that hold a quadratic pattern for seconds", b"GET a://" + b"0" * 5000 + b" x\r\n\r\n", "400"),
    ("a host of the target that contradicts Host", get(b"http://other.example/a"), "GET /a Host=other.example"),
    ("no Host, from this machine or a private network", b"GET /health HTTP/1.1\r\n\r\n", "GET /health"),
    ("no Host, from elsewhere", b"GET / HTTP/1.1\r\n\r\n", "400", "", "203.0.114.9"),
    ("no Host, passed on by a proxy", b"GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.114.9\r\n\r\n", "400", "", "10.1.2.3"),
    ("an empty Host, from elsewhere", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400", "", "203.0.114.9"),
    ("HTTP/1.0 without Host, from elsewhere", b"GET / HTTP/1.0\r\n\r\n", "GET /", "", "203.0.114.9"),
    ("a Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
    ("a Host with a user's name", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"),
    ("a Host with two ports", b"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "400"),
    ("an empty value", get(b"/", b"Name:\r\n"), "GET / Name="),
    ("an encoded slash and letter", get(b"/%41%2F"), "GET /A/"),
    ("a length of 5,000 digits", post(b"Content-Length: " + b"9" * 5000 + b"\r\n"), "400"),
    ("0x before a chunk size", chunks(b"0x5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("white space in a chunk extension", chunks(b"5 ; a = b\r\nhello\r\n0\r\n\r\n"), "POST /p Content-Length=5 body=hello"),
    ("two Cookie lines", get(b"/", b"Cookie: a=1\r\nCookie: b=2\r\n"), "GET / Cookie=a=1; b=2"),
    ("a control character before the path", get(b"\x01/admin"), "400"),
    ("an unknown scheme before the path", get(b"foo:/admin"), "400"),
    ("HTTP/1.2", line(b"GET / HTTP/1.2"), "505"),
    ("HTTP/0.9", b"GET /\r\n\r\n", "400"),
    ("two spaces in the request line", line(b"GET  / HTTP/1.1"), "400"),
    ("a space at the end of the request line", line(b"GET / HTTP/1.1 "), "400"),
    ("a trailer that isn't a header field", chunks(b"0\r\nGET /evil HTTP/1.1\r\n\r\n"), "400"),
    ("a line feed before the trailer", chunks(b"0\r\n\nGET /evil HTTP/1.1\r\n\r\n"), "400"),
    ("NUL in the trailer", chunks(b"0\r\na: \0\r\n\r\n"), "400"),
    ("an empty Transfer-Encoding", post(b"Transfer-Encoding:\r\n"), "400"),
    ("a length over the limit of bodies", post(b"Content-Length: 99999999999\r\n"), "413"),
]  # fmt: skip


def cases() -> Iterator[Case]:
    """Return all of them, with names that are theirs alone."""
    for suite, rows in (("gunicorn", GUNICORN), ("llhttp", LLHTTP)):
        for about, data, outcome, theirs, *why in rows:
            yield Case(suite, about, data, outcome, theirs, *why)
    for about, data, outcome, *rest in OWN:
        yield Case("our own", about, data, outcome, OUR_OWN, *rest)


CASES = tuple(cases())


def outcome(data: bytes, *, recv: int = 32 * 1024, peer: str = "127.0.0.1") -> str:
    """Say what becomes of `data`: what the app sees of each request, and the status that ends it."""
    return "; ".join(_view(request) for request in read(data, recv=recv, peer=peer))


def _view(request: Parser) -> str:
    if request.error:
        return str(request.error.code)
    if not request.completed:
        return "unfinished"
    view = f"{request.command} {request.path}" + (f"?{request.query}" if request.query else "")
    for name, value in sorted(request.headers.items()):
        if (name, value) != ("HOST", "example.com"):
            view += f" {'-'.join(part.capitalize() for part in name.split('_'))}={value}"
    body = request.get_body_stream().read()
    return view + (f" body={body.decode('latin-1')}" if body else "")


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "requests.md"
INTRODUCTION = """# Which requests reach the site

<!-- Made by test/support/request_cases.py. -->

What two servers on the way could read differently is refused: otherwise one client could slip in another client's
request ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112), 11.2). A refused request ends its connection.

| Limit | Value | Status |
| --- | --- | --- |
| request line | 8,192 bytes, as Heroku's router | 414 |
| one header field | 8,190 bytes with its end | 431 |
| header fields | 100 | 431 |
| whole header | 64 KB (`--max-request-header-size`) | 431 |
| size line of a chunk | 4,096 bytes | 400 |
| body | 1 GB (`--max-request-body-size`) | 413 |

A request without Host is taken from a private address or this machine, and without X-Forwarded-For: health checks send
such requests. Everybody else gets 400 (RFC 9112, 3.2). Several fields of one name are joined with a comma, those of
Cookie with a semicolon. Fields with an underscore in their name are left out. A trailer is checked and left out.

The cases below follow the request suites of [gunicorn](https://github.com/benoitc/gunicorn) and
[llhttp](https://github.com/nodejs/llhttp), with inputs of our own; the last column says what these do by default, and
why headwaiter differs.

## gunicorn's own inputs

gunicorn 27.0.1 and headwaiter, both with their defaults and an app that reads the body, got the inputs of gunicorn's
tests/requests/invalid (August 2026) over a connection that then ended:
`python test/support/gunicorn_suite.py FOLDER PYTHON`.

| Inputs | headwaiter refuses | gunicorn refuses |
| --- | --- | --- |
| 74 | 69 | 69 |

Only headwaiter refuses names that differ from Content-Length or Transfer-Encoding by an underscore alone (2). Only
gunicorn refuses a request line between 4,094 and 8,192 bytes, and an X-Forwarded-Ssl that contradicts
X-Forwarded-Proto (2). The other 3 are invalid with other settings of gunicorn.
"""


def document() -> str:
    """Return docs/requests.md."""
    text = INTRODUCTION
    for suite, title in (("gunicorn", "What gunicorn's tests look at"), ("llhttp", "What llhttp's tests look at"),
                         ("our own", "Findings of our own")):  # fmt: skip
        chosen = [case for case in CASES if case.suite == suite]
        refused = sum(case.outcome[0].isdigit() for case in chosen)
        text += f"\n## {title}\n\n{len(chosen)} cases, {refused} of them refused.\n\n"
        text += "| Request | What the app sees, or the status |" + (f" {suite} |" if suite != "our own" else "") + "\n"
        text += "| --- | --- |" + (" --- |" if suite != "our own" else "") + "\n"
        for case in chosen:
            theirs = f"{case.theirs}{'. ' + case.why if case.why else ''}"
            text += f"| {case.about} | {_cell(case.outcome)} |" + (f" {theirs} |" if suite != "our own" else "") + "\n"
    return text


def _cell(text: str) -> str:
    text = text if len(text) <= 60 else f"{text[:50]}..."
    text = text.replace("\r", "\\r").replace("\n", "\\n").replace("|", "\\|")
    return text if text.isdigit() or text == "unfinished" else f"`{text}`"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
