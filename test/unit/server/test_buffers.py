"""Buffers: in order, within their limits, and honest about a full disk."""

from __future__ import annotations

import gzip
import os
import socket
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from headwaiter.server import buffers
from hypothesis import given, settings
from hypothesis import strategies as st

sizes = st.sampled_from([0, 1, 10, 4095, 4096, 5000, 70_000, 1_100_000])


def read(sock: socket.socket, size: int) -> bytes:
    """Return up to `size` bytes of what has arrived."""
    try:
        return sock.recv(size)
    except BlockingIOError:
        return b""


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), sizes), max_size=25), st.sampled_from([0, 10_000, 3_000_000]))
def test_what_goes_in_comes_out_in_order(steps: list[tuple[bool, int]], limit: int) -> None:
    """Appending and sending, in any mixture, with much memory or none, to a client that reads much or little."""
    memory = buffers.Memory(limit)
    buffer = buffers.OutBuffer(memory)
    expected, arrived = bytearray(), bytearray()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.setblocking(False)
        for number, (adds, size) in enumerate(steps):
            if adds:
                data = bytes([number % 256]) * size
                buffer.append(data)
                expected += data
            elif len(buffer):
                before = len(buffer)
                assert buffer.send_to(ours) == before - len(buffer)
                arrived += read(theirs, size)
            assert memory.used <= limit + buffers.ALWAYS_IN_MEMORY + buffers.SMALL
        while len(buffer):
            buffer.send_to(ours)
            arrived += read(theirs, 1_000_000)
        while piece := read(theirs, 1_000_000):
            arrived += piece
    assert arrived == expected
    buffer.close()
    assert memory.used == 0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def received(pair: tuple[socket.socket, socket.socket], buffer: Any) -> bytes:
    """Send all of `buffer` and return what arrived."""
    data = b""
    while len(buffer):
        sent = buffer.send_to(pair[0])
        data += pair[1].recv(sent, socket.MSG_WAITALL) if sent else b""
    return data


@pytest.mark.parametrize("limit", [0, 50_000_000])
def test_sending_from_memory_and_from_a_file(pair: tuple[socket.socket, socket.socket], limit: int) -> None:
    """Many small pieces and few large ones."""
    buffer = buffers.OutBuffer(buffers.Memory(limit))
    pieces = [bytes([number]) * size for number, size in enumerate([10, 20, 6000, 3, 900_000, 7, 2_000_000])]
    for piece in pieces:
        buffer.append(piece)
    assert received(pair, buffer) == b"".join(pieces)


def test_the_disk_limit_of_one_response() -> None:
    """Nothing is added when it doesn't fit."""
    buffer = buffers.OutBuffer(buffers.Memory(0), on_disk_limit=100_000)
    buffer.append(b"a" * 90_000)
    with pytest.raises(buffers.NoRoomError):
        buffer.append(b"b" * 20_000)
    assert len(buffer) == 90_000
    buffer.close()


def test_the_disk_is_never_filled_to_the_brim(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app needs temporary files, too."""
    monkeypatch.setattr(buffers.shutil, "disk_usage", lambda fd: SimpleNamespace(free=buffers.KEEP_FREE - 1))
    buffer = buffers.OutBuffer(buffers.Memory(0))
    with pytest.raises(buffers.NoRoomError):
        for _ in range(1000):
            buffer.append(b"a" * 100_000)
    assert len(buffer) <= buffers.LOOK_AT_DISK_EVERY
    buffer.close()


@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_a_body_is_a_file_for_the_app(limit: int) -> None:
    """In memory or on disk: lines, positions and reads as usual."""
    memory = buffers.Memory(limit)
    body = buffers.BodyBuffer(memory, overflow=30_000)
    data = b"".join(b"line %d\n" % number for number in range(6000))
    for start in range(0, len(data), 7000):
        body.append(data[start : start + 7000])
    assert len(body) == len(data)
    file = body.getfile()
    assert file.readline() == b"line 0\n"
    assert file.read() == data[7:]
    file.seek(0)
    assert sum(1 for _ in file) == 6000
    body.close()
    assert memory.used == 0


class Passing:
    """Wraps a file as Django's File does."""

    def __init__(self, file: Any) -> None:
        self.file = file

    @property
    def read(self) -> Any:
        return self.file.read


class Changing(Passing):
    """What it reads isn't what the file holds."""

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        return bytes(self.file.read(size)[::-1])


def test_only_real_files_go_to_the_kernel(tmp_path: Path) -> None:
    """A gzip file has a file descriptor, but of the packed bytes; a wrapper may change what it reads."""
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(b"0123456789")
    packed.write_bytes(gzip.compress(b"0123456789"))
    with plain.open("rb") as file, gzip.open(packed) as unpacked, plain.open() as text:
        assert buffers.real_file(file) is file
        assert buffers.real_file(Passing(Passing(file))) is file
        for other in (unpacked, text, Changing(file), Passing(Changing(file)), Changing(Passing(file)), BytesIO(b"x")):
            assert buffers.real_file(other) is None
    with tempfile.NamedTemporaryFile() as named:
        assert buffers.real_file(named) is named.file
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb"):
        assert buffers.real_file(pipe) is None


def test_a_file_range_starts_where_the_app_stood(pair: tuple[socket.socket, socket.socket]) -> None:
    """It sends as many bytes as the app promised, also what the app has just written and a file that it closed."""
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(3)
        real = buffers.real_file(file)
        assert real
        part = buffers.FileRange(real, 4)
    assert received(pair, part) == b"3456"
    part.close()


def test_a_file_that_became_shorter_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    """The client waits for bytes that don't exist: closing is all that can be done."""
    with tempfile.TemporaryFile() as file:
        file.truncate(1000)
        part = buffers.FileRange(file, 1000)
        os.truncate(file.fileno(), 0)
        with pytest.raises(buffers.ShortFileError):
            part.send_to(pair[0])
        part.close()
