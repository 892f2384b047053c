"""How long a thread runs before Python makes it give way to the others.

Python's 5 ms interrupt a request in its middle, so that all become late together. While all requests are short each may
run to its end or until it waits for something. Beside one that runs for long, and may be computing, 5 ms are better.
"""

from __future__ import annotations

import sys

from headwaiter.server.thread_pool import ThreadPool

USUAL_SECONDS = 0.005  # Python's own, which a site may have changed
PATIENT_SECONDS = 0.02
LONG_SECONDS = 0.1  # a request that has run for longer isn't short
LOOK_SECONDS = 0.05


class SwitchInterval:
    """Sets sys.setswitchinterval() by what runs in `pool`, unless the site has set it."""

    def __init__(self, pool: ThreadPool) -> None:
        self.pool = pool
        self.next_look = 0.0 if sys.getswitchinterval() == USUAL_SECONDS else float("inf")
        self.seconds = USUAL_SECONDS

    def tick(self, now: float) -> None:
        """Look at what runs at `now` (time.monotonic()), if the last look is some time ago."""
        if now < self.next_look:
            return
        self.next_look = now + LOOK_SECONDS
        seconds = USUAL_SECONDS if self.pool.longest(now) > LONG_SECONDS else PATIENT_SECONDS
        if seconds != self.seconds:
            self.seconds = seconds
            sys.setswitchinterval(seconds)
