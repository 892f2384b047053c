"""What every part of the benchmark shares: starting a server, pinning it, weighing it, and stopping it for certain.

A part is a module with `run(quick: bool) -> dict[str, object]`; what it returns goes to results.json under its name
(see __main__.PARTS). `servers.py` says how each server is started, `load.py` makes the load, `record.py` keeps results.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).resolve().parent / "site"  # the applications under test; every server runs with this as its cwd
PYTHON = sys.executable
os.environ["PATH"] = f"{ROOT / '.tools/bin'}:{os.environ['PATH']}"  # nginx and wrk: scripts/tools.sh programs


def _snapshot() -> Path:
    """A copy of lib/ for this run: who edits a file meanwhile doesn't change what is measured."""
    folder = Path(tempfile.mkdtemp(prefix="bench-lib-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__")))


LIB = _snapshot()
_CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU = {_CPUS[0]}
LOAD_CPU = {_CPUS[-1]}
ALL_CPUS = set(_CPUS)


def log(text: str) -> None:
    """Progress for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running server: the process that we started and everything it started itself (its whole session)."""

    name: str
    command: list[str]
    port: int
    process: subprocess.Popen[bytes]
    scratch: Path  # its TMPDIR; its output is in "log" there
    seconds_to_ready: float = 0.0
    _gone: bool = field(default=False, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        """Every living process of the server's session, the one we started first."""
        found = [pid for pid in _all_pids() if _session(pid) == self.process.pid]
        return sorted(found, key=lambda pid: (pid != self.process.pid, pid))

    def workers(self) -> list[int]:
        """The processes that answer requests: the children, or the only process there is."""
        pids = self.pids()
        return pids[1:] or pids

    def pss_kib(self) -> int:
        """Proportional set size of all processes together, in KiB: shared pages count once."""
        return sum(memory_kib(pid)["Pss"] for pid in self.pids())

    def signal(self, number: int) -> None:
        """Send a signal to every process, as Heroku does on shutdown (Dev Center: dyno-shutdown-behavior)."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, timeout: float) -> int | None:
        """Exit status (negative: the signal), or None when it still runs after `timeout` seconds."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def output(self) -> str:
        return (self.scratch / "log").read_text(errors="replace")

    def kill(self) -> None:
        """End whatever is left of it; safe to call twice."""
        if not self._gone:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.signal(signal.SIGKILL)  # what was forked meanwhile
            shutil.rmtree(self.scratch, ignore_errors=True)
            self._gone = True


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def memory_kib(pid: int) -> dict[str, int]:
    """Rss, Pss and Private (clean + dirty) of one process in KiB; zeros when it is gone (/proc/PID/smaps_rollup)."""
    sizes = {"Rss": 0, "Pss": 0, "Private": 0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            key, amount = line.split()[:2]
            key = key.rstrip(":").partition("_")[0]
            if key in sizes:
                # "Private_Clean" and "Private_Dirty" add up; "Pss_Anon" and its like are parts of "Pss".
                sizes[key] += int(amount) if line.startswith((f"{key}:", "Private_C", "Private_D")) else 0
    return sizes


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time used so far by these processes (/proc/PID/stat, fields 14 and 15)."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a server: nothing of the caller's settings, only the path and what the part asks for."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


def spawn(
    name: str,
    command: Sequence[str],
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    cpus: set[int] | None = None,
    cwd: Path = SITE,
) -> Server:
    """Start a server in a session of its own, on the given CPUs (default: all), and return at once."""
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    scratch.chmod(0o755)  # nginx, started by root, gives its worker to another user
    with (scratch / "log").open("wb") as output:
        process = subprocess.Popen(
            list(command), cwd=cwd, env={**environment(env), "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(process.pid, cpus or ALL_CPUS)
    return Server(name, list(command), port, process, scratch)


def ask(port: int, path: str = "/", timeout: float = 5.0, method: str = "GET") -> int:
    """Status of one request on a new connection; 0 when there was no answer."""
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as client:
            client.sendall(request)
            head = client.recv(65536)
            while head and client.recv(65536):
                pass
    except OSError:
        return 0
    return int(head[9:12]) if head.startswith(b"HTTP/1.") else 0


def wait_ready(server: Server, path: str = "/", seconds: float = 30.0) -> None:
    """Wait for the first 200. Raises RuntimeError, with the server's own output, when it ends or takes too long."""
    started = time.perf_counter()
    while ask(server.port, path) != 200:
        ended = server.process.poll() is not None
        if ended or time.perf_counter() - started > seconds:
            reason = f"ended with {server.process.returncode}" if ended else f"no answer in {seconds:.0f} s"
            raise RuntimeError(f"{server.name}: {reason}\n{' '.join(server.command)}\n{server.output()[-4000:]}")
        time.sleep(0.002)
    server.seconds_to_ready = time.perf_counter() - started


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    cpus: set[int] | None = None,
    ready_path: str = "/",
    cwd: Path = SITE,
) -> Iterator[Server]:
    """A server that answers, for the length of a `with` block; nothing of it is left afterwards."""
    server = spawn(name, command, port, env=env, cpus=cpus, cwd=cwd)
    try:
        wait_ready(server, ready_path)
        yield server
    finally:
        server.kill()


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile, `share` from 0 to 1; 0.0 for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
