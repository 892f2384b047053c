"""Kept connections go to the process that is least busy; none is lost when processes come, leave and die."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from boot import Server, boot, eventually
from resizing import RESIZE
from worker import read_answer

pytestmark = pytest.mark.server

APP = """
import os, time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        name = environ["QUERY_STRING"]
        with open(f"{name}.new", "w") as held:
            held.write(str(os.getpid()))
        os.rename(f"{name}.new", f"held-{name}")
        while not os.path.exists("go"):
            time.sleep(0.01)
    body = str(os.getpid()).encode()
    if environ["PATH_INFO"] == "/address":
        body = f"{environ['REMOTE_ADDR']} {environ['REMOTE_PORT']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
GET = b"GET %s HTTP/1.1\r\nHost: exchange\r\n\r\n"
TWO = ("--processes=2", "--threads=1", "app:application")
Connect = Callable[[int], socket.socket]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open connections that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def one(port: int) -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))

        yield one


def ask(client: socket.socket, path: bytes = b"/") -> int:
    """Return the process that answered; the connection has to stay open."""
    client.sendall(GET % path)
    status, headers, body = read_answer(client)
    assert status == 200
    assert "connection" not in headers
    return int(body)


def answer_on(stream: BinaryIO) -> int | None:
    """Return the process that answered next; None when the connection was closed instead."""
    line, size = stream.readline(), 0
    while line.strip():
        line = stream.readline()
        size = int(line[15:]) if line.startswith(b"Content-Length:") else size
    return int(stream.read(size)) if size else None


def connections_of_one(connect: Connect, port: int, count: int) -> tuple[int, list[socket.socket]]:
    """Return a process and `count` connections that it has."""
    found: dict[int, list[socket.socket]] = {}
    while True:
        client = connect(port)
        pid = ask(client)
        found.setdefault(pid, []).append(client)
        if len(found[pid]) == count:
            eventually(lambda pid=pid: at_rest(pid))
            return pid, found[pid]


def at_rest(pid: int) -> bool:
    """Tell whether `pid` does nothing now: the thread that has just answered still counts as busy for a moment."""

    def switches() -> list[str]:
        status = [Path(entry.path, "status").read_text() for entry in os.scandir(f"/proc/{pid}/task")]
        return [line for text in status for line in text.splitlines() if "voluntary_ctxt" in line or "R (" in line]

    before = switches()
    time.sleep(0.02)
    return before == switches()


def hold(directory: Path, client: socket.socket, name: str) -> None:
    """Occupy a thread until `go` is there."""
    client.sendall(GET % f"/hold?{name}".encode())
    eventually((directory / f"held-{name}").exists)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def connections(pid: int) -> int:
    """How many descriptors of `pid` are TCP connections; -1 where it, or one of them, goes just now."""
    try:
        sockets = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return sum(line.split()[3] == "01" and f"socket:[{line.split()[9]}]" in sockets for line in lines)


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_a_kept_connection_goes_where_a_thread_is_free(app: Path, connect: Connect, preload: str) -> None:
    """And stays open; its old process keeps no descriptor of it."""
    with boot(app, preload, *TWO) as server:
        busy, (first, second, third) = connections_of_one(connect, server.port, 3)
        (other,) = set(server.children()) - {busy}
        hold(app, first, "first")
        assert ask(second) == other
        eventually(lambda: connections(busy) == 2)
        (app / "go").touch()
        assert int(read_answer(first)[2]) == busy
        assert ask(second) == other, "it has no reason to go back"
        second.sendall(GET % b"/address")
        assert read_answer(second)[2].decode() == "{} {}".format(*second.getsockname())
        assert ask(third) == busy
        assert server.stop() == 0


