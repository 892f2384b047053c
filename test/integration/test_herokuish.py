"""Dokku: the slug under herokuish's contract, and under herokuish's own functions where a checkout of it is given.

How to run the latter: clone https://github.com/gliderlabs/herokuish, then
    HEROKUISH_DIR=DIRECTORY pytest test/integration/test_herokuish.py
herokuish runs one buildpack. As heroku-buildpack-multi does on Dokku, the one here runs heroku/python (a stand-in),
sources its `export`, runs ours, and answers with our bin/release. Users, chown and the Go helpers are replaced; the
rest is theirs.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import heroku
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "test/fixtures/sample_site"
HEROKUISH = os.environ.get("HEROKUISH_DIR")
PATIENCE = 60.0  # seconds until a test gives up
SECRET = "made-up-secret-for-a-test"
MIGRATE = "python manage.py migrate --noinput"

needs_herokuish = pytest.mark.skipif(
    not HEROKUISH, reason="opt-in: HEROKUISH_DIR=path/to/herokuish make test TEST=herokuish"
)

# What a container has around include/*.bash. Users stay as they are: everything runs as whoever runs the tests.
CONTAINER = """\
set -eo pipefail
setuidgid() { shift; "$@"; }
usermod() { :; }
chown() { :; }
yaml-keys() { "$TEST_PYTHON" "$YAML" keys "$@"; }
yaml-get() { "$TEST_PYTHON" "$YAML" get "$@"; }
for include in herokuish buildpack procfile; do source "$HEROKUISH_DIR/include/$include.bash"; done
"$@"
"""
YAML = """\
import sys, yaml
verb, *keys = sys.argv[1:]
found = yaml.safe_load(sys.stdin)
for key in keys:
    found = (found or {}).get(key)
if verb == "keys":
    lines = list(found) if isinstance(found, dict) else []
elif isinstance(found, dict):
    lines = [f"{key}={value}" for key, value in found.items()]
else:
    lines = found if isinstance(found, list) else [found] if isinstance(found, str) else []
print("".join(f"{line}\\n" for line in lines), end="")
"""
COMPILE = """\
#!/usr/bin/env bash
set -eo pipefail
export_file="$(mktemp)"
"{python}" "{root}/test/support/heroku_python.py" "$1" "$2" "$3" --app-dir "$APP_PATH" --export "$export_file"
source "$export_file"
rm "$export_file"
"{root}/bin/{step}" "$1" "$2" "$3"
"""


@dataclass
class Container:
    """The directories of one herokuish container, and its environment."""

    home: Path

    @property
    def app(self) -> Path:
        return self.home / "app"

    @property
    def environment(self) -> dict[str, str]:
        places = {f"{name.upper()}_PATH": str(self.home / name) for name in ("app", "env", "build", "cache", "import")}
        return heroku.scrubbed_environment(
            USER=getpass.getuser(),
            HEROKUISH_DIR=str(HEROKUISH),
            HEROKUISH_SETUIDGUID="false",
            HEROKUISH_DISABLE_CHOWN="true",
            BUILDPACK_PATH=str(self.home / "buildpacks"),
            TEST_PYTHON=sys.executable,
            YAML=str(self.home / "yaml_helper.py"),
            **places,
        )

    def call(self, function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of herokuish's functions to its end."""
        command = ["bash", "-c", CONTAINER, "herokuish", function, *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=600, check=False
        )


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """A container with one buildpack installed: heroku/python followed by ours."""
    buildpack = tmp_path / "buildpacks/00_buildpack-django"
    (buildpack / "bin").mkdir(parents=True)
    for name, step in {"compile": "compile", "test-compile": "test-compile"}.items():
        (buildpack / "bin" / name).write_text(COMPILE.format(python=sys.executable, root=ROOT, step=step))
        (buildpack / "bin" / name).chmod(0o755)
    for name in ("detect", "release", "test"):
        (buildpack / "bin" / name).write_text(f'#!/usr/bin/env bash\nexec "{ROOT}/bin/{name}" "$@"\n')
        (buildpack / "bin" / name).chmod(0o755)
    (tmp_path / "yaml_helper.py").write_text(YAML)
    (tmp_path / "env").mkdir()
    (tmp_path / "env/SECRET_KEY").write_text(SECRET)
    return Container(tmp_path)


def sample_site(target: Path, procfile: str | None) -> Path:
    """The sample site with this Procfile, or without one."""
    shutil.copytree(SAMPLE, target, ignore=shutil.ignore_patterns("Procfile", "__pycache__"))
    if procfile is not None:
        (target / "Procfile").write_text(procfile)
    return target


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own group, its output in `directory/dyno.log`; nothing of it is left afterwards."""
    with (directory / "dyno.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=directory, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def page(port: int, process: subprocess.Popen[bytes], log: Path) -> tuple[int, str]:
    """Status and body of the first answer, asked for as Dokku's nginx does."""
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:  # noqa: PERF203  # tried until the process listens
            return error.code, error.read().decode()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def slug(tmp_path_factory: pytest.TempPathFactory) -> heroku.Slug:
    """The sample site without a Procfile, built once."""
    folder = tmp_path_factory.mktemp("dokku")
    site = sample_site(folder / "site", procfile=None)
    built = heroku.build(site, folder / "app", cache_dir=folder / "cache", config_vars={"SECRET_KEY": SECRET})
    assert heroku.start_dyno(built, MIGRATE, name="run.1").wait() == 0
    return built


