"""Threads that the site's import has started: a fork doesn't copy them, so they run in the main process alone."""

from __future__ import annotations

import threading

from headwaiter import log

# Their libraries notice a fork and start them again in each worker, by the beginning of the thread's name.
RESTART_THEMSELVES = {
    "Otel": "OpenTelemetry",  # os.register_at_fork() in opentelemetry/sdk/_shared_internal/__init__.py
    "sentry": "Sentry",  # sentry_sdk/worker.py compares process ids
    "raven-sentry": "Sentry",
    "ddtrace": "Datadog",  # https://ddtrace.readthedocs.io/en/stable/advanced_usage.html
}
ADVICE = (
    "The site's import started these threads. They run once on each dyno, in the main process, and not in the workers; "
    "a lock that one of them holds during a fork stays locked in that worker. HEADWAITER_PRELOAD=0 has each worker "
    "import the site and start its own. A scheduler belongs in a process type of its own (clock: in the Procfile)."
)


def report() -> None:
    """Log the names of these threads, and what that means."""
    ours = (threading.main_thread(), threading.current_thread())  # two objects where eventlet has patched threading
    names = sorted(one.name for one in threading.enumerate() if one not in ours)
    known = {name: _library(name) for name in names}
    libraries = sorted({library for library in known.values() if library})
    if libraries:
        which = ",".join(name for name in names if known[name])
        log.line("threads", threads=which, msg=f"{' and '.join(libraries)} start theirs again in each worker.")
    others = [name for name in names if not known[name]]
    if others:
        log.line("warning", threads=",".join(others), msg=ADVICE)


def _library(name: str) -> str | None:
    return next((library for start, library in RESTART_THEMSELVES.items() if name.startswith(start)), None)
