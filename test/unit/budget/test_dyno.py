from __future__ import annotations

from pathlib import Path

import pytest
from headwaiter.budget import dyno


def machine(root: Path, **files: str) -> Path:
    """A made-up /sys: `memory_max="512"` becomes sys/fs/cgroup/memory.max."""
    names = {
        "memory_max": "memory.max",
        "memory_high": "memory.high",
        "memory_v1": "memory/memory.limit_in_bytes",
        "cpu_max": "cpu.max",
        "pids_max": "pids.max",
    }
    for key, text in files.items():
        path = root / "sys/fs/cgroup" / names[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "memory_mb"),
    [
        ({"memory_v1": "536870912"}, 512),
        ({"memory_v1": "15032385536"}, 14336),
        ({"memory_max": "1073741824"}, 1024),
        ({"memory_max": "max", "memory_high": "1073741824"}, 1024),
        ({"memory_max": "max", "memory_v1": "536870912"}, 512),
        ({"memory_v1": "9223372036854771712"}, None),
        ({"memory_max": "max"}, None),
        ({"memory_max": "none of your business"}, None),
        ({"memory_max": "-1"}, None),
        ({"memory_max": "0"}, None),
        ({"memory_max": "9" * 400}, None),
        ({}, None),
    ],
)
def test_memory_limit_of_both_cgroup_versions(tmp_path: Path, files: dict[str, str], memory_mb: int | None) -> None:
    """Version 2 first, then 1; "max" and absurd values are no limit."""
    assert dyno.read({}, machine(tmp_path, **files)).memory_mb == memory_mb


def test_memory_that_heroku_python_found_is_the_last_resort(tmp_path: Path) -> None:
    """DYNO_RAM counts when no cgroup file says anything."""
    assert dyno.read({"DYNO_RAM": "1024"}, tmp_path).memory_mb == 1024
    assert dyno.read({"DYNO_RAM": "512"}, machine(tmp_path, memory_v1="1073741824")).memory_mb == 1024
    assert dyno.read({"DYNO_RAM": "plenty"}, tmp_path / "empty").memory_mb is None


@pytest.mark.parametrize(("quota", "cpus"), [("90000 100000", 1), ("360000 100000", 3), ("720000 100000", 7)])
def test_cpu_quota_counts_not_the_hosts_cores(tmp_path: Path, quota: str, cpus: int) -> None:
    """On Fir os.cpu_count() is the host's 48."""
    assert dyno.read({}, machine(tmp_path, cpu_max=quota)).cpus == cpus


@pytest.mark.parametrize("quota", ["max 100000", "", "1", "a b", "100000 0"])
def test_without_a_quota_there_is_at_least_one_cpu(tmp_path: Path, quota: str) -> None:
    """What the scheduler allows, never nothing."""
    assert dyno.read({}, machine(tmp_path, cpu_max=quota)).cpus >= 1


@pytest.mark.parametrize(
    ("memory_v1", "tasks"),
    [("536870912", 256), ("1073741824", 512), ("2684354560", 16384), ("32212254720", 16384), ("268435456", 256)],
)
def test_processes_and_threads_that_a_dyno_may_run(tmp_path: Path, memory_v1: str, tasks: int) -> None:
    """Heroku's table, by memory."""
    assert dyno.read({}, machine(tmp_path, memory_v1=memory_v1)).tasks == tasks


def test_smaller_of_the_cgroups_and_the_tables_cap_counts(tmp_path: Path) -> None:
    """pids.max is a limit too."""
    assert dyno.read({}, machine(tmp_path, memory_v1="1073741824", pids_max="100")).tasks == 100
    assert dyno.read({}, machine(tmp_path / "other", pids_max="max")).tasks is None


@pytest.mark.parametrize(
    ("name", "process_type", "number"),
    [
        ("web.1", "web", 1),
        ("web.12", "web", 12),
        ("run.4711", "run", 4711),
        ("web-12a34b56d-e78f9", "web", None),
        ("worker.x", "worker", None),
        ("web.99999999999999999999", "web", None),
        ("", None, None),
    ],
)
def test_dyno_name(tmp_path: Path, name: str, process_type: str | None, number: int | None) -> None:
    """Cedar numbers its dynos, Fir doesn't; nonsense is no number."""
    found = dyno.read({"DYNO": name}, tmp_path)
    assert (found.name or "", found.process_type, found.number) == (name, process_type, number)


@pytest.mark.parametrize(
    ("size", "memory_mb"),
    [
        ("Standard-1X", 512),
        ("PERFORMANCE-L-RAM", 30720),
        ("dyno-1c-0.5gb", 512),
        ("dyno-2c-8gb", 8192),
        ("giant", None),
        ("", None),
        (None, None),
    ],
)
def test_memory_of_a_dyno_size(size: str | None, memory_mb: int | None) -> None:
    """As app.json writes it: any case, unknown sizes accepted."""
    assert dyno.memory_of_size(size) == memory_mb


def test_this_machine_can_be_read() -> None:
    """The real /sys, whatever it holds."""
    found = dyno.read({})
    assert found.cpus >= 1
    assert found.memory_mb is None or found.memory_mb > 0
