"""Takes passwords out of text that goes to a log: a traceback of the site's own, an error's message."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from headwaiter import log

_SHORTEST_VALUE = 6
_SHORTEST_PART = 4
"""Shorter pieces would blot out ordinary words and protect nothing."""

_NAMED = re.compile(r".*(DATABASE|POSTGRES|MYSQL|MARIADB|JAWSDB|CLEARDB|PGPASSWORD).*")


def redact(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `[NAME]` in place of every config var's value that holds a database's password, and of its parts.

    Values stand in messages as they are, as repr() shows them, or unquoted; urllib's errors quote a part.
    """
    found: dict[str, str] = {}
    for name, value in environ.items():
        for secret in _secrets(name, value):
            for form in {secret, unquote(secret), repr(secret)[1:-1], repr(unquote(secret))[1:-1]}:
                found.setdefault(form, f"[{name}]")
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, found[secret])
    return text


def for_people(sentence: str) -> str:
    """`sentence` without the secrets of this environment, on one line; they go first, as the line may be cut."""
    return log.printable(redact(sentence, os.environ))


def _secrets(name: str, value: str) -> Iterator[str]:
    """The whole value and the pieces of its password: of any URL with one, and of a database's variable without "@"."""
    scheme, slashes, rest = value.partition("://")
    userinfo, at, _ = rest.rpartition("@")
    if at:
        hidden = userinfo.partition(":")[2]
    else:
        # Nobody can tell which part is the password: a URL that was mistyped, or the password alone.
        hidden = (rest if slashes else scheme) if _NAMED.fullmatch(name.upper()) else ""
    if not hidden.strip():
        return
    for part in {hidden, *re.split(r"[\s:/?#@\[\]]+", hidden)}:
        if len(part) >= _SHORTEST_PART:
            yield part
    if len(value.strip()) >= _SHORTEST_VALUE:
        yield value.strip()
