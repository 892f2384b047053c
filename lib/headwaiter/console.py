"""Where a log record ends; and errors of a Django site, which Django's default LOGGING sends nowhere, reach the log.

With DEBUG off, Django's own configuration leaves `django` with a handler that mails the ADMINS and no other: a 500
leaves no trace (https://docs.djangoproject.com/en/stable/ref/logging/#default-logging-configuration). waitress-serve
hides that by calling logging.basicConfig(), which prints lines twice for sites that have handlers of their own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

from headwaiter import log

# Handlers of which one can say that they don't write to this process's output; others get the benefit of the doubt.
_ELSEWHERE = ("FileHandler", "NullHandler", "SMTPHandler", "SysLogHandler", "SocketHandler", "HTTPHandler")
_ELSEWHERE_MODULES = ("django.utils.log", "sentry_sdk", "raven", "rollbar", "logstash")
_CONSOLES = ("/dev/stdout", "/dev/stderr")


class Handler(logging.Handler):
    """Writes to standard error, and drops what would have to wait because nobody reads that."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log.write_error(self.format(record))
        except Exception:
            self.handleError(record)


def show_errors() -> None:
    """Have errors of Waitress and Django printed when nothing does and the site hasn't said that nothing shall."""
    waitress = logging.getLogger("waitress")
    if not waitress.hasHandlers():  # else logging.lastResort would write, and wait for whoever reads standard error
        waitress.addHandler(Handler(logging.WARNING))
    if "django" not in sys.modules or reaches_console("django.request", logging.ERROR):
        return
    if list(_chain("django.request"))[-1] is not logging.root:
        return  # `propagate: False`: the site's own decision, which `headwaiter check` names
    from django.utils.log import RequireDebugFalse

    handler = Handler(logging.ERROR)
    handler.addFilter(RequireDebugFalse())  # with DEBUG on, Django prints them itself
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger("django").addHandler(handler)


def reaches_console(name: str, level: int) -> bool:
    """Whether a record of the logger `name` is written to stdout or stderr when DEBUG is off."""
    logger = logging.getLogger(name)
    if logger.disabled or not logger.isEnabledFor(level):
        return False
    handlers = [handler for each in _chain(name) for handler in each.handlers]
    # Without any handler Python's logging.lastResort writes to stderr.
    return not handlers or any(_writes_to_console(handler, level) for handler in handlers)


def _chain(name: str) -> Iterator[logging.Logger]:
    """The loggers whose handlers a record of `name` meets, in turn."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield logger
        logger = logger.parent if logger.propagate else None


def _writes_to_console(handler: logging.Handler, level: int) -> bool:
    if handler.level > level or any(type(each).__name__ == "RequireDebugTrue" for each in handler.filters):
        return False
    if isinstance(handler, logging.FileHandler) and handler.baseFilename.startswith(_CONSOLES):
        return True
    if type(handler).__module__.startswith(_ELSEWHERE_MODULES):
        return False
    return not any(base.__name__ in _ELSEWHERE for base in type(handler).__mro__)
