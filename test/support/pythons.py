"""The Pythons that this machine has, each with a Django and a Waitress of its own, made on first use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

LOCKS = Path(__file__).parent / "pythons"
VENVS = Path(__file__).parents[2] / ".tools" / "pythons"
VERSIONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]


def interpreter(version: str) -> str | None:
    """Return the path of a Python `version` ("3.12") from pyenv or PATH that can make virtual environments, or None."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [*map(str, sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)), f"python{version}"]
    return next((path for path in found if _works(path)), None)


@cache
def _works(path: str) -> bool:
    """Debian's lacks ensurepip without python3-venv; pyenv's commands fail for a version that isn't switched on."""
    command = shutil.which(path)
    return bool(command) and not subprocess.run([command, "-c", "import ensurepip"], capture_output=True).returncode


def available() -> list[str]:
    """Return the versions that can be tested here: an interpreter and a lock file are there."""
    return [version for version in VERSIONS if (LOCKS / f"{version}.txt").exists() and interpreter(version)]


def python(version: str) -> str:
    """Return the Python of `version`'s virtual environment; the first call makes it from its lock file."""
    lock = LOCKS / f"{version}.txt"
    home = VENVS / version
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"{version}.lock").open("w") as waiting:  # pytest-xdist's processes make it once
        fcntl.flock(waiting, fcntl.LOCK_EX)
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        done = home / "made-from"
        if not (done.exists() and done.read_text() == digest):
            shutil.rmtree(home, ignore_errors=True)
            found = interpreter(version)
            assert found, f"Python {version} isn't here: choose from available()"
            subprocess.run([found, "-m", "venv", home], check=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", lock], check=True)
            done.write_text(digest)
    return str(home / "bin" / "python")
