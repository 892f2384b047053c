"""Load generators. Each runs as a process of its own, on its own CPU: nothing is shared with what is measured."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import common
import record

HERE = Path(__file__).resolve().parent
WRK = shutil.which("wrk")


def _run(command: list[str], seconds: float, cpus: set[int]) -> dict[str, Any]:
    """Run a generator on `cpus` and read the JSON object it prints last. Raises RuntimeError when it fails."""
    process = subprocess.Popen(
        ["taskset", "-c", ",".join(map(str, sorted(cpus))), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=seconds + 60)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {process.returncode}\n{output}{errors}")
    return json.loads(output.strip().rpartition("\n")[2])  # type: ignore[no-any-return]


def closed(
    port: int,
    path: str,
    seconds: int,
    *,
    connections: int = 16,
    keep_alive: bool = True,
    cpus: set[int] | None = None,
) -> dict[str, Any]:
    """Closed loop: every connection asks again as soon as it has its answer. wrk wants whole seconds.

    Returns `rps` (requests per second), `p50`, `p95`, `p99` (milliseconds), `ok`, `errors` (counts).
    """
    if WRK is None:
        return steady(port, path, seconds, clients=connections, keep_alive=keep_alive, cpus=cpus)
    header = [] if keep_alive else ["-H", "Connection: close"]
    url = f"http://127.0.0.1:{port}{path}"
    command = [
        WRK,
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout=10s",
        "-s",
        str(HERE / "wrk.lua"),
        *header,
        url,
    ]
    record.note_command(f"load: {'keep-alive' if keep_alive else 'new connections'}, {path}", command, port)
    return _run(command, seconds, cpus or common.LOAD_CPU)


def steady(
    port: int, path: str, seconds: float, *, clients: int = 2, keep_alive: bool = False, timeout: float = 5.0,
    cpus: set[int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The healthy client: `clients` threads in a closed loop, by default a new connection for each request."""
    command = [common.PYTHON, str(HERE / "client.py"), "closed", f"--port={port}", f"--path={path}",
               f"--seconds={seconds:g}", f"--clients={clients}", f"--timeout={timeout:g}",
               *(["--keep-alive"] if keep_alive else [])]  # fmt: skip
    return _run(command, seconds, cpus or common.LOAD_CPU)


def poisson(
    port: int, path: str, seconds: float, *, rate: float, seed: int, keep_alive: int = 0, slow: str = "",
    slow_share: float = 0.0, cpus: set[int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Open loop: requests arrive at random, `rate` a second, whether or not the earlier ones are answered.

    `keep_alive`: size of a pool of kept connections, as a router has; 0 opens one per request. Latency counts from the
    moment the request was due. `slow_share` of the requests ask for `slow` and aren't measured. Returns what `closed`
    returns.
    """
    command = [common.PYTHON, str(HERE / "client.py"), "poisson", f"--port={port}", f"--path={path}",
               f"--seconds={seconds:g}", f"--rate={rate:g}", f"--seed={seed}", f"--pool={keep_alive}",
               f"--slow-path={slow}", f"--slow-share={slow_share:g}"]  # fmt: skip
    return _run(command, seconds, cpus or common.LOAD_CPU)