def test_release_is_a_map_of_strings(slug: heroku.Slug) -> None:
    """herokuish takes the output whole for YAML: these keys, and one plain command."""
    assert set(slug.release) <= {"default_process_types", "addons"}
    assert slug.release["default_process_types"] == {"web": "headwaiter guestbook.wsgi:application"}


def test_the_web_command_survives_eval_echo(slug: heroku.Slug) -> None:
    """`exec $(eval echo "$command")` gives the words that bash -c would run: nothing to quote, expand or glob."""
    command = slug.process_types["web"]

    shell = subprocess.run(
        ["bash", "-c", 'printf "%s\\n" $(eval echo "$@")', "-", command], cwd=slug.root, capture_output=True, text=True
    )

    assert shell.stdout.splitlines() == command.split()


def test_profile_d_is_quiet_and_safe_as_herokuish_sources_it(slug: heroku.Slug) -> None:
    """Under `set -eo pipefail` and nullglob, with hardly any variable set: no output, no failure, options unchanged."""
    script = """
    set -eo pipefail; shopt -s nullglob; before="$-$(shopt -p)"
    for file in .profile.d/headwaiter.sh; do source "$file"; done
    [[ "$before" == "$-$(shopt -p)" ]]; printf '%s' "$PATH" >&3
    """
    with (slug.root.parent / "path").open("w+b") as path:
        result = subprocess.run(
            ["bash", "-c", f"exec 3>{path.name}; {script}"],
            cwd=slug.root,
            env={"PATH": "/usr/bin:/bin", "HOME": str(slug.root)},
            capture_output=True,
            check=False,
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
        assert str(slug.root / ".heroku/headwaiter/bin") in path.read().decode().split(":")


def test_a_page_is_served_by_exec_eval_echo(slug: heroku.Slug) -> None:
    """The whole start, as herokuish's procfile-exec writes it; SIGTERM to the first process ends it with 0."""
    port = free_port()
    script = """
    set -eo pipefail; shopt -s nullglob
    for file in .profile.d/*.sh; do source "$file"; done
    shopt -u nullglob; hash -r
    exec $(eval echo "$@")
    """
    environment = heroku.scrubbed_environment(HOME=str(slug.root), PORT=str(port), DYNO="web.1", SECRET_KEY=SECRET)
    with running(["bash", "-c", script, "-", slug.process_types["web"]], environment, slug.root) as process:
        status, _ = page(port, process, slug.root / "dyno.log")
        process.terminate()
        assert (status, process.wait(PATIENCE)) == (200, 0)


@needs_herokuish
def test_herokuish_builds_and_serves(container: Container) -> None:
    """buildpack-build writes a Procfile from our release; procfile-start serves the page and stops on SIGTERM."""
    sample_site(container.app, procfile=None)

    built = container.call("buildpack-build")

    assert built.returncode == 0, built.stdout + built.stderr
    assert "Django (Waitress) app detected" in built.stdout
    assert re.search(r"Default types for .*-> web$", built.stdout, flags=re.MULTILINE)
    web = yaml.safe_load((container.app / ".release").read_text())["default_process_types"]["web"]
    assert (container.app / "Procfile").read_text() == f"web: {web}\n"
    migrated = container.call("procfile-exec", MIGRATE)  # as `dokku run` does
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    port = free_port()
    command = ["bash", "-c", CONTAINER, "herokuish", "procfile-start", "web"]
    with running(command, {**container.environment, "PORT": str(port), "DYNO": "web.1"}, container.app) as process:
        status, _ = page(port, process, container.app / "dyno.log")
        process.terminate()
        assert (status, process.wait(PATIENCE)) == (200, 0)


@needs_herokuish
def test_herokuish_makes_no_default_web_beside_a_procfile(container: Container) -> None:
    """All or nothing, unlike Heroku: on Dokku a Procfile needs its own web line, which README says."""
    sample_site(container.app, procfile="worker: python manage.py check\n")

    built = container.call("buildpack-build")

    assert built.returncode == 0, built.stdout + built.stderr
    assert "Procfile declares types -> worker" in built.stdout
    assert (container.app / "Procfile").read_text() == "worker: python manage.py check\n"


@needs_herokuish
def test_herokuish_runs_the_tests(container: Container) -> None:
    """buildpack-test: test-compile, then the site's own tests with their status."""
    sample_site(container.app, procfile=None)

    tested = container.call("buildpack-test")

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "OK" in tested.stdout + tested.stderr
