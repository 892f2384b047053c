"""The command where nobody reads its output, or where it has none."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from boot import PATIENCE, boot, environment, eventually

APP = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/boom":
        raise RuntimeError("boom " * 200)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
COMMAND = [sys.executable, "-m", "headwaiter", "--access-log", "--processes=2", "--drain-seconds=3", "app:application"]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@contextlib.contextmanager
def running(command: list[str], app: Path, stdout: int | None) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start `command`, and wait until it answers on the port that is yielded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command[:-1], f"--listen=127.0.0.1:{port}", command[-1]],
        cwd=app,
        env=environment(),
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: answers(port), "an answer")
        yield process, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def answers(port: int, path: str = "/") -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == (500 if path == "/boom" else 200)
    except (ConnectionError, TimeoutError):
        return False
    finally:
        connection.close()


def test_a_full_pipe_stops_neither_requests_nor_the_drain(app: Path) -> None:
    """Lines that nobody reads are dropped; SIGTERM ends the command as ever."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # a few lines fill it
    with open(reader, "rb"), open(writer, "wb"), running(COMMAND, app, writer) as (process, port):
        for _ in range(100):
            assert answers(port)
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_full_standard_error_stops_neither(app: Path) -> None:
    """Tracebacks that nobody reads are dropped, too."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # less than a traceback fills it
    command = ["sh", "-c", 'exec "$@" 2>&1', "sh", *COMMAND]
    with open(reader, "rb"), open(writer, "wb"), running(command, app, writer) as (process, port):
        for _ in range(20):
            assert answers(port, "/boom")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_closed_output_is_no_reason_to_fail(app: Path) -> None:
    """Nor does a client's connection get its number, and the log lines."""
    with running(["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND], app, None) as (process, port):
        for _ in range(10):
            assert answers(port)
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_file_of_a_unix_socket_goes_at_the_end(app: Path) -> None:
    """After SIGTERM."""
    with boot(app, "--unix-socket=site.sock", "app:application") as server:
        assert (app / "site.sock").exists()
        assert server.stop() == 0
        assert not (app / "site.sock").exists()
