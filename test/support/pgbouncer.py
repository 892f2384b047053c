"""A real PgBouncer (Debian's package) in transaction mode, in front of a test's PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from postgres import PATIENCE, Postgres

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextlib.contextmanager
def pgbouncer(server: Postgres, **config: object) -> Iterator[int]:
    """The port of a PgBouncer that pools `server`'s databases; anybody gets in, as who they say they are."""
    assert PROGRAM
    with tempfile.TemporaryDirectory(prefix="pgb-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": f"{folder}/users",
            "pool_mode": "transaction",
            "default_pool_size": 2,
            "logfile": f"{folder}/log",
            **config,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        Path(folder, "pgbouncer.ini").write_text(
            "\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())]) + "\n"
        )
        Path(folder, "users").write_text('"pooled" "secret"\n')
        as_nobody = {}
        if os.getuid() == 0:
            for path in (folder, *(str(each) for each in Path(folder).iterdir())):
                shutil.chown(path, "nobody")
            as_nobody = {"user": "nobody"}
        process = subprocess.Popen(
            [PROGRAM, "-q", f"{folder}/pgbouncer.ini"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_nobody,  # type: ignore[call-overload]  # mypy can't see keyword arguments in a dict
        )
        try:
            _wait(port, process)
            yield port
        finally:
            process.kill()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        assert process.poll() is None, f"pgbouncer ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
