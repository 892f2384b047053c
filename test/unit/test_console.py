"""Where an error of the site ends: in the log, once."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Callable, Iterator

import pytest
from django.utils.log import AdminEmailHandler, RequireDebugTrue
from headwaiter import console


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own below a parent of its own, which ends there."""
    parent, child = logging.getLogger("checktest"), logging.getLogger("checktest.request")
    parent.propagate = False
    yield child
    for each in (parent, child):
        for handler in list(each.handlers):
            each.removeHandler(handler)
            handler.close()
        each.setLevel(logging.NOTSET)
        each.disabled, each.propagate = False, True


def mail() -> logging.Handler:
    return AdminEmailHandler(reporter_class="django.views.debug.ExceptionReporter")


def debug_only() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.addFilter(RequireDebugTrue())
    return handler


def critical_only() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setLevel(logging.CRITICAL)
    return handler


@pytest.mark.parametrize(
    ("make", "reaches"),
    [
        (logging.StreamHandler, True),
        (lambda: logging.FileHandler("/dev/stdout", delay=True), True),
        (lambda: logging.handlers.QueueHandler(None), True),  # type: ignore[arg-type]
        (mail, False),
        (debug_only, False),
        (critical_only, False),
        (logging.NullHandler, False),
        (lambda: logging.FileHandler("/nowhere/site.log", delay=True), False),
    ],
)
def test_where_an_error_ends(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, make: Callable[[], logging.Handler], reaches: bool
) -> None:
    """Only a handler that writes to this process's output with DEBUG off counts."""
    monkeypatch.setattr(logger.parent, "handlers", [make()])  # without those that pytest adds

    assert console.reaches_console(logger.name, logging.ERROR) is reaches


def test_loggers_that_say_nothing(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any handler Python's last resort is stderr; a disabled logger, or one set higher, says nothing."""
    monkeypatch.setattr(logger.parent, "handlers", [])
    assert console.reaches_console(logger.name, logging.ERROR)
    logger.setLevel(logging.CRITICAL)
    assert not console.reaches_console(logger.name, logging.ERROR)
    logger.setLevel(logging.NOTSET)
    logger.disabled = True
    assert not console.reaches_console(logger.name, logging.ERROR)
