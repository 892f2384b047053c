"""Stands in for heroku/python: makes .heroku/python in the build directory and installs the site's packages there.

Usage: heroku_python.py BUILD_DIR CACHE_DIR ENV_DIR --app-dir DIR --export FILE [--python PROGRAM]

Like the real one (https://github.com/heroku/heroku-buildpack-python) it reads requirements.txt, Pipfile.lock,
poetry.lock or uv.lock (the latter two leave no pip behind), calls Python by the path that it'll have on the dyno, runs
collectstatic, and writes .profile.d/ scripts and the `export` file for the next buildpack. Unlike it, Python is a
virtual environment of a Python that's here already, so PYTHONHOME isn't set, and --app-dir stands for /app. Standard
library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import collectstatic_advice
import pythons

ROOT = Path(__file__).resolve().parents[2]
MANAGERS = ROOT / ".tools/managers/bin"
LOCKS = {"Pipfile.lock": "pipenv", "requirements.txt": "pip", "poetry.lock": "poetry", "uv.lock": "uv"}
INSTALL = {
    "pipenv": ["pipenv", "install", "--deploy"],
    "poetry": ["poetry", "sync", "--only", "main", "--no-interaction", "--no-ansi"],
    "uv": ["uv", "sync", "--locked", "--no-default-groups", "--no-progress"],
}
NO_MANAGER = """\
 !     Error: {manager} isn't here, and {lock} names the site's packages.
 !
 !     heroku/python brings it along. Here it's installed in .tools/, with the
 !     other package managers, by:
 !       scripts/tools.sh managers"""
# What makes the root's requirements.txt out of a lock file below the root, which heroku/python doesn't see.
EXPORT = {
    "pip": 'echo "-r {folder}/requirements.txt" > requirements.txt',
    "pipenv": "PIPENV_PIPFILE={folder}/Pipfile pipenv requirements > requirements.txt",
    "poetry": "poetry --directory {folder} export --output {up}/requirements.txt",
    "uv": "uv export --project {folder} --no-dev --no-emit-project --output-file requirements.txt",
}
INSTALL_TEST = {
    "pipenv": ["pipenv", "install", "--deploy", "--dev"],
    "poetry": ["poetry", "sync", "--no-interaction", "--no-ansi"],
    "uv": ["uv", "sync", "--locked", "--no-progress"],
}
NEVER_FROM_ENV_DIR = re.compile(
    r"^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LD_LIBRARY_PATH|PYTHONHOME|HOME)$"
)

WEB_CONCURRENCY = """\
if [[ -z "${WEB_CONCURRENCY:-}" ]]; then
	export WEB_CONCURRENCY=2 WEB_CONCURRENCY_SET_BY=heroku/python
fi
export DYNO_RAM=512 FORWARDED_ALLOW_IPS='*'
"""


def say(text: str) -> None:
    """A line of the build log, at once."""
    print(text, flush=True)


def run(
    command: list[str],
    environment: dict[str, str],
    directory: Path,
    advice: Callable[[Sequence[str]], str] = lambda output: "",
) -> None:
    """Run a command with its output indented in the log; end the build where it fails, with advice on the output."""
    output = []
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line.decode(errors="replace").rstrip())
            say(f"       {output[-1]}")
    if process.returncode:
        sys.exit(f" !     Error: {' '.join(command[:4])} failed with status {process.returncode}.{advice(output)}")


def package_manager(build_dir: Path) -> tuple[str, Path]:
    """The package manager, and its lock file."""
    for name, manager in LOCKS.items():
        if (build_dir / name).is_file():
            return manager, build_dir / name
    message = f" !     Error: none of {', '.join(LOCKS)} is in the root of the repository."
    for name, manager in LOCKS.items():
        for path in sorted([*build_dir.glob(f"*/{name}"), *build_dir.glob(f"*/*/{name}")])[:1]:
            folder = path.parent.relative_to(build_dir)
            command = EXPORT[manager].format(folder=folder, up="/".join(".." for _ in folder.parts))
            message += f"\n !     There's {folder}/{name}. Run this in the root, and commit its requirements.txt:"
            message += f"\n !       {command}"
    sys.exit(message)


def find_python(build_dir: Path, given: str | None) -> str:
    """The interpreter for the site: what its files name where that is here, else this one."""
    if given:
        return given
    for name, pattern in (
        ("Pipfile.lock", r'"python_(?:full_)?version": "(3\.\d+)'),
        (".python-version", r"^ *(?:python-)?(3\.\d+)"),
        ("runtime.txt", r"^ *python-(3\.\d+)"),
    ):
        file = build_dir / name
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        match = re.search(pattern, text, flags=re.MULTILINE)
        if match:
            found = pythons.interpreter(match[1])
            if found:
                return found
            say(f"       {name} asks for Python {match[1]}, which isn't here")
    return sys._base_executable  # type: ignore[attr-defined,no-any-return] # no environment within an environment


def make_environment(python: str, home: Path, with_pip: bool) -> None:
    """A virtual environment; with pip as pip and Pipenv sites have it. venv itself wants no symbolic link."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(home.resolve())], check=True)
    if with_pip:
        run(
            [*pip(), "--python", str(home / "bin/python"), "install", "--quiet", "--no-compile", "pip"],
            {**os.environ},
            home,
        )


def pip() -> list[str]:
    """A pip that can install into another environment."""
    tools = ROOT / ".tools/venv/bin/python"
    return [str(tools) if tools.exists() else sys.executable, "-m", "pip"]


