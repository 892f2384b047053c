"""What tests leave behind fails their run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
IMPATIENT = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import leftovers
leftovers.SECONDS_TO_END = 0.5
sys.exit(leftovers.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("env -i setsid sleep 3600 >/dev/null 2>&1 & exit 0", 1, "sleep 3600"),
        ('touch "${TMPDIR}/forgotten"', 1, "/forgotten"),
        ('mkdir "${TMPDIR}/pytest-of-me"; (sleep 0.1 &)', 0, ""),
        ('touch "${TMPDIR}/forgotten"; exit 3', 3, "/forgotten"),
        ("kill -9 $$", 137, ""),
    ],
)
def test_what_is_left_is_named(script: str, status: int, said: str) -> None:
    """Also a process without the parent's environment in a session of its own. The command's own status comes first."""
    command = [sys.executable, "-c", IMPATIENT, "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    assert ("Left behind by sh -c" in done.stdout) is bool(said)
    assert said in done.stdout
