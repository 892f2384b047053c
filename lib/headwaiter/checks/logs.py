"""Logs and mail: whether anyone hears of an error."""

from __future__ import annotations

from collections.abc import Iterator

from .registry import rule
from .site import Site, is_local

_CONSOLE = (
    'LOGGING = {"version": 1, "disable_existing_loggers": False, "handlers": {"console": {"class": '
    '"logging.StreamHandler"}}, "root": {"handlers": ["console"], "level": "INFO"}}'
)
_SMTP = "django.core.mail.backends.smtp.EmailBackend"


@rule(
    "W401",
    "Errors do not reach the log",
    why="Heroku keeps only what a dyno writes to stdout and stderr: a 500 leaves no trace in `heroku logs`.",
    fix=_CONSOLE,
)
def no_console_logging(site: Site) -> Iterator[str]:
    if not site.console_logging:
        yield "with DEBUG off no handler of the logger django.request writes to stdout or stderr"


@rule(
    "W402",
    "Logs are written to files",
    why="The dyno's disk is emptied at every restart, and nobody can read the files of a running dyno.",
    fix=_CONSOLE,
)
def file_logging(site: Site) -> Iterator[str]:
    if site.log_files:
        yield f"LOGGING has handlers for {', '.join(site.log_files)}"


@rule(
    "W403",
    "Mail is not sent",
    why="A dyno has no mail server, and nobody reads mail that goes to the log: password resets and error mails are "
    "lost.",
    fix="In the settings, read EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER and EMAIL_HOST_PASSWORD from the config vars "
    "of a mail add-on:\nheroku addons:create mailgun:starter",
)
def mail_not_sent(site: Site) -> Iterator[str]:
    evidence = _sends_mail(site)
    for name, backend, host in _mailers(site) if evidence else ():
        if backend == _SMTP and is_local(host):
            yield f"{name} uses a mail server on {host or 'localhost'}, and {evidence}"
        elif site.on_dyno and backend.endswith(("console.EmailBackend", "filebased.EmailBackend")):
            yield f"{name} uses {backend}, and {evidence}"


def _mailers(site: Site) -> Iterator[tuple[str, str, str]]:
    """Name, backend and host of what sends mail: MAILERS since Django 6.1, EMAIL_* before."""
    if not site.overridden("MAILERS"):
        yield "EMAIL_BACKEND", str(site.get("EMAIL_BACKEND")), str(site.get("EMAIL_HOST") or "")
        return
    for alias, mailer in site.get("MAILERS").items():
        host = (mailer.get("OPTIONS") or {}).get("host") or ""
        yield f"MAILERS[{alias!r}]", str(mailer.get("BACKEND", _SMTP)), str(host)


def _sends_mail(site: Site) -> str | None:
    """What shows that the site sends mail, or None: every site has EMAIL_HOST = localhost by default."""
    for name in ("ADMINS", "MANAGERS", "MAILERS", "EMAIL_HOST", "EMAIL_BACKEND", "DEFAULT_FROM_EMAIL", "SERVER_EMAIL"):
        if site.overridden(name):
            return f"{name} is set"
    return "the site has a password reset page" if site.has_password_reset else None
