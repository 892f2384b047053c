"""Gives bytes to our parser as a connection would, without a server: `read(b"GET / HTTP/1.1...")`."""

from __future__ import annotations

from headwaiter.server.buffers import Memory
from headwaiter.server.request import Parser
from waitress.adjustments import Adjustments

RECV = 32 * 1024  # bytes; the server's recv_bytes
LONGEST_HEADER = 64 * 1024


# Waitress's settings as the server has them, as far as the parser reads them.
ADJ = Adjustments(max_request_header_size=LONGEST_HEADER, inbuf_overflow=256 * 1024)
MEMORY = Memory()


def read(data: bytes, *, recv: int = RECV, peer: str = "127.0.0.1") -> list[Parser]:
    """Return the requests in `data`, which comes in pieces of `recv` bytes; the last may be unfinished or refused."""
    requests: list[Parser] = []
    current = Parser(ADJ, MEMORY, peer)
    for start in range(0, len(data), recv):
        piece = data[start : start + recv]
        while piece:
            piece = piece[current.received(piece) :]
            if not current.completed:
                continue
            if not current.empty:
                requests.append(current)
            if current.error:
                return requests
            current = Parser(ADJ, MEMORY, peer)
    return [*requests, current] if current._head or current.headers_finished else requests
