"""The Pythons that this machine has, each with a Django and a Waitress of its own, made on first use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
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
    """pyenv's commands fail for a version that isn't switched on."""
    command = shutil.which(path)
    return command is not None and not subprocess.run([command, "-c", "import venv"], capture_output=True).returncode


def available() -> list[str]:
    """Return the versions that can be tested here: made already, or an interpreter and a lock file are there."""
    return [version for version in VERSIONS if _is_made(version) or interpreter(version)]


def parameters() -> list[object]:
    """Return every supported version, for pytest's parametrize; what isn't here is skipped, not passed over."""
    import pytest

    here = available()
    missing = [
        pytest.param(version, marks=pytest.mark.skip(reason=f"needs Python {version}: pyenv install {version}"))
        for version in VERSIONS
        if version not in here
    ]
    return [*here, *missing]


def _digest(version: str) -> str:
    return hashlib.sha256((LOCKS / f"{version}.txt").read_bytes()).hexdigest()


def _is_made(version: str) -> bool:
    home = VENVS / version
    done = home / "made-from"
    there = done.exists() and (home / "bin/python").exists()  # the link leads nowhere when its Python has gone
    return there and done.read_text() == _digest(version)


def python(version: str) -> str:
    """Return the Python of `version`'s virtual environment; the first call makes it from its lock file."""
    home = VENVS / version
    if not _is_made(version):
        VENVS.mkdir(parents=True, exist_ok=True)
        with (VENVS / f"{version}.lock").open("w") as waiting:  # pytest-xdist's processes make it once
            fcntl.flock(waiting, fcntl.LOCK_EX)
            if not _is_made(version):
                _make(version, home)
    return str(home / "bin" / "python")


def _make(version: str, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    found = interpreter(version)
    assert found, f"Python {version} isn't here: choose from available()"
    print(f"Making {home.relative_to(VENVS.parents[1])}", flush=True)
    # The tools' pip, for Debian's Python brings none.
    subprocess.run([found, "-m", "venv", "--without-pip", home], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(LOCKS / f"{version}.txt")], check=True)
    (home / "made-from").write_text(_digest(version))