def install(manager: str, lock: Path, home: Path, environment: dict[str, str]) -> None:
    """Install the site's packages into the environment at `home`."""
    build_dir = lock.parent
    with_tests = "INSTALL_TEST" in os.environ
    if manager == "pip":
        command = [
            *pip(),
            "--python",
            str(home / "bin/python"),
            "install",
            "--progress-bar=off",
            "--no-compile",
            "-r",
            lock.name,
        ]
        say("-----> Installing dependencies using 'pip install -r requirements.txt'")
        if with_tests and (build_dir / "requirements-test.txt").is_file():
            command += ["-r", "requirements-test.txt"]
    else:
        command = (INSTALL_TEST if with_tests else INSTALL)[manager]
        say(f"-----> Installing dependencies using '{' '.join(command)}'")
    environment = {
        **environment,
        "PATH": f"{MANAGERS}:{environment['PATH']}",
        "VIRTUAL_ENV": str(home),
        "PIPENV_VERBOSITY": "-1",
        "PIPENV_NOSPIN": "1",
        "POETRY_VIRTUALENVS_CREATE": "false",
        "UV_PROJECT_ENVIRONMENT": str(home),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "copy",
        "UV_SYSTEM_CERTS": "true",
    }
    if not shutil.which(command[0], path=environment["PATH"]):
        sys.exit(NO_MANAGER.format(manager=manager, lock=lock.name))
    run(command, environment, build_dir)


def key(manager: str, lock: Path, python: str) -> str:
    """What the installed packages depend on."""
    version = subprocess.run([python, "-VV"], check=True, capture_output=True).stdout
    parts = [manager.encode(), version, lock.read_bytes(), str("INSTALL_TEST" in os.environ).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def restore(cached: Path, home: Path) -> None:
    """Bring back the environment of an earlier build, whose --app-dir may have been another."""
    shutil.copytree(cached, home, symlinks=True, dirs_exist_ok=True)
    for script in (home / "bin").iterdir():
        data = b"" if script.is_symlink() else script.read_bytes()
        if data.startswith(b"#!") and b"/.heroku/python/bin/python" in data.splitlines()[0]:
            script.write_bytes(b"#!%s/bin/python\n" % os.fsencode(home) + data.partition(b"\n")[2])


def config_vars(env_dir: Path) -> dict[str, str]:
    """The config vars that may go into a program's environment."""
    found = {}
    for file in env_dir.iterdir() if env_dir.is_dir() else []:
        value = os.fsdecode(file.read_bytes())
        if not NEVER_FROM_ENV_DIR.match(file.name) and "\0" not in value and "=" not in file.name:
            found[file.name] = value
    return found


def collect_static(build_dir: Path, home: Path, environment: dict[str, str], env_dir: Path) -> None:
    """Django's collectstatic, as heroku/python runs it."""
    manage_files = sorted((len(path.parts), path) for path in build_dir.glob("manage.py"))
    manage_files += sorted(
        (len(path.parts), path) for depth in ("*", "*/*") for path in build_dir.glob(f"{depth}/manage.py")
    )
    variables = config_vars(env_dir)
    disabled = {**environment, **variables}.get("DISABLE_COLLECTSTATIC", "0") != "0"
    django = next(home.glob("lib/python3*/site-packages/django/__init__.py"), None)
    if disabled or not manage_files or not django:
        return
    manage_py = manage_files[0][1].relative_to(build_dir)
    say(f"-----> $ python {manage_py} collectstatic --noinput")
    command = ["python", str(manage_py), "collectstatic", "--noinput"]
    run(command, {**environment, **variables}, build_dir, collectstatic_advice.advice)


def write_scripts(build_dir: Path, home: Path, export: Path) -> None:
    """.profile.d/ for the dyno, `export` for the next buildpack."""
    profile = build_dir / ".profile.d"
    profile.mkdir(exist_ok=True)
    (profile / "python.sh").write_text(
        'export PATH="${HOME}/.heroku/python/bin:${PATH}"\nexport PYTHONUNBUFFERED=true\n'
        'export LANG="${LANG:-en_US.UTF-8}"\nexport PYTHONPATH="${PYTHONPATH:-${HOME}}"\n'
    )
    (profile / "WEB_CONCURRENCY.sh").write_text(WEB_CONCURRENCY)
    export.write_text(f'export PATH="{home}/bin:${{PATH}}"\nexport PYTHONUNBUFFERED=1 LANG=en_US.UTF-8\n')


def main(argv: list[str]) -> int:
    """One build."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("build_dir", "cache_dir", "env_dir"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--app-dir", type=Path, required=True)
    parser.add_argument("--export", type=Path, required=True)
    parser.add_argument("--python")
    arguments = parser.parse_args(argv)
    build_dir: Path = arguments.build_dir.resolve()

    home = arguments.app_dir.absolute() / ".heroku/python"
    real_home = build_dir / ".heroku/python"
    real_home.mkdir(parents=True)
    if home != real_home:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.unlink(missing_ok=True)
        home.symlink_to(real_home)
    environment = {**os.environ, "PATH": f"{home}/bin:{os.environ['PATH']}", "LANG": "en_US.UTF-8"}

    manager, lock = package_manager(build_dir)
    python = find_python(build_dir, arguments.python)
    cached = arguments.cache_dir / ".heroku" / f"python-{key(manager, lock, python)[:16]}"
    say(f"-----> Using {python} in place of heroku/python's own Python")
    if cached.is_dir():
        say(f"-----> Restoring {manager}'s packages from the build cache")
        restore(cached, home)
    else:
        make_environment(python, home, with_pip=manager in ("pip", "pipenv"))
        install(manager, lock, home, environment)
        partial = cached.with_suffix(f".{os.getpid()}")
        shutil.copytree(home, partial, symlinks=True)
        try:
            partial.rename(cached)
        except OSError:  # another build of the same packages was faster
            shutil.rmtree(partial)
    collect_static(build_dir, home, environment, arguments.env_dir)
    write_scripts(build_dir, home, arguments.export)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
