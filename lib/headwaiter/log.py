"""Log lines in logfmt, one line and one write each: `headwaiter at=drain worker=1 open=3 msg="..."`."""

from __future__ import annotations

import os

# Heroku joins the dyno's output with the router's by line; more than this arrives cut up (10,000 bytes a line).
LONGEST_LINE = 9_000
LONGEST_SENTENCE = 1_000  # characters of a message: somebody may have pasted a file into a config var
# What a one-off dyno (`heroku run`) still hears: its terminal belongs to the person's own command.
HEARD_ON_ONE_OFFS = frozenset({"error", "warning", "worker-exit", "boot-failed"})

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,~#*()[]-")
_context: dict[str, object] = {}


def context(**fields: object) -> None:
    """Add `fields` to every later line of this process (for example `worker=1`); None takes one away."""
    for name, value in fields.items():
        if value is None:
            _context.pop(name, None)
        else:
            _context[name] = value


def line(at: str, **fields: object) -> None:
    """Write one line to standard output with a single write, so that processes never mix their lines.

    Fields that are None are left out. A full or closed output is ignored: a log must not take the site down.
    """
    if os.environ.get("DYNO", "").startswith("run.") and at not in HEARD_ON_ONE_OFFS:
        return
    write(format_line(at, **fields))


def format_line(at: str, **fields: object) -> str:
    """Return the line without its newline: `headwaiter at=<at> key=value ...`."""
    pairs = {"at": at, **_context, **fields}
    return "headwaiter " + " ".join(f"{key}={escape(value)}" for key, value in pairs.items() if value is not None)


def write(text: str, *, fd: int = 1) -> None:
    """Write `text` and a newline to the file descriptor `fd` in one call, cut to the longest line Heroku takes."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > LONGEST_LINE:
        data = data[: LONGEST_LINE - 3] + b"..."
    try:
        os.write(fd, data + b"\n")
    except OSError:
        return


def escape(value: object) -> str:
    """Return `value` as a logfmt value: bare when harmless, else in double quotes with no raw control character.

    Whatever a client sends ends on the same line, between the same quotes: nobody can forge a second line or field.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)[:LONGEST_LINE]
    if text and _BARE.issuperset(text):
        return text
    return '"' + "".join(map(_escape_character, text)) + '"'


def printable(text: str) -> str:
    """Return `text` for a message to people: on one line, without raw control characters, cut in its middle if long."""
    if len(text) > LONGEST_SENTENCE:
        text = f"{text[: LONGEST_SENTENCE // 2]} ... {text[-LONGEST_SENTENCE // 2 :]}"
    return "".join(character if character.isprintable() else _escape_character(character) for character in text)


def _escape_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\u{ord(character):04x}")
