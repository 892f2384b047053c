"""What a client sends costs time in proportion to its length: no client can hold the loop, and with it the others.

64 KB may cost at most 3 times what 32 KB cost (4 times is quadratic), and 20 ms of CPU. One byte at a time they cost 64
thousand calls, so only their growth is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from headwaiter import log
from headwaiter.server import proxy_headers
from parsing import read
from waitress.proxy_headers import parse_proxy_headers

HALF = 32 * 1024 - 300  # with the rest of the request still below the limit of a header
START = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
TRUSTED = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"}

KINDS: dict[str, Callable[[int], bytes]] = {
    "method": lambda n: b"G" * n,
    "method, ended": lambda n: b"G" * n + b" / HTTP/1.1\r\n\r\n",
    "target": lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\n\r\n",
    "scheme and zeros": lambda n: b"GET a://" + b"0" * n + b" x\r\n\r\n",
    "host of the target": lambda n: b"GET http://" + b"a." * (n // 2) + b" HTTP/1.1\r\n\r\n",
    "percent signs": lambda n: b"GET /" + b"%41" * (n // 3) + b" HTTP/1.1\r\n\r\n",
    "slashes": lambda n: b"GET " + b"/" * n + b" HTTP/1.1\r\n\r\n",
    "version": lambda n: b"GET / HTTP/" + b"1" * n + b"\r\n\r\n",
    "blank lines": lambda n: b"\r\n" * (n // 2) + START + b"\r\n",
    "Host": lambda n: START[:-3] + b"a." * (n // 2) + b":\r\n\r\n",
    "spaces before a value": lambda n: START + b"A:" + b" " * n + b"x\r\n\r\n",
    "spaces in a value": lambda n: START + b"A: x" + b" " * n + b"\x01\r\n\r\n",
    "words in a value": lambda n: START + b"A: " + b"x " * (n // 2) + b"\x01\r\n\r\n",
    "folded value": lambda n: START + b"A: x\r\n" + b" " * n + b"\r\n\r\n",
    "many folds": lambda n: START + b"A: x" + b"\r\n  x" * (n // 5) + b"\r\n\r\n",
    "name without a colon": lambda n: START + b"a" * n + b"\r\n\r\n",
    "many fields": lambda n: START + b"a:b\r\n" * (n // 5) + b"\r\n",
    "one field, often": lambda n: START + (b"a:" + b"b" * (n // 99) + b"\r\n") * 98 + b"\r\n",
    "cookies": lambda n: START + (b"Cookie:" + b'a="\\"; ' * (n // 700) + b"\r\n") * 98 + b"\r\n",
    "Content-Length": lambda n: START + b"Content-Length: " + b"1" * n + b"\r\n\r\n",
    "Transfer-Encoding": lambda n: START + b"Transfer-Encoding: " + b"chunked," * (n // 8) + b"\r\n\r\n",
    "bare LFs": lambda n: START + b"a: b\n" * (n // 5),
    "chunks of a byte": lambda n: CHUNKED + b"1\r\na\r\n" * (n // 6) + b"0\r\n\r\n",
    "chunk size": lambda n: CHUNKED + b"0" * n + b"1\r\n",
    "chunk size, spaces": lambda n: CHUNKED + b"1" + b" " * n + b"x\r\n",
    "chunk extension": lambda n: CHUNKED + b"1;" + b"a" * n + b"\r\n",
    "short chunk extensions": lambda n: CHUNKED + (b"1" + b";a" * 2000 + b"\r\na\r\n") * (n // 4007),
    "quoted chunk extensions": lambda n: CHUNKED + (b"1" + b';a="\\"b"' * 450 + b"\r\na\r\n") * (n // 4000),
    "spaced chunk extensions": lambda n: CHUNKED + (b"1" + b" ; a = b" * 500 + b"\r\na\r\n") * (n // 4000),
    "trailer": lambda n: CHUNKED + b"0\r\n" + (b"a:" + b" " * (n // 99) + b"\r\n") * 98 + b"\r\n",
    "trailer, one line": lambda n: CHUNKED + b"0\r\na:" + b" " * n + b"x\r\n\r\n",
}


def cheapest(work: Callable[[], object], attempts: int) -> float:
    """Return the CPU seconds of the quickest of several attempts."""
    best = float("inf")
    for _ in range(attempts):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def check(work: Callable[[int], Callable[[], object]], *, attempts: int = 12, limit: float = 0.020) -> None:
    """Fail when 64 KB need more CPU than `limit` seconds, or than 3 times 32 KB. A millisecond more is noise."""
    for _ in range(8):  # while others use the CPU's caches, everything takes longer
        whole, half = cheapest(work(2 * HALF), attempts), cheapest(work(HALF), attempts)
        if whole < limit and whole <= 3 * half + 0.001:
            return
    pytest.fail(f"64 KB cost {whole * 1000:.1f} ms and 32 KB {half * 1000:.1f} ms")


@pytest.mark.parametrize("recv", [32 * 1024, 500])
@pytest.mark.parametrize("kind", KINDS)
def test_time_grows_with_the_length(kind: str, recv: int) -> None:
    """As the server receives it, and in small packets."""

    def work(size: int) -> Callable[[], object]:
        data = KINDS[kind](size)
        return lambda: read(data, recv=recv)

    check(work)


@pytest.mark.parametrize("kind", ["spaces before a value", "chunk size", "chunks of a byte", "trailer, one line"])
def test_a_trickle_costs_the_same_from_the_first_byte_to_the_last(kind: str) -> None:
    """What has come isn't searched again for each byte."""

    def work(size: int) -> Callable[[], object]:
        data = KINDS[kind](size)
        return lambda: read(data, recv=1)

    check(work, attempts=2, limit=2.0)


@pytest.mark.parametrize("value", ["1", ",", '"', '\\"', " ", "a, ", "[", "1.2.3.4, ", "\u00e9"])
def test_forwarding_headers(value: str) -> None:
    """In the thread of the request, but Python runs one thread at a time."""

    def work(size: int) -> Callable[[], object]:
        long = value * (size // len(value))
        names = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PORT")
        environ = {"wsgi.url_scheme": "http", **dict.fromkeys(names, long)}

        def run() -> None:
            copy = dict(environ)
            proxy_headers.normalise(copy, frozenset(TRUSTED), 1)
            parse_proxy_headers(copy, trusted_proxy_count=1, trusted_proxy_headers=TRUSTED)
            proxy_headers.seconds_since_start(long)

        return run

    check(work)


@pytest.mark.parametrize("value", ["a", '"', "\u00e9", "\x85"])
def test_log_lines(value: str) -> None:
    """The access log names the request's id and path."""

    def work(size: int) -> Callable[[], object]:
        return lambda: log.format_line("request", request_id=value * size)

    check(work)
