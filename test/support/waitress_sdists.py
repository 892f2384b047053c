"""Waitress as its source distributions have it, with its tests; fetched once, checked by hash, kept in .tools."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

HASHES = {
    "2.1.2": "780a4082c5fbc0fde6a2fcfe5e26e6efc1e8f425730863c04085769781f51eba",
    "3.0.2": "682aaaf2af0c44ada4abfb70ded36393f0e307f4ab9456a215ce0020baefc31f",
}
HOME = Path(__file__).parents[2] / ".tools" / "waitress"


def sdist(version: str) -> Path:
    """Return the unpacked source distribution of Waitress `version`: `src/waitress` and `tests`."""
    unpacked = HOME / f"waitress-{version}"
    if not (unpacked / "PKG-INFO").exists():
        HOME.mkdir(parents=True, exist_ok=True)
        with (HOME / f"{version}.lock").open("w") as waiting:  # pytest-xdist's processes fetch it once
            fcntl.flock(waiting, fcntl.LOCK_EX)
            if not (unpacked / "PKG-INFO").exists():
                _fetch(version)
    return unpacked


def _fetch(version: str) -> None:
    requirements = HOME / f"{version}.txt"
    requirements.write_text(f"waitress=={version} --hash=sha256:{HASHES[version]}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-binary=:all:", "--no-build-isolation", "--require-hashes"]
    subprocess.run([*pip, *options, f"--dest={HOME}", "-r", requirements], check=True, timeout=120)
    archive = HOME / f"waitress-{version}.tar.gz"
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == HASHES[version]
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        subprocess.run(["tar", "-xzf", archive, "-C", folder, "--no-same-owner"], check=True)
        Path(folder, f"waitress-{version}").rename(HOME / f"waitress-{version}")
