"""SIGTERM: everything that was begun is answered, nothing new comes in, and the worker leaves on time."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

import pytest
from boot import PATIENCE, Server, children, eventually
from worker import connect, read_all, read_answer, wait_until_closed, workers

pytestmark = pytest.mark.server

GET = b"GET %s HTTP/1.1\r\nHost: drain\r\n\r\n"
ROUNDS = 6  # restarts under load; the benchmark makes 50


def ask(server: Server, path: bytes, receive_buffer: int = 0) -> socket.socket:
    client = connect(server.port, receive_buffer=receive_buffer)
    client.sendall(GET % path)
    return client


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return True
    return False


def test_everything_under_way_is_answered() -> None:
    """Running and queued requests, uploads and downloads; new connections are refused, more SIGTERMs change nothing."""
    with workers(threads=2, settings={"access_log": True}) as server:
        running = [ask(server, b"/sleep?2000") for _ in range(2)]
        download = ask(server, b"/page?8000000", receive_buffer=4096)
        queued = [ask(server, b"/sleep?1") for _ in range(2)]
        upload = connect(server.port)
        upload.sendall(b"POST /upload HTTP/1.1\r\nHost: drain\r\nContent-Length: 500000\r\n\r\n" + b"u" * 1000)
        time.sleep(0.2)
        server.signal()
        server.wait_for("at=drain ")
        server.signal()
        eventually(lambda: refused(server.port), "the refusal of new connections")
        upload.sendall(b"u" * 499_000)
        for client in [*running, *queued]:
            status, headers, body = read_answer(client)
            assert (status, headers["connection"], body) == (200, "close", b"slept")
        server.signal()
        assert read_answer(upload)[2] == b"500000"
        assert len(read_answer(download)[2]) == 8_000_000
        assert server.wait() == 0
        assert len(server.lines("at=drain ")) == 1
        assert len(server.lines("at=drained")) == 1
        assert "cut" not in server.log


@pytest.mark.parametrize("processes", [1, 2])
def test_connections_in_the_kernels_queue_are_answered(processes: int) -> None:
    """SIGTERM comes first, then the worker gets to see who has connected."""
    with workers(processes=processes) as server:
        assert server.get().status == 200
        pids = server.children() or [server.pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        clients = [ask(server, b"/") for _ in range(40)]
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
        assert [read_answer(client)[0] for client in clients] == [200] * 40
        assert server.wait() == 0


def test_a_busy_connection_gets_its_next_answer_and_idle_ones_close() -> None:
    """A request that crosses the signal on a kept connection is answered: closing at once would cut it."""
    with workers() as server:
        idle, busy, silent = ask(server, b"/"), ask(server, b"/"), connect(server.port)
        for client in (idle, busy):
            assert "connection" not in read_answer(client)[1]
        server.signal()
        server.wait_for("at=drain ")
        busy.sendall(GET % b"/")
        status, headers, _ = read_answer(busy)
        assert (status, headers["connection"]) == (200, "close")
        assert wait_until_closed(idle)
        assert wait_until_closed(silent)
        assert server.wait() == 0


def test_what_was_read_is_answered_though_the_connection_ends() -> None:
    """Pipelined requests: the last answer ends the connection, or those after the first would be lost silently."""
    with workers(threads=1) as server:
        client = connect(server.port)
        client.sendall(GET % b"/sleep?1500" + GET % b"/page?7" + GET % b"/page?8")
        time.sleep(0.3)
        server.signal()
        server.wait_for("at=drain ")
        answers = read_all(client)
        assert answers.count(b"HTTP/1.1 200 OK") == 3
        assert answers.count(b"Connection: close") == 1
        assert answers.endswith(b"pppppppp")
        assert server.wait() == 0


def test_a_blank_line_after_an_upload_is_no_request() -> None:
    """Old clients send one; the drain would wait until its deadline for the rest."""
    with workers() as server:
        client = connect(server.port)
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\r\n")
        assert read_answer(client)[2] == b"hello"
        server.signal()
        assert server.wait() == 0
        assert "cut" not in server.log


def test_the_deadline_cuts_and_says_what() -> None:
    """A request, a download and an upload that would take for ever."""
    with workers(settings={"drain_seconds": 1.5}) as server:
        clients = [ask(server, b"/sleep?300000"), ask(server, b"/page?8000000", receive_buffer=4096)]
        upload = connect(server.port)
        upload.sendall(b"POST /upload HTTP/1.1\r\nHost: drain\r\nContent-Length: 500000\r\n\r\nu")
        time.sleep(0.3)
        assert server.stop() == 0
        assert server.wait_for(r"at=drained .*cut_requests=1 cut_answers=1 cut_uploads=1 msg=")
        assert clients


def test_a_second_interrupt_leaves_at_once() -> None:
    """Whoever presses Ctrl-C twice doesn't want to wait for a request."""
    with workers() as server:
        client = ask(server, b"/sleep?300000")
        time.sleep(0.2)
        server.signal(signal.SIGINT)
        server.wait_for("at=drain ")
        assert server.stop(signal.SIGINT) == 130
        assert read_all(client) == b""


