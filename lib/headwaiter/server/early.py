"""SIGTERM and SIGINT before the server runs: the process ends at once, whatever the site's import is doing.

Python runs a signal's handler between two of its own instructions, and never inside a call that waits in C, for
example for a database that doesn't answer. The byte that set_wakeup_fd() has written arrives all the same, and a
thread reads it. The thread is gone before the server forks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

STATUSES = {int(signal.SIGTERM): 0, int(signal.SIGINT): 128 + signal.SIGINT}  # nobody has been served yet


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """End the process on SIGTERM or SIGINT inside the block; the handlers stay until others replace them."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in STATUSES:
        signal.signal(number, _leave)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    loading = threading.Event()
    loading.set()
    _let_children_go(loading)
    watcher = threading.Thread(target=_watch, args=(reader,), name="headwaiter-signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        loading.clear()
        signal.set_wakeup_fd(-1)
        os.close(writer)
        watcher.join()
        os.close(reader)


def _let_children_go(loading: threading.Event) -> None:
    """See to it that a child which the site's import forks hears its own signals, and doesn't end us with them."""

    def hold() -> None:
        if loading.is_set():
            signal.pthread_sigmask(signal.SIG_BLOCK, STATUSES)

    def go_on() -> None:
        if loading.is_set():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUSES)

    def reset() -> None:
        if loading.is_set():
            loading.clear()
            signal.set_wakeup_fd(-1)
            for number in STATUSES:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUSES)

    os.register_at_fork(before=hold, after_in_parent=go_on, after_in_child=reset)


def _watch(reader: int) -> None:
    while numbers := os.read(reader, 64):
        for number in numbers:
            if number in STATUSES:
                _leave(number, None)


def _leave(number: int, _frame: object) -> NoReturn:
    os._exit(STATUSES[number])
