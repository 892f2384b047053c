"""A small Heroku for tests and `make run`: builds a repository with buildpacks, keeps the slug elsewhere, boots dynos.

The order is Heroku's: detect, heroku/python (or a stand-in), compile, release; then the build directory is gone, the
slug lies in another one (`Slug.root`, for /app), and a dyno gets a scrubbed environment, sources .profile.d and runs
`bash -c COMMAND`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

BUILDPACK = Path(__file__).resolve().parents[2]
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How this machine reaches package indexes, and where temporary files go; a build gets nothing else of its environment.
FROM_CALLER = re.compile(
    r"^(TMPDIR|PIP_\w+|UV_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(https?|no|all)_proxy)$", re.IGNORECASE
)
BOOT_SECONDS = 60  # Heroku's own limit, error R10
DYNO_SHELL = 'for script in .profile.d/*.sh; do source "${script}"; done; unset script; exec bash -c "$1"'


class BuildFailedError(Exception):
    """A buildpack ended with another status than 0; `log` is the build log up to there."""

    def __init__(self, program: str, status: int, log: str) -> None:
        super().__init__(f"{program} failed with status {status}\n{log}")
        self.program, self.status, self.log = program, status, log


@dataclass
class Slug:
    """What a build left: the directory, the log, the release's YAML, and how long our bin/compile took."""

    root: Path
    log: str
    release: dict[str, object]
    process_types: dict[str, str]
    config_vars: dict[str, str] = field(default_factory=dict)


def scrubbed_environment(**more: str) -> dict[str, str]:
    """The environment of a build: the system's PATH, the way to the network, and nothing else of the caller's."""
    ours = {name: value for name, value in os.environ.items() if FROM_CALLER.match(name)}
    return {"PATH": SYSTEM_PATH, "HOME": str(Path.home()), "STACK": "heroku-24", **ours, **more}


def copy_repository(source: Path, target: Path) -> None:
    """What `git push` would send, changes that aren't committed included; everything where it's no git repository."""
    listing = subprocess.run(
        ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listing.returncode or not listing.stdout:
        shutil.copytree(
            source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", ".venv")
        )
        return
    for name in {os.fsdecode(name) for name in listing.stdout.split(b"\0") if name}:
        if os.path.lexists(source / name) and not (source / name).is_dir():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name, follow_symlinks=False)


