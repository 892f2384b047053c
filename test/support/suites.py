"""`make test`: the shunit2 suites, then pytest; ends with the totals, and with status 1 when anything failed.

Usage: suites.py [NAME]

NAME picks the files that have it in their name. The suites run as heroku-buildpack-testrunner runs them: from another
directory, with BUILDPACK_HOME set; with the real one's asserts where BUILDPACK_TEST_RUNNER_HOME names it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_SHUNIT2 = ROOT / ".tools/debian/usr/bin/shunit2"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def shunit2() -> str:
    """The program: of SHUNIT_HOME as the testrunner has it, of PATH, or the one that `make tools` brought."""
    if "SHUNIT_HOME" in os.environ:
        return f"{os.environ['SHUNIT_HOME']}/src/shunit2"
    return shutil.which("shunit2") or str(DEBIAN_SHUNIT2)


def run_suite(suite: Path) -> tuple[int, int]:
    """Run a shunit2 suite; how many of its tests passed and failed. One that ran none has failed."""
    print(f"\n{suite.name}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as elsewhere:
        environment = {**os.environ, "BUILDPACK_HOME": str(ROOT)}
        done = subprocess.run(
            [shunit2(), str(suite)], cwd=elsewhere, env=environment, capture_output=True, check=False, timeout=900
        )
    output = ESCAPES.sub("", (done.stdout + done.stderr).decode(errors="replace"))
    ran = re.search(r"^Ran (\d+) tests?\.", output, re.MULTILINE)
    tests = int(ran[1]) if ran else 0
    # shunit2 counts asserts, of which a test has many; so tests are counted by the line that each failed one leaves.
    failed = len(set(re.findall(r"shunit2:ERROR *(\w+)\(\) returned non-zero", output)))
    if done.returncode or not tests:
        failed = max(failed, 1)
        print(output)
    print(f"  {tests} tests in {time.monotonic() - started:.0f} s{', FAILED' if failed else ''}", flush=True)
    return max(tests - failed, 0), failed


def run_pytest(name: str) -> tuple[int, int, int]:
    """Run pytest; how many tests passed, failed and were skipped."""
    print("\npytest", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        options = ["-n", "2", "--dist", "loadfile", "-q", f"--junit-xml={results}"]
        files = [str(path) for path in sorted(ROOT.glob("test/*/**/test_*.py")) if name in path.name]
        if not files:
            return 0, 0, 0
        status = subprocess.run([sys.executable, "-m", "pytest", *options, *files], cwd=ROOT, check=False).returncode
        if not results.exists():
            return 0, 1, 0
        suite = next(ET.parse(results).getroot().iter("testsuite"))
    failed, skipped = int(suite.get("failures", 0)) + int(suite.get("errors", 0)), int(suite.get("skipped", 0))
    return int(suite.get("tests", 0)) - failed - skipped, max(failed, int(bool(status))), skipped


def main(argv: list[str]) -> int:
    """Run everything, or what the name picks."""
    name = argv[0] if argv else ""
    passed = failed = 0
    for suite in sorted(ROOT.glob("test/*_test.sh")):
        if name in suite.name:
            more_passed, more_failed = run_suite(suite)
            passed, failed = passed + more_passed, failed + more_failed
    more_passed, more_failed, skipped = run_pytest(name)
    passed, failed = passed + more_passed, failed + more_failed
    print(f"\n{passed} passed, {failed} failed{f', {skipped} skipped' if skipped else ''}")
    if not passed:
        print(f"No test has {name!r} in its file's name.")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
