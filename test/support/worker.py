"""Workers under test, without the command and its supervisor: `serve()` alone, in one or more processes.

    with workers(threads=4, settings={"access_log": True}) as server:
        assert server.get("/").status == 200

`server` is a boot.Server: its log holds what the workers print, and stop() sends SIGTERM.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boot import Server, environment

HERE = Path(__file__).parent
_clients: list[socket.socket] = []


@contextlib.contextmanager
def workers(
    *,
    threads: int = 4,
    processes: int = 1,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    app: str = "site_app",
    before: str = "",
    wrapper: tuple[str, ...] = (),
    python: str = sys.executable,
) -> Iterator[Server]:
    """Start them and wait until they listen; `before` is Python code that each runs first."""
    order = {
        "threads": threads,
        "processes": processes,
        "settings": {"trust_proxy": False, **(settings or {})},
        "app": app,
        "before": before,
    }
    process = subprocess.Popen(
        [*wrapper, python, __file__, json.dumps(order)],
        env=environment({"PYTHONPATH": f"{HERE.parents[1] / 'lib'}:{HERE}", **(env or {})}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    server = Server(process)
    try:
        server.port = int(server.wait_for(r"listening on (\d+)")[0][1])
        yield server
    finally:
        while _clients:
            _clients.pop().close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers whose parent has gone, too
        server.wait()
        if process.stdout:
            process.stdout.close()


def main() -> int:
    order = json.loads(sys.argv[1])
    exec(order["before"], {})
    from headwaiter.server import exchange
    from headwaiter.server.worker import serve
    from headwaiter.settings import Settings

    application = __import__(order["app"]).application
    settings = Settings(**order["settings"])
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("LISTEN_PORT", "0"))), backlog=4096)
    print(f"listening on {listener.getsockname()[1]}", flush=True)

    shared = exchange.make(order["processes"])

    def run(slot: exchange.Slot | None = None) -> int:
        threads, processes = order["threads"], order["processes"]
        return serve(application, [listener], settings, threads=threads, processes=processes, slot=slot)[0]

    if order["processes"] == 1:
        return run()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # until there's a handler that passes it on
    slots = [shared.claim() if shared else None for _ in range(order["processes"])]
    pids = [_fork(lambda slot=slot: run(slot)) for slot in slots]
    listener.close()

    def pass_on(number: int, _frame: object) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return next(filter(None, statuses), 0)


def _fork(run: Any) -> int:
    pid = os.fork()
    if not pid:
        status = 70
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until the worker has its own handler
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        try:
            status = run()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid


def connect(port: int, *, receive_buffer: int = 0, timeout: float = 60.0) -> socket.socket:
    """Return a connected client socket, which workers() closes at its end.

    A small `receive_buffer` makes the server keep what isn't read.
    """
    client = socket.socket()
    _clients.append(client)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(timeout)
    client.connect(("127.0.0.1", port))
    return client


def read_answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer: status, headers (lower case) and body."""
    with client.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        size = headers.get("content-length")
        return status, headers, stream.read(int(size)) if size else stream.read()


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes."""
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def wait_until_closed(client: socket.socket, seconds: float = 60.0) -> bool:
    """Tell whether the server closes `client` within `seconds`; what it still sends is read and forgotten."""
    client.settimeout(seconds)
    deadline = time.monotonic() + seconds
    try:
        while client.recv(65536):
            if time.monotonic() > deadline:
                return False
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
