"""Hostile requests: how late a healthy client's requests are answered while somebody sends them again and again.

Some are expensive to read, others reach views that go wrong (site/attacked.py), and some clients leave too early. The
healthy client is that of slow.py. Its p99 is divided by its p99 on the same server a moment before.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import common
import load
import servers

START = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = 30_000  # bytes; several times as long, and Waitress answers nobody for minutes


class Attack(NamedTuple):
    """What a hostile client sends, and what it does `then`: by default it stays connected and reads nothing."""

    data: bytes
    then: Callable[[socket.socket], object] = lambda _: None


def leave(client: socket.socket) -> None:
    """Read the beginning of the answer and leave."""
    client.recv(65536)
    client.close()


def half_close(client: socket.socket) -> None:
    """Say that nothing more will come."""
    client.shutdown(socket.SHUT_WR)


def view(path: str) -> bytes:
    """Return a request for one of the views that go wrong."""
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


ATTACKS = {
    "scheme and zeros": Attack(b"GET a://" + b"0" * LONG + b" x\r\n\r\n"),
    "spaces before a value": Attack(START + b"A:" + b" " * LONG + b"x\r\n\r\n"),
    "folded field": Attack(START + b"A: x\r\n" + b" " * LONG + b"\r\n\r\n"),
    "many fields": Attack(START + b"a:b\r\n" * (LONG // 5) + b"\r\n"),
    "chunks of a byte": Attack(CHUNKED + b"1\r\na\r\n" * (LONG // 6) + b"0\r\n\r\n"),
    "chunk size": Attack(CHUNKED + b"0" * LONG),
    "trailer": Attack(CHUNKED + b"0\r\na:" + b" " * LONG + b"x\r\n\r\n"),
    "unreadable": Attack(b"\x16\x03\x01" * (LONG // 3) + b"\r\n\r\n"),
    "half-closed": Attack(b"GET / HTTP/1.1\r\nHost a\r\n\r\n", half_close),
    "leaves in a file": Attack(view("/file?size=60000000"), leave),
    "failing file": Attack(view("/failing-file")),
    "text file": Attack(view("/text-file")),
    "slow file": Attack(view("/slow-file")),
    "full log": Attack(view("/full-log")),
}
ACCESS_LOG = {  # with the last one: each server's own switch; Waitress has no access log
    "HEADWAITER_ACCESS_LOG": "on",
    "BENCH_ACCESS_LOG": "on",
    "GRANIAN_LOG_ACCESS_ENABLED": "true",
}
PER_SECOND = 10
SECONDS = 1.5  # without and with the attack
NAMES = ("headwaiter", "waitress-serve", "gunicorn gthread", "granian")


@contextlib.contextmanager
def attacked(port: int, kind: Attack) -> Iterator[None]:
    """Attack on a connection of its own, PER_SECOND times a second."""
    over = threading.Event()

    def attack() -> None:
        with contextlib.ExitStack() as open_until_the_end:
            while not over.wait(1 / PER_SECOND):
                client = open_until_the_end.enter_context(socket.socket())
                client.settimeout(0.05)
                with contextlib.suppress(OSError):
                    client.connect(("127.0.0.1", port))
                    client.sendall(kind.data)
                    kind.then(client)

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def cell(name: str, kind: str) -> dict[str, Any]:
    """One server, one attack: the share of healthy requests answered, in percent; p99 in ms without and with it."""
    env = ACCESS_LOG if kind == "full log" else {}
    with servers.running(name, "attacked:application", cpus=common.SERVER_CPU, env=env) as server:
        load.steady(server.port, "/", 0.3)
        before = load.steady(server.port, "/", SECONDS)
        with attacked(server.port, ATTACKS[kind]):
            after = load.steady(server.port, "/", SECONDS, timeout=3.0)
    asked = after["ok"] + after["errors"]
    return {
        "success": round(100 * after["ok"] / asked, 1) if asked else 0.0,
        "p99_before": before["p99"],
        "p99": after["p99"] if after["ok"] else None,
        "ratio": round(after["p99"] / before["p99"], 2) if after["ok"] and before["p99"] else None,
    }


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure; None where no healthy request was answered in most of the rounds."""
    unanswered = float("inf")
    medians = {
        key: common.median([unanswered if found[key] is None else found[key] for found in rounds]) for key in rounds[0]
    }
    return {key: None if value == unanswered else round(value, 3) for key, value in medians.items()}


def run(quick: bool) -> dict[str, Any]:
    figures: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    for kind in ATTACKS:
        rounds = [{name: cell(name, kind) for name in NAMES} for _ in range(1 if quick else 3)]
        for name in NAMES:
            figures[name][kind] = found = summary([one[name] for one in rounds])
            common.log(f"  {kind:24} {name:20} {found['success']:5} %  p99 x {found['ratio']}")
    return {"attacks": figures}
