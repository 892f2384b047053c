"""The signals of the main process and its workers. A child that the site forks gets the usual ones back.

The functions are taken from their modules before the site is imported: gevent and eventlet replace some of them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

set_handler = signal.signal
set_wakeup_fd = signal.set_wakeup_fd
_read = os.read

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
HARMLESS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)  # by default each would end the process

_handled: set[int] = set()
_mask = threading.local()  # of the thread that is forking


def handle(numbers: Iterable[int], handler: Callable[..., object], *, wakeup_fd: int = -1) -> None:
    """Call `handler` with each of the signals `numbers`, and write a byte to `wakeup_fd` at once; main thread only.

    A handler of Python's runs between two of its instructions: the byte ends a poll() that was just beginning.
    """
    if wakeup_fd >= 0:
        set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)
    for number in numbers:
        _handled.add(number)
        set_handler(number, handler)


def ignore(numbers: Iterable[int]) -> None:
    """Let nothing happen at `numbers`. Programs that this process starts still get the default action."""
    for number in numbers:
        set_handler(number, _do_nothing)


def _do_nothing(*_: object) -> None:
    pass


def restore_in_children() -> None:
    """From now on, a forked child starts without our handlers: SIGTERM ends it, also when it comes at once."""
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_restore)


def _hold() -> None:
    _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _restore() -> None:
    if _handled:
        set_wakeup_fd(-1)
    for number in _handled:
        set_handler(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _handled.clear()
    _release()


class Arrivals:
    """The signals that have arrived and nobody has acted on. `wake` becomes readable when one comes."""

    def __init__(self) -> None:
        self.wake, self._wake_in = os.pipe()
        for fd in (self.wake, self._wake_in):
            os.set_blocking(fd, False)
        self._numbers: list[int] = []

    def collect(self) -> None:
        """Begin to collect; main thread only."""
        handle((*STOPS, signal.SIGCHLD), lambda number, _: self._numbers.append(number), wakeup_fd=self._wake_in)

    def take(self) -> list[int]:
        """Return what has arrived since the last call."""
        with suppress(BlockingIOError):
            _read(self.wake, 512)
        taken = self._numbers[:]
        del self._numbers[: len(taken)]
        return taken