def test_a_new_connection_goes_where_fewer_requests_run(app: Path, connect: Connect) -> None:
    """Whoever accepts it: with six of eight threads busy here and all free there, it's served there."""
    with boot(app, "--processes=2", "--threads=8", "app:application") as server:
        busy, clients = connections_of_one(connect, server.port, 8)
        for number in range(6):  # all but the first are passed on, unless what they ask is read here
            clients[number].sendall((GET % f"/hold?{number}".encode())[:1])
        eventually(lambda: all(not unread(server, busy, client) for client in clients[:6]))
        for number in range(6):
            clients[number].sendall((GET % f"/hold?{number}".encode())[1:])
            eventually((app / f"held-{number}").exists)
        assert busy not in {ask(connect(server.port)) for _ in range(10)}
        (app / "go").touch()
        assert [int(read_answer(client)[2]) for client in clients[:6]] == [busy] * 6


def unread(server: Server, pid: int, client: socket.socket) -> bool:
    """Tell whether `server` has bytes of `client` that it hasn't read."""
    port = f":{client.getsockname()[1]:04X}"
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(port) and fields[1].endswith(f":{server.port:04X}"):
            return not fields[4].endswith(":00000000")
    raise AssertionError("there's no such connection")


def test_a_request_that_was_begun_stays(app: Path, connect: Connect) -> None:
    """Half of its header was read here, so here it's served, however long that takes."""
    with boot(app, *TWO) as server:
        busy, (first, second) = connections_of_one(connect, server.port, 2)
        second.sendall(b"GET / HTTP/1.1\r\nHo")
        eventually(lambda: not unread(server, busy, second))
        hold(app, first, "first")
        second.sendall(b"st: exchange\r\n\r\n" + GET % b"/" * 2)
        assert ask(connect(server.port)) != busy
        (app / "go").touch()
        with second.makefile("rb") as stream:
            assert [answer_on(stream) for _ in range(3)] == [busy] * 3, "and so are those that came with it"


