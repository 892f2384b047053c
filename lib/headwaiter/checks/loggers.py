"""Where a log record would end, told from the handlers that the site has set up. Writes no record."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator

# Handlers of which one can say that they don't write to this process's output; others get the benefit of the doubt.
_ELSEWHERE = (
    logging.FileHandler,
    logging.NullHandler,
    logging.handlers.SMTPHandler,
    logging.handlers.SysLogHandler,
    logging.handlers.SocketHandler,
    logging.handlers.HTTPHandler,
)
_ELSEWHERE_MODULES = ("django.utils.log", "sentry_sdk", "raven", "rollbar", "logstash")
_CONSOLES = ("/dev/stdout", "/dev/stderr", "/dev/null", "/proc/", "/dev/fd/")


def reaches_console(name: str, level: int) -> bool:
    """Whether a record of the logger `name` is written to stdout or stderr when DEBUG is off."""
    logger: logging.Logger | None = logging.getLogger(name)
    if logger is None or logger.disabled or not logger.isEnabledFor(level):
        return False
    handlers = 0
    while logger is not None:
        handlers += len(logger.handlers)
        if any(_writes_to_console(handler, level) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return handlers == 0  # Python's logging.lastResort writes to stderr then


def _writes_to_console(handler: logging.Handler, level: int) -> bool:
    from django.utils.log import RequireDebugTrue

    if handler.level > level or any(isinstance(each, RequireDebugTrue) for each in handler.filters):
        return False
    if isinstance(handler, logging.FileHandler) and handler.baseFilename.startswith(_CONSOLES[:2]):
        return True
    module = type(handler).__module__
    return not isinstance(handler, _ELSEWHERE) and not module.startswith(_ELSEWHERE_MODULES)


def to_files() -> Iterator[str]:
    """The handlers that write to a file, once each: its class and the file's name."""
    loggers = [logging.root, *(each for each in logging.root.manager.loggerDict.values())]
    handlers = {handler for each in loggers if isinstance(each, logging.Logger) for handler in each.handlers}
    for handler in sorted(handlers, key=repr):
        if isinstance(handler, logging.FileHandler) and not handler.baseFilename.startswith(_CONSOLES):
            yield f"{type(handler).__name__} to {handler.baseFilename.rpartition('/')[2]}"
