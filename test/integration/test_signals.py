"""Signals at any moment, exit handlers, children of views, monkey patching: what a site's processes are entitled to."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from boot import boot, eventually, starting

APP = """
import atexit, multiprocessing, os, signal, threading, time
def child():
    context = multiprocessing.get_context("fork")
    codes = []
    for _ in range(20):
        process = context.Process(target=time.sleep, args=(20,))
        process.start()
        process.terminate()
        process.join(10)
        codes.append(process.exitcode)
        process.kill()
    return codes
def flush():
    time.sleep(4)
    print("flushed", flush=True)
def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = str({"/child": child, "/flush": lambda: atexit.register(flush)}.get(path, os.getpid)()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
THREAD = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


MOMENTS = [number * 0.01 for number in range(50)]  # seconds after the import


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sigterm_at_any_moment_after_the_import_is_a_drain(app: Path) -> None:
    """Fifty boots, each stopped a little later: the main process alone, as in Docker, or everybody, as on Heroku."""
    (app / "app.py").write_text(APP + THREAD)
    with ThreadPoolExecutor(4) as pool:
        logs = list(pool.map(lambda moment: stopped_at(app, moment), MOMENTS))
    assert not [log for log in logs if "parent" in log or "Traceback" in log or "boot-failed" in log]
    assert [log for log in logs if "at=drained" in log]


def stopped_at(app: Path, moment: float) -> str:
    with starting(app, "--processes=2", "--threads=1", "app:application") as server:
        eventually(lambda: catches_sigterm(server.pid), "the end of the import")
        time.sleep(moment)
        assert server.stop(everybody=round(moment * 100) % 2 == 1) == 0, server.log
        return server.log


def catches_sigterm(pid: int) -> bool:
    caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert caught
    return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_quit_drains_and_other_signals_do_nothing(app: Path) -> None:
    """Profilers and mistyped commands send SIGUSR1 and the like; by default each ends a process."""
    with boot(app, "--processes=2", "app:application") as server:
        before = server.children()
        for pid in [server.pid, *before]:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
                os.kill(pid, number)
        assert server.get().status == 200
        assert server.children() == before
        assert server.stop(signal.SIGQUIT) == 0
        assert len(server.lines("at=drain reason=SIGQUIT") + server.lines(" reason=SIGQUIT ")) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_to_one_worker_replaces_it_and_nobody_is_refused(app: Path, processes: int) -> None:
    """The listening socket is everybody's: what one worker does to it, all would feel."""
    with boot(app, f"--processes={processes}", "app:application") as server:
        first = server.children()[0]
        os.kill(first, signal.SIGTERM)
        while "Retired in order" not in server.log:
            assert server.get(timeout=10).status == 200
        until = time.monotonic() + 1  # a refusal by the kernel would begin 0.2 s after the signal
        while time.monotonic() < until:
            assert server.get(timeout=10).status == 200
        eventually(lambda: len(server.children()) == processes)
        assert first not in server.children()
        assert server.stop() == 0


def test_exit_handlers_have_what_is_left_of_the_drain(app: Path) -> None:
    """An APM's last flush takes 5 seconds."""
    with boot(app, "--processes=1", "app:application") as server:
        server.get("/flush")
        assert server.stop() == 0
        assert server.lines("flushed")
        assert "Ending them" not in server.log


def test_exit_handlers_that_take_longer_are_named_and_cut(app: Path) -> None:
    """And no thread is blamed."""
    with boot(app, "--processes=1", "--drain-seconds=2", "app:application") as server:
        server.get("/flush")
        assert server.stop() == 0
        assert "exit handlers of the site (atexit) are still running" in server.log
        assert not server.lines("flushed")


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_a_child_of_a_view_ends_at_sigterm(app: Path, preload: str) -> None:
    """Also when that comes at once, before the child has run a single line."""
    with boot(app, "--processes=1", preload, "app:application") as server:
        assert server.get("/child").text == str([-signal.SIGTERM] * 20)


PATCHING = """
import os, select, threading
assert threading.enumerate() == [threading.main_thread()]
assert len(os.listdir("/proc/self/task")) == 1
for name in ("epoll", "poll"):
    delattr(select, name)
real = os.read
def read(fd, size):
    try:
        return real(fd, size)
    except BlockingIOError:
        raise SystemExit("would wait for ever")
os.read = read
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_a_site_that_patches_like_eventlet_boots_and_serves(app: Path, preload: str) -> None:
    """No thread runs before its import, no poll() is left, and reading what isn't there waits."""
    (app / "app.py").write_text(PATCHING + APP)
    with boot(app, "--processes=2", preload, "app:application") as server:
        os.kill(int(server.get().text), signal.SIGKILL)
        server.wait_for("at=worker-exit")
        assert {server.get().status for _ in range(10)} == {200}
        assert server.stop() == 0
        assert server.lines("at=drained")
