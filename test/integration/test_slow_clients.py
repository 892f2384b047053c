"""Slow clients of every kind: the others get their answers, the honest ones too, and the worst are shown the door."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time

import pytest
from boot import PATIENCE, Server, eventually
from slow_clients import crowd
from worker import connect, read_all, read_answer, wait_until_closed, workers

pytestmark = pytest.mark.server

GET = b"GET %s HTTP/1.1\r\nHost: slow\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nHost: slow\r\nContent-Length: %d\r\n\r\n"
HEALTHY = 20  # requests of the healthy client


def healthy(server: Server) -> None:
    """The healthy client: every request is answered."""
    for _ in range(HEALTHY):
        assert server.get("/").body == b"hello"


@pytest.mark.parametrize("count", [50, 1000])
@pytest.mark.parametrize("kind", ["headers", "upload", "idle", "connect", "no-close"])
def test_slow_clients_hold_no_thread(kind: str, count: int) -> None:
    """Two threads, any number of slow clients: all of them hang on, and nobody else notices."""
    with workers(threads=2) as server:
        with crowd(server.port, kind, count) as clients:
            healthy(server)
        assert (clients.attached, clients.alive) == (count, count)


@pytest.mark.parametrize("path", ["/page?8000000", "/stream?8000000", "/stream?40000000", "/file?60000000"])
def test_slow_readers_hold_no_thread(path: str) -> None:
    """What they don't read waits in memory or on disk, whatever its size."""
    with workers(threads=2) as server:
        with crowd(server.port, "read", 50, path) as clients:
            healthy(server)
        assert clients.alive == 50


def test_a_slow_reader_gets_every_byte() -> None:
    """Out of memory, out of a file, out of the app's own file."""
    with workers(threads=1) as server:
        for path, byte in ((b"/page?5000000", b"p"), (b"/stream?5000000", b"s"), (b"/file?5000000", b"\0")):
            client = connect(server.port, receive_buffer=4096)
            client.sendall(GET % path)
            assert server.get("/").status == 200  # the thread is free
            assert read_answer(client)[2] == byte * 5_000_000


def test_at_the_limit_the_oldest_idle_connection_makes_room() -> None:
    """Instead of going deaf: kept connections first, then those that never said anything."""
    with workers(settings={"waitress": {"connection_limit": 20}}) as server:
        silent = [connect(server.port) for _ in range(4)]
        idle = [connect(server.port) for _ in range(4)]
        for client in idle:
            client.sendall(GET % b"/")
            read_answer(client)
        busy = [connect(server.port) for _ in range(8)]
        for client in busy:
            client.sendall(POST % 10 + b"1")
        # 16 connections: these 8 are four too many, and four idle ones go
        late = [connect(server.port) for _ in range(8)]
        for client in late:
            client.sendall(POST % 10 + b"1")
        for client in idle:
            assert wait_until_closed(client)
        more = [connect(server.port) for _ in range(4)]
        for client in more:
            client.sendall(POST % 10 + b"1")
        for client in silent:
            assert wait_until_closed(client)
        for client in [*busy, *late, *more]:
            client.sendall(b"234567890")
            assert read_answer(client)[2] == b"10"
        server.wait_for("at=slow-client dropped=.* reason=room-for-others-idle")


def test_senders_below_the_minimum_rate_are_dropped_and_honest_ones_are_not() -> None:
    """100 bytes in each second of a minute; here 2,000 for a second, so that the test needn't last minutes."""
    shorter = "from headwaiter.server import housekeeping; housekeeping.MIN_RATE_SECONDS = 1.0"
    with workers(settings={"min_rate": 2000}, before=shorter) as server:
        header, body, honest = (connect(server.port) for _ in range(3))
        header.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        body.sendall(POST % 1_000_000)
        honest.sendall(POST % 60_000)
        for _ in range(60):
            honest.sendall(b"h" * 1000)
            for client in (header, body):
                with contextlib.suppress(OSError):
                    client.sendall(b"s" * 20)
            time.sleep(0.15)
        assert read_answer(honest)[2] == b"60000"
        assert wait_until_closed(header)
        assert wait_until_closed(body)
        server.wait_for("at=slow-client dropped=[12] reason=sends-too-slowly remote=127.0.0.1")


def test_a_reader_that_reads_nothing_is_dropped() -> None:
    """Its answer would lie on our disk for ever."""
    with workers(settings={"waitress": {"channel_timeout": 1}}) as server:
        client = connect(server.port, receive_buffer=4096)
        client.sendall(GET % b"/page?8000000")
        server.wait_for("at=slow-client dropped=1 reason=reads-nothing")
        with contextlib.suppress(ConnectionResetError):
            assert len(read_all(client)) < 8_000_000


