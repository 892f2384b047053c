"""Reads a Procfile: its process types, and what the web process starts.

The build and `headwaiter check` both do, so the reader is part of the package that both have.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
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
APPLICATION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(:[A-Za-z_][\w.]*)?", re.ASCII)
FILES = (".cfg", ".conf", ".ini", ".json", ".log", ".py", ".sock", ".toml", ".xml", ".yaml", ".yml")
MOST_CHARACTERS = 4096


@dataclass(frozen=True)
class Web:
    """What a web process's command does, as far as can be told without running it."""

    command: str
    server: str = ""
    """The server's or other program's name; "" where it can't be told."""
    wrapper: str = ""
    """What has to stay in front of the server."""
    applications: tuple[str, ...] = ()
    """The words after the server that may name its application: "shop.wsgi", "shop.wsgi:application"."""


def parse(text: str) -> dict[str, str]:
    """Process type -> command. As on Heroku, the last line wins and lines of another form are ignored."""
    matches = (LINE.match(line.strip()) for line in text.lstrip("\ufeff").splitlines())
    return {match[1]: match[2] for match in matches if match}


def unseen(text: str) -> list[str]:
    """The process types that Heroku passes over, since a space stands before their colon."""
    return re.findall(r"^[ \t]*([A-Za-z0-9_-]+)[ \t]+:[ \t]*\S", text.lstrip("\ufeff"), re.MULTILINE)


def migrates(processes: Mapping[str, str], tasks: Iterable[str]) -> bool:
    """Whether a deploy may migrate: in the release phase, in the web process, or in Dokku's deployment tasks."""
    return "release" in processes or any("migrate" in line for line in [*tasks, processes.get("web", "")])


def read(path: Path) -> dict[str, str] | None:
    """The process types of a file; None where there's no such file."""
    return parse(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else None


def understand(command: str) -> Web:
    """Which server a command starts, and on what."""
    command = command[:MOST_CHARACTERS]
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    names = [PurePosixPath(word).name for word in words]
    for known in (SERVERS, MANAGERS):
        for position, name in enumerate(names):
            if name in known:
                return Web(command, name, _wrapper(words[:position]), _applications(words[position + 1 :]))
    script = next((name for name in names if re.fullmatch(r"[\w.-]+\.(sh|py)", name)), "")
    return Web(command, script, _wrapper(words[:1]))


def _applications(words: list[str]) -> tuple[str, ...]:
    found = []
    for before, word in zip(["", *words], words, strict=False):
        name = re.sub(r"^--(module|wsgi)=", "", word).removesuffix("()")  # uwsgi's options
        other = before == "--interface" or name.startswith("python:") or name.endswith(FILES)  # granian's, gunicorn's
        if APPLICATION.fullmatch(name) and (":" in name or "wsgi" in name) and not other:
            found.append(name)
    return tuple(found)


def _wrapper(before: list[str]) -> str:
    """The wrapper among the words before the server, with New Relic's subcommand, without options."""
    if not before or PurePosixPath(before[0]).name not in WRAPPERS or not re.fullmatch(r"[\w./-]+", before[0]):
        return ""
    return " ".join([before[0], *(word for word in before[1:2] if word == "run-program")])