def run(
    command: list[str | Path], environment: Mapping[str, str], log: list[str], say: Callable[[str], None], cwd: Path
) -> None:
    """Run one program of a buildpack, its streams together as in a build log, each line passed on as it comes."""
    process = subprocess.Popen(
        command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            log.append(line.decode(errors="replace").rstrip("\n"))
            say(log[-1])
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    if status:
        raise BuildFailedError(str(command[0]), status, "\n".join(log))


def exported(export: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment after sourcing a buildpack's `export`."""
    shell = subprocess.run(
        ["bash", "-c", 'source "$1"; env -0', "-", str(export)], env=environment, capture_output=True, check=True
    )
    pairs = (os.fsdecode(pair).partition("=") for pair in shell.stdout.split(b"\0") if pair)
    return {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD")}


def write_env_dir(env_dir: Path, config_vars: Mapping[str, str | bytes]) -> None:
    """One file a config var, as the Buildpack API has it."""
    env_dir.mkdir(parents=True, exist_ok=True)
    for name, value in config_vars.items():
        (env_dir / name).write_bytes(value if isinstance(value, bytes) else os.fsencode(value))


def build(
    repository: Path,
    root: Path,
    *,
    cache_dir: Path,
    config_vars: Mapping[str, str] | None = None,
    python: str | None = None,
    heroku_python: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Slug:
    """Build a repository as `git push heroku` does. `root` becomes the slug; it mustn't exist yet.

    `heroku_python` is a checkout of https://github.com/heroku/heroku-buildpack-python, which knows no other root than
    /app; the default is the stand-in, with the interpreter `python`.
    """
    config_vars = dict(config_vars or {})
    log: list[str] = []
    with tempfile.TemporaryDirectory(prefix="build_") as temporary:
        build_dir, env_dir, export = Path(temporary, "app"), Path(temporary, "env"), Path(temporary, "export")
        build_dir.mkdir()
        cache_dir.mkdir(parents=True, exist_ok=True)
        copy_repository(repository.resolve(), build_dir)
        write_env_dir(env_dir, config_vars)
        scratch = Path(temporary, "tmp")  # uv leaves its locks there
        scratch.mkdir()
        environment = scrubbed_environment(TMPDIR=str(scratch))
        folders: list[str | Path] = [build_dir, cache_dir, env_dir]

        run([BUILDPACK / "bin/detect", build_dir], environment, log, say, BUILDPACK)
        if heroku_python:
            export = heroku_python / "export"
            run([heroku_python / "bin/compile", *folders], environment, log, say, BUILDPACK)
        else:
            options = ["--app-dir", str(root), "--export", str(export), *(["--python", python] if python else [])]
            stand_in = [sys.executable, BUILDPACK / "test/support/heroku_python.py", *folders, *options]
            run(stand_in, environment, log, say, BUILDPACK)
        run([BUILDPACK / "bin/compile", *folders], exported(export, environment), log, say, BUILDPACK)
        released: list[str] = []
        run([BUILDPACK / "bin/release", build_dir], environment, released, lambda line: None, BUILDPACK)

        shutil.rmtree(root)  # all that's there is the link to the build directory's Python
        shutil.move(build_dir, root)
    release = yaml.safe_load("\n".join(released))
    return Slug(root, "\n".join(log), release, process_types(root, release), config_vars)


def process_types(root: Path, release: Mapping[str, object]) -> dict[str, str]:
    """The Procfile's process types over the last buildpack's defaults, type by type, as on Heroku."""
    defaults = release.get("default_process_types") or {}
    assert isinstance(defaults, dict)
    procfile = root / "Procfile"
    lines = procfile.read_text(encoding="utf-8").splitlines() if procfile.is_file() else []
    declared = (re.match(r"^([A-Za-z0-9_-]+):\s*(.+)$", line) for line in lines)
    return {**defaults, **{match[1]: match[2] for match in declared if match}}


def app_setup(repository: Path) -> dict[str, str]:
    """The config vars that app.json gives a new app: values as they stand, secrets generated."""
    file = repository / "app.json"
    declared = json.loads(file.read_text(encoding="utf-8-sig")).get("env", {}) if file.is_file() else {}
    found = {}
    for name, entry in declared.items():
        if isinstance(entry, dict) and entry.get("generator") == "secret":
            found[name] = secrets.token_hex(32)
        elif isinstance(entry, str) or (isinstance(entry, dict) and "value" in entry):
            found[name] = entry if isinstance(entry, str) else str(entry["value"])
    return found


def dyno_environment(slug: Slug, name: str, port: int = 0) -> dict[str, str]:
    """What a dyno has before .profile.d is sourced, and where temporary files go here."""
    return {
        **({"TMPDIR": os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {}),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(slug.root),
        "DYNO": name,
        **({"PORT": str(port)} if port else {}),
        **slug.config_vars,
    }


def write_one_off(slug: Slug, script: Path) -> None:
    """Write a script that runs its arguments as a one-off dyno, as `heroku run` does."""
    variables = shlex.join(f"{name}={value}" for name, value in dyno_environment(slug, "run.1").items())
    lines = [
        "#!/usr/bin/env bash",
        f"cd {shlex.quote(str(slug.root))} || exit",
        f'exec env -i TERM="${{TERM:-dumb}}" {variables} bash -c {shlex.quote(DYNO_SHELL)} dyno "$*"',
    ]
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o700)  # it holds the config vars


def start_dyno(
    slug: Slug, command: str, *, name: str = "web.1", port: int = 0, **options: object
) -> subprocess.Popen[bytes]:
    """Start a command as a dyno does. It leads its own process group: `stop_dyno` ends it. `options` go to Popen."""
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        ["bash", "-c", DYNO_SHELL, "dyno", command],
        cwd=slug.root,
        env=dyno_environment(slug, name, port),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )


def stop_dyno(dyno: subprocess.Popen[bytes], grace_seconds: float = 30.0) -> int:
    """SIGTERM to the dyno's processes, SIGKILL to what is left after the grace time; the first process's status."""
    signal_group(dyno.pid, signal.SIGTERM)
    try:
        return dyno.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        signal_group(dyno.pid, signal.SIGKILL)
        dyno.wait()


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if it's still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect (to HTTPS, mostly) is an answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(address: str, dyno: subprocess.Popen[bytes]) -> int | None:
    """The status of the first answer, None where the dyno ends or doesn't answer in time."""
    until = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < until and dyno.poll() is None:
        status = ask(address)
        if status is not None:
            return status
        time.sleep(0.1)
    return None


def ask(address: str) -> int | None:
    """The status of one request, made as Heroku's router does; None where nothing listens."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    request = urllib.request.Request(address, headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"})
    try:
        with opener.open(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
