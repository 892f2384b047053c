"""Tells whether the repository's own list of buildpacks (app.json, Dokku's .buildpacks) has heroku/python too late.

Usage: buildpack_order.py BUILD_DIR

Prints `after:FILE`, `absent:FILE` or `unknown:`. What `heroku buildpacks` shows isn't visible to a build, so this is a
hint for an error message. Runs on whichever python3 the build image has.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

PYTHON_BUILDPACK = re.compile(
    r"heroku/python\b|heroku-buildpack-python\b|buildpacks/python\.tgz|^https?://\S*/python\.tgz"
)
THIS_BUILDPACK = re.compile(r"waitress|headwaiter", re.IGNORECASE)


def order(buildpacks: list[str]) -> str:
    """`after` where this buildpack stands before heroku/python, `absent` where that is missing, else `unknown`."""
    python = [number for number, name in enumerate(buildpacks) if PYTHON_BUILDPACK.search(name)]
    this = [number for number, name in enumerate(buildpacks) if THIS_BUILDPACK.search(name)]
    if not this:
        return "unknown"
    if not python:
        return "absent"
    return "after" if python[0] > this[0] else "unknown"


def listed_in_app_json(path: Path) -> list[str]:
    """The `url` of each entry of app.json's `buildpacks`."""
    entries = json.loads(path.read_text(encoding="utf-8-sig")).get("buildpacks", [])
    return [entry["url"] for entry in entries]


def listed_in_dot_buildpacks(path: Path) -> list[str]:
    """The lines of a `.buildpacks` file."""
    return path.read_text(encoding="utf-8").split()


def main(argv: list[str]) -> int:
    """Print the verdict on the first list that has one."""
    build_dir = Path(argv[0])
    for name, read in (("app.json", listed_in_app_json), (".buildpacks", listed_in_dot_buildpacks)):
        try:
            verdict = order(read(build_dir / name))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if verdict != "unknown":
            print(f"{verdict}:{name}")
            return 0
    print("unknown:")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
