"""The exchange of connections: who gets one, and that none is lost on the way."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from headwaiter.server import exchange
from headwaiter.server.accept import Inbox
from headwaiter.server.channel import Connections
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
    """Pass `handed` on to the least busy worker."""
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
    ("loads", "margin", "expected"),
    [
        ((0, 0, 0), 0, None),
        ((1, 1, 1), 0, None),
        ((1, 0, 1), 0, 1),
        ((1, 0, 1), 1, None),
        ((2, 0, 1), 1, 1),
        ((9, 3, 2), 1, 2),
        ((9, exchange.NOT_SERVING, 8), 0, 2),
        ((exchange.NOT_SERVING, exchange.NOT_SERVING, 8), 0, 2),
        ((exchange.NOT_SERVING, exchange.NOT_SERVING, exchange.NOT_SERVING), 0, None),
    ],
)
def test_the_least_busy_worker_is_chosen(
    slots: list[Slot], loads: tuple[int, ...], margin: int, expected: int | None
) -> None:
    """A worker that leaves gives everything away and gets nothing."""
    for slot, load in zip(slots, loads, strict=True):
        slot.report(load)
    assert slots[0].less_busy(margin) == expected


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
    slots[0].report(1)
    assert slots[0].less_busy() == 1, "what was taken counts no longer"


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
    slots[0].report(1)
    assert slots[0].less_busy() is None
    assert slots[1].take() is None
    assert slots[0].less_busy() == 1


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


class FakePool:
    """What Connections asks of the thread pool."""

    def __init__(self, resting: int, queue: int) -> None:
        self.resting, self.queue = [None] * resting, [None] * queue


@pytest.mark.parametrize(
    ("resting", "queue", "in_thread", "ours", "moves"),
    [
        (2, 0, False, 1, False),  # a thread is near
        (2, 0, False, 2, True),  # two requests more than there: the lock of Python is free there
        (0, 0, False, 1, True),  # nobody rests here
        (2, 0, True, 2, False),  # one of the two has just answered on this connection
        (0, 0, True, 1, False),  # and rests at once
        (0, 1, True, 2, True),  # unless it takes what waits
    ],
)
def test_when_a_connection_moves(
    slots: list[Slot], resting: int, queue: int, in_thread: bool, ours: int, moves: bool
) -> None:
    """To a worker without requests, by what runs here."""
    channel = type("Channel", (), {"in_thread": in_thread})()
    connections = type("Connections", (), {"slot": slots[0], "pool": FakePool(resting, queue)})()
    slots[0].report(ours)
    assert (Connections.better_place(connections, channel) is not None) == moves


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
