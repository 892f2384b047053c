"""While the site is imported: signals end the process at once, and the log says when it takes long.

A handler of Python's runs between two of its own instructions, never inside a call that waits in C, for example for a
database that doesn't answer; and a thread that watches would break the monkey patching of gevent and eventlet, which
has to come before the first thread. So the system's own default action ends the process: nobody has been served yet.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from collections.abc import Iterator
from types import FrameType

from headwaiter import log
from headwaiter.server.signals import HARMLESS, STOPS, ignore, set_handler

REPORT_SECONDS = 10.0  # between two lines about a slow import; Heroku waits 60 s for the port (R10)


def prepare() -> None:
    """Let STOPS end this process at once from here on, whatever it does, and HARMLESS do nothing."""
    ignore(HARMLESS)
    for number in STOPS:
        set_handler(number, signal.SIG_DFL)
    if os.getpid() == 1:
        _leave_as_process_one()


def _leave_as_process_one() -> None:
    """Have the C library's _exit() for a handler: the kernel has no default actions for process 1 of a container.

    It's called with the signal's number, which becomes the exit status.
    """
    with contextlib.suppress(ImportError):  # of _ctypes: a Python that was built without libffi
        import ctypes

        libc = ctypes.CDLL(None)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal.restype = ctypes.c_void_p
        for number in STOPS:
            libc.signal(number, ctypes.cast(libc._exit, ctypes.c_void_p))


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Log every REPORT_SECONDS which module is being imported. A site that uses SIGALRM itself goes without."""
    started = time.monotonic()

    def report(_number: int, frame: FrameType | None) -> None:
        seconds = round(time.monotonic() - started)
        message = f"Importing the site: {seconds} s so far, in {_module(frame)}."
        log.line("importing", seconds=seconds, msg=message)

    set_handler(signal.SIGALRM, report)
    signal.setitimer(signal.ITIMER_REAL, REPORT_SECONDS, REPORT_SECONDS)
    try:
        yield
    finally:
        if signal.getitimer(signal.ITIMER_REAL)[1] == REPORT_SECONDS:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if signal.getsignal(signal.SIGALRM) is report:
            ignore([signal.SIGALRM])


def has_open_sockets() -> bool:
    """Whether the import has left a connection open; a look at every object, to be sure, costs a tenth of a boot."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208  # names, not paths
    except OSError:
        return True
    return any(_is_socket(number) for number in numbers if number > 2)


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:  # listdir's own
        return False


def _module(frame: FrameType | None) -> str:
    """Return the module whose top level is being executed, and the line there."""
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return f"{frame.f_globals.get('__name__')} (line {frame.f_lineno})"
        frame = frame.f_back
    return "an unknown module"
