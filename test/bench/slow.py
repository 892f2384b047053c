"""Slow clients: what share of a healthy client's requests is answered, and how late, while others hang on.

The healthy client is two threads with a new connection for each request, 3 s of patience each. Its p95 with slow
clients is divided by its p95 on the same server a moment before.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import common
import load
import record
import servers

sys.path.insert(0, str(common.ROOT / "test" / "support"))
from slow_clients import MB, crowd

KINDS = {  # name: how it attacks, what it asks for
    "headers": ("headers", "/"),
    "upload": ("upload", "/upload"),
    "read 8 MB response": ("read", f"/bytes?size={8 * MB}"),
    "read 8 MB stream": ("read", f"/stream?size={8 * MB}"),
    "read 40 MB stream": ("read", f"/stream?size={40 * MB}"),
    "read 60 MB file": ("read", f"/file?size={60 * MB}"),
    "idle": ("idle", "/"),
    "connect": ("connect", "/"),
    "no close": ("no-close", "/"),
}
CHEAP = [
    name for name, (kind, _) in KINDS.items() if kind != "read"
]  # no bytes to produce: thousands of clients are possible
FEW = [name for name in servers.KINDS if name not in servers.VARIANTS]
PATIENCE = 3.0  # seconds
MANY = ["headwaiter", "waitress-serve", "waitress-serve, limit raised"]


def settle(server: common.Server, most: float) -> float:
    """Let the server produce what slow readers asked for: wait for a third of a CPU or less, or for `most` seconds.

    Returns the seconds waited, one at least.
    """
    started = time.monotonic()
    time.sleep(1)
    while time.monotonic() - started < most:
        before = common.cpu_seconds(server.pids())
        time.sleep(0.3)
        if common.cpu_seconds(server.pids()) - before < 0.1:
            break
    return round(time.monotonic() - started, 1)


def cell(server_name: str, kind_name: str, count: int, seconds: float) -> dict[str, Any]:
    """One server, one kind of slow client: `success` in percent, p95 in ms without and with them, their ratio."""
    kind, path = KINDS[kind_name]
    with servers.running(server_name, "trivial:application", cpus=common.SERVER_CPU) as server:
        load.steady(server.port, "/", 0.3)
        before = load.steady(server.port, "/", seconds / 2)
        with crowd(server.port, kind, count, path, seconds=5 + count / 200, cpus=common.LOAD_CPU) as clients:
            settled = settle(server, 20 if kind == "read" else 1)
            after = load.steady(server.port, "/", seconds, timeout=PATIENCE)
        ended = server.process.poll()
    asked = after["ok"] + after["errors"]
    figures = {
        "success": round(100 * after["ok"] / asked, 1) if asked else 0.0,
        "p95_before": before["usual_p95"],
        "p95": after["usual_p95"] if after["ok"] else None,
        "p99": after["p99"] if after["ok"] else None,
        "ratio": round(after["usual_p95"] / before["usual_p95"], 2) if after["ok"] and before["p95"] else None,
        "settled_after": settled,
        "attached": clients.attached,
        "alive": clients.alive,
    }
    return figures if ended is None else {**figures, "server_ended": ended}


def matrix(names: list[str], kinds: list[str], count: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Kinds in the outer loop: the servers take turns, so that a noisy minute hits them all."""
    figures: dict[str, dict[str, Any]] = {name: {} for name in names}
    for kind in kinds:
        for name in names:
            found = cell(name, kind, count, seconds)
            figures[name][kind] = found
            common.log(f"  {count:5} x {kind:20} {name:30} {found['success']:5} %  p95 x {found['ratio']}")
    return figures


def run(quick: bool) -> dict[str, Any]:
    seconds = 1.0 if quick else 1.5
    kinds = ["upload", "read 40 MB stream", "idle"] if quick else list(KINDS)
    cheap = [kind for kind in CHEAP if kind in kinds]
    figures = {"50": matrix(FEW[:4] if quick else FEW, kinds, 50, seconds)}
    figures["1000"] = matrix(MANY, cheap, 1000, 2 * seconds)
    if not quick:  # waitress-serve as it comes answers nothing at 1,000 and isn't asked again
        figures["5000"] = matrix([name for name in MANY if name != "waitress-serve"], cheap, 5000, 2 * seconds)
    command = [common.PYTHON, "test/support/slow_clients.py", "--kind=upload", "--count=50", "--port=$PORT"]
    record.note_command("slow clients", command)
    return {"clients": figures}
