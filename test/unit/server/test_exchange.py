"""The exchange of connections: who gets one, and that none is lost on the way."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from headwaiter.server import exchange
from headwaiter.server.accept import Inbox
from headwaiter.server.channel import Channel, Connections
from headwaiter.server.exchange import Exchange, Handed, Slot

ADDRESS = ("203.0.113.7", 50_000)


@pytest.fixture
def shared() -> Iterator[Exchange]:
    made = Exchange(4)
    yield made
    for pair in made.inboxes:
        for end in pair:
            end.close()


@pytest.fixture
def slots(shared: Exchange) -> list[Slot]:
    """The slots of three workers that serve, without requests."""
    found = [slot for _ in range(3) if (slot := shared.claim())]
    for slot in found:
        slot.report(0)
    return found


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: what the worker has of it, and what the client has."""
    ours, client = socket.socketpair()
    with ours, client:
        yield ours, client


def answers(handed: Handed, client: socket.socket) -> bool:
    """Tell whether what is written to `handed` reaches `client`; closes it."""
    with socket.socket(fileno=handed.fd) as taken:
        taken.sendall(b"answer")
    return client.recv(100) == b"answer"


def pass_on(slot: Slot, handed: Handed) -> bool:
    """Pass `handed` on to the least busy of the others."""
    to = slot.less_busy()
    return to is not None and slot.pass_on(handed, to)


def test_a_connection_arrives_whole(slots: list[Slot], ends: tuple[socket.socket, socket.socket]) -> None:
    """The other worker can answer on it although the first has closed its own descriptor."""
    ours, client = ends
    slots[0].report(2)
    slots[1].report(1)
    assert pass_on(slots[0], Handed(ours.fileno(), 3, ADDRESS))
    ours.close()
    assert slots[1].take() is None
    handed = slots[2].take()
    assert handed
    assert handed[1:] == (3, ADDRESS)
    assert answers(handed, client)
    assert slots[2].take() is None


@pytest.mark.parametrize("address", [("localhost", None), ("2001:db8::1", 80, 0, 2), ADDRESS])
def test_every_kind_of_address_arrives(
    slots: list[Slot], ends: tuple[socket.socket, socket.socket], address: tuple[object, ...]
) -> None:
    """Those of Unix sockets, IPv6 and IPv4, as Waitress has them."""
    assert slots[0].put(Handed(ends[0].fileno(), 0, address), 1)
    handed = slots[1].take()
    assert handed
    os.close(handed.fd)
    assert handed.address == address


@pytest.mark.parametrize(
    ("loads", "least", "expected"),
    [
        ((0, 0, 0), 0, None),
        ((1, 1, 1), 1, None),
        ((1, 0, 1), 1, 1),
        ((9, 3, 2), 8, 2),
        ((9, 3, 2), 2, None),
        ((0, 3, 2), 3, 2),
        ((9, exchange.NOT_SERVING, 8), exchange.NOT_SERVING, 2),
        ((exchange.NOT_SERVING, exchange.NOT_SERVING, exchange.NOT_SERVING), exchange.NOT_SERVING, None),
    ],
)
def test_the_least_busy_worker_is_chosen(
    slots: list[Slot], loads: tuple[int, ...], least: int, expected: int | None
) -> None:
    """Never the own slot, and none that leaves."""
    for slot, load in zip(slots, loads, strict=True):
        slot.report(load)
    assert slots[0].less_busy(least) == expected


def test_what_is_on_the_way_counts(slots: list[Slot], ends: tuple[socket.socket, socket.socket]) -> None:
    """A burst doesn't go to one resting worker, which can't tell its load before it has looked into its inbox."""
    slots[0].report(4)
    for _ in range(4):
        pass_on(slots[0], Handed(ends[0].fileno(), 0, ADDRESS))
    taken = []
    for slot in slots[1:]:
        count = 0
        while handed := slot.take():
            os.close(handed.fd)
            count += 1
        taken.append(count)
    assert taken == [2, 2]
    assert slots[0].less_busy(1) == 1, "what was taken counts no longer"


