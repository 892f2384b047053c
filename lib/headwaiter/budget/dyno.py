"""What this dyno is: its name, memory, CPUs and how many processes and threads it may run. File reads, no decisions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_MEBIBYTE = 1024 * 1024
_ABSURD_MB = 1024 * 1024
"""A memory limit of 1 TiB or more isn't one: cgroup v1 says 2^63 for "none". heroku/python draws the same line."""

SIZES = {
    512: ("eco", "hobby", "free", "basic", "standard-1x"),
    1024: ("standard-2x", "private-s", "shield-s"),
    2560: ("performance-m", "private-m", "shield-m"),
    14336: ("performance-l", "private-l", "shield-l"),
    30720: ("performance-l-ram", "private-l-ram", "shield-l-ram"),
    63488: ("performance-xl", "private-xl", "shield-xl"),
    129024: ("performance-2xl", "private-2xl", "shield-2xl"),
}
"""Memory in MB -> the dyno sizes that have it: https://devcenter.heroku.com/articles/dyno-types (2024-12-03)."""

_TASKS = ((512, 256), (1024, 512), (2560, 16384), (14336, 32768), (30720, 16384), (63488, 32768), (129024, 65536))
"""Memory in MB -> processes and threads that a dyno of that memory may run: https://devcenter.heroku.com/articles/limits."""


class Dyno(NamedTuple):
    """Memory in MB (2^20 bytes); None for whatever this machine doesn't tell."""

    name: str | None
    process_type: str | None
    number: int | None
    memory_mb: int | None
    cpus: int
    tasks: int | None


def read(environ: Mapping[str, str], root: Path = Path("/")) -> Dyno:
    """Look at the environment and at /sys and /proc below `root`. Never raises."""
    name = environ.get("DYNO") or None
    named = re.fullmatch(r"([A-Za-z0-9_-]+?)\.(\d{1,4})", name or "")
    process_type = named[1] if named else (name or "").partition("-")[0].partition(".")[0] or None
    memory = _memory_mb(environ, root)
    return Dyno(
        name=name,
        process_type=process_type,
        number=int(named[2]) if named else None,
        memory_mb=memory,
        cpus=_cpus(root),
        tasks=_tasks(root, memory),
    )


def memory_of_size(size: str | None) -> int | None:
    """Memory in MB of a dyno size as app.json writes it ("Standard-1X", "dyno-2c-8gb"), None when unknown."""
    name = (size or "").strip().lower()
    fir = re.fullmatch(r"dyno-\d+c-(0\.5|\d+)gb", name)
    if fir:
        return int(float(fir[1]) * 1024)
    return next((memory for memory, names in SIZES.items() if name in names), None)


def tasks_of_memory(memory_mb: int) -> int:
    """Processes and threads that a dyno of this memory may run; between two sizes, the smaller one's."""
    return next((tasks for memory, tasks in reversed(_TASKS) if memory <= memory_mb), _TASKS[0][1])


def _memory_mb(environ: Mapping[str, str], root: Path) -> int | None:
    """The cgroup's limit: v2 first (Fir, Dokku), then v1 (Cedar), then what heroku/python found."""
    for path in ("memory.max", "memory.high", "memory/memory.limit_in_bytes"):
        limit = _positive(_text(root / "sys/fs/cgroup" / path))
        if limit and limit < _ABSURD_MB * _MEBIBYTE:
            return max(1, limit // _MEBIBYTE)
    ram = _positive(environ.get("DYNO_RAM"))
    return ram if ram and ram < _ABSURD_MB else None


def _cpus(root: Path) -> int:
    """CPUs that this process may use, at least 1: a cgroup's quota, else what the scheduler allows.

    On Cedar's shared dynos this is the host's 8: it bounds the number of processes, memory decides it.
    """
    quota = _text(root / "sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and _positive(quota[0]) and _positive(quota[1]):
        return max(1, int(quota[0]) // int(quota[1]))
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tasks(root: Path, memory_mb: int | None) -> int | None:
    limits = [_positive(_text(root / "sys/fs/cgroup" / path)) for path in ("pids.max", "pids/pids.max")]
    limits.append(tasks_of_memory(memory_mb) if memory_mb else None)
    return min((limit for limit in limits if limit), default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _positive(text: str | None) -> int | None:
    """The positive whole number that `text` is, None for anything else ("max", "", "-1", a number of 30 digits)."""
    stripped = (text or "").strip()
    return int(stripped) or None if re.fullmatch(r"[0-9]{1,19}", stripped) else None
