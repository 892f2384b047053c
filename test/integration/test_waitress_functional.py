"""Waitress's own functional tests, from its source distribution, with our server in the place of Waitress's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from waitress_sdists import HASHES, sdist

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COUNTS = {"2.1.2": 69, "3.0.2": 137}  # of the older version over TCP alone: the same code serves Unix sockets
OPTIONS = ["-p", "waitress_suite", "-p", "no:cacheprovider", "-o", "addopts=", "-q", "-n2"]


@pytest.mark.parametrize("version", sorted(HASHES))
def test_waitress_own_functional_tests_pass(version: str) -> None:
    """HTTP as Waitress's authors want it: framing, errors, pipelining, file wrappers; over TCP and Unix sockets."""
    source = sdist(version)
    places = [source / "src", ROOT / "lib", ROOT / "test" / "support"]
    chosen = ["-k", "Tcp or Sleepy"] if version == "2.1.2" else []
    # Waitress's tests leave sockets, whose names would be too long in tmp_path.
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *OPTIONS, f"--rootdir={source}", *chosen, "tests/test_functional.py"],
            cwd=source,
            env={**os.environ, "PYTHONPATH": ":".join(map(str, places)), "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stdout[-5000:]
    ran = re.findall(r"(\d+) (?:passed|skipped)", result.stdout)
    assert sum(map(int, ran)) == COUNTS[version]
