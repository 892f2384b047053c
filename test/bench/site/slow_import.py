"""A site whose import takes three seconds, as one with many packages on a small dyno."""

from __future__ import annotations

import time

from trivial import application

time.sleep(3)

__all__ = ["application"]
