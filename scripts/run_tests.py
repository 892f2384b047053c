"""`make test`: the shunit2 suites, then pytest; ends with the totals, and with status 1 when anything failed.

Usage: run_tests.py [--all] [--strict] [NAME]

NAME picks the files that have it in their name. Everything runs as an ordinary user (as_user.sh). Root, where it starts
this, afterwards runs what needs its privileges. --all adds the slow tests and, as root, the server's once more.
--strict fails where a test was skipped for another reason than those in MAY_SKIP.

The suites run as heroku-buildpack-testrunner runs them: from another directory, with BUILDPACK_HOME set; with the real
one's asserts where BUILDPACK_TEST_RUNNER_HOME names it.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "test/support"))
import pythons
import waitress_sdists

ROOT = Path(__file__).resolve().parents[1]
AS_USER = [str(Path(__file__).with_name("as_user.sh"))]
LEAVE_NOTHING = [sys.executable, str(Path(__file__).with_name("leftovers.py"))]  # as_user.sh does it too
DEBIAN_SHUNIT2 = ROOT / ".tools/debian/usr/bin/shunit2"
# A file's tests stay together, for its fixtures. test/integration comes first, as it takes longest. Tests mostly wait:
# two CPUs have time for four.
OPTIONS = ["-n", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
MAY_SKIP = ("opt-in: ", "needs Python 3.", "needs Chromium", "needs a Python with ensurepip")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Totals:
    """How many tests passed, failed, and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # by reason

    def add(self, other: Totals) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        skipped = f", {self.skipped.total()} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


_running: set[subprocess.Popen[bytes]] = set()


def run(command: list[str], **options: Any) -> int:
    """Run a command in a session of its own, which interrupt() ends; return its status."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    _running.add(process)
    try:
        return process.wait()
    finally:
        process.wait()  # interrupted, it still cleans up
        _running.remove(process)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C and SIGTERM: end what runs in order, once; make sends SIGTERM after Ctrl-C."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    for process in list(_running):
        os.killpg(process.pid, signal.SIGINT)
    raise KeyboardInterrupt


def prepare() -> None:
    """Make what the tests use but may not write: an ordinary user of root's checkout can't."""
    for version in pythons.available():
        pythons.python(version)
    for version in waitress_sdists.HASHES:
        waitress_sdists.sdist(version)
    for folder in ("lib", "test"):
        compileall.compile_dir(ROOT / folder, quiet=2)


def shunit2() -> str:
    """The program: of SHUNIT_HOME as the testrunner has it, of PATH, or the one that `make tools` brought."""
    if "SHUNIT_HOME" in os.environ:
        return f"{os.environ['SHUNIT_HOME']}/src/shunit2"
    return shutil.which("shunit2") or str(DEBIAN_SHUNIT2)


def run_suite(suite: Path) -> Totals:
    """Run a shunit2 suite. One that ran no test has failed."""
    started = time.monotonic()
    environment = {**os.environ, "BUILDPACK_HOME": str(ROOT)}
    with tempfile.TemporaryFile() as stream:
        status = run([*AS_USER, shunit2(), str(suite)], cwd="/", env=environment, stdout=stream, stderr=stream)
        stream.seek(0)
        output = ESCAPES.sub("", stream.read().decode(errors="replace"))
    ran = re.search(r"^Ran (\d+) tests?\.", output, re.MULTILINE)
    tests = int(ran[1]) if ran else 0
    # shunit2 counts asserts, of which a test has many; so tests are counted by the line that each failed one leaves.
    failed = len(set(re.findall(r"shunit2:ERROR *(\w+)\(\) returned non-zero", output)))
    if status or not tests:
        failed = max(failed, 1)
        print(output)
    print(
        f"\n{suite.name}: {tests} tests in {time.monotonic() - started:.0f} s{', FAILED' if failed else ''}", flush=True
    )
    return Totals(max(tests - failed, 0), failed)


def run_pytest(files: list[Path], marks: str, *, as_user: bool) -> Totals:
    """Run those tests of the files that the expression of markers picks; none is no failure."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", *OPTIONS, "-q", f"--junit-xml={results}"]
        prefix = AS_USER if as_user else LEAVE_NOTHING
        status = run([*prefix, *command, "-m", marks, *map(str, files)], cwd=ROOT)
        if status == 5:  # no test was collected: https://docs.pytest.org/en/stable/reference/exit-codes.html
            return Totals()
        if not results.exists():
            return Totals(failed=1)
        suite = next(ET.parse(results).getroot().iter("testsuite"))
    skipped = Counter(case.get("message", "") for case in suite.iter("skipped"))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    passed = int(suite.get("tests", 0)) - failed - skipped.total()
    return Totals(passed, max(failed, int(bool(status))), skipped)


def needs_root(path: Path, *, slow: bool) -> bool:
    """Whether a file has tests that root has to run; collecting all the others takes its time."""
    return bool(re.search(r"\bmark\.(root|server)\b" if slow else r"\bmark\.root\b", path.read_text(encoding="utf-8")))


def run_all(name: str, *, slow: bool) -> Totals:
    """Run the suites beside pytest, for both wait a lot; then what root has to run."""
    totals = Totals()
    suites = [path for path in sorted(ROOT.glob("test/*_test.sh")) if name in path.name]
    files = sorted(path for path in ROOT.glob("test/*/**/test_*.py") if name in path.name)
    marks = ["not root"] if os.getuid() == 0 else []
    marks += [] if slow or name else ["not slow"]
    with ThreadPoolExecutor(1) as beside:
        running = [beside.submit(run_suite, suite) for suite in suites]
        try:
            if files:
                totals.add(run_pytest(files, " and ".join(marks), as_user=True))
            for one in running:
                totals.add(one.result())
        finally:
            beside.shutdown(cancel_futures=True)
    if os.getuid() == 0 and (files := [path for path in files if needs_root(path, slow=slow)]):
        print("\nAs root", flush=True)
        totals.add(run_pytest(files, "root or server" if slow else "root", as_user=False))
    return totals


def main(argv: list[str]) -> int:
    """Run everything, or what the name picks; say what was left out, and which command would run it."""
    parser = argparse.ArgumentParser(prog="run_tests.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("name", nargs="?", default="")
    options = parser.parse_args(argv)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, interrupt)
    try:
        prepare()
        totals = run_all(options.name, slow=options.all)
    except KeyboardInterrupt:
        return 130
    print()
    for reason, number in totals.skipped.most_common():
        print(f"{number:4} skipped: {reason}")
        if options.strict and not reason.startswith(MAY_SKIP):
            print("     which --strict doesn't allow")
            totals.failed += 1
    if not options.all and not options.name:
        print("The slow tests run with: make test-all")
    if not totals.passed:
        print(f"No test has {options.name!r} in its file's name.")
    print(totals)
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
