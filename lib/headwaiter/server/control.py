"""What the main process and a worker say to each other: lines of words, both ways, over a socket pair.

A worker says                        The main process says
ready    it answers requests         drain REASON   the whole dyno stops: take the last connections and leave
leave    it would like to end,       retire         this worker alone may leave: others take the connections
         or a signal asked it to     processes N    so many share the listening sockets from now on
seen X   what the databases said,    threads N      the pool has so many threads from now on
         of budget/look.py           look ALIAS...  ask these databases, from a pool thread
refused  the database refused a
         connect for want of slots
"""

from __future__ import annotations

import socket


class Control:
    """One end of the pair. Nothing here waits, and the end of the other process is no error."""

    def __init__(self, one: socket.socket) -> None:
        self.socket = one
        self.socket.setblocking(False)
        self._rest = b""

    def send(self, *words: object) -> None:
        """Say one line of `words`. When the other process has ended, receive() tells."""
        try:
            self.socket.send(" ".join(map(str, words)).encode() + b"\n")
        except OSError:
            return

    def receive(self) -> list[list[str]] | None:
        """Return the lines that have come, each as its words; None when the other process has ended."""
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode().split() for line in lines]

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()


def pair() -> tuple[Control, Control]:
    """Return both ends: the main process keeps the first."""
    ours, theirs = socket.socketpair()
    return Control(ours), Control(theirs)
