"""Hands connections that wait for their next request to the worker that is least busy.

A router keeps its connections, and each stays with the worker that accepted it: one worker would queue while another
has resting threads. So a worker compares loads before it reads a request, and passes the connection on, unread, if
another has fewer requests. The main process makes the inboxes and the scoreboard before it forks; each worker has a
slot.

Why no connection is lost, without a lock between processes:

    a worker that leaves, or for a dead one the main process     a worker that passes a connection on
    1. writes NOT_SERVING as its load                            3. puts it into the inbox
    2. then empties its inbox                                    4. then empties that inbox if the load is NOT_SERVING

Either line 2 comes after line 3 and finds the connection, or before it, and then line 4 sees what line 1 wrote.
"""

from __future__ import annotations

import contextlib
import marshal
import mmap
import os
import socket
from socket import recv_fds, send_fds  # gevent and eventlet replace them later
from typing import Any, NamedTuple

NOT_SERVING = 1 << 32  # as a load: more than any
SLOTS_PER_PROCESS = 2  # a worker that drains keeps its slot while its successor has another
FEWEST_SLOTS = 8  # the number of processes may grow later
MESSAGE_BYTES = 1024
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Handed(NamedTuple):
    """A connection on its way: file descriptor, number of the listener that accepted it, the client's address."""

    fd: int
    listener: int
    address: Any


class Box(NamedTuple):
    """An inbox: its owner reads from one end, the others write to the other."""

    out: socket.socket
    into: socket.socket


class Exchange:
    """What all processes share. Each word of the scoreboard has one writer."""

    def __init__(self, slots: int) -> None:
        """Make `slots` inboxes; raises OSError where Unix sockets have no SOCK_SEQPACKET, as on macOS."""
        with contextlib.ExitStack() as undo:
            self.inboxes = []
            for _ in range(slots):
                box = Box(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                for end in box:
                    undo.callback(end.close)
                    end.setblocking(False)
                self.inboxes.append(box)
            undo.pop_all()
        words = memoryview(mmap.mmap(-1, 8 * slots * (slots + 2))).cast("Q")
        self.loads = words[:slots]  # requests that run or wait for a thread
        self.taken = words[slots : 2 * slots]  # connections that came out of the inbox, written by who empties it
        self.sent = words[2 * slots :]  # connections that slot a put into the inbox of b, at a * slots + b
        for slot in range(slots):
            self.loads[slot] = NOT_SERVING
        self._free = list(reversed(range(slots)))

    def claim(self) -> Slot | None:
        """Return a slot for the next worker, the one that was released last; None when none is left."""
        return Slot(self, self._free.pop()) if self._free else None

    def release(self, slot: Slot) -> None:
        """Take back the slot of a worker that has ended; pass on what is in its inbox or leave it to the next owner."""
        slot.leave()
        passed = True
        while passed and (to := slot.less_busy()) is not None and (handed := slot.take()):
            passed = slot.pass_on(handed, to)
            if not passed:
                slot.put(handed, slot.number)
            os.close(handed.fd)
        self._free.append(slot.number)


def make(processes: int) -> Exchange | None:
    """Return the exchange for so many worker processes; None where the system has no way to pass sockets on."""
    try:
        return Exchange(max(FEWEST_SLOTS, SLOTS_PER_PROCESS * processes))
    except OSError:
        return None


class Slot:
    """One worker's part of the exchange."""

    def __init__(self, exchange: Exchange, number: int) -> None:
        self.number = number
        self.lost = 0  # connections that the kernel closed, as this process had no file descriptor left for them
        self._count = len(exchange.inboxes)
        self._inboxes = exchange.inboxes
        self._loads, self._taken, self._sent = exchange.loads, exchange.taken, exchange.sent

    def fileno(self) -> int:
        """The file descriptor that is readable while something is in the inbox."""
        return self._inboxes[self.number].out.fileno()

    def report(self, load: int) -> None:
        """Let the other workers know how many requests run here or wait for a thread."""
        self._loads[self.number] = load

    def leave(self) -> None:
        """Have the others pass nothing on to here. What is in the inbox already still has to be taken."""
        self._loads[self.number] = NOT_SERVING  # line 1

    def less_busy(self, least: int = NOT_SERVING) -> int | None:
        """Return the slot of the least busy worker with fewer requests than `least`; None where there's none."""
        best = None
        if least <= 0:
            return None
        for other, load in enumerate(self._loads):
            if load < least and other != self.number:
                load += sum(self._sent[other :: self._count]) - self._taken[other]  # those that it hasn't seen yet
                if load < least:
                    least, best = load, other
        return best

    def pass_on(self, handed: Handed, to: int) -> bool:
        """Pass a copy of the connection on to the worker in slot `to`; False where its inbox has no room."""
        if not self.put(handed, to):  # line 3
            return False
        if self._loads[to] == NOT_SERVING:  # line 4
            while back := self._take_from(to):
                self.put(back, self.number)
                os.close(back.fd)
        return True

    def put(self, handed: Handed, to: int) -> bool:
        """Put a copy of the connection into the inbox of slot `to`; False where there's no room."""
        word = self.number * self._count + to
        self._sent[word] += 1
        try:
            send_fds(self._inboxes[to].into, [marshal.dumps(handed[1:])], [handed.fd])
        except OSError:  # the inbox is full, or too many descriptors are on their way
            self._sent[word] -= 1
            return False
        return True

    def take(self) -> Handed | None:
        """Take a connection out of the inbox; None when it's empty."""
        return self._take_from(self.number)

    def _take_from(self, number: int) -> Handed | None:
        while True:
            try:
                data, fds, _, _ = recv_fds(self._inboxes[number].out, MESSAGE_BYTES, 1, _CLOSE_ON_EXEC)
            except OSError:  # it's empty: now what is said of it can be put right after line 4, or a death in put()
                self._taken[number] = sum(self._sent[number :: self._count])
                return None
            self._taken[number] += 1
            if fds:
                return Handed(fds[0], *marshal.loads(data))  # noqa: S302  # written by put()
            self.lost += 1
