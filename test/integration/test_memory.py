"""What slow clients can make a worker hold: little memory, and never more disk than there is."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from boot import eventually
from slow_clients import crowd
from worker import connect, read_answer, workers

pytestmark = pytest.mark.server

GET = b"GET %s HTTP/1.1\r\nHost: memory\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nHost: memory\r\nContent-Length: %d\r\n\r\n"


def test_a_thousand_uploads_and_a_thousand_readers_stay_below_150_mb() -> None:
    """Each reader is owed 2 MB, each upload has sent 40 KB that the app can't have yet."""
    with (
        workers() as server,
        crowd(server.port, "read", 1000, "/page?2000000") as readers,
        crowd(server.port, "upload", 500, "/upload") as uploads,
    ):
        heavy = [connect(server.port) for _ in range(500)]
        for client in heavy:
            client.sendall(POST % 1_000_000 + b"u" * 40_000)
        for _ in range(20):
            assert server.get("/").status == 200
        assert psutil.Process(server.pid).memory_info().rss < 150e6
    assert (readers.alive, uploads.alive) == (1000, 500)


def test_buffers_and_files_are_given_back() -> None:
    """When the clients have gone, nothing of them stays: no memory accounted for, no file open."""
    note = """
import headwaiter.server.worker as s
real, peak = s.Worker.tick, 0
def tick(worker):
    global peak
    shared = worker.connections
    peak = max(peak, shared.memory.used)
    if peak > 1_000_000 and shared.memory.used == 0 and not shared.count():
        print("all given back", flush=True)
    return real(worker)
s.Worker.tick = tick
"""
    with workers(before=note) as server:
        assert server.get("/").status == 200
        before = psutil.Process(server.pid).num_fds()
        with crowd(server.port, "read", 20, "/page?9000000"), crowd(server.port, "upload", 20, "/upload"):
            # some have a file, too
            eventually(lambda: psutil.Process(server.pid).num_fds() > before + 40, "the files")
        server.wait_for("all given back")
        assert server.get("/").status == 200
        assert psutil.Process(server.pid).num_fds() <= before + 1  # the connection just answered


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 MB, of which our reserve leaves 44 MB."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("mount isn't allowed here: run the tests outside this container")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def fill(disk: Path, leave: int) -> None:
    """Leave that many bytes free."""
    status = os.statvfs(disk)
    with (disk / "full").open("wb") as full:
        os.posix_fallocate(full.fileno(), 0, status.f_bavail * status.f_frsize - leave)


@pytest.mark.root
def test_a_full_disk_refuses_the_upload_and_nobody_else(tiny_disk: Path) -> None:
    """507 for what doesn't fit; the worker lives, small uploads too, and space that comes back is used."""
    with workers(env={"TMPDIR": str(tiny_disk)}) as server:
        fill(tiny_disk, leave=100_000)
        client = connect(server.port)
        with contextlib.suppress(OSError):
            client.sendall(POST % 5_000_000 + b"u" * 5_000_000)
        assert read_answer(client)[0] == 507
        client = connect(server.port)
        client.sendall(POST % 5000 + b"u" * 5000)
        assert read_answer(client)[2] == b"5000"
        (tiny_disk / "full").unlink()
        client = connect(server.port)
        client.sendall(POST % 5_000_000 + b"u" * 5_000_000)
        assert read_answer(client)[2] == b"5000000"
        assert "Traceback" not in server.log


@pytest.mark.root
def test_a_full_disk_slows_a_download_but_cuts_nothing(tiny_disk: Path) -> None:
    """The thread waits for its reader, as it does in plain Waitress; every byte arrives."""
    with workers(env={"TMPDIR": str(tiny_disk)}) as server:
        fill(tiny_disk, leave=100_000)
        client = connect(server.port, receive_buffer=4096)
        client.sendall(GET % b"/stream?20000000")
        assert server.get("/").status == 200
        assert read_answer(client)[2] == b"s" * 20_000_000
        assert not re.search("Traceback|No space", server.log)


def test_without_any_temporary_directory_the_upload_gets_507() -> None:
    """On a full disk tempfile finds none usable and says so with ENOENT, when it's asked for the first time."""
    nowhere = """
import headwaiter.server.buffers
def nowhere(): raise FileNotFoundError(2, "No usable temporary directory found")
headwaiter.server.buffers.temporary_file = nowhere
"""
    with workers(before=nowhere) as server:
        client = connect(server.port)
        with contextlib.suppress(OSError):
            client.sendall(POST % 900_000 + b"u" * 900_000)
        assert read_answer(client)[0] == 507
        assert server.get("/").status == 200
        assert "Traceback" not in server.log