def test_a_full_inbox_refuses(slots: list[Slot], ends: tuple[socket.socket, socket.socket]) -> None:
    """The connection stays where it is, and counts as not sent."""
    sent = 0
    while slots[0].put(Handed(ends[0].fileno(), 0, ADDRESS), 1):
        sent += 1
    assert sent > 50
    slots[0].report(sent + 1)
    slots[2].report(exchange.NOT_SERVING)
    assert slots[0].less_busy() == 1, "it has fewer by one"
    assert not pass_on(slots[0], Handed(ends[0].fileno(), 0, ADDRESS))
    while handed := slots[1].take():
        os.close(handed.fd)


def test_a_worker_that_leaves_meanwhile_gets_nothing(
    slots: list[Slot], ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have emptied its inbox already: who put the connection there takes it back."""
    ours, client = ends
    slots[0].report(1)
    slots[2].report(1)
    real = exchange.send_fds

    def leaves_first(*arguments: object) -> int:
        monkeypatch.setattr(exchange, "send_fds", real)
        slots[1].leave()
        assert slots[1].take() is None
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(exchange, "send_fds", leaves_first)
    assert pass_on(slots[0], Handed(ours.fileno(), 0, ADDRESS))
    ours.close()
    assert slots[1].take() is None
    handed = slots[0].take()
    assert handed
    before = len(os.listdir("/proc/self/fd"))
    assert answers(handed, client)
    assert client.recv(1) == b"", "nobody holds another copy"
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_a_word_that_two_have_written_is_put_right(slots: list[Slot], shared: Exchange) -> None:
    """By the next look into the empty inbox."""
    shared.sent[0 * 4 + 1] += 1  # a worker died before it had sent
    slots[2].leave()
    assert slots[0].less_busy(1) is None
    assert slots[1].take() is None
    assert slots[0].less_busy(1) == 1


def test_a_connection_that_arrives_without_its_descriptor_is_skipped(
    slots: list[Slot], ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel closes it where the process may open no more files; the next one is served."""
    ours, client = ends
    for _ in range(2):
        slots[0].put(Handed(ours.fileno(), 0, ADDRESS), 1)
    real = exchange.recv_fds

    def without(*arguments: object) -> tuple[bytes, list[int], int, object]:
        monkeypatch.setattr(exchange, "recv_fds", real)
        data, fds, flags, address = real(*arguments)  # type: ignore[arg-type]
        os.close(fds[0])
        return data, [], flags, address

    monkeypatch.setattr(exchange, "recv_fds", without)
    handed = slots[1].take()
    assert handed
    assert answers(handed, client)
    assert slots[1].take() is None
    assert slots[1].lost == 1


def test_what_a_dead_worker_has_not_taken_goes_to_the_others(
    shared: Exchange, slots: list[Slot], ends: tuple[socket.socket, socket.socket]
) -> None:
    """The main process sees to it as soon as it has collected the worker."""
    ours, client = ends
    slots[0].put(Handed(ours.fileno(), 0, ADDRESS), 1)
    slots[0].report(1)
    shared.release(slots[1])
    ours.close()
    handed = slots[2].take()
    assert handed
    assert answers(handed, client)


def test_what_no_inbox_has_room_for_waits_for_the_successor(
    shared: Exchange, slots: list[Slot], ends: tuple[socket.socket, socket.socket]
) -> None:
    """And the main process keeps no copy, or the client would wait for its end for ever."""
    ours, client = ends
    slots[2].leave()
    while slots[0].put(Handed(client.fileno(), 0, ADDRESS), 0):
        """Fill the only other inbox."""
    slots[0].report(0)
    slots[1].put(Handed(ours.fileno(), 0, ADDRESS), 1)
    ours.close()
    shared.release(slots[1])
    successor = shared.claim()
    assert successor
    handed = successor.take()
    assert handed
    assert answers(handed, client)
    assert client.recv(1) == b""


def test_where_nobody_else_serves_the_successor_gets_it(
    shared: Exchange, slots: list[Slot], ends: tuple[socket.socket, socket.socket]
) -> None:
    """It has the dead worker's slot, and so its inbox."""
    ours, client = ends
    for slot in slots[1:]:
        shared.release(slot)
    slots[1].put(Handed(ours.fileno(), 0, ADDRESS), 0)
    ours.close()
    shared.release(slots[0])
    successor = shared.claim()
    assert successor
    assert successor.number == slots[0].number
    assert successor.less_busy() is None, "it doesn't serve yet"
    handed = successor.take()
    assert handed
    assert answers(handed, client)


def test_more_workers_than_slots(shared: Exchange, slots: list[Slot]) -> None:
    """They serve without passing connections on."""
    assert shared.claim()
    assert shared.claim() is None
    shared.release(slots[1])
    again = shared.claim()
    assert again
    assert again.number == slots[1].number


def test_systems_without_the_means_have_no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections stay where they are; no descriptor is left open."""

    made: list[socket.socket] = []
    real = socket.socketpair

    def refuse_the_third(*arguments: int) -> tuple[socket.socket, socket.socket]:
        if len(made) == 4:
            raise OSError("protocol not supported")
        made.extend(real(*arguments))
        return made[-2], made[-1]

    monkeypatch.setattr(socket, "socketpair", refuse_the_third)
    assert exchange.make(2) is None
    assert [one.fileno() for one in made] == [-1] * 4


@pytest.mark.parametrize(
    ("ours", "theirs", "in_thread", "moves"),
    [
        (1, 0, False, False),  # a thread rests here
        (2, 0, False, True),  # two requests more than there: Python's lock is free there
        (2, 0, True, False),  # one of the two has just answered on this connection
        (4, 3, False, True),  # all are busy here, and one rests there
        (4, 4, False, False),
        (5, 3, True, True),
        (8, 4, False, False),  # all are busy there, too
        (9, 4, False, True),
    ],
)
def test_when_a_connection_moves(slots: list[Slot], ours: int, theirs: int, in_thread: bool, moves: bool) -> None:
    """Four threads on both sides; `ours` and `theirs` are requests that run or wait."""
    pool = SimpleNamespace(busy=min(ours, 4), queue=[None] * max(0, ours - 4), threads=[None] * 4)
    connections = SimpleNamespace(slot=slots[0], pool=pool, draining=False)
    slots[1].report(theirs)
    slots[2].leave()
    to = Connections.better_place(cast("Any", connections), cast("Any", SimpleNamespace(in_thread=in_thread)))
    assert to == (1 if moves else None)


def test_a_connection_goes_to_the_listener_that_accepted_it(
    slots: list[Slot], ends: tuple[socket.socket, socket.socket]
) -> None:
    """With its client's address; the log and the site see what they would have seen."""
    taken: list[tuple[str, object, bool]] = []

    class Listener:
        def __init__(self, name: str) -> None:
            self.name = name

        def adopt(self, connection: socket.socket, address: object, *, handed_over: bool) -> None:
            connection.close()
            taken.append((self.name, address, handed_over))

    slots[0].put(Handed(ends[0].fileno(), 1, ADDRESS), 1)
    Inbox(slots[1], [Listener("first"), Listener("second")]).handle_read()  # type: ignore[list-item]
    assert taken == [("second", ADDRESS, True)]


def test_where_descriptors_are_short_idle_connections_make_room(slots: list[Slot]) -> None:
    """What the kernel closed is counted in the log, once."""
    made_room: list[bool] = []
    listener = SimpleNamespace(housekeeping=SimpleNamespace(make_room=lambda: made_room.append(True)))
    inbox = Inbox(slots[1], [cast("Any", listener)])
    slots[1].lost = 3
    inbox.handle_read()
    inbox.handle_read()
    assert made_room == [True]


@pytest.mark.parametrize(
    ("talks", "handed_over", "moves"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_only_a_request_makes_a_connection_move(talks: bool, handed_over: bool, moves: bool) -> None:
    """Not the client's end of file; and never twice without being read."""
    moved: list[int] = []
    connections = SimpleNamespace(better_place=lambda _: 1, pass_on=lambda _, to: moved.append(to) or True)
    channel = SimpleNamespace(handed_over=handed_over, idle=lambda: True, talks=lambda: talks, connections=connections)
    assert Channel._moves_on(cast("Any", channel)) == moves
    assert moved == [1] * moves
