"""From the loaded site to running workers: bind, fork, and hand over to the keeper, which watches them."""

from __future__ import annotations

import gc
import marshal
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from headwaiter import log
from headwaiter.budget.arithmetic import Budget
from headwaiter.server import keeper, listen, worker
from headwaiter.settings import Settings

LEAVE_SECONDS = 3.0  # how long a drained worker's own threads may hold it up
ASK_SECONDS = 5.0  # between two requests for a successor: the first may have failed to load
READY_SECONDS = 1.0  # at most, until a forked worker serves; that takes milliseconds
FIRST_REQUEST_SECONDS = 0.05
Application = Callable[..., Any]


class Control:
    """A worker's end of the socket pair that it shares with the keeper."""

    def __init__(self, fd: int) -> None:
        self.socket = socket.socket(fileno=fd)
        self.told = threading.Event()
        self.asked = 0.0

    def say(self, word: bytes) -> None:
        """Tell the keeper; one that has gone is noticed by `watch`."""
        try:
            self.socket.send(word)
        except OSError:
            return

    def wait(self) -> bool:
        """Wait until the keeper lets this worker serve; False when the keeper has gone."""
        self.say(keeper.LOADED)
        return self._hear() == keeper.GO

    def watch(self) -> None:
        """Listen to the keeper from a thread of its own; drain when it has gone."""
        threading.Thread(target=self._watch, name="headwaiter-control", daemon=True).start()

    def _watch(self) -> None:
        while self._hear():
            self.told.set()
        log.line("warning", msg="The parent process has gone: draining.")
        os.kill(os.getpid(), signal.SIGTERM)

    def _hear(self) -> bytes:
        try:
            return self.socket.recv(1)
        except OSError:
            return b""

    def may_retire(self) -> bool:
        """Ask the keeper for a successor; True as soon as one is loaded and this worker may leave."""
        if not self.told.is_set() and time.monotonic() - self.asked >= ASK_SECONDS:
            self.asked = time.monotonic()
            self.say(keeper.RETIRE)
        return self.told.is_set()


class Listener(socket.socket):
    """A listening socket that tells when the server on it is ready, and IPv4 clients' addresses as IPv4."""

    on_listen: Callable[[], None] | None = None

    def listen(self, *backlog: int) -> None:
        """Listen, and pass the news on."""
        super().listen(*backlog)
        if self.on_listen:
            self.on_listen()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; on a dual-stack socket an IPv4 client would come as ::ffff:192.0.2.1."""
        connection, address = super().accept()
        if self.family == socket.AF_INET6 and address[0].startswith("::ffff:"):
            address = (address[0][len("::ffff:") :], address[1])
        return connection, address


def run(
    settings: Settings,
    application: Application,
    sockets: Sequence[socket.socket],
    budget: Budget,
    *,
    directory: str,
    started: float,
    announce: Callable[[], None],
) -> int:
    """Start the budget's workers, which serve `application` on the bound `sockets`, and become their keeper.

    Returns in a worker only, with its exit status. `directory` is where the command was given, `started` is
    time.monotonic() of then, and `announce` writes the boot line while the workers already start.
    """
    state: dict[str, Any] = {
        "boot": {**listen.describe(sockets[0]), "processes": budget.processes, "threads": budget.threads},
        "listeners": [one.detach() for one in sockets],
        "workers": [],
        "processes": budget.processes,
        "threads": budget.threads,
        "connections": [budget.dynos, budget.reserve, budget.limit or 0],
        "drain_seconds": settings.drain_seconds,
        "command": [sys.executable, *sys.orig_argv[1:]],
        "directory": directory,
        "started": started,
    }
    # Until the keeper has its handlers, signals wait: they'd kill it, or be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, keeper.STOPS)
    if settings.preload:
        _warn_about_threads()
        gc.freeze()  # the collector then leaves the shared pages alone
        for number in range(1, budget.processes + 1):
            control = _fork(number, state)
            if control is not None:
                return _work(control, number, state, settings, application)
    _leave_cpu_to_first_request(state)
    announce()
    return _become_keeper(state)


def _fork(number: int, state: dict[str, Any]) -> Control | None:
    """Fork worker `number`: return its control in the child, None in the parent, which notes it in `state`."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        state["workers"].append((number, pid, ours.detach()))
        return None
    # The parent's ends: as long as a sibling holds one, its worker wouldn't notice that the parent has gone.
    for _, _, fd in state["workers"]:
        os.close(fd)
    ours.close()
    return Control(theirs.detach())


