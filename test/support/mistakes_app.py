"""A WSGI application that makes each mistake an app can make. It notes how often its files are closed, and where."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

SIZE = 3_000_000  # more than a socket's buffers hold
PIECE = b"f" * 65536
closed: list[str] = []  # for each close(), the thread that called it
opened: list[int] = []  # a descriptor of each real file


class Storage:
    """A file of a storage backend: it can seek, and `read(number)` is called for each read."""

    def __init__(self, read: Callable[[int], Any], size: int = SIZE) -> None:
        self._read, self.size, self.position, self.reads = read, size, 0, 0

    def read(self, size: int) -> Any:
        self.reads += 1
        return self._read(self.reads)[:size]

    def seek(self, offset: int, whence: int = 0) -> None:
        self.position = offset if whence == 0 else self.size

    def tell(self) -> int:
        return self.position

    def close(self) -> None:
        closed.append(threading.current_thread().name)


class Wrapped(Storage):
    """A real file, wrapped as Django's File wraps it."""

    def __init__(self) -> None:
        super().__init__(lambda number: b"")
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
        self.file.truncate(SIZE)
        opened.append(os.dup(self.file.fileno()))
        self.read = self.file.read  # type: ignore[method-assign, assignment]  # as File has it

    def close(self) -> None:
        super().close()
        self.file.close()


class Unclosable(Wrapped):
    def close(self) -> None:
        super().close()
        raise ValueError("close failed")


def fail(after: int) -> Callable[[int], bytes]:
    def read(number: int) -> bytes:
        if number > after:
            raise ValueError("read failed")
        return PIECE

    return read


def slow(number: int) -> bytes:
    time.sleep(0.3)
    return PIECE


FILES: dict[str, Callable[[], Any]] = {
    "text": lambda: io.StringIO("text " * 100_000),
    "storage": lambda: Storage(lambda number: PIECE),
    "fails": lambda: Storage(fail(after=0)),
    "fails-later": lambda: Storage(fail(after=5)),
    "ends-early": lambda: Storage(lambda number: PIECE if number < 5 else b""),
    "slow": lambda: Storage(slow, size=4 * len(PIECE)),
    "real": Wrapped,
    "unclosable": Unclosable,
}


def text_body(start_response: Any, wrap: Any) -> Iterable[Any]:
    start_response("200 OK", [])
    return ["text"]


def text_later(start_response: Any, wrap: Any) -> Iterable[Any]:
    start_response("200 OK", [])
    return [b"bytes", "text"]


def replaced(start_response: Any, wrap: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    try:
        raise ValueError("on the way")
    except ValueError as error:
        start_response("503 Busy", [("Content-Type", "text/plain")], (ValueError, error, error.__traceback__))
    return [b"longer than", b" five bytes"]


def write_then_file(start_response: Any, wrap: Any) -> Iterable[bytes]:
    start_response("200 OK", [])(b"first, ")
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    file.write(b"second")
    file.seek(0)
    result: Iterable[bytes] = wrap(file)
    return result


def shrink(start_response: Any, wrap: Any) -> Iterable[bytes]:
    """Cut the real files, which are still being sent."""
    for fd in opened:
        os.truncate(fd, 1000)
    return answer(start_response, b"shrunk")


def closes(start_response: Any, wrap: Any) -> Iterable[bytes]:
    return answer(start_response, " ".join(closed).encode())


def answer(start_response: Any, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


VIEWS = {
    "text-body": text_body,
    "text-later": text_later,
    "replaced": replaced,
    "write-then-file": write_then_file,
    "shrink": shrink,
    "closes": closes,
}
# What start_response() is called with, and mustn't be.
STARTS: list[tuple[Any, list[tuple[Any, Any]]]] = [
    ("200 OK", [("X-Value", "a\nb")]),
    ("200 OK", [("X-Value", "a\rb")]),
    ("200 OK", [("X-Value", "a\0b")]),
    ("200 OK", [("X-Value", b"bytes")]),
    ("200 OK", [("X-Value", "\u2603")]),
    ("200 OK", [("", "no name")]),
    ("200 OK", [("X Name", "space")]),
    ("200 OK", [("X-Name ", "space")]),
    ("200 OK", [("X-Name:", "colon")]),
    ("200 OK", [("X\0Name", "NUL")]),
    ("200 OK", [("X\r\nName", "line break")]),
    ("200 OK", [("X-N\u00e4me", "not ASCII")]),
    ("200 OK", [("Connection", "keep-alive")]),
    ("200 OK", [("Content-Length", "+5")]),
    ("200 OK\r\nX-Name: split", []),
    ("200 O\0K", []),
    ("", []),
    (200, []),
    ("100 Continue", []),
    ("103 Early Hints", []),
]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    kind, _, name = environ["PATH_INFO"].strip("/").partition("/")
    wrap = environ["wsgi.file_wrapper"]
    if kind == "file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        result: Iterable[bytes] = wrap(FILES[name](), 4096)
        return result
    if kind == "start":
        start_response(*STARTS[int(name)])
        return [b"sent all the same"]
    view = VIEWS.get(name)
    return view(start_response, wrap) if view else answer(start_response, b"hello")
