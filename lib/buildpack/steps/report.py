"""What bin/report prints: a flat JSON object on the last build.

Usage: report.py BUILD_DIR CACHE_DIR

Keys: what project.json says (but for its lists), `<step>_seconds`, `total_seconds`, `status` ("succeeded", "failed" or
"unfinished") and, after a failure, `failure` (its key) and `failure_step`. Any Python 3.10 or newer will do.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

Value = str | int | float | bool | None


def decisions(project_file: Path) -> dict[str, Value]:
    """The flat part of project.json; empty where the build didn't get that far."""
    try:
        project = json.loads(project_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in project.items() if not isinstance(value, list | dict)}


def durations(lines: Iterable[str]) -> dict[str, Value]:
    """Seconds from the notes of shell/report.sh, `<event> <time> [<name>]`; a step ends where the next begins."""
    facts: dict[str, Value] = {"status": "unfinished"}
    started = previous = 0.0
    step = ""
    for line in lines:
        event, time, name = [*line.split(), "", ""][:3]
        now = float(time.replace(",", "."))  # EPOCHREALTIME has the locale's decimal point
        if step:
            facts[f"{step}_seconds"] = round(now - previous, 3)
        if event == "started":
            started = now
        elif event == "step":
            step = name
        else:
            facts["status"] = "succeeded" if event == "finished" else "failed"
            facts["total_seconds"] = round(now - started, 3)
            if event == "failed":
                facts |= {"failure": name, "failure_step": step}
            break
        previous = now
    return facts


def main(argv: list[str]) -> int:
    """Print the object."""
    build_dir, cache_dir = map(Path, argv)
    facts = decisions(build_dir / ".heroku/headwaiter/project.json")
    with contextlib.suppress(OSError, ValueError):
        facts |= durations((cache_dir / "headwaiter/report").read_text(encoding="utf-8").splitlines())
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
