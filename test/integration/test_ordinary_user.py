"""What a dyno forbids and root never notices: places that can't be written, files that can't be read, low ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import heroku
import pytest
from boot import boot, eventually, run
from headwaiter.budget import dyno
from worker import connect, read_answer, workers

APP = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"
HIDE = 'mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t tmpfs tmpfs /proc && exec "$@"'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build directory with a Django site that brings its own Waitress: its build needs no network."""
    build = tmp_path / "build"
    shutil.copytree(heroku.BUILDPACK / "test/fixtures/minimal_site", build)
    for name in ("cache/headwaiter", "env"):
        (tmp_path / name).mkdir(parents=True)
    home = build / ".heroku/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    packages = next(home.glob("lib/python3*/site-packages"))
    for name, version in (("django", "5.2"), ("waitress", "3.0.2")):
        (packages / name).mkdir()
        (packages / name / "__init__.py").touch()
        (packages / f"{name}-{version}.dist-info").mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (packages / f"{name}-{version}.dist-info/METADATA").write_text(metadata)
    return tmp_path


def compile_in(folder: Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run bin/compile; None takes a variable away."""
    variables = {**heroku.scrubbed_environment(), **environment}
    return subprocess.run(
        [heroku.BUILDPACK / "bin/compile", *(folder / name for name in ("build", "cache", "env"))],
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc"])
def test_a_build_needs_no_home(folder: Path, home: str | None) -> None:
    """Unset, missing, not writable."""
    done = compile_in(folder, HOME=home)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("home", ["", "/nonexistent", "/proc"])
def test_a_server_needs_no_home(site: Path, home: str) -> None:
    """The command neither reads nor writes there."""
    with boot(site, "app:application", env={"HOME": home}, wrapper=() if home else ("env", "-u", "HOME")) as server:
        assert server.get().text == "hello"
        assert server.stop() == 0
        assert "Traceback" not in server.log


def test_a_build_without_a_temporary_directory_says_so(folder: Path) -> None:
    """mktemp's own line says why."""
    done = compile_in(folder, TMPDIR="/proc", LC_ALL="C")
    assert (done.returncode, done.stderr) == (1, "")
    assert "mktemp:" in done.stdout
    assert "/proc/" in done.stdout
    assert "Internal Error" not in done.stdout


def test_uploads_find_another_place_than_an_unwritable_tmpdir() -> None:
    """As Python's tempfile does: /tmp comes next."""
    with workers(env={"TMPDIR": "/proc"}) as server:
        body = b"u" * 2_000_000
        request = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        client = connect(server.port)
        client.sendall(request.encode() + body)
        assert read_answer(client)[2] == b"2000000"


def cache_is_no_directory(cache: Path) -> None:
    shutil.rmtree(cache)
    cache.touch()


def cache_is_read_only(cache: Path) -> None:
    (cache / "headwaiter").chmod(0o555)


def cache_has_a_report_of_another_user(cache: Path) -> None:
    (cache / "headwaiter/report").touch(0o444)


SPOILT = [cache_is_no_directory, cache_is_read_only, cache_has_a_report_of_another_user]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_cache_that_cannot_be_written_costs_no_build(folder: Path, spoil: Callable[[Path], None]) -> None:
    """It may have been another user's, or root's."""
    spoil(folder / "cache")
    done = compile_in(folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.search(r"Warning: this user can't write to \S+/cache/headwaiter", done.stdout), done.stdout
    assert (folder / "build/.heroku/headwaiter/release.yml").exists()


def test_what_cannot_be_read_about_the_dyno_is_unknown(tmp_path: Path) -> None:
    """Some containers hide the cgroup's files: heroku/python's own finding counts then."""
    limits = tmp_path / "sys/fs/cgroup"
    limits.mkdir(parents=True)
    for name in ("memory.max", "cpu.max", "pids.max"):
        (limits / name).write_text("100000000\n")
        (limits / name).chmod(0)
    found = dyno.read({"DYNO_RAM": "512"}, tmp_path)
    assert (found.memory_mb, found.tasks) == (512, 256)
    assert found.cpus >= 1


def test_a_low_port_is_refused_with_a_way_out(site: Path) -> None:
    """Only root, or CAP_NET_BIND_SERVICE, may have those below net.ipv4.ip_unprivileged_port_start."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("everybody may have port 80 here: sysctl net.ipv4.ip_unprivileged_port_start=1024")
    found = run(site, "--port=80", "app:application")
    assert found.returncode == 64
    assert found.stderr == (
        "headwaiter: Can't listen on *:80: Permission denied. "
        "Ports under 1024 belong to root: choose --port=8080 or so.\n"
    )


def test_nothing_of_proc_and_sys_is_needed(site: Path) -> None:
    """With hidepid or in a sandbox there's less to see; here there's nothing at all."""
    wrapper = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", HIDE, "sh")
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode:
        pytest.skip("the kernel allows no user namespaces here: sysctl kernel.apparmor_restrict_unprivileged_userns=0")
    with boot(site, "--processes=2", "app:application", env={"DYNO": "web.1"}, wrapper=wrapper) as server:
        os.kill(server.children()[0], signal.SIGKILL)
        server.wait_for("at=worker-exit")
        eventually(lambda: len(server.children()) == 2)
        assert server.get().text == "hello"
        assert server.stop() == 0
        assert "Traceback" not in server.log
