"""What a worker does when the main process ends."""

from __future__ import annotations

import os
import select
import socket
from typing import Any

import pytest
from headwaiter.server import control, loop
from headwaiter.server.worker import Worker
from headwaiter.settings import Settings


@pytest.mark.parametrize("poller", [loop._Select, loop._Poll, getattr(select, "epoll", loop._Poll)])
def test_the_line_of_a_main_process_that_has_gone_is_watched_no_more(
    poller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that the site forked may hold the line open, and select() fails with a closed one."""
    monkeypatch.setattr(loop, "_poller", poller)
    main, line = control.pair()
    held = os.dup(line.fileno())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = Worker(lambda environ, start_response: [], [listener], Settings(), threads=1, control=line)
        try:
            main.close()
            worker.loop._turn(worker.loop.epoll.poll(0))
            assert worker.stopping == "parent-gone"
            assert worker.loop.epoll.poll(0) == []
        finally:
            worker._close(60.0)
            os.close(held)
