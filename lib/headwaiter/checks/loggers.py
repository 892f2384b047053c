"""The files that the site's log handlers write to. Writes no record."""

from __future__ import annotations

import logging
from collections.abc import Iterator

_CONSOLES = ("/dev/stdout", "/dev/stderr", "/dev/null", "/proc/", "/dev/fd/")


def to_files() -> Iterator[str]:
    """The handlers that write to a file, once each: its class and the file's name."""
    loggers = [logging.root, *(each for each in logging.root.manager.loggerDict.values())]
    handlers = {handler for each in loggers if isinstance(each, logging.Logger) for handler in each.handlers}
    for handler in sorted(handlers, key=repr):
        if isinstance(handler, logging.FileHandler) and not handler.baseFilename.startswith(_CONSOLES):
            yield f"{type(handler).__name__} to {handler.baseFilename.rpartition('/')[2]}"
