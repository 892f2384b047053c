"""Log lines in logfmt, one line and one write each: `headwaiter at=drain worker=1 open=3 msg="..."`.

Nobody waits for whoever reads the log: a line that its pipe has no room for is dropped and counted. O_NONBLOCK isn't
the way: it belongs to the open pipe, which the site's own prints and other processes share, and would break those.
"""

from __future__ import annotations

import os
import sys
from select import select  # not by its module, whose functions gevent replaces by some that wait in its own loop

# A pipe that select() calls writable takes this much without waiting, and in one piece (PIPE_BUF is 4,096 on Linux).
LONGEST_LINE = 4_000
LONGEST_SENTENCE = 1_000  # characters of a message: somebody may have pasted a file into a config var
# What a one-off dyno (`heroku run`) still hears: its terminal belongs to the person's own command.
HEARD_ON_ONE_OFFS = frozenset({"error", "warning", "worker-exit", "boot-failed"})

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,~#*()[]-")
_context: dict[str, object] = {}
_dropped = 0  # lines since the last one that was written


def context(**fields: object) -> None:
    """Add `fields` to every later line of this process (for example `worker=1`); None takes one away."""
    _context.update(fields)


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


def write(text: str) -> None:
    """Write `text` and a newline to standard output in one call, cut to LONGEST_LINE; drop it where that would wait."""
    global _dropped  # one output, one count
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > LONGEST_LINE:
        data = data[: LONGEST_LINE - 3] + b"..."
    if _dropped:
        lost = format_line("warning", dropped=_dropped, msg="The log could not be written: lines were dropped.")
        _dropped = 0 if _write(lost.encode() + b"\n") else _dropped
    if not _write(data + b"\n"):
        _dropped += 1


def write_error(text: str) -> None:
    """Write `text`, which may be a long traceback, and a newline to standard error; drop what would have to wait."""
    global _dropped
    data = text.encode("utf-8", "backslashreplace") + b"\n"
    for start in range(0, len(data), LONGEST_LINE):
        if not _write(data[start : start + LONGEST_LINE], 2):
            _dropped += 1
            return


def _write(data: bytes, fd: int = 1) -> bool:
    try:
        if not select((), (fd,), (), 0)[1]:
            return False
        os.write(fd, data)
    except OSError:
        return False
    return True


def reserve_streams() -> None:
    """Open those of the standard streams that are closed: a client's connection would get their number, and our lines.

    To be called before anything is opened (`headwaiter ... >&-`).
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) < 3:  # the lowest number that is free
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # as long as the process lives
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


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
