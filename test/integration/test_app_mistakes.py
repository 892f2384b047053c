"""Mistakes of the app cost its own request: the client learns of them, the log says where, and nobody else waits."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from boot import Server, eventually
from mistakes_app import FILES, PIECE, SIZE, STARTS
from worker import connect, read_all, wait_until_closed, workers


@pytest.fixture
def server() -> Iterator[Server]:
    with workers(threads=3, app="mistakes_app") as server:
        yield server


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def closes(server: Server) -> list[str]:
    return server.get("/view/closes").text.split()


def test_a_header_that_cannot_be_sent_is_an_error(server: Server) -> None:
    """500, and a traceback: no client sees half of it, or reads a second header in it."""
    for number, start in enumerate(STARTS):
        client = connect(server.port)
        client.sendall(request(f"/start/{number}"))
        assert read_all(client).startswith(b"HTTP/1.1 500 Internal Server Error\r\n"), start
        server.wait_for("Traceback", number + 1)
    assert server.get("/").text == "hello"


def test_text_instead_of_bytes_is_an_error(server: Server) -> None:
    """500 as long as nothing was sent, else an answer whose end is missing."""
    assert server.get("/view/text-body").status == 500
    assert server.get("/file/text").status == 500
    server.wait_for("TypeError: .*bytes, not of str", 2)
    with pytest.raises(http.client.IncompleteRead):
        server.get("/view/text-later")


def test_a_replaced_answer_has_a_length_of_its_own(server: Server) -> None:
    """start_response() with exc_info forgets all headers (PEP 3333)."""
    answer = server.get("/view/replaced")
    assert (answer.status, answer.text) == (503, "longer than five bytes")


def test_a_file_after_a_write_is_part_of_the_same_answer(server: Server) -> None:
    """In its chunks."""
    assert server.get("/view/write-then-file").text == "first, second"


@pytest.mark.parametrize("name", ["storage", "real", "unclosable"])
def test_a_file_is_sent_whole_and_closed_once(server: Server, name: str) -> None:
    """In the thread of the request, where Django's request_finished closes this thread's database connections."""
    answer = server.get(f"/file/{name}")
    assert len(answer.body) == int(answer.headers["content-length"]) == SIZE
    eventually(lambda: closes(server), "close()")
    assert re.fullmatch(r"waitress-\d", " ".join(closes(server)))


@pytest.mark.parametrize("name", ["storage", "real"])
def test_the_file_of_a_client_that_leaves_is_closed_once(server: Server, name: str) -> None:
    """The loop, which notices, doesn't close it again."""
    client = connect(server.port, receive_buffer=4096)
    client.sendall(request(f"/file/{name}"))
    client.recv(1000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    eventually(lambda: closes(server), "close()")
    time.sleep(0.3)
    assert re.fullmatch(r"waitress-\d", " ".join(closes(server)))


def test_a_slow_file_is_read_by_its_own_thread(server: Server) -> None:
    """Others don't wait for a storage backend: the loop would be away for 0.3 s at a time."""
    client = connect(server.port)
    client.sendall(request("/file/slow"))
    waits = []
    for _ in range(20):
        began = time.monotonic()
        assert server.get("/").text == "hello"
        waits.append(time.monotonic() - began)
    assert sorted(waits)[len(waits) // 2] < 0.15  # most of them: a busy machine may make some wait
    assert read_all_of(client, 4 * len(PIECE))


def read_all_of(client: socket.socket, size: int) -> bool:
    received = 0
    while received < size:
        data = client.recv(65536)
        if not data:
            return False
        received += len(data)
    return True


def test_a_file_that_shrinks_ends_its_connection_alone(server: Server) -> None:
    """The bytes that were promised don't exist any more; the log says so."""
    client = connect(server.port, receive_buffer=4096)
    client.sendall(request("/file/real"))
    client.recv(1000)
    assert server.get("/view/shrink").text == "shrunk"
    assert wait_until_closed(client)
    server.wait_for("at=warning .*the file became shorter")


def stay(client: socket.socket) -> None:
    """Neither read nor leave."""


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("name", [*sorted(FILES), "../view/text-later"])
def test_no_broken_connection_keeps_the_worker_busy(server: Server, name: str) -> None:
    """Whatever state an app's file and a client leave behind, the loop comes to rest."""
    for leave in (stay, half_close, reset):
        client = connect(server.port, receive_buffer=4096)
        client.sendall(request(f"/file/{name}"))
        client.recv(100)
        leave(client)

    def rests() -> bool:
        before = server.cpu_seconds()
        time.sleep(1.0)
        return server.cpu_seconds() - before < 0.1

    eventually(rests, "rest")
    assert server.get("/").text == "hello"
