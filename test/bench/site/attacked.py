"""The trivial application, with views that go wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from typing import Any

import trivial


class FailingFile(BytesIO):
    """A storage that goes away in the middle."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise ValueError("the storage is gone")
        return super().read(size)


class SlowFile(BytesIO):
    """A storage that is far away."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if data:
            time.sleep(0.3)
        return data


@lru_cache
def stop_reading_the_log() -> None:
    """Make standard output and standard error a full pipe that nobody reads."""
    _, pipe = os.pipe()
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, trivial.BLOCK)
    os.set_blocking(pipe, True)
    for output in (1, 2):
        os.dup2(pipe, output)


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """/failing-file, /text-file and /slow-file answer with one; /full-log; the rest is the trivial application's."""
    files: dict[str, Callable[[], Any]] = {
        "/failing-file": lambda: FailingFile(2 * trivial.BLOCK),
        "/text-file": lambda: open(__file__),  # noqa: SIM115 - the server closes it
        "/slow-file": lambda: SlowFile(trivial.BLOCK),
    }
    path = environ["PATH_INFO"]
    if path in files:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return trivial.wrapped(environ, files[path]())
    if path == "/full-log":
        stop_reading_the_log()
    return trivial.application(environ, start_response)