def test_out_of_file_descriptors_the_worker_goes_on() -> None:
    """accept() fails with EMFILE: idle connections make room, and the loop doesn't spin."""
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))"
    with workers(before=few) as server:
        clients = []
        for _ in range(100):
            clients.append(connect(server.port))
            clients[-1].sendall(GET % b"/")
            clients[-1].settimeout(PATIENCE)
            assert read_answer(clients[-1])[0] == 200


def test_out_of_file_descriptors_for_good_costs_no_cpu() -> None:
    """Nobody is idle, so nobody can be closed: the worker waits instead of trying again and again."""
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    with workers(before=few, settings={"min_rate": 0}) as server:
        clients = [connect(server.port) for _ in range(60)]
        for client in clients:
            client.sendall(POST % 10 + b"1")
        server.wait_for("at=warning .*couldn't be accepted")
        before = server.cpu_seconds()
        time.sleep(2)
        assert server.cpu_seconds() - before < 0.5
        for client in clients:
            client.sendall(b"234567890")
            assert read_answer(client)[2] == b"10"
            client.close()


def test_requests_that_nobody_waits_for_are_skipped() -> None:
    """Clients that left while they queued get no thread. One that only closed its sending side gets its answer."""
    with workers(threads=1) as server:
        first = connect(server.port)
        first.sendall(GET % b"/sleep?1000")
        time.sleep(0.2)
        leavers = [connect(server.port) for _ in range(5)]
        half = connect(server.port)
        for client in [*leavers, half]:
            client.sendall(GET % b"/sleep?10")
        time.sleep(0.2)
        for client in leavers:
            client.close()
        half.shutdown(1)
        assert read_answer(first)[2] == b"slept"
        assert read_all(half).endswith(b"\r\n\r\nslept")
        assert server.get("/count", {"X-Count": "/sleep"}).text == "2"


def test_a_request_that_waited_too_long_gets_503() -> None:
    """Whoever asked has given up: Heroku's router after 30 seconds."""
    with workers(threads=1, settings={"queue_seconds": 0.5, "access_log": True}) as server:
        first = connect(server.port)
        first.sendall(GET % b"/sleep?1500")
        time.sleep(0.2)
        second = connect(server.port)
        second.sendall(GET % b"/sleep?1")
        assert read_answer(first)[0] == 200
        status, headers, _ = read_answer(second)
        assert (status, headers["retry-after"]) == (503, "5")
        assert server.get("/").status == 200
        server.wait_for("at=request method=GET path=/sleep status=503")


def test_an_error_is_read_by_a_client_that_still_sends() -> None:
    """413 comes while the upload is under way: closing with bytes unread would reset it away."""
    with workers(settings={"waitress": {"max_request_body_size": 1000}}) as server:
        client = connect(server.port)
        client.sendall(POST % 3_000_000)
        with contextlib.suppress(OSError):
            client.sendall(b"u" * 3_000_000)
        assert read_answer(client)[0] == 413


def test_a_thread_survives_whatever_the_app_raises() -> None:
    """Exceptions, SystemExit in a view: the same two threads go on."""
    with workers(threads=2) as server:
        for path in ["/boom", "/leave"] * 3:
            assert server.get(path).status == 500
        healthy(server)


def test_a_stream_ends_when_its_client_leaves() -> None:
    """An endless answer doesn't hold its thread for ever."""
    with workers(threads=1) as server:
        client = connect(server.port)
        client.sendall(GET % b"/endless")
        assert client.recv(1000)
        client.close()
        healthy(server)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("slowhttptest"), reason="needs slowhttptest: make test-all")
@pytest.mark.parametrize("mode", ["-H", "-B", "-R", "-X"])
def test_slowhttptest_does_not_bring_it_down(mode: str) -> None:
    """Somebody else's attacker: slow headers, slow bodies, Range headers, slow reading."""
    with workers(threads=2) as server:
        url = f"http://127.0.0.1:{server.port}/page?1000000"
        options = [
            "-c",
            "500",
            "-r",
            "500",
            "-i",
            "1",
            "-l",
            "3",
            "-x",
            "20",
            "-w",
            "512",
            "-y",
            "1024",
            "-n",
            "1",
            "-z",
            "32",
        ]
        with subprocess.Popen(["slowhttptest", mode, *options, "-u", url], stdout=subprocess.DEVNULL) as attacker:
            eventually(lambda: attacker.poll() is not None or server.get("/").status == 200)
            while attacker.poll() is None:
                assert server.get("/", timeout=5).status == 200
                time.sleep(0.05)
        healthy(server)