class Place(NamedTuple):
    """What the keeper tells a worker that it starts, in keeper.WORKER_VARIABLE."""

    number: int
    control: int  # file descriptor
    processes: int
    threads: int
    dynos: int
    reserve: int
    limit: int  # 0: no limit is known
    listeners: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read what Keeper.start() wrote."""
        number, control, processes, threads, dynos, reserve, limit, *listeners = map(int, text.split(","))
        return cls(number, control, processes, threads, dynos, reserve, limit, tuple(listeners))

    def budget(self) -> Budget:
        """The budget of the first boot, as far as a worker needs it."""
        return Budget(self.processes, self.threads, self.dynos, limit=self.limit or None, reserve=self.reserve)


def join(place: Place) -> Control | None:
    """Tell the keeper that the site is loaded and wait until this worker may serve; None when the keeper has gone."""
    for fd in (place.control, *place.listeners):
        os.set_inheritable(fd, False)
    gc.freeze()
    control = Control(place.control)
    return control if control.wait() else None


def run_again(control: Control | None, place: Place, settings: Settings, application: Application) -> int:
    """Serve as the worker that the keeper started in `place`; return the exit status."""
    if control is None:
        return 0
    state = {"listeners": place.listeners, "processes": place.processes, "threads": place.threads}
    return _work(control, place.number, state, settings, application)


def _work(control: Control, number: int, state: dict[str, Any], settings: Settings, application: Application) -> int:
    log.context(worker=number)
    for stop in keeper.STOPS:
        signal.signal(stop, _leave_at_once)
    # SIGHUP says that the terminal has gone; the keeper hears it too and drains.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    gc.enable()
    control.watch()
    sockets = [Listener(fileno=fd) for fd in state["listeners"]]
    sockets[-1].on_listen = lambda: control.say(keeper.READY)
    status = worker.serve(
        application,
        sockets,
        settings,
        threads=state["threads"],
        processes=state["processes"],
        stop=worker.WorkerControl(may_retire=control.may_retire),
    )
    threading.Thread(target=_leave_soon, args=(status,), daemon=True).start()
    return status


def _leave_at_once(*_: object) -> NoReturn:
    """End before the server has its own handlers: nobody has been served yet."""
    os._exit(0)


def _leave_soon(status: int) -> None:
    """End the drained process although threads of the site, which Python waits for, are still running."""
    time.sleep(LEAVE_SECONDS)
    names = ", ".join(sorted(one.name for one in threading.enumerate() if not one.daemon and one.is_alive()))
    log.line("warning", msg=f"Drained, but these threads of the site are still running: {names}. Ending them.")
    os._exit(status)


def _warn_about_threads() -> None:
    others = sorted(one.name for one in threading.enumerate() if one is not threading.main_thread())
    if others:
        message = (
            "The site started threads while it was imported, and they don't run in the worker processes. "
            "Start them with the first request, or set HEADWAITER_PRELOAD=0."
        )
        log.line("warning", threads=",".join(others), msg=message)


def _leave_cpu_to_first_request(state: dict[str, Any]) -> None:
    """Wait until the first worker serves, or has died, and a moment more: what follows costs 15 ms of a lone CPU.

    Signals stay blocked that long. The keeper reads what the worker said.
    """
    for _, _, fd in state["workers"][:1]:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(READY_SECONDS * 1000)
        time.sleep(FIRST_REQUEST_SECONDS)


def _become_keeper(state: dict[str, Any]) -> int:
    """Replace this process, site and all, by the keeper; the children and the open sockets stay."""
    reader, writer = os.pipe()
    os.write(writer, marshal.dumps(state))
    os.close(writer)
    for fd in (reader, *state["listeners"], *(fd for _, _, fd in state["workers"])):
        os.set_inheritable(fd, True)
    package = str(Path(__file__).resolve().parent.parent.parent)
    code = f"import sys; sys.path.insert(0, {package!r}); from headwaiter.server import keeper; keeper.main()"
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # -S: without site-packages, whose .pth files import who knows what.
        os.execv(sys.executable, [sys.executable, "-S", "-c", code, str(reader)])  # noqa: S606  # no shell is wanted
    except OSError as error:
        log.line(
            "warning", msg=f"{sys.executable} can't be run ({error.strerror}): the parent keeps the site in memory."
        )
        return keeper.Keeper(state).run()
