"""Boot a real headwaiter in a test, talk to it, signal it, read its log.

with boot(directory, "site:application", "--processes=2") as server:
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert "at=drained" in server.log
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

LIB = Path(__file__).parents[2] / "lib"
PATIENCE = 60.0  # seconds until a test gives up; nothing waits so long unless it is broken


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Server:
    """A running headwaiter, with all that it and its workers have printed so far in `log`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = 0
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self, text: str) -> list[str]:
        """Return the log's lines that hold `text`."""
        return [line for line in list(self._lines) if text in line]

    def wait_for(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """Wait until the log has `count` matches of the regular expression, and return them."""

        def enough() -> bool:
            return len(list(re.finditer(pattern, self.log))) >= count or not self._reader.is_alive()

        with self._news:
            self._news.wait_for(enough, PATIENCE)
        found = list(re.finditer(pattern, self.log))
        assert len(found) >= count, f"{pattern!r} came {len(found)} times instead of {count} in:\n{self.log}"
        return found

    def get(self, path: str = "/", headers: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> Answer:
        """Ask on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
        finally:
            connection.close()

    def children(self) -> list[int]:
        """Return the process ids of the workers, the oldest first."""
        return children(self.pid)

    def cpu_seconds(self) -> float:
        """Return what the process has used so far, in all its threads (/proc/PID/stat, fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int = SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if not self._reader.is_alive() and self.process.stdout:
            self.process.stdout.close()
        return status

    def stop(self, number: int = SIGTERM, *, everybody: bool = False) -> int:
        """Send the signal, to the workers too with `everybody` as Heroku does; return the exit status."""
        if everybody:
            os.killpg(self.pid, number)
        else:
            self.signal(number)
        return self.wait()


def children(pid: int) -> list[int]:
    """Return the process ids of `pid`'s children."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def eventually(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came true"
        time.sleep(0.02)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a clean environment: nothing of the caller's, which may run on a dyno or in CI itself."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(LIB), "PYTHONUNBUFFERED": "1", **(extra or {})}


def start(
    directory: Path | str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
    port: int = 0,
    wrapper: tuple[str, ...] = (),
) -> Server:
    """Start `python -m headwaiter` in `directory` and return at once; `wrapper` goes in front of the command."""
    places = ("--listen", "--unix-socket", "--port", "--host")
    place = [] if any(word.startswith(places) for word in arguments) else [f"--listen=127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*wrapper, python, "-m", "headwaiter", *place, *arguments],
        cwd=directory,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    return Server(process)


@contextlib.contextmanager
def boot(
    directory: Path | str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
    wrapper: tuple[str, ...] = (),
) -> Iterator[Server]:
    """Start headwaiter and wait until it is ready; leave no process behind, however the test ends."""
    with starting(directory, *arguments, env=env, python=python, wrapper=wrapper) as server:
        ready = server.wait_for(r"at=ready .*?(?:port=(\d+)|unix=)")[0]
        server.port = int(ready[1] or 0)
        yield server


@contextlib.contextmanager
def starting(
    directory: Path | str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
    wrapper: tuple[str, ...] = (),
) -> Iterator[Server]:
    """Start headwaiter and go on at once; leave no process behind, however the test ends."""
    server = start(directory, *arguments, env=env, python=python, wrapper=wrapper)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def run(
    directory: Path | str, *arguments: str, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run headwaiter to its end, both streams apart."""
    return subprocess.run(
        [python, "-m", "headwaiter", *arguments],
        cwd=directory,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
