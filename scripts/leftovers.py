"""Run a command with a temporary directory of its own; fail if it leaves a process or a file: leftovers.py COMMAND...

A process whose parent has ended becomes a child of this one (PR_SET_CHILD_SUBREAPER in prctl(2)), so none is missed,
whatever its environment and session. Left processes are ended. A port is open only as long as a process is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
SECONDS_TO_END = 10  # for what the command has ended as its last act, on a busy machine
MAY_STAY = re.compile(r"pytest-of-")  # pytest's own, with the failed tests' files


def children() -> list[int]:
    """Return the processes that are left; of those that have ended, only the parent has to take note."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def describe(pid: int) -> str:
    """Return a process's number, command, directory, and the test that started it where its environment says so."""
    try:
        process = Path(f"/proc/{pid}")
        command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        test = re.search(rb"PYTEST_CURRENT_TEST=([^\0]*)", process.joinpath("environ").read_bytes())
        place = process.joinpath("cwd").readlink()
        return f"process {pid}: {command[:200]}, in {place}{f', {test[1]!r}' if test else ''}"
    except OSError as error:
        return f"process {pid}: {error}"


def end_processes() -> Iterator[str]:
    """Give them time to end, then yield the description of each that stays, and kill it."""
    until = time.monotonic() + SECONDS_TO_END
    while children() and time.monotonic() < until:
        time.sleep(0.02)
    while left := children():
        for pid in left:
            yield describe(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def wait_for(command: int) -> int:
    """Take note of every process that ends, until the command has; return its status, as a shell has it."""
    while True:
        pid, status = os.wait()
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Run the command; its own failure counts for more than what it left."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # where root runs the tests, PostgreSQL is another user's
        command = os.posix_spawnp(arguments[0], arguments, {**os.environ, "TMPDIR": folder})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command too
        signal.signal(signal.SIGTERM, lambda number, _: os.kill(command, number))
        status = wait_for(command)
        left = list(end_processes())
        left += [f"file {folder}/{name}" for name in os.listdir(folder) if not MAY_STAY.match(name)]
    for one in left:
        print(f"Left behind by {' '.join(arguments)[:100]}: {one}", flush=True)
    return status or int(bool(left))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
