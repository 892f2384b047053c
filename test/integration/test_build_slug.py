"""Whole builds of the sample site: what gets into the slug, and that it boots from another directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import heroku
import pytest
from boot import eventually

SAMPLE = heroku.BUILDPACK / "test/fixtures/sample_site"
HOSTILE = {
    "NEWLINES": b"a\nb\n\nc",
    "QUOTES": b"'\"`\\",
    "EMPTY": b"",
    "BINARY": bytes(range(256)),
    "not an identifier; touch x": b"x",
    "-e": b"x",
    "BASH_ENV": b"/nonexistent",
    "LD_PRELOAD": b"/nonexistent.so",
    "PATH": b"/nonexistent",
    "PYTHONPATH": b"/nonexistent",
    "PYTHONSTARTUP": b"/nonexistent",
    "SECRET_TOKEN": b"s3cr3t-t0k3n",
}


@pytest.fixture(scope="module")
def slug(tmp_path_factory: pytest.TempPathFactory) -> heroku.Slug:
    """The sample site, built and released once."""
    folder = tmp_path_factory.mktemp("built")
    made = heroku.build(SAMPLE, folder / "app", cache_dir=folder / "cache", python=sys.executable)
    assert heroku.start_dyno(made, made.process_types["release"], name="release.1").wait() == 0
    return made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build directory as heroku/python leaves it, and the build cache beside it, to be copied by each test."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("build", "cache", "env"):
        (folder / name).mkdir()
    heroku.copy_repository(SAMPLE, folder / "build")
    stand_in = [sys.executable, str(heroku.BUILDPACK / "test/support/heroku_python.py")]
    folders = [str(folder / name) for name in ("build", "cache", "env")]
    options = ["--app-dir", str(folder / "build"), "--export", str(folder / "export"), "--python", sys.executable]
    environment = {**heroku.scrubbed_environment(), "DISABLE_COLLECTSTATIC": "1"}
    subprocess.run([*stand_in, *folders, *options], env=environment, check=True, capture_output=True)
    return folder


def compile_in(folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run bin/compile on the three directories of a folder, with nothing exported by heroku/python."""
    command = [heroku.BUILDPACK / "bin/compile", folder / "build", folder / "cache", folder / "env"]
    return subprocess.run(
        command, env=heroku.scrubbed_environment(**environment), capture_output=True, check=False, timeout=120
    )


@contextmanager
def booted(slug: heroku.Slug, command: str, **config_vars: str) -> Iterator[str]:
    """The address of a dyno that answers."""
    port = heroku.free_port()
    given = heroku.Slug(slug.root, slug.log, slug.release, slug.process_types, {**slug.config_vars, **config_vars})
    dyno = heroku.start_dyno(given, command, port=port)
    try:
        address = f"http://127.0.0.1:{port}"
        assert heroku.answer(f"{address}/health", dyno) == 200
        yield address
    finally:
        heroku.stop_dyno(dyno)


def get(address: str) -> tuple[str, str]:
    """The body and the content type of a page."""
    with urllib.request.urlopen(address, timeout=30) as response:
        return response.read().decode(), response.headers["Content-Type"]


