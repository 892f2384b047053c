"""A formation as Heroku runs it: several dynos of one app, a router in front, restarts while clients keep asking.

with Formation(command, env, directory, size=3) as formation:
    with Load(formation, "/query?seconds=0.01", clients=60) as load:
        formation.restart_all()
    assert load.failed == 0
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from postgres import Postgres

PATIENCE = 120.0
GRACE = 30.0  # seconds between SIGTERM and SIGKILL on Heroku


@dataclass
class Dyno:
    """One server process in a session of its own, with its output in a file."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log_path: Path

    def signal(self, number: int) -> None:
        """To every process, as Heroku does."""
        for pid in _session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


def _session(leader: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(ProcessLookupError):
            if name.isdigit() and os.getsid(int(name)) == leader:
                found.append(int(name))
    return found


class Formation:
    """`size` dynos web.1, web.2 ...; `command` makes the command line from a port."""

    def __init__(
        self, command: Callable[[int], list[str]], env: Mapping[str, str], directory: Path, size: int = 3
    ) -> None:
        self._command, self._env, self._directory, self._size = command, env, directory, size
        self.dynos: list[Dyno] = []
        self.all_dynos: list[Dyno] = []
        self._logs = tempfile.TemporaryDirectory(prefix="dynos-")

    def __enter__(self) -> Formation:
        try:
            started = [self.start(f"web.{number}") for number in range(1, self._size + 1)]
            for dyno in started:
                self.wait_ready(dyno)
                self.dynos.append(dyno)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for dyno in self.all_dynos:
            dyno.signal(signal.SIGKILL)
            dyno.process.wait()
        self._logs.cleanup()

    def start(self, name: str) -> Dyno:
        """Start a dyno; the router doesn't know it yet."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        path = Path(self._logs.name, f"{name}-{len(self.all_dynos)}.log")
        with path.open("wb") as output:
            process = subprocess.Popen(
                self._command(port), cwd=self._directory, env={**self._env, "DYNO": name, "PORT": str(port)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        dyno = Dyno(name, port, process, path)
        self.all_dynos.append(dyno)
        return dyno

    def wait_ready(self, dyno: Dyno) -> None:
        """Until its port takes connections: that is all that Heroku's router waits for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", dyno.port), 5):
                return
            assert dyno.process.poll() is None and time.monotonic() < deadline, dyno.log
            time.sleep(0.02)

    def restart(self, dyno: Dyno) -> int:
        """Heroku's restart: the new one starts as the old one gets SIGTERM and no more requests; its exit status."""
        self.dynos.remove(dyno)
        new = self.start(dyno.name)
        dyno.signal(signal.SIGTERM)
        self.wait_ready(new)
        self.dynos.append(new)
        try:
            return dyno.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            dyno.signal(signal.SIGKILL)
            return dyno.process.wait()

    def restart_all(self) -> list[int]:
        """A rolling restart: one after the other."""
        return [self.restart(dyno) for dyno in list(self.dynos)]

    def pick(self) -> int:
        """The port of a random dyno, as the router chooses."""
        return random.choice(self.dynos).port

    @property
    def log(self) -> str:
        return "".join(dyno.log for dyno in self.all_dynos)


@dataclass
class Load:
    """Clients that ask again as soon as they have an answer, from a thread of this process."""

    formation: Formation
    path: str
    clients: int
    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    _stop: bool = False

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop = True
        self._thread.join(PATIENCE)

    @property
    def answered(self) -> int:
        return self.statuses[200]

    @property
    def failed(self) -> int:
        """Requests that got something else than 200, or a broken connection (status 0)."""
        return sum(self.statuses.values()) - self.statuses[200]

    def wait_for(self, answers: int) -> None:
        """Until so many more requests have got an answer of any kind."""
        wanted = sum(self.statuses.values()) + answers
        deadline = time.monotonic() + PATIENCE
        while sum(self.statuses.values()) < wanted:
            assert time.monotonic() < deadline, f"{self.statuses} after {PATIENCE} s"
            time.sleep(0.02)

    async def _run(self) -> None:
        started = time.perf_counter()
        await asyncio.gather(*(self._client() for _ in range(self.clients)))
        self.elapsed = time.perf_counter() - started

    async def _client(self) -> None:
        while not self._stop:
            started = time.perf_counter()
            try:
                status = await asyncio.wait_for(self._ask(), 60)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                status = 0
            self.statuses[status] += 1
            self.seconds.append(time.perf_counter() - started)
            if status != 200:
                await asyncio.sleep(0.05)  # a client that fails at once must not outrun the others

    async def _ask(self) -> int:
        reader, writer = await asyncio.open_connection(sock=await self._send())
        try:
            answer = await reader.read()
            return int(answer[9:12])
        finally:
            writer.close()

    async def _send(self) -> socket.socket:
        """Send a request; a refused connect goes to another dyno: Heroku's router tries ten times.

        The request follows at once, though this thread has to wait for the CPU: a dyno that has got SIGTERM waits a
        second for it (QUIET_SECONDS of drain.py).
        """
        request = f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        for _ in range(10):
            with contextlib.suppress(ConnectionRefusedError):
                client = socket.create_connection(("127.0.0.1", self.formation.pick()), PATIENCE)
                client.sendall(request)
                client.setblocking(False)
                return client
            await asyncio.sleep(0.05)
        raise ConnectionRefusedError


class Connections:
    """Watches a role's connections as superuser, from a thread: the peak, and the refusals in the server's own log."""

    def __init__(self, server: Postgres, role: str, every_seconds: float = 0.02) -> None:
        self._server, self._role, self._every = server, role, every_seconds
        self._stop = threading.Event()
        self.samples: list[tuple[float, int]] = []
        self._log = server.directory / "log"

    def __enter__(self) -> Connections:
        self._from = self._log.stat().st_size
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def _watch(self) -> None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
        started = time.perf_counter()
        with self._server.admin() as connection:
            while not self._stop.wait(self._every):
                row = connection.execute(query, [self._role]).fetchone()
                self.samples.append((time.perf_counter() - started, row[0] if row else 0))

    @property
    def peak(self) -> int:
        return max((number for _, number in self.samples), default=0)

    @property
    def refused(self) -> int:
        """Connects that the server refused for want of a slot."""
        with self._log.open("rb") as stream:
            stream.seek(self._from)
            return stream.read().count(b"too many connections for role")
