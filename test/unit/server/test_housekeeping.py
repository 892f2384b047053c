"""What a worker does by the clock, without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from headwaiter.server.housekeeping import SLICES, Housekeeping


def test_a_round_ends_though_its_connections_have_gone() -> None:
    """Closed connections aren't kept, and the next ones needn't wait until all of those were looked at."""
    channels: list[Any] = [SimpleNamespace(fd=None) for _ in range(1000)]
    connections: Any = SimpleNamespace(all=lambda: channels)
    housekeeping = Housekeeping(connections)
    housekeeping._review_slice(0.0)
    assert len(housekeeping.unseen) == 1000 - 1000 // SLICES
    channels = []
    for _ in range(SLICES - 1):
        housekeeping._review_slice(0.0)
    assert housekeeping.unseen == []
