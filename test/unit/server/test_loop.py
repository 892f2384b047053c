"""The loop's wake-ups, without a server."""

from __future__ import annotations

import select
from types import SimpleNamespace
from typing import Any

import pytest
from headwaiter.server.loop import IN, Loop
from waitress.trigger import trigger


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")
def test_a_wake_up_just_before_the_pipe_is_read_does_not_silence_the_next() -> None:
    """Its byte is read with the others; if the loop took it for unread, nobody would write one again."""
    sockets: dict[int, Any] = {}
    loop: Loop[Any] = Loop(sockets)
    loop.trigger = pipe = trigger(sockets)
    loop.add_trigger(pipe._fileno)
    read = pipe.handle_read
    try:
        loop.wake()

        def read_after_another_wake() -> None:
            loop.wake()
            read()

        pipe.handle_read = read_after_another_wake
        loop._turn(loop.epoll.poll(0))
        assert not loop.epoll.poll(0)
        loop.wake()
        assert loop.epoll.poll(0)
    finally:
        loop.close()
        pipe.close()


def test_an_event_is_for_the_connection_that_had_it() -> None:
    """Another event of the turn closes it, and a new connection gets its number: that one hears nothing of it."""
    heard: list[str] = []
    loop: Loop[Any] = Loop({})
    old, new = (
        SimpleNamespace(fd=1000, on_event=lambda _, name=name: heard.append(name), logger=None)
        for name in ("old", "new")
    )

    def replace() -> None:
        old.fd = None
        loop.connections[1000] = new

    loop.others[1001] = SimpleNamespace(handle_read=replace)
    loop.connections[1000] = old
    try:
        loop._turn([(1001, IN), (1000, IN)])
    finally:
        loop.close()
    assert heard == []
    assert loop.connections == {1000: new}
