"""A WSGI application without a framework: what is left is the server's own cost. Paths below; sizes in bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any
from urllib.parse import parse_qs

LOCK = Lock()
BLOCK = b"waitress" * 8192  # 64 KiB


def _blocks(size: int) -> Iterator[bytes]:
    while size > 0:
        yield BLOCK[:size]
        size -= len(BLOCK)


def _read_all(environ: dict[str, Any]) -> bytes:
    source, left = environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0)
    total = 0
    while left and (block := source.read(min(left, 65536))):
        total += len(block)
        left -= len(block)
    return b"%d\n" % total


@lru_cache
def _file_of(size: int) -> IO[bytes]:
    """A file of that size, without a name: gone with the process."""
    source = TemporaryFile()  # noqa: SIM115 - kept as long as the process lives
    source.writelines(_blocks(size))
    source.flush()
    return source


def _file(environ: dict[str, Any], size: int) -> Iterable[bytes]:
    with LOCK:
        number = _file_of(size).fileno()
    return wrapped(environ, open(f"/proc/self/fd/{number}", "rb"))  # the server closes it; a position of its own


def wrapped(environ: dict[str, Any], source: IO[Any]) -> Iterable[bytes]:
    """Return `source` in wsgi.file_wrapper where the server has one, else in an iterator, as Django's FileResponse."""
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(source, 65536) if wrapper else iter(lambda: source.read(65536), b"")  # type: ignore[no-any-return]


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """/ says hello; /sleep?ms= waits; /bytes, /stream, /file?size= answer that much; /upload counts the body."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    size = int(query.get("size", ["0"])[0])
    path = environ["PATH_INFO"]
    body: Iterable[bytes] = [b"Hello, world!\n"]
    if path == "/sleep":
        time.sleep(int(query["ms"][0]) / 1000)
    elif path == "/bytes":
        body = [b"".join(_blocks(size))]
    elif path == "/stream":
        body = _blocks(size)
    elif path == "/file":
        body = _file(environ, size)
    elif path == "/upload":
        body = [_read_all(environ)]
    headers = [("Content-Type", "text/plain")]
    if path == "/file":
        headers.append(("Content-Length", str(size)))
    elif isinstance(body, list):
        headers.append(("Content-Length", str(len(body[0]))))
    start_response("200 OK", headers)
    return body
