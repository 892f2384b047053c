"""Every Python, every Waitress, systems without epoll, and a Waitress that lacks what we build on."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import pythons
from boot import Server
from headwaiter.server import compat
from waitress_sdists import HASHES, sdist
from worker import connect, read_all, read_answer, workers

GET = b"GET %s HTTP/1.1\r\nHost: versions\r\n\r\n"


def scenario(server: Server) -> None:
    """A bit of everything: kept connections, uploads, slow readers, half-closed clients, an error, and the drain."""
    client = connect(server.port)
    for _ in range(3):
        client.sendall(GET % b"/")
        assert read_answer(client)[2] == b"hello"
    client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + b"u" * 900_000)
    assert read_answer(client)[2] == b"900000"
    for path, size in ((b"/page?3000000", 3_000_000), (b"/stream?3000000", 3_000_000), (b"/file?3000000", 3_000_000)):
        reader = connect(server.port, receive_buffer=4096)
        reader.sendall(GET % path)
        assert server.get("/").status == 200
        assert len(read_answer(reader)[2]) == size
    half = connect(server.port)
    half.sendall(GET % b"/sleep?10")
    half.shutdown(socket.SHUT_WR)
    assert read_all(half).endswith(b"slept")
    assert server.get("/boom").status == 500
    running = connect(server.port)
    running.sendall(GET % b"/sleep?800")
    time.sleep(0.2)
    server.signal()
    server.wait_for("at=drain ")
    assert read_answer(running)[2] == b"slept"
    assert server.wait() == 0
    assert "at=warning" not in server.log


@pytest.mark.parametrize("version", pythons.parameters())
def test_every_python(version: str) -> None:
    """From 3.10 on, as many as this machine has."""
    with workers(threads=2, python=pythons.python(version)) as server:
        scenario(server)


@pytest.mark.parametrize("version", sorted(HASHES))
def test_every_waitress(version: str) -> None:
    """An app may pin its own."""
    note = "import waitress; print('waitress from', waitress.__file__, flush=True)"
    places = {"PYTHONPATH": f"{sdist(version)}/src:{support_path()}"}
    with workers(threads=2, env=places, before=note) as server:
        assert f"waitress-{version}/src" in server.wait_for("waitress from (.*)")[0][1]
        scenario(server)


def support_path() -> str:
    from pathlib import Path

    root = Path(__file__).parents[2]
    return f"{root / 'lib'}:{root / 'test' / 'support'}"


def test_without_epoll() -> None:
    """As on macOS: Waitress's own poll, and all the rest."""
    with workers(threads=2, before="import select; del select.epoll") as server:
        ended = connect(server.port, receive_buffer=4096)
        ended.sendall(GET[:-2] % b"/page?3000000" + b"Connection: close\r\n\r\n")
        assert server.get("/").status == 200
        assert read_all(ended).endswith(b"p" * 3_000_000)
        scenario(server)


def test_a_waitress_that_lacks_a_part_serves_plainly() -> None:
    """One warning that says what is missing; SIGTERM still ends it."""
    with workers(before="import waitress.channel; del waitress.channel.HTTPChannel.send_continue") as server:
        assert server.get("/").text == "hello"
        server.wait_for(r"at=warning waitress=\S+ missing=HTTPChannel\.send_continue\(\) msg=")
        assert server.stop() == 0


def test_missing_parts_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods, and attributes that only __init__ sets."""
    import waitress.channel

    assert compat.missing_parts() == []

    def initialise(self: Any) -> None:
        """Sets nothing."""

    monkeypatch.delattr(waitress.channel.HTTPChannel, "received")
    monkeypatch.setattr(waitress.channel.HTTPChannel, "__init__", initialise)
    missing = compat.missing_parts()
    assert "HTTPChannel.received()" in missing
    assert "HTTPChannel.outbuf_lock" in missing
