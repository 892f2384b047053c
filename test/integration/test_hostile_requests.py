"""Requests that nobody sends by accident: each costs its own connection at most, and no answer is taken for another."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from boot import Server
from worker import connect, read_all, read_answer, workers

pytestmark = pytest.mark.server

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"\r\n5\r\nhello\r\n0\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with workers(threads=2) as server:
        yield server


def ask(server: Server, data: bytes) -> socket.socket:
    client = connect(server.port)
    client.sendall(data)
    return client


@pytest.mark.parametrize(
    "data",
    [
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET /\0\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        POST + CHUNKED + b"\r\n" + b"1" * 100_000,
        POST + CHUNKED + b"\r\n0\r\n" + b"x" * 100_000,
        POST + b"Host: y\r\n\r\n",
        POST + b"Content-Type: text/plain\r\ncontent-type: text/html\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        POST + CHUNKED + CHUNKED + HELLO,
        POST + CHUNKED + b"Content-Length: 3\r\n" + HELLO + NEXT,
        b"POST /echo HTTP/1.0\r\n" + CHUNKED + b"Connection: keep-alive\r\n" + HELLO,
        POST + b"Expect: 100-continue\r\nHost: y\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_what_cannot_be_read_gets_400_and_nobody_else_notices(server: Server, data: bytes) -> None:
    """Unreadable addresses and numbers, endless chunk sizes, headers that two servers could read differently."""
    status, headers, _ = read_answer(ask(server, data))
    assert (status, headers["connection"]) == (400, "close")
    assert server.get("/").text == "hello"
    assert "Unexpected exception" not in server.log


def test_line_feeds_alone_are_refused_at_once(server: Server) -> None:
    """Not after a wait for a header's end that never comes."""
    assert read_answer(ask(server, NEXT.replace(b"\r", b"")))[0] == 400
    client = ask(server, POST + CHUNKED + b"\r\n5\nhello")
    assert read_answer(client)[0] == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"GET /" + b"a" * 9000, 414), (NEXT[:-2] + b"A: b\r\n" * 101 + b"\r\n", 431), (b"PRI * HTTP/2.0\r\n\r\n", 505)],
)
def test_limits_have_their_own_status(server: Server, data: bytes, status: int) -> None:
    """A request line over 8 KB gets it without its end."""
    assert read_answer(ask(server, data))[0] == status


@pytest.mark.parametrize(
    "attack",
    [b"GET a://" + b"0" * 60_000 + b" x\r\n\r\n", NEXT[:-2] + b"A:" + b" " * 60_000 + b"x\r\n\r\n"],
)
def test_nobody_waits_for_a_long_line(server: Server, attack: bytes) -> None:
    """Waitress's own patterns need 30 s and more for these, and nobody else is served meanwhile."""
    client = ask(server, attack)
    started = time.monotonic()
    assert server.get("/").text == "hello"
    assert time.monotonic() - started < 5
    client.close()


@pytest.mark.parametrize("path", [b"/page?50", b"/file?50", b"/stream?200000", b"/endless", b"/boom"])
def test_head_has_no_body(server: Server, path: bytes) -> None:
    """Django leaves it to the server to drop it; a body would be taken for the next answer on the connection."""
    client = ask(server, b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, rest = read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert rest == b""


@pytest.mark.parametrize(
    "first",
    [b"GET /status?204", b"GET /status?304", b"GET /status?304&file", b"HEAD /page?50", b"HEAD /file?50"],
)
def test_answers_without_a_body_keep_the_connection(server: Server, first: bytes) -> None:
    """RFC 9112, 6.3: they end with their header, whatever the app returned."""
    client = ask(server, first + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    with client.makefile("rb") as stream:
        header = b""
        while (line := stream.readline()).strip():
            header += line
        assert b"Connection" not in header
        client.sendall(NEXT)
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"


def test_the_client_may_ask_for_the_end_among_other_options(server: Server) -> None:
    """Connection is a list."""
    assert read_all(ask(server, NEXT[:-2] + b"Connection: TE, Close\r\n\r\n")).endswith(b"hello")


def test_expect_without_a_body_is_answered(server: Server) -> None:
    """Plain Waitress says 100 and waits for ever."""
    assert read_answer(ask(server, NEXT[:-2] + b"Expect: 100-continue\r\n\r\n"))[2] == b"hello"


def test_an_upload_that_is_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    """Its client asks first; plain Waitress says 100."""
    data = POST + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"
    assert read_answer(ask(server, data))[0] == 413
