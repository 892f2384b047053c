"""What SIGTERM costs: every kind of connection a server can have at that moment, and what becomes of it.

As on Heroku the signal goes to every process (Dev Center: dyno-shutdown-behavior). One process with four threads;
gunicorn sync has four processes instead.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import common
import servers

PATIENCE = 40.0  # seconds; Heroku kills after 30
MB = 1024 * 1024
UPLOAD = MB
BURST = 20  # connections
NAMES = [name for name in servers.KINDS if name not in servers.VARIANTS]


class Client(threading.Thread):
    """One connection. `outcome`: ok, cut (a part came), lost (nothing came), refused, timeout, or wrong status."""

    def __init__(self, port: int, path: str, *, body: Iterator[bytes] | None = None, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.port, self.path, self.body, self.pause = port, path, body, pause
        self.outcome = "timeout"
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)

    def connect(self) -> bool:
        """Connect and send the request; a slow reader's buffer is small, so that the server has to hold the rest."""
        if self.pause:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        try:
            self.socket.connect(("127.0.0.1", self.port))
            head = f"{'POST' if self.body else 'GET'} {self.path} HTTP/1.1\r\nHost: localhost\r\n"
            self.socket.sendall(
                f"{head}{f'Content-Length: {UPLOAD}' + chr(13) + chr(10) if self.body else ''}\r\n".encode()
            )
        except ConnectionRefusedError:
            self.outcome = "refused"
        except OSError:
            self.outcome = "lost"
        else:
            return True
        return False

    def run(self) -> None:
        try:
            for block in self.body or ():
                self.socket.sendall(block)
        except OSError:
            pass  # the answer, if any, says more
        self.outcome = self._read()
        self.socket.close()

    def _read(self) -> str:
        data, needed = b"", None
        while needed is None or len(data) < needed:
            try:
                block = self.socket.recv(65536)
            except TimeoutError:
                return "timeout"
            except OSError:
                block = b""
            if not block:
                return "cut" if data else "lost"
            data += block
            if needed is None and b"\r\n\r\n" in data:
                head, _, _ = data.partition(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                needed = len(head) + 4 + int(length[0].split(b":")[1])
            time.sleep(self.pause)
        return "ok" if data[9:12] == b"200" else data[9:12].decode(errors="replace")


def _slow_body() -> Iterator[bytes]:
    """1 MB in about 2.5 s."""
    for _ in range(50):
        yield b"u" * (UPLOAD // 50)
        time.sleep(0.05)
    yield b"u" * (UPLOAD % 50)


def _start(client: Client) -> Client:
    if client.connect():
        client.start()
    return client


def _idle(port: int) -> socket.socket:
    """A kept connection that had its answer."""
    client = socket.create_connection(("127.0.0.1", port), 5)
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.recv(65536)
    return client


def _closed_within(client: socket.socket, since: float) -> float | None:
    """Seconds after `since` at which the server closed it; None when it didn't."""
    client.settimeout(PATIENCE)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return None
    except OSError:
        pass
    return round(time.monotonic() - since, 2)


def burst(name: str, repetitions: int) -> str:
    """Requests sent on new connections the moment before SIGTERM: most still wait in the kernel's queue."""
    answered = 0
    for _ in range(repetitions):
        with servers.running(name, "trivial:application", threads=4) as server:
            clients = [Client(server.port, "/") for _ in range(BURST)]
            connected = [client for client in clients if client.connect()]
            server.signal(signal.SIGTERM)
            for client in connected:
                client.start()
            for client in connected:
                client.join(PATIENCE)
            answered += sum(client.outcome == "ok" for client in clients)
    return f"{answered}/{BURST * repetitions}"


def observe(name: str) -> dict[str, Any]:
    """One server: the outcome of each connection, exit status (negative: died of that signal) and seconds to exit."""
    with servers.running(name, "trivial:application", threads=4) as server:
        port = server.port
        idle = _idle(port)
        download = _start(Client(port, f"/bytes?size={8 * MB}", pause=0.02))
        upload = _start(Client(port, "/upload", body=_slow_body()))
        time.sleep(0.2)
        running = [_start(Client(port, "/sleep?ms=2000")) for _ in range(4)]
        time.sleep(0.3)
        waiting = [_start(Client(port, "/sleep?ms=500")) for _ in range(2)]
        time.sleep(0.3)
        signalled = time.monotonic()
        server.signal(signal.SIGTERM)
        watcher: list[float | None] = []
        watch = threading.Thread(target=lambda: watcher.append(_closed_within(idle, signalled)), daemon=True)
        watch.start()
        time.sleep(0.5)
        late = _start(Client(port, "/"))
        status = server.wait(PATIENCE)
        seconds = time.monotonic() - signalled
        clients = [download, upload, *running, *waiting, late]
        for thread in [*clients, watch]:
            if thread.ident:
                thread.join(PATIENCE)
        good = [sum(client.outcome == "ok" for client in group) for group in (running, waiting)]
        return {
            "running": f"{good[0]}/4",
            "queued": f"{good[1]}/2",
            "download": download.outcome,
            "upload": upload.outcome,
            "new": late.outcome,
            "idle_closed_after": watcher[0] if watcher else None,
            "exit_status": status,
            "seconds": round(seconds, 2),
        }


def run(quick: bool) -> dict[str, Any]:
    figures = {}
    for name in NAMES[:4] if quick else NAMES:
        figures[name] = {**observe(name), "kernel_queue": burst(name, 1 if quick else 5)}
        common.log(f"  {name:30} {figures[name]}")
    return {"servers": figures}
