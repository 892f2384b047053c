"""Requests that nobody sends by accident: each costs its own connection at most, and no answer is taken for another."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from boot import Server
from worker import connect, read_all, read_answer, workers

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


def test_length_and_chunks_together_end_the_connection(server: Server) -> None:
    """The chunks count (RFC 9112, 6.3); what follows may be somebody's smuggled request."""
    client = ask(server, POST + CHUNKED + b"Content-Length: 3\r\n" + HELLO + NEXT)
    answers = read_all(client)
    assert answers.count(b"HTTP/1.1") == 1
    assert answers.endswith(b"hello")


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
