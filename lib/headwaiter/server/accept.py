"""Accepting connections: Waitress's servers, which take no more than this worker can serve now."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence
from socket import socket as _socket  # gevent and eventlet replace it later
from typing import Any

from waitress.server import TcpWSGIServer, UnixWSGIServer

from headwaiter import log
from headwaiter.server import listen
from headwaiter.server.channel import Channel, Connections
from headwaiter.server.exchange import Slot
from headwaiter.server.housekeeping import Housekeeping
from headwaiter.server.loop import IN

GATE_SECONDS = 0.5  # how long we leave connections to other processes while our own threads are all busy
ACCEPT_AT_ONCE = 32
PAUSE_AFTER_FAILURE = 0.5  # seconds; EMFILE and the like would repeat at once


class Gate:
    """Whether new connections are welcome. Asking changes nothing."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.closed_until = 0.0  # time.monotonic()

    def is_open(self) -> bool:
        """Tell whether there's room, and a thread is free or nobody else has one either.

        While other processes share the listening socket, each takes only what it can begin at once: the first one that
        has a thread again takes the next connection. When requests wait here already, as those of kept connections do,
        new ones wait among them: outside, they would wait for as long as kept connections ask for more.
        """
        now = time.monotonic()
        # One at the limit is let in: accept_one() then closes another for it.
        if self.connections.draining or now < self.closed_until or self.connections.count() > self.connections.limit:
            return False
        pool = self.connections.pool
        if self.connections.processes == 1 or pool.has_rest():
            return True
        # The queue may become longer than one request for each thread only where connections can be passed on.
        if pool.queue and (self.connections.slot or len(pool.queue) < len(pool.threads)):
            return True
        return now - pool.busy_since >= GATE_SECONDS


class Acceptor:
    """What our TCP and our Unix server share; mixed into Waitress's."""

    accepting: bool
    adj: Any
    connections: Connections
    gate: Gate
    housekeeping: Housekeeping
    number: int  # of the listening socket
    socket: Any
    _fileno: int

    def pull_trigger(self) -> None:
        """Do nothing: our channels tell the loop themselves when it's needed."""

    def handle_accept(self) -> None:
        """Accept what is there: a burst when we're alone, one connection where other processes want some, too."""
        for _ in range(ACCEPT_AT_ONCE if self.connections.processes == 1 else 1):
            if not self.accept_one() or not self.gate.is_open():
                return

    def accept_all(self) -> int:
        """Accept what is in the kernel's queue, at most one backlog; return how many connections that was."""
        count = 0
        while count < self.adj.backlog and self.accepting and self.accept_one():
            count += 1
        return count

    def accept_one(self) -> bool:
        """Accept a connection and read what it already sent; False when there's none."""
        server: Any = self
        try:
            connection, address = self.socket.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            self._failed(error)
            return False
        listen.admit(connection)  # the main process may have set the refusal already, and this worker not know yet
        try:
            server.set_socket_options(connection)
        except OSError:  # macOS: the client has left already
            connection.close()
            return True
        self.adopt(connection, server.fix_addr(address))
        return True

    def adopt(self, connection: socket.socket, address: Any, *, handed_over: bool = False) -> None:
        """Serve `connection` of the client at `address`, and read what it already sent."""
        channel = Channel(self, connection, address, self.adj, self.connections)
        channel.handed_over = handed_over
        self.connections.loop.react(channel, IN)
        if self.connections.count() > self.connections.limit:
            self.housekeeping.make_room()

    def _failed(self, error: OSError) -> None:
        """Make room after accept() failed, most likely for want of file descriptors; wait a little if that can't be."""
        if error.errno not in (errno.EMFILE, errno.ENFILE) or not self.housekeeping.make_room():
            self.gate.closed_until = time.monotonic() + PAUSE_AFTER_FAILURE
            open_ = self.connections.count()
            log.line("warning", msg="A connection couldn't be accepted.", error=str(error), open=open_)

    def stop_listening(self) -> None:
        """Close the listening socket; the open connections stay."""
        server: Any = self
        if self.accepting:
            self.accepting = False
            self.connections.loop.forget_listener(self._fileno)
            server.del_channel()
            self.socket.close()


class Inbox:
    """Takes the connections that other workers pass on to this one."""

    def __init__(self, slot: Slot, servers: Sequence[Acceptor]) -> None:
        self.slot = slot
        self.servers = servers

    def handle_read(self) -> None:
        """Take all that is there."""
        while handed := self.slot.take():
            self.servers[handed.listener].adopt(_socket(fileno=handed.fd), handed.address, handed_over=True)
        if self.slot.lost:
            log.line(
                "warning", msg="No file descriptor was left for connections of other workers.", lost=self.slot.lost
            )
            self.slot.lost = 0
            self.servers[0].housekeeping.make_room()


class TcpServer(Acceptor, TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """A listening TCP socket."""


class UnixServer(Acceptor, UnixWSGIServer):  # type: ignore[misc]
    """A listening Unix socket."""


def make_server(
    application: Any,
    listener: socket.socket,
    number: int,
    adj: Any,
    connections: Connections,
    housekeeping: Housekeeping,
    gate: Gate,
) -> TcpServer | UnixServer:
    """Return a server that listens on the bound `listener`, in the loop."""
    loop = connections.loop
    kind = UnixServer if listener.family == getattr(socket, "AF_UNIX", None) else TcpServer
    server = kind(
        application,
        loop.others,
        True,
        listener,
        dispatcher=connections.pool,
        adj=adj,
        sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        bind_socket=False,
    )
    server.connections, server.housekeeping, server.gate, server.number = connections, housekeeping, gate, number
    loop.add_listener(server._fileno)
    loop.add_trigger(server.trigger._fileno)
    loop.trigger = server.trigger
    return server
