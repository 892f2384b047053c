"""Hostile requests: how late a healthy client's requests are answered while somebody sends them again and again.

The healthy client is that of slow.py. Its p99 is divided by its p99 on the same server a moment before.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import common
import load
import servers

START = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = 30_000  # bytes; several times as long, and Waitress answers nobody for minutes
ATTACKS = {
    "scheme and zeros": b"GET a://" + b"0" * LONG + b" x\r\n\r\n",
    "spaces before a value": START + b"A:" + b" " * LONG + b"x\r\n\r\n",
    "folded field": START + b"A: x\r\n" + b" " * LONG + b"\r\n\r\n",
    "many fields": START + b"a:b\r\n" * (LONG // 5) + b"\r\n",
    "chunks of a byte": CHUNKED + b"1\r\na\r\n" * (LONG // 6) + b"0\r\n\r\n",
    "chunk size": CHUNKED + b"0" * LONG,
    "trailer": CHUNKED + b"0\r\na:" + b" " * LONG + b"x\r\n\r\n",
    "unreadable": b"\x16\x03\x01" * (LONG // 3) + b"\r\n\r\n",
}
PER_SECOND = 10
NAMES = ("headwaiter", "waitress-serve", "gunicorn gthread", "granian")


@contextlib.contextmanager
def attacked(port: int, data: bytes) -> Iterator[None]:
    """Send `data` on a connection of its own, PER_SECOND times a second."""
    over = threading.Event()

    def attack() -> None:
        with contextlib.ExitStack() as open_until_the_end:
            while not over.wait(1 / PER_SECOND):
                client = open_until_the_end.enter_context(socket.socket())
                client.settimeout(0.05)
                with contextlib.suppress(OSError):
                    client.connect(("127.0.0.1", port))
                    client.sendall(data)

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def cell(name: str, data: bytes, seconds: float) -> dict[str, Any]:
    """One server, one attack: the share of healthy requests answered, in percent; p99 in ms without and with it."""
    with servers.running(name, "trivial:application", cpus=common.SERVER_CPU) as server:
        load.steady(server.port, "/", 0.3)
        before = load.steady(server.port, "/", seconds)
        with attacked(server.port, data):
            after = load.steady(server.port, "/", seconds, timeout=3.0)
    asked = after["ok"] + after["errors"]
    return {
        "success": round(100 * after["ok"] / asked, 1) if asked else 0.0,
        "p99_before": before["p99"],
        "p99": after["p99"] if after["ok"] else None,
        "ratio": round(after["p99"] / before["p99"], 2) if after["ok"] and before["p99"] else None,
    }


def run(quick: bool) -> dict[str, Any]:
    figures: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    for kind, data in ATTACKS.items():
        for name in NAMES:
            figures[name][kind] = found = cell(name, data, 1.0 if quick else 4.0)
            common.log(f"  {kind:24} {name:20} {found['success']:5} %  p99 x {found['ratio']}")
    return {"attacks": figures}
