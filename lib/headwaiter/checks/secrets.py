"""What must never be printed: a net under the rules, which print no secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .site import Site

_SHORTEST_SECRET = 10  # a shorter one can't be told from a word
_SECRET_NAMES = ("KEY", "SECRET", "TOKEN", "PASS", "_URL", "_DSN", "CREDENTIAL")


def secrets_of(site: Site) -> frozenset[str]:
    """Values that must never be printed: keys, passwords, and config vars that sound like secrets."""
    found: list[Any] = [
        site.get("SECRET_KEY"),
        *(site.get("SECRET_KEY_FALLBACKS") or []),
        site.get("EMAIL_HOST_PASSWORD"),
    ]
    found += [database.get("PASSWORD") for database in site.databases.values()]
    found += [(mailer.get("OPTIONS") or {}).get("password") for mailer in site.get("MAILERS", {}).values()]
    for name, value in site.environ.items():
        if any(part in name.upper() for part in _SECRET_NAMES):
            found += [value, _password(value)]
    return frozenset(text for text in (str(each) for each in found if each) if len(text) >= _SHORTEST_SECRET)


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
