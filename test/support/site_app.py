"""The WSGI application of the worker tests: each path does one thing, the query is its number."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterable
from typing import Any

gate = threading.Event()  # /wait waits for it, /open opens it
served: dict[str, int] = {}
leaked: list[bytes] = []


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    number = int(query) if query.isdigit() else 0
    served[path] = served.get(path, 0) + 1
    view = VIEWS.get(path)
    if view is None:
        return answer(start_response, b"hello")
    result: Iterable[bytes] = view(environ, start_response, number)
    return result


def answer(start_response: Any, body: bytes, status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def sleep(environ: Any, start_response: Any, milliseconds: int) -> Iterable[bytes]:
    time.sleep(milliseconds / 1000)
    return answer(start_response, b"slept")


def wait(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    gate.wait(60)
    return answer(start_response, b"waited")


def open_gate(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    gate.set()
    return answer(start_response, b"open")


def page(environ: Any, start_response: Any, size: int) -> Iterable[bytes]:
    return answer(start_response, b"p" * size)


def stream(environ: Any, start_response: Any, size: int) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    return (b"s" * min(65536, size - start) for start in range(0, size, 65536))


def endless(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    while True:
        yield b"tick\n"
        time.sleep(0.02)


def file(environ: Any, start_response: Any, size: int) -> Iterable[bytes]:
    content = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    content.truncate(size)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    result: Iterable[bytes] = environ["wsgi.file_wrapper"](content)
    return result


def status(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    code, _, kind = environ["QUERY_STRING"].partition("&")
    start_response(f"{code} As Asked", [])
    if kind != "file":
        return [b"more than there should be"]
    content = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    content.truncate(100)
    result: Iterable[bytes] = environ["wsgi.file_wrapper"](content)
    return result


def upload(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    return answer(start_response, str(size).encode())


def echo(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    return answer(start_response, environ["wsgi.input"].read())


def pid(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    return answer(start_response, str(os.getpid()).encode())


def busy(environ: Any, start_response: Any, milliseconds: int) -> Iterable[bytes]:
    time.sleep(milliseconds / 1000)
    return pid(environ, start_response, 0)


def count(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    """How often the path in X-Count was served."""
    return answer(start_response, str(served.get(environ["HTTP_X_COUNT"], 0)).encode())


def grow(environ: Any, start_response: Any, size: int) -> Iterable[bytes]:
    """A leak of that many bytes."""
    leaked.append(b"l" * size)
    return answer(start_response, b"grown")


def told(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    """What the environment says of the client."""
    names = ["wsgi.url_scheme", "REMOTE_ADDR", "SERVER_PORT", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"]
    return answer(start_response, "\n".join(f"{name}={environ.get(name)}" for name in names).encode())


def boom(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    raise RuntimeError("boom")


def leave(environ: Any, start_response: Any, number: int) -> Iterable[bytes]:
    raise SystemExit(3)


VIEWS: dict[str, Any] = {
    "/sleep": sleep,
    "/wait": wait,
    "/open": open_gate,
    "/page": page,
    "/stream": stream,
    "/endless": endless,
    "/file": file,
    "/upload": upload,
    "/status": status,
    "/echo": echo,
    "/pid": pid,
    "/busy": busy,
    "/count": count,
    "/grow": grow,
    "/told": told,
    "/boom": boom,
    "/leave": leave,
}
