"""What one worker counts: for the log, for `sample#` metrics and for retiring."""

from __future__ import annotations

import os
import resource
import sys
from collections import deque
from pathlib import Path


class Stats:
    """Counters of one worker. Threads add to them without a lock: a lost count in a million doesn't matter."""

    def __init__(self) -> None:
        self.requests = 0
        self.seconds: deque[float] = deque(maxlen=10_000)  # how long the latest requests took

    def count(self, seconds: float) -> None:
        """Count one answered request that took `seconds` from its complete receipt."""
        self.requests += 1
        self.seconds.append(seconds)

    def take_p95(self) -> float | None:
        """Return the 95th percentile in seconds since the last call, None when there was no request."""
        seconds = []
        while self.seconds:
            seconds.append(self.seconds.popleft())
        seconds.sort()
        return seconds[int(len(seconds) * 0.95)] if seconds else None


def resident_mb() -> float:
    """Return the memory of this process in MB: resident now, or its peak where /proc is missing."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
