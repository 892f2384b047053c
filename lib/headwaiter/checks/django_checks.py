"""Django's own system checks, deployment ones included, as findings, with what they mean on Heroku."""

from __future__ import annotations

from typing import Any

from .registry import LEVELS, Finding

# Django's id -> why it matters on Heroku, and the line that mends it there.
ON_HEROKU = {
    "security.W004": (
        "Only the browser can keep a visitor's first request from going out in the clear.",
        "SECURE_HSTS_SECONDS = 3600, and more once all of the site's names answer on https",
    ),
    "security.W008": (
        "Heroku's router takes http as well as https and redirects nothing.",
        "SECURE_SSL_REDIRECT = True  (no redirect loop: headwaiter knows from the router what was https)",
    ),
    "security.W009": (
        "Whoever guesses the key can forge sessions and password reset links.",
        "heroku config:set SECRET_KEY=\"$(python -c 'import secrets; print(secrets.token_urlsafe(50))')\"",
    ),
    "security.W012": ("The session cookie goes over plain http too.", "SESSION_COOKIE_SECURE = True"),
    "security.W016": ("The CSRF cookie goes over plain http too.", "CSRF_COOKIE_SECURE = True"),
    "security.W018": (
        "Error pages show settings and code to the world; on Heroku that includes what config vars put there.",
        'DEBUG = os.environ.get("DEBUG") == "1"',
    ),
    "security.W020": (
        "Every request is answered with 400 Bad Request.",
        'ALLOWED_HOSTS = ["www.example.com", "<app>.herokuapp.com"]',
    ),
}


def run() -> tuple[list[Finding], tuple[str, ...]]:
    """What `manage.py check --deploy` finds, one finding for each message, and the errors of checks that broke down.

    Asks no database, as Django's command doesn't; a site's own check may, with its database down for one.
    """
    from django.core import checks

    errors: tuple[str, ...] = ()
    try:
        messages = checks.run_checks(include_deployment_checks=True)
    except Exception:  # whatever a check raises
        messages, errors = _one_by_one()
    grouped: dict[tuple[str | None, int, str, str], list[str]] = {}
    for message in messages:
        where = grouped.setdefault((message.id, message.level, str(message.msg), str(message.hint or "")), [])
        where += [str(message.obj)] if message.obj is not None else []
    return [_finding(*key, objects) for key, objects in grouped.items()], errors


def _one_by_one() -> tuple[list[Any], tuple[str, ...]]:
    """The messages of all the checks but those that raise, and what those raise."""
    from django.core import checks
    from django.core.checks.registry import registry

    messages: list[Any] = []
    errors = []
    for check in registry.get_checks(include_deployment_checks=True):
        if checks.Tags.database in check.tags:
            continue
        try:
            messages += check(app_configs=None, databases=None)
        except Exception as error:  # each has its own error, and there are a few dozen
            name = f"{check.__module__}.{getattr(check, '__qualname__', check)}"
            errors.append(f"{name} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    return messages, tuple(errors)


def _finding(identifier: str | None, level: int, text: str, hint: str, objects: list[str]) -> Finding:
    """Django's first sentence is the title, the rest the reason."""
    title, _, rest = " ".join(text.split()).partition(". ")
    why, mend = ON_HEROKU.get(identifier or "", ("", ""))
    shown = ", ".join(objects[:5]) + (f" and {len(objects) - 5} more" if len(objects) > 5 else "")
    return Finding(
        identifier or "(no id)",
        _level(level),
        title.removesuffix("."),
        seen=shown,
        why=why or rest,
        mend=mend or " ".join(hint.split()),
    )


def _level(number: int) -> str:
    """Our word for one of Django's levels, which may lie between the named ones."""
    return next((name for name in reversed(LEVELS) if number >= LEVELS[name]), "info")
