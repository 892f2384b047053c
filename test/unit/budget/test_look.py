"""The bound of a look, without a database."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from headwaiter.budget import look


def test_a_cut_that_has_begun_ends_before_the_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor may be another connection's as soon as the look is over."""
    began, ended = threading.Event(), threading.Event()

    def dup(_fd: int) -> int:
        began.set()
        time.sleep(0.5)
        ended.set()
        raise OSError

    monkeypatch.setattr("socket.dup", dup)
    with look._bounded(SimpleNamespace(fileno=lambda: 0), time.monotonic() + 0.01):
        assert began.wait(60)
    assert ended.is_set()
