"""Reads a Procfile: which process types it declares, and which server its web process starts."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Heroku's own pattern for a line: https://devcenter.heroku.com/articles/procfile#procfile-format
LINE = re.compile(r"^([A-Za-z0-9_-]+):[ \t]*(\S.*)$")

SERVERS = (
    "bjoern",
    "cheroot",
    "daphne",
    "granian",
    "gunicorn",
    "headwaiter",
    "hypercorn",
    "mod_wsgi-express",
    "runserver",
    "uvicorn",
    "uwsgi",
    "waitress-serve",
)
# Programs that start the server named after them. Not start-nginx: nginx then has $PORT, and the server its socket.
WRAPPERS = (
    "ddtrace-run",
    "newrelic-admin",
    "opentelemetry-instrument",
    "start-pgbouncer",
    "start-stunnel",
    "use-pgbouncer",
)
MANAGERS = ("foreman", "honcho", "make", "npm", "overmind", "supervisord", "yarn")


@dataclass(frozen=True)
class Web:
    """The web process: the server's or program's name, "" where it can't be told; the wrapper that has to stay."""

    server: str
    wrapper: str
    application: str


def parse(text: str) -> dict[str, str]:
    """Process type -> command. As on Heroku, the last line wins and lines of another form are ignored."""
    matches = (LINE.match(line.strip()) for line in text.lstrip("\ufeff").splitlines())
    return {match[1]: match[2] for match in matches if match}


def read(path: Path) -> dict[str, str] | None:
    """The process types of a file; None where there's no such file."""
    if not path.is_file():
        return None
    return parse(path.read_text(encoding="utf-8", errors="replace"))


def words(command: str) -> list[str]:
    """The words of a shell command, as far as they can be told without running it."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def understand(command: str) -> Web:
    """Which server a command starts. Only names are kept: the rest of the line is the site's own affair."""
    split = words(command)
    names = [PurePosixPath(word).name for word in split]
    application = next((word for word in split if re.fullmatch(r"[\w.]+:[\w.]+", word)), "")
    for known in (SERVERS, MANAGERS):
        for position, name in enumerate(names):
            if name in known:
                return Web(name, _wrapper(split[:position]), application)
    script = next((name for name in names if re.fullmatch(r"[\w.-]+\.(sh|py)", name)), "")
    return Web(script, _wrapper(split[:1]), application)


def _wrapper(before: list[str]) -> str:
    """The wrapper among the words before the server, with New Relic's subcommand, without options."""
    if not before or PurePosixPath(before[0]).name not in WRAPPERS or not re.fullmatch(r"[\w./-]+", before[0]):
        return ""
    return " ".join([before[0], *(word for word in before[1:2] if word == "run-program")])
