"""Logs and mail: whether anybody hears of an error."""

from __future__ import annotations

from collections.abc import Iterator

from .registry import Seen, rule
from .site import Site, is_local

_CONSOLE = (
    'LOGGING = {"version": 1, "disable_existing_loggers": False, "handlers": {"console": {"class": '
    '"logging.StreamHandler"}}, "root": {"handlers": ["console"], "level": "INFO"}}'
)


@rule(
    "W401",
    "Errors don't reach the log",
    why="Heroku keeps what a dyno writes to stdout and stderr, nothing else: a 500 leaves no trace in `heroku logs`.",
    mend=_CONSOLE,
)
def no_console_logging(site: Site) -> Iterator[Seen | str]:
    if not site.console_logging:
        yield "an ERROR of the logger django.request ends in no handler that writes to stdout or stderr with DEBUG off"


@rule(
    "W402",
    "Logs are written to files",
    why="The dyno's disk is thrown away at every restart, and nobody can read files of a running dyno.",
    mend=_CONSOLE,
)
def file_logging(site: Site) -> Iterator[Seen | str]:
    for handler in site.file_loggers:
        yield f"LOGGING has a handler that writes to a file: {handler}"


def _sends_mail(site: Site) -> str | None:
    """What shows that the site sends mail, or None: every site has EMAIL_HOST = localhost by default."""
    for name in ("ADMINS", "MANAGERS"):
        if site.get(name):
            return f"{name} is set"
    for name in ("MAILERS", "EMAIL_HOST", "EMAIL_BACKEND", "DEFAULT_FROM_EMAIL", "SERVER_EMAIL"):
        if site.overridden(name):
            return f"{name} is set"
    return "the site has a password reset page" if site.has_password_reset else None


@rule(
    "W403",
    "Mail is sent to a mail server on the dyno itself",
    why="There is none: sending fails with connection refused, password resets and error mails too.",
    mend="heroku addons:create mailgun:starter (or another), and set EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, "
    "EMAIL_HOST_PASSWORD and EMAIL_USE_TLS (Django 6.1: MAILERS) from its config vars",
)
def mail_to_localhost(site: Site) -> Iterator[Seen | str]:
    evidence = _sends_mail(site)
    for setting, (backend, host) in site.mailers.items():
        if evidence and backend == "django.core.mail.backends.smtp.EmailBackend" and is_local(host):
            reason = "" if setting.startswith("MAILERS") else f", and {evidence}"
            yield f"{setting} is {host or 'localhost'}{reason}"


@rule(
    "W404",
    "Mail is written to the log or to files, not sent",
    why="Users wait for their password reset mails; on Heroku the log then holds the links.",
    mend='EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend", with EMAIL_HOST and the rest from config vars',
    dyno_only=True,
)
def mail_not_sent(site: Site) -> Iterator[Seen | str]:
    for setting, (backend, _) in site.mailers.items():
        if backend.endswith(("console.EmailBackend", "filebased.EmailBackend", "locmem.EmailBackend")):
            yield f"{setting.replace('EMAIL_HOST', 'EMAIL_BACKEND')} is {backend}"