@pytest.mark.parametrize("kind", ["unix", "ipv6"])
def test_over_other_sockets(app: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of socket makes no difference."""
    monkeypatch.chdir(app)  # a path of at most 108 bytes
    listen = "--unix-socket=socket" if kind == "unix" else "--listen=[::1]:0"
    with contextlib.ExitStack() as stack, boot(app, listen, *TWO) as server:

        def connect(port: int) -> socket.socket:
            client = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET6)
            client.settimeout(60)
            client.connect("socket" if kind == "unix" else ("::1", port))
            return stack.enter_context(client)

        busy, (first, second) = connections_of_one(connect, server.port, 2)
        hold(app, first, "first")
        assert ask(second) in set(server.children()) - {busy}
        (app / "go").touch()
        assert int(read_answer(first)[2]) == busy


def test_what_a_stopped_worker_was_given_is_served_when_it_dies(app: Path, connect: Connect) -> None:
    """It took nothing out of its inbox; the main process gives that to the others."""
    with boot(app, *TWO) as server:
        busy, (first, second) = connections_of_one(connect, server.port, 2)
        (other,) = set(server.children()) - {busy}
        os.kill(other, signal.SIGSTOP)
        hold(app, first, "first")
        before = connections(busy)
        second.sendall(GET % b"/")
        eventually(lambda: connections(busy) == before - 1, "it's passed on to the stopped worker")
        os.kill(other, signal.SIGKILL)
        server.wait_for("at=worker-exit")
        (app / "go").touch()
        assert int(read_answer(first)[2]) == busy
        assert int(read_answer(second)[2]) != other


def test_a_drain_of_all_passes_nothing_on(app: Path, connect: Connect) -> None:
    """A sibling that hangs looks as if it had nothing to do."""
    with boot(app, *TWO) as server:
        busy, (first, second) = connections_of_one(connect, server.port, 2)
        (other,) = set(server.children()) - {busy}
        hold(app, first, "first")
        os.kill(other, signal.SIGSTOP)
        server.signal()
        server.wait_for("at=drain")
        second.sendall(GET % b"/")
        (app / "go").touch()
        for client in (first, second):
            _, headers, body = read_answer(client)
            assert (int(body), headers["connection"]) == (busy, "close")
        os.kill(other, signal.SIGCONT)


@pytest.mark.parametrize("processes", [1, 2])
def test_kept_connections_outlive_their_process(app: Path, connect: Connect, processes: int) -> None:
    """A worker that retires gives them to its successor or to a sibling; no client notices."""
    with boot(app, f"--processes={processes}", "--max-requests=20", "app:application") as server:
        clients = [connect(server.port) for _ in range(10)]
        pids = set()
        while len(pids) < 5:
            pids |= {ask(client) for client in clients}
        server.wait_for("Retired in order", 3)
        assert server.stop() == 0


def test_kept_connections_stay_while_the_number_of_processes_changes(app: Path, connect: Connect) -> None:
    """A surplus process gives them to the others, and new ones take part."""
    (app / "app.py").write_text(RESIZE + APP)
    with boot(app, "--processes=2", "--threads=1", "app:application") as server:
        clients = [connect(server.port) for _ in range(8)]
        for client in clients:
            ask(client)
        (app / "processes").write_text("1")
        eventually(lambda: len(server.children()) == 1)
        (first,) = server.children()
        assert {ask(client) for client in clients} == {first}
        (app / "processes").write_text("2")
        eventually(lambda: ask(connect(server.port)) != first, "the second process serves")
        (second,) = set(server.children()) - {first}
        eventually(lambda: at_rest(first) and at_rest(second))
        hold(app, clients[0], "first")
        assert int((app / "held-first").read_text()) == first
        assert ask(clients[1]) == second
        (app / "go").touch()
        assert int(read_answer(clients[0])[2]) == first
        assert server.stop() == 0


def test_connections_that_say_nothing_outlive_their_process(app: Path, connect: Connect) -> None:
    """They are handed over at once; their first request goes where a thread is free, like any other."""
    with boot(app, *TWO) as server:
        old, clients = connections_of_one(connect, server.port, 4)
        os.kill(old, signal.SIGTERM)
        server.wait_for("Retired in order")
        eventually(lambda: len(server.children()) == 2)
        hold(app, clients[0], "first")
        (free,) = set(server.children()) - {int((app / "held-first").read_text())}
        for client in clients[1:]:
            eventually(lambda: at_rest(free))
            assert ask(client) == free


def test_sigterm_closes_them_after_the_answer(app: Path, connect: Connect) -> None:
    """When the whole dyno stops, nobody is left to take them."""
    with boot(app, *TWO) as server:
        _, (first,) = connections_of_one(connect, server.port, 1)
        hold(app, first, "first")
        server.signal()
        server.wait_for("at=drain", 2)
        (app / "go").touch()
        assert read_answer(first)[1]["connection"] == "close"
        assert server.wait() == 0


@pytest.mark.parametrize(("requests", "kills"), [(2_000, 12), pytest.param(200_000, 60, marks=pytest.mark.slow)])
def test_kills_lose_only_what_the_dead_had(app: Path, requests: int, kills: int) -> None:
    """Workers retire, and one after the other is killed: clients get an answer or a closed connection, none waits."""
    stop = threading.Event()
    answered: list[int] = []  # by which process
    failures: list[str] = []

    def client(port: int) -> None:
        try:
            while not stop.is_set():
                with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 60) as one:
                    stream = one.makefile("rb")
                    one.sendall(GET % b"/")
                    while not stop.is_set() and (pid := answer_on(stream)):
                        answered.append(pid)
                        one.sendall(GET % b"/")
        except Exception as error:
            failures.append(repr(error))

    with boot(app, "--processes=3", "--threads=2", "--max-requests=700", "app:application") as server:
        before = descriptors(server.pid)
        threads = [threading.Thread(target=client, args=(server.port,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(kills):
                due = len(answered) + requests // kills
                eventually(lambda due=due: failures or len(answered) >= due, "the next requests are answered")
                with contextlib.suppress(ProcessLookupError):  # it has just retired
                    os.kill(answered[-1], signal.SIGKILL)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        assert len(server.lines("signal=SIGKILL")) > kills / 2
        assert "Traceback" not in server.log
        eventually(lambda: descriptors(server.pid) == before, "the main process has as many descriptors as before")
        eventually(lambda: not any(connections(pid) for pid in server.children()))
