"""Clients that take their time: trickled headers and uploads, slow reads, idle connections, connections never closed.

    with crowd(port, "upload", 1000) as clients:   # a process of its own; all of them hang on when the block starts
        ...                                        # the healthy client's turn
    clients.alive                                  # how many the server still had at the end

One process holds thousands of them with epoll and never sends or reads faster than `RATE` says. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import json
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

MB = 1024 * 1024
RATE = 200  # bytes/s that a trickling client sends, twice the default of headwaiter's --min-rate
READ_RATE = 4096  # bytes/s that a slow reader takes
RECEIVE_BUFFER = 16 * 1024  # bytes; small, so that the server's own buffers have to hold what isn't read
SENDS_PER_SECOND = 1000  # for the whole crowd, so that the clients don't use up the CPU themselves

GET = "GET {path} HTTP/1.1\r\nHost: localhost\r\n"
KINDS = {
    "headers": GET,  # a header line now and then, never the empty line
    "upload": "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n",
    "read": GET + "\r\n",  # the answer, READ_RATE bytes a second
    "idle": GET + "\r\n",  # one answer, then silence
    "connect": "",  # not even a byte
    "no-close": GET + "Connection: close\r\n\r\n",  # reads everything, then leaves its own side open
}


class Client:
    """One connection. `state`: connecting, waiting (for an answer), hanging (what it came for) or gone."""

    def __init__(self, port: int, kind: str, path: str) -> None:
        self.kind, self.state, self.received = kind, "connecting", 0
        self.head = KINDS[kind].format(path=path).encode()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if kind == "read":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.connect_ex(("127.0.0.1", port))

    def connected(self) -> None:
        self.state = "waiting" if self.kind in ("idle", "no-close") else "hanging"
        if self.head:
            self.socket.send(self.head)

    def readable(self) -> None:
        """An idle client reads its answer, a client that never closes reads to the end: both then hang."""
        data = self.socket.recv(65536)
        self.received += len(data)
        if self.kind == "no-close" or self.state == "waiting":
            self.state = "hanging"
        if not data and self.kind != "no-close":
            self.state = "gone"

    def nudge(self, seconds: float) -> None:
        """Its ration for the last `seconds`."""
        if self.kind == "headers":
            self.socket.send(b"X-Slow: %s\r\n" % (b"s" * min(int(RATE * seconds), 1000)))
        elif self.kind == "upload":
            self.socket.send(b"u" * int(RATE * seconds))
        else:
            self.received += len(self.socket.recv(int(READ_RATE * seconds)))


class Crowd:
    """`count` clients of one kind, in this process."""

    def __init__(self, port: int, kind: str, count: int, path: str = "/") -> None:
        self.port, self.kind, self.count, self.path = port, kind, count, path
        self.interval = max(1.0, count / SENDS_PER_SECOND)
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.due: list[tuple[float, int]] = []
        self.pending = 0  # not yet hanging
        self.gone = 0

    def add(self) -> None:
        client = Client(self.port, self.kind, self.path)
        self.clients[client.socket.fileno()] = client
        self.pending += 1
        self.epoll.register(client.socket, select.EPOLLOUT)

    def lose(self, client: Client) -> None:
        client.state = "gone"
        self.gone += 1
        self.epoll.unregister(client.socket)

    def on_event(self, client: Client) -> None:
        before = client.state
        if before == "connecting":
            client.connected()
            # A trickling client doesn't read; a reader reads when its ration is due.
            watched = select.EPOLLIN if self.kind in ("idle", "no-close") else 0
            self.epoll.modify(client.socket, watched)
            if self.kind in ("headers", "upload", "read"):
                number = client.socket.fileno()
                phase = self.interval * (number % 100) / 100  # or all of them would send at the same moment
                heapq.heappush(self.due, (time.monotonic() + phase, number))
        else:
            client.readable()
            if self.kind == "no-close" and client.state == "hanging":
                self.epoll.modify(client.socket, 0)
        if client.state == "hanging" and before != "hanging":
            self.pending -= 1

    def turn(self, timeout: float) -> None:
        """What is due, then what has happened, for at most `timeout` seconds."""
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, number = heapq.heappop(self.due)
            client = self.clients[number]
            if client.state == "gone":
                continue
            try:
                client.nudge(self.interval)
            except BlockingIOError:
                pass
            except OSError:
                self.lose(client)
            heapq.heappush(self.due, (now + self.interval, number))
        for number, flags in self.epoll.poll(timeout):
            client = self.clients[number]
            try:
                self.on_event(client)
            except BlockingIOError:
                pass
            except OSError:
                self.lose(client)
                continue
            if client.state == "gone" or flags & (select.EPOLLERR | select.EPOLLHUP):
                self.lose(client)

    def attach(self, deadline: float) -> None:
        """Connect them all, no more than 300 on their way at once; gives up at `deadline` (time.monotonic())."""
        while time.monotonic() < deadline and (len(self.clients) < self.count or self.pending > 0):
            while self.pending < 300 and len(self.clients) < self.count:
                self.add()
            self.turn(0.01)

    def report(self) -> str:
        alive = len(self.clients) - self.gone - self.pending
        return json.dumps({"attached": len(self.clients) - self.pending, "alive": alive})


@dataclass
class Attached:
    """What a crowd said: `attached` when it was ready, `alive` when it ended."""

    attached: int = 0
    alive: int = 0


@contextlib.contextmanager
def crowd(
    port: int, kind: str, count: int, path: str = "/", seconds: float = 30.0, cpus: set[int] | None = None
) -> Iterator[Attached]:
    """`count` slow clients in another process, for the length of a `with` block; attaching takes at most `seconds`."""
    command = [sys.executable, __file__, f"--port={port}", f"--kind={kind}", f"--count={count}", f"--path={path}"]
    process = subprocess.Popen(
        [*command, f"--seconds={seconds}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    if cpus:
        os.sched_setaffinity(process.pid, cpus)
    attached = Attached()
    try:
        attached.attached = json.loads(process.stdout.readline())["attached"]
        yield attached
        output, _ = process.communicate(timeout=30)
        attached.alive = json.loads(output)["alive"]
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--path", default="/")
    parser.add_argument("--seconds", type=float, default=30.0, help="to attach them all")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = Crowd(options.port, options.kind, options.count, options.path)
    clients.attach(time.monotonic() + options.seconds)
    print(clients.report(), flush=True)
    # Until the other side closes our standard input; an hour at most, should it never do so.
    until = time.monotonic() + 3600
    for _ in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count()):
        clients.turn(0.05)
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    print(clients.report(), flush=True)


if __name__ == "__main__":
    main()
