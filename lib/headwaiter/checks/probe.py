"""Loads the site once more, in a process of its own and with another DATABASE_URL, to see which settings change.

`python -m headwaiter.checks.probe MODULE:ATTRIBUTE` prints {"key": digest, "reads_url": bool}.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 60.0
_HOST = "headwaiter-probe.invalid"  # RFC 6761: never resolves


def probe(application: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the child printed; empty when the site could not be loaded again."""
    here = Path(__file__).resolve().parents[2]
    url = f"postgres://probe:probe@{_HOST}:5432/probe"
    path = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), str(here))))
    changed = {"DYNO": "web.1", **environ, "DATABASE_URL": url, "PYTHONPATH": path}
    changed.pop("CI", None)  # Heroku CI is no dyno of the app
    command = [sys.executable, "-m", "headwaiter.checks.probe", application]
    try:
        output = subprocess.run(command, env=changed, capture_output=True, timeout=TIMEOUT_SECONDS).stdout
        return dict(json.loads(output))
    except (subprocess.TimeoutExpired, ValueError):
        return {}


def digest(key: object) -> str:
    """Return a fingerprint of a SECRET_KEY."""
    return hashlib.sha256(str(key).encode("utf-8", "surrogateescape")).hexdigest()


def main(application: str) -> None:
    """Load the site and print what its settings are now."""
    from headwaiter import project

    output = os.dup(1)
    os.dup2(2, 1)  # what the site prints isn't the answer
    with contextlib.suppress(project.ProjectError):  # an app that asks its database at import; the settings are loaded
        project.load_application(application)
    from django.conf import settings

    hosts = {str(database.get("HOST")) for database in settings.DATABASES.values()}
    os.write(output, json.dumps({"key": digest(settings.SECRET_KEY), "reads_url": _HOST in hosts}).encode())


if __name__ == "__main__":
    main(sys.argv[1])
