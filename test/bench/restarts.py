"""Restarts under constant load: how many requests fail while one server is replaced by the next, again and again.

Eight clients ask without a pause for a page that takes 50 ms, by the rules of Heroku's router (Dev Center: http-
routing, error-codes): four keep their connections, four make a new one each time; a refused connection is tried again
(H21), a connection that is closed without an answer is a failed request (H13). The new server is up before the old
one gets SIGTERM; the router hears of it 50 ms later.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import common
import servers

CLIENTS = 8
REQUEST = b"GET /sleep?ms=50 HTTP/1.1\r\nHost: localhost\r\n\r\n"
TRIES = 50  # of 20 ms each, for a refused connection
ALL_FIFTY = ("headwaiter", "waitress-serve", "gunicorn gthread (Heroku)")  # 20 restarts for the others
ROUTER_LAG = 0.05  # seconds in which requests still go to a server that is stopping


@dataclass
class Router:
    """Where requests go now, and how they ended."""

    port: int
    stopping: bool = False
    answered: int = 0
    failed: int = 0
    refused: int = 0
    slowest: float = 0.0  # seconds
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)


def _exchange(client: socket.socket, *, keep: bool) -> bool:
    """True when a whole answer came and the connection may be kept. Raises OSError without one."""
    client.sendall(REQUEST if keep else REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    data = b""
    while not data.endswith(b"Hello, world!\n"):
        block = client.recv(65536)
        if not block:
            raise ConnectionResetError
        data += block
    if data[9:12] != b"200":
        raise ConnectionResetError(data[:50])
    return keep and b"connection: close" not in data.lower()


class Client(threading.Thread):
    """One of the router's connections."""

    def __init__(self, router: Router, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self.router, self.keep = router, keep
        self.socket: socket.socket | None = None
        self.port = 0

    def close(self) -> None:
        if self.socket:
            self.socket.close()
        self.socket = None

    def connect(self) -> socket.socket:
        for _ in range(TRIES):
            self.port = self.router.port
            try:
                return socket.create_connection(("127.0.0.1", self.port), 35)
            except ConnectionRefusedError:
                self.router.count("refused")
                time.sleep(0.02)
        raise ConnectionRefusedError

    def ask(self) -> None:
        if self.port != self.router.port:
            self.close()
        try:
            self.socket = self.socket or self.connect()
            keep = _exchange(self.socket, keep=self.keep)
            self.router.count("answered")
        except OSError:
            self.router.count("failed")
            keep = False
        if not keep:
            self.close()

    def run(self) -> None:
        while not self.router.stopping:
            started = time.monotonic()
            self.ask()
            self.router.slowest = max(self.router.slowest, time.monotonic() - started)
        self.close()


def observe(name: str, restarts: int) -> dict[str, Any]:
    """Restart one server that often; how requests ended, and the exit statuses seen."""
    server = servers.spawn(name, "trivial:application")
    statuses: set[int | None] = set()
    slowest = 0.0
    try:
        common.wait_ready(server)
        router = Router(server.port)
        clients = [Client(router, keep=number % 2 == 0) for number in range(CLIENTS)]
        began = time.monotonic()
        for client in clients:
            client.start()
        for _ in range(restarts):
            old, server = server, servers.spawn(name, "trivial:application")
            try:
                common.wait_ready(server)
                started = time.monotonic()
                old.signal(signal.SIGTERM)
                time.sleep(ROUTER_LAG)
                router.port = server.port
                time.sleep(0.2)  # of undisturbed service
                statuses.add(old.wait(35))
                slowest = max(slowest, time.monotonic() - started)
            finally:
                old.kill()
        router.stopping = True
        seconds = time.monotonic() - began
        for client in clients:
            client.join(40)
    finally:
        server.kill()
    return {
        "restarts": restarts,
        "answered": router.answered,
        "failed": router.failed,
        "refused_then_retried": router.refused,
        "answered_per_second": round(router.answered / seconds, 1),
        "slowest_answer": round(router.slowest, 2),
        "slowest_exit": round(slowest, 2),
        "exit_statuses": sorted(statuses, key=str),
    }


def run(quick: bool) -> dict[str, Any]:
    names = [name for name in servers.KINDS if name not in servers.VARIANTS]
    figures = {}
    for name in names[:3] if quick else names:
        figures[name] = observe(name, 5 if quick else 50 if name in ALL_FIFTY else 20)
        common.log(f"  {name:30} {figures[name]}")
    return {"servers": figures}
