"""Hunts for what a readiness loop can lose: wake-ups, events of reused file descriptors, connections in odd states."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from typing import BinaryIO

import pytest
from worker import connect, read_all, read_answer, workers

pytestmark = pytest.mark.server

SWITCHES = "import sys; sys.setswitchinterval(1e-5)"  # the more often threads change places, the more races happen
# Without regular turns, a lost wake-up isn't healed within a second but lasts longer than a client's patience.
RARE_TICKS = """
from headwaiter.server.worker import Worker
tick = Worker.tick
Worker.tick = lambda worker: tick(worker) and 30.0
"""
PATIENCE = 15.0
CLIENTS = 24
SECONDS = 6.0  # for each mixture of clients


def ask(path: str, *, close: bool = False, body: bytes = b"") -> bytes:
    method = "POST" if body else "GET"
    lines = [f"{method} {path} HTTP/1.1", "Host: stress", f"Content-Length: {len(body)}"]
    lines += ["Connection: close"] if close else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def trickle(client: socket.socket, data: bytes, random_: random.Random) -> None:
    """Send `data` in pieces of random size with random pauses, as long as the server listens."""
    with contextlib.suppress(OSError):
        while data:
            size = random_.choice([1, 7, 100, 5000, len(data)])
            client.sendall(data[:size])
            data = data[size:]
            if random_.random() < 0.3:
                time.sleep(random_.random() * 0.003)


def pipeline(port: int, random_: random.Random) -> None:
    """Several requests at once; the answers come whole and in order."""
    bodies = [str(random_.random()).encode() * random_.choice([1, 10, 3000]) for _ in range(random_.randint(1, 5))]
    with connect(port, timeout=PATIENCE, receive_buffer=random_.choice([0, 4096])) as client:
        for _ in range(random_.randint(1, 3)):
            requests = b"".join(ask("/echo", body=body) for body in bodies)
            sender = threading.Thread(target=trickle, args=(client, requests, random_))
            sender.start()
            try:
                with client.makefile("rb") as stream:
                    for body in bodies:
                        received, closes = read_from(stream, random_)
                        assert received == body
                        if closes:
                            return
            finally:
                sender.join()


def read_from(stream: BinaryIO, random_: random.Random) -> tuple[bytes, bool]:
    """Read one answer; return its body and whether the server closes after it."""
    assert b" 200 " in stream.readline()
    size, closes = 0, False
    while (line := stream.readline().lower()).strip():
        closes = closes or line == b"connection: close\r\n"
        if line.startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    if random_.random() < 0.2:
        time.sleep(random_.random() * 0.01)
    return stream.read(size), closes


def keep_alive(port: int, random_: random.Random) -> None:
    """One request after the other, some with large answers into a small buffer."""
    with connect(port, timeout=PATIENCE, receive_buffer=random_.choice([0, 4096])) as client:
        for _ in range(random_.randint(1, 8)):
            size = random_.choice([0, 10, 70_000, 300_000])
            path = random_.choice(["/page", "/stream", "/file"])
            client.sendall(ask(f"{path}?{size}"))
            _, headers, body = read_answer(client)
            assert len(body) == size
            if headers.get("connection") == "close":  # so that another process may have a turn
                assert read_all(client) == b""
                return
            if random_.random() < 0.3:
                time.sleep(random_.random() * 0.005)


def close_each(port: int, random_: random.Random) -> None:
    """A connection for each request: file descriptors are reused all the time."""
    for _ in range(5):
        with connect(port, timeout=PATIENCE) as client:
            client.sendall(ask("/page?5000", close=True))
            assert read_all(client).endswith(b"\r\n\r\n" + b"p" * 5000)


def half_close(port: int, random_: random.Random) -> None:
    """A client that has nothing more to send still gets its answer."""
    with connect(port, timeout=PATIENCE) as client:
        client.sendall(ask(f"/sleep?{random_.choice([0, 3])}"))
        if random_.random() < 0.5:
            time.sleep(random_.random() * 0.002)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"slept")


def leave_early(port: int, random_: random.Random) -> None:
    """Leaves in the middle of sending, waiting or reading, sometimes with a reset."""
    with connect(port, timeout=PATIENCE, receive_buffer=4096) as client:
        request = ask(random_.choice(["/page?500000", "/sleep?3", "/stream?900000"]))
        client.sendall(request[: random_.randint(0, len(request))])
        if random_.random() < 0.5:
            time.sleep(random_.random() * 0.005)
        if random_.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


KINDS = [pipeline, keep_alive, close_each, half_close, leave_early]


@pytest.mark.parametrize("processes", [1, 2])
def test_no_request_is_ever_lost(processes: int) -> None:
    """A mixture of odd clients: each gets its answer, and none waits for the loop's next tick."""
    failures: list[str] = []
    finished = dict.fromkeys(KINDS, 0)

    def client(port: int, seed: int) -> None:
        random_ = random.Random(seed)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and not failures:
            kind = random_.choice(KINDS)
            try:
                kind(port, random_)
            except Exception as error:
                if kind is not leave_early:
                    failures.append(f"{kind.__name__} (seed {seed}): {error!r}")
            finished[kind] += 1

    before = SWITCHES if processes > 1 else f"{SWITCHES}\n{RARE_TICKS}"  # the gate needs its ticks
    with workers(threads=3, processes=processes, before=before) as server:
        threads = [threading.Thread(target=client, args=(server.port, seed)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert all(finished.values()), finished
        assert "Traceback" not in server.log