def tree(directory: Path) -> dict[str, str]:
    """Each file below a directory, with its mode and a hash of its content."""
    return {
        str(path.relative_to(directory)): f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_released_command_serves_pages_from_the_moved_slug(slug: heroku.Slug) -> None:
    """Release phase, a page from the database, a static file, the visitor's scheme behind the router."""
    assert slug.process_types["web"] == "headwaiter guestbook.wsgi:application"
    with booted(slug, slug.process_types["web"]) as address:
        page, _ = get(address)
        assert "Nobody has signed yet." in page
        stylesheet = page.partition('href="')[2].partition('"')[0]
        assert get(address + stylesheet)[1].startswith("text/css")
        request = urllib.request.Request(
            f"{address}/health", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.read() == b"https 192.0.2.7\n"


def test_waitress_serve_works_too(slug: heroku.Slug) -> None:
    """Its first line names no directory of the build."""
    with booted(slug, "waitress-serve --port=$PORT guestbook.wsgi:application") as address:
        assert get(f"{address}/health")[0].startswith("http ")


def test_dokkus_way_of_running_a_command(slug: heroku.Slug) -> None:
    """herokuish evaluates the words without quotes."""
    with booted(slug, f'exec $(eval echo "{slug.process_types["web"]}")') as address:
        assert "Guestbook" in get(address)[0]


def test_importlib_knows_the_version(slug: heroku.Slug) -> None:
    """An unpacked wheel is a distribution like any other."""
    program = "import importlib.metadata as m; print(m.version('waitress'), len(m.files('waitress')) > 20)"
    environment = {"PATH": f"{slug.root}/.heroku/python/bin", "PYTHONPATH": f"{slug.root}/.heroku/headwaiter/python"}
    done = subprocess.run(["python", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3.0.2", "True"]


def test_nothing_in_the_slug_names_the_builds_directory(slug: heroku.Slug) -> None:
    """It's gone on the dyno."""
    names_build = [
        path
        for path in (slug.root / ".heroku/headwaiter").rglob("*")
        if path.is_file() and b"/build_" in path.read_bytes()
    ]
    assert names_build == []


def test_two_builds_are_equal(prepared: Path, tmp_path: Path) -> None:
    """From different directories: with an empty cache and with what the first build left in it."""
    trees: list[dict[str, str]] = []
    for name in ("first", "second directory"):
        folder = tmp_path / name
        shutil.copytree(prepared, folder, symlinks=True)
        if trees:
            shutil.copytree(tmp_path / "first/cache/headwaiter", folder / "cache/headwaiter", dirs_exist_ok=True)
        done = compile_in(folder)
        assert done.returncode == 0, done.stdout
        assert done.stderr == b""
        trees.append({**tree(folder / "build/.heroku/headwaiter"), **tree(folder / "build/.profile.d")})
    assert trees[0] == trees[1]
    assert any(name.endswith(".pyc") for name in trees[0])
    assert not any("__pycache__" in name and "headwaiter" not in name and "waitress" not in name for name in trees[0])


def test_hostile_config_vars_are_data(prepared: Path, tmp_path: Path) -> None:
    """None is executed, none is printed, and nothing appears outside of the build's directories."""
    folder = tmp_path / "app"
    shutil.copytree(prepared, folder, symlinks=True)
    executed = tmp_path / "executed"
    hostile = {**HOSTILE, "SUBSTITUTION": f"$(touch {executed})`touch {executed}`${{HOME}}".encode()}
    heroku.write_env_dir(folder / "env", hostile)
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    before = {**tree(heroku.BUILDPACK / "bin"), **tree(heroku.BUILDPACK / "lib/buildpack/profile.d")}

    done = compile_in(folder, HOME=str(home), TMPDIR=str(temporary))

    assert done.returncode == 0, done.stdout
    assert done.stderr == b""
    assert not executed.exists()
    assert b"s3cr3t" not in done.stdout
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"app", "home", "tmp"}
    assert {**tree(heroku.BUILDPACK / "bin"), **tree(heroku.BUILDPACK / "lib/buildpack/profile.d")} == before
    assert tree(folder / "env") == {name: mode for name, mode in tree(folder / "env").items() if name in hostile}


def test_the_builds_environment_is_no_trap(prepared: Path, tmp_path: Path) -> None:
    """heroku/python exports PYTHONHOME and PYTHONPATH, which the helpers don't heed."""
    folder = tmp_path / "app"
    shutil.copytree(prepared, folder, symlinks=True)
    trap = tmp_path / "trap"
    trap.mkdir()
    for module in ("json", "argparse", "waitress", "django", "sitecustomize"):
        (trap / f"{module}.py").write_text("raise SystemExit('imported from PYTHONPATH')\n")
    done = compile_in(folder, PYTHONPATH=str(trap), PYTHONSTARTUP=str(trap / "json.py"))
    assert done.returncode == 0, done.stdout
    assert b"imported from" not in done.stdout


def test_the_sites_own_waitress_wins(prepared: Path, tmp_path: Path) -> None:
    """Nothing is put beside it, and the log names what is wrong with an old one."""
    folder = tmp_path / "app"
    shutil.copytree(prepared, folder, symlinks=True)
    packages = next((folder / "build/.heroku/python/lib").glob("python3.*/site-packages"))
    (packages / "waitress").mkdir()
    (packages / "waitress/__init__.py").touch()
    (packages / "waitress-2.1.1.dist-info").mkdir()
    (packages / "waitress-2.1.1.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: waitress\nVersion: 2.1.1\n"
    )

    done = compile_in(folder)

    assert done.returncode == 0, done.stdout
    assert b"The site brings its own Waitress 2.1.1" in done.stdout
    assert b"fixed in 3.0.2" in done.stdout
    assert not (folder / "build/.heroku/headwaiter/python/waitress").exists()


def test_our_own_mistake_names_the_line_that_failed(prepared: Path, tmp_path: Path) -> None:
    """Here a build directory that nobody may write to, which no platform has."""
    folder = tmp_path / "app"
    shutil.copytree(prepared, folder, symlinks=True)
    shutil.rmtree(folder / "build/.heroku")
    (folder / "build/.heroku").touch()
    done = compile_in(folder)
    assert done.returncode != 0
    assert b"Internal Error: a command failed with status" in done.stdout
    assert b"at lib/buildpack/shell/workspace.sh, line" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize("entry", ["DEBUG", "=off"])
def test_run_explains_a_config_var_that_it_cannot_read(entry: str) -> None:
    """Before anything is built."""
    command = [sys.executable, str(heroku.BUILDPACK / "scripts/run_site.py"), f"--env={entry}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{entry!r} isn't NAME=VALUE, as in DEBUG=off" in done.stderr


def test_run_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """`make run` says what to try, which works, ends on SIGINT and leaves neither a process nor a file."""
    command = [sys.executable, str(heroku.BUILDPACK / "scripts/run_site.py"), "--python", sys.executable]
    command += ["--cache", str(tmp_path / "cache")]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    address = ""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "answers with 200" in line:
            address = line.split()[1]
        if "kill -- -" in line:
            break
    assert address, "".join(lines)
    plan = [line.partition(" #")[0].split() for line in lines if "headwaiter plan " in line][-1]
    assert "8 threads" in subprocess.run(plan, capture_output=True, text=True, check=True).stdout
    process.send_signal(signal.SIGINT)
    eventually(lambda: "Stopping" in process.stdout.readline())
    process.send_signal(signal.SIGTERM)  # as make does after Ctrl-C
    rest = process.stdout.read()
    assert process.wait(60) == 0, rest
    process.stdout.close()
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0
    assert list(temporary.iterdir()) == []
