"""Where a thread is now, also when it waits for an async view, for the log.

Django runs an async view in the event loop of another thread, and asgiref's AsyncToSync waits for it. The coroutine is
in a variable of that call: https://github.com/django/asgiref/blob/3.12.1/asgiref/sync.py. It's only looked at; neither
its loop nor its thread notices, and where a later asgiref has it elsewhere, the stack is the thread's alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from types import CoroutineType, FrameType
from typing import Any

CALLS = 25


def of_thread(ident: int | None) -> str:
    """Return the calls of the thread `ident`, innermost first: `views.py:12 report < ...`."""
    frames = _calls(sys._current_frames().get(ident or 0))
    return " < ".join(
        f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" for frame in islice(frames, CALLS)
    )


def _calls(frame: FrameType | None) -> Iterator[FrameType]:
    """The frame and its callers; what a caller waits for comes before it."""
    for each in _callers(frame):
        if each.f_code.co_name == "__call__" and each.f_globals.get("__name__") == "asgiref.sync":
            awaited = each.f_locals.get("awaitable")
            if isinstance(awaited, CoroutineType):
                yield from _calls_of(awaited)
        yield each


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _calls_of(coroutine: CoroutineType[Any, Any, Any]) -> list[FrameType]:
    """Where a coroutine is, innermost first: in a thread that runs it, or where it and those that it awaits rest."""
    if coroutine.cr_running:
        for frame in sys._current_frames().values():
            frames = list(_callers(frame))
            if coroutine.cr_frame in frames:
                return frames[: frames.index(coroutine.cr_frame) + 1]
    resting: list[FrameType] = []
    awaited: Any = coroutine
    while found := getattr(awaited, "cr_frame", None):
        resting.append(found)
        awaited = awaited.cr_await
    return resting[::-1]
