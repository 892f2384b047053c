"""Loads a site's settings once more, in a process of its own, and tells what came of it without telling a secret.

With an application named the whole site is loaded, as its wsgi.py may read a .env file before the settings do.

The key that the settings have at another boot is compared by an HMAC with a nonce of the asker's; of DATABASES it says
only whether an address that the asker put into DATABASE_URL arrived there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 60.0
PROBE_HOST = "headwaiter-probe.invalid"  # RFC 6761: never resolves
PROBE_URL = f"postgres://probe:probe@{PROBE_HOST}:5432/probe"

_RUN = (
    "import json, sys; request = json.load(sys.stdin); sys.path[:] = request['path']; "
    "from headwaiter.checks.probe import answer; answer(request)"
)


def digest(secret: object, nonce: str) -> str:
    """A fingerprint of a secret that tells nothing to whoever lacks the nonce."""
    raw = secret if isinstance(secret, bytes) else str(secret).encode("utf-8", "surrogateescape")
    return hmac.new(nonce.encode(), raw, hashlib.sha256).hexdigest()


class Probe:
    """Settings being loaded in a child process, with another environment. Several may run side by side."""

    def __init__(self, environ: Mapping[str, str], nonce: str, application: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUN],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        package_parent = str(Path(__file__).resolve().parent.parent.parent)
        self._request = json.dumps(
            {"path": [*sys.path, package_parent], "nonce": nonce, "application": application}
        ).encode()

    def result(self) -> Mapping[str, Any]:
        """What the child found: {"key": digest, "reads_url": bool}; empty when it could not load the settings."""
        try:
            output, _ = self._process.communicate(self._request, timeout=TIMEOUT_SECONDS)
            found = json.loads(output)
        except (subprocess.TimeoutExpired, ValueError, OSError):
            self._process.kill()
            self._process.wait()
            return {}
        return found if isinstance(found, dict) else {}


def answer(request: Mapping[str, Any]) -> None:
    """The child's part: load the settings named in DJANGO_SETTINGS_MODULE, print the findings as JSON."""
    stdout = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # whatever the settings print isn't the answer
    if "DJANGO_CONFIGURATION" in os.environ:
        import configurations  # type: ignore[import-not-found]  # django-configurations loads settings its own way

        configurations.setup()
    if request["application"]:
        from headwaiter import project

        project.load_application(request["application"])
    from django.conf import settings

    hosts = {str(database.get("HOST")) for database in settings.DATABASES.values()}
    found = {"key": digest(settings.SECRET_KEY, request["nonce"]), "reads_url": PROBE_HOST in hosts}
    os.write(stdout, json.dumps(found).encode())
