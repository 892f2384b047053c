"""The listening sockets, without a server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from boot import environment
from half_open import HalfOpenClient
from headwaiter.server import listen

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

BIND = """
import os
from headwaiter.server import listen
from headwaiter.settings import Settings
sockets = listen.bind(Settings(listen=("site.sock",)))
assert os.path.exists("site.sock")
"""
REPLACE = """
import socket
os.rename("site.sock", "old.sock")
socket.socket(socket.AF_UNIX).bind("site.sock")
"""
CHILD = """
import sys
if os.fork():
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
sys.exit(0)
"""


@pytest.mark.parametrize(("then", "stays"), [("", False), ("os.chdir('/')", False), (REPLACE, True), (CHILD, True)])
def test_the_file_of_a_unix_socket_goes_with_the_process_that_bound_it(tmp_path: Path, then: str, stays: bool) -> None:
    """Not with a worker, and not when another server has put its own there."""
    subprocess.run([sys.executable, "-c", BIND + then], cwd=tmp_path, env=environment(), check=True, timeout=60)
    assert (tmp_path / "site.sock").exists() == stays


# A drain: new connection attempts are dropped, and what had begun before goes on.

LISTENERS = {
    "IPv4": (socket.AF_INET, "127.0.0.1", True),
    "IPv6": (socket.AF_INET6, "::1", True),
    "dual stack": (socket.AF_INET6, "::", False),
}
CLIENTS = {"IPv4": ["127.0.0.1"], "IPv6": ["::1"], "dual stack": ["127.0.0.1", "::1"]}


@contextlib.contextmanager
def listening(kind: str) -> Iterator[socket.socket]:
    family, host, only = LISTENERS[kind]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listener.bind((host, 0))
        listener.listen()
        listener.settimeout(60)
        yield listener


@LINUX
@pytest.mark.parametrize("kind", LISTENERS)
def test_new_connections_are_dropped_and_queued_ones_work(kind: str) -> None:
    """An accepted connection, too, goes on as before."""
    with listening(kind) as listener, contextlib.ExitStack() as stack:
        port = listener.getsockname()[1]
        clients = [stack.enter_context(socket.create_connection((host, port))) for host in CLIENTS[kind]]
        accepted = [stack.enter_context(listener.accept()[0]) for _ in clients]
        queued = [stack.enter_context(socket.create_connection((host, port))) for host in CLIENTS[kind]]

        assert listen.refuse_handshakes(listener)

        for host in CLIENTS[kind]:
            with pytest.raises(TimeoutError):
                socket.create_connection((host, port), timeout=0.5)
        late = [stack.enter_context(listener.accept()[0]) for _ in queued]
        for client, served in zip(clients + queued, accepted + late, strict=True):
            listen.admit(served)
            client.sendall(b"question")
            assert served.recv(8) == b"question"
            served.sendall(b"answer")
            assert client.recv(6) == b"answer"


@LINUX
@pytest.mark.root
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun: sudo modprobe tun")
def test_a_handshake_under_way_becomes_a_connection_that_works() -> None:
    """Its socket inherits the refusal: without admit() it would be deaf for ever. Over a network interface."""
    with listening("dual stack") as listener, HalfOpenClient(listener.getsockname()[1]) as client:
        client.send_syn()
        assert client.hear_syn_ack()
        assert listen.refuse_handshakes(listener)
        client.send_ack()
        served, _ = listener.accept()
        with served:
            listen.admit(served)
            client.send(b"question")
            served.settimeout(60)
            assert served.recv(8) == b"question"


@LINUX
def test_a_unix_socket_cannot_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drain then closes it after a bounded moment."""
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 108 bytes (unix(7)), and that of a TMPDIR more
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert not listen.refuse_handshakes(listener)


@LINUX
@pytest.mark.parametrize("kind", LISTENERS)
def test_a_kernel_without_the_options_cannot_refuse(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sandboxes have none: nothing is refused, and asking is no error."""
    unknown = tuple((level, 9999) for level, _ in listen._MINIMUM_TTL)
    monkeypatch.setattr(listen, "_MINIMUM_TTL", unknown)
    with listening(kind) as listener:
        assert not listen.refuse_handshakes(listener)
        assert not listen.refuses_handshakes(listener)
        listen.admit(listener)