def test_database_connections_close_at_once() -> None:
    """Each thread closes its own: the resting ones when the drain begins, the busy one after its request."""
    note = (
        "import headwaiter.server.worker as s, os, threading\n"
        "s.close_database_connections = lambda: os.write(1, f'closed by {threading.current_thread().name}\\n'.encode())"
    )
    with workers(threads=4, before=note) as server:
        client = ask(server, b"/sleep?2500")
        time.sleep(0.3)
        server.signal()
        server.wait_for("closed by", 3)
        assert server.process.poll() is None
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(PATIENCE)
        assert read_answer(client)[2] == b"slept"
        assert server.wait() == 0
        assert len(set(server.lines("closed by"))) == 4


@pytest.mark.parametrize(("setting", "limit"), [("max_requests", 5), ("max_memory_mb", 150)])
def test_a_worker_that_served_its_time_leaves(setting: str, limit: int) -> None:
    """What is under way is answered first."""
    with workers(settings={setting: limit}) as server:
        slow = ask(server, b"/sleep?2500")
        for _ in range(5):
            assert server.get("/grow?30000000").status == 200
        server.wait_for("at=drain reason=max-")
        assert read_answer(slow)[2] == b"slept"
        assert server.wait() == 0


def test_signals_work_for_process_one(container: tuple[str, ...]) -> None:
    """Process 1 of a container has no default actions: without a handler SIGTERM is ignored."""
    with workers(wrapper=container) as server:
        (first,) = children(server.pid)
        assert server.get("/").status == 200  # it has its handlers
        client = ask(server, b"/sleep?500")
        time.sleep(0.1)
        os.kill(first, signal.SIGTERM)
        assert read_answer(client)[2] == b"slept"
        assert server.wait() == 0


class Load:
    """Clients that ask without a pause and, as Heroku's router does, try a refused connection again."""

    def __init__(self, port: int, clients: int) -> None:
        self.port, self.stopping = port, False
        self.answered = 0
        self.failures: list[str] = []
        self.threads = [
            threading.Thread(target=self._client, args=(kept,), daemon=True) for kept in [True, False] * (clients // 2)
        ]
        for thread in self.threads:
            thread.start()

    def _client(self, kept: bool) -> None:
        client = None
        while not (self.stopping or self.failures):
            try:
                client = client or socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            except ConnectionRefusedError:
                time.sleep(0.01)
                continue
            try:
                client.sendall(GET % b"/sleep?20")
                _, headers, body = read_answer(client)
                assert body == b"slept"
                self.answered += 1
            except Exception as error:
                self.failures.append(repr(error))
                headers = {}
            if not kept or headers.get("connection") == "close" or self.failures:
                client.close()
                client = None
        if client:
            client.close()

    def wait_for_answers(self, count: int) -> None:
        goal = self.answered + count
        eventually(lambda: self.answered >= goal or self.failures, "the next answers")

    def stop(self) -> None:
        self.stopping = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("processes", [1, 2])
def test_restarts_under_load_fail_no_request(processes: int) -> None:
    """Again and again, one server takes over the port from the other; new and kept connections, none is let down.

    Each leaves in a moment although clients keep connecting.
    """
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    load = Load(port, clients=8)
    try:
        for _ in range(ROUNDS):
            with workers(processes=processes, env={"LISTEN_PORT": str(port)}) as server:
                load.wait_for_answers(20)
                assert server.stop() == 0
                assert max(seconds_to_drain(server)) < 5
    finally:
        load.stop()
    assert load.failures == []
    assert load.answered > ROUNDS * 20


def seconds_to_drain(server: Server) -> list[float]:
    return [float(match[1]) for match in server.wait_for(r"at=drained .*seconds=([0-9.]+)")]


def test_a_drain_ends_under_load_where_new_connections_cannot_be_refused() -> None:
    """Other systems, sandboxes: connections are taken for a second; at most each client's last one is lost."""
    unknown = "import headwaiter.server.listen as listen; listen._MINIMUM_TTL = ((0, 9999), (41, 9999))"
    with workers(before=unknown) as server:
        load = Load(server.port, clients=8)
        load.wait_for_answers(20)
        assert server.stop() == 0
        (seconds,) = seconds_to_drain(server)
        assert 1 <= seconds < 5
        load.stop()
    assert len(load.failures) <= 8


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_admits_connections_whose_handshake_another_process_refused(processes: int) -> None:
    """The main process may refuse before a worker knows of the drain: what that accepts inherits it."""
    inherited = """
import socket
real = socket.socket.accept
def accept(listener):
    connection, address = real(listener)
    connection.setsockopt(socket.IPPROTO_IP, 21, 255)  # IP_MINTTL, as set on the listener meanwhile
    return connection, address
socket.socket.accept = accept
"""
    with workers(processes=processes, before=inherited) as server:
        client = connect(server.port, timeout=10)
        time.sleep(0.5)  # what came before it was accepted would be there anyway
        client.sendall(GET % b"/")
        assert read_answer(client)[0] == 200
