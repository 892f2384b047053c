"""Puts Waitress beside headwaiter in the slug, unless the site brings its own.

Usage: install_waitress.py --cache DIR --env-dir DIR --project FILE --requirements FILE --target DIR --work DIR

The wheel comes from the build cache; pip downloads it where it isn't there or isn't what requirements.txt's hashes say.
It's unpacked rather than installed by pip: a pure Python wheel needs no more, and pip alone takes longer to start. Its
dist-info stays, so importlib.metadata knows it. Runs on the site's Python, with -I.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

USER_ERROR = 65

# The first version without a known vulnerability: https://github.com/Pylons/waitress/security/advisories
FIRST_SAFE = (3, 0, 1)

# Where a company keeps its own index, heroku/python is told by these config vars, and only these are passed on to pip.
PIP_CONFIG_VARS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")

DOWNLOAD_FAILED = """\
Error: Waitress {version} couldn't be downloaded.

pip said:
{said}

That's often a passing trouble of the network or of the package index:
build again. The wheel is then kept in the build cache, and later builds
need no network.

If the site can only use an index of your own, set PIP_INDEX_URL to it:
  heroku config:set PIP_INDEX_URL=https://...

Or add waitress to the site's own packages: that one is used then.
"""

NO_PIP = """\
Error: There's no pip to download Waitress with.

The site's Python has neither pip nor the copy of it that comes with
Python's own module ensurepip.

Add waitress to the site's own packages: that one is used then.
"""


class UserError(Exception):
    """What the user can fix; the message is for the build log."""


def is_vulnerable(version: str) -> bool:
    """Whether there are published vulnerabilities in this version of Waitress."""
    return tuple(map(int, re.findall(r"\d+", version)[:3])) < FIRST_SAFE


def pinned(requirements: str) -> tuple[str, frozenset[str]]:
    """The version and the SHA-256 hashes in a requirements.txt made by pip-compile."""
    version = re.search(r"^waitress==(\S+)", requirements, re.MULTILINE)
    if version is None:
        raise ValueError("lib/requirements.txt pins no waitress")
    return version[1], frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirements))


def is_intact(wheel: Path, hashes: frozenset[str]) -> bool:
    """Whether the file is there and is one of those that the lock file allows."""
    try:
        return hashlib.sha256(wheel.read_bytes()).hexdigest() in hashes
    except OSError:
        return False


def pip_command() -> list[str]:
    """pip for the site's Python: its own, or the wheel inside ensurepip where uv or Poetry left none."""
    from importlib.util import find_spec

    if find_spec("pip") is not None:
        return [sys.executable, "-I", "-B", "-m", "pip"]
    spec = find_spec("ensurepip")
    bundled = sorted(Path(spec.origin).parent.glob("_bundled/pip-*.whl")) if spec and spec.origin else []
    if not bundled:
        raise UserError(NO_PIP)
    return [sys.executable, "-I", "-B", f"{bundled[-1]}/pip"]


def pip_environment(env_dir: str, work: Path) -> dict[str, str]:
    """This process's environment, the index that the config vars name, and a place for pip's temporary files."""
    environment = {**os.environ, "TMPDIR": str(work)}
    for name in PIP_CONFIG_VARS:
        try:
            value = (Path(env_dir) / name).read_text(encoding="utf-8").strip() if env_dir else ""
        except (OSError, UnicodeDecodeError):
            continue
        if value and "\0" not in value:
            environment[name] = value
    return environment


def download(version: str, requirements: Path, env_dir: str, work: Path) -> Path:
    """The wheel, fetched by pip, which checks the hashes too. UserError where that fails."""
    command = [*pip_command(), "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(requirements)]
    command += ["--retries=2", "--timeout=15", "--dest", str(work)]
    environment = pip_environment(env_dir, work)
    pip = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    wheels = sorted(work.glob("waitress-*.whl"))
    if pip.returncode or not wheels:
        lines = [line for line in (pip.stderr + pip.stdout).decode(errors="replace").splitlines() if line.strip()]
        said = "\n".join(f"  {line.strip()[:200]}" for line in lines[-3:]) or f"  (nothing; status {pip.returncode})"
        raise UserError(DOWNLOAD_FAILED.format(version=version, said=said))
    return wheels[0]


def unpack(wheel: Path, target: Path) -> None:
    """Unpack a pure Python wheel; zipfile keeps every member below the target."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


def describe_own(version: str, ours: str) -> list[str]:
    """The lines for a site that brings its own Waitress."""
    if version == "unknown":
        return ["The site carries its own Waitress in the repository: that's the one that runs"]
    lines = [f"The site brings its own Waitress {version}: that's the one that runs"]
    if is_vulnerable(version):
        lines += ["!", f"! Warning: Waitress {version} has known vulnerabilities:"]
        lines += ["!   https://github.com/Pylons/waitress/security/advisories"]
        lines += [f"! They're fixed in {ours}. Ask for waitress>={ours} in the site's packages, and lock"]
        lines += ["! again; or leave waitress out: this buildpack brings it then.", "!"]
    return lines


def install(arguments: argparse.Namespace) -> None:
    """Do it, and say what is done before each step that takes time."""
    version, hashes = pinned(arguments.requirements.read_text(encoding="utf-8"))
    own = json.loads(arguments.project.read_text(encoding="utf-8"))["waitress_version"]
    if own is not None:
        print("\n".join(describe_own(own, version)))
        return

    cached = arguments.cache / f"waitress-{version}-py3-none-any.whl"
    if is_intact(cached, hashes):
        print(f"Waitress {version}, from the build cache")
    else:
        reason = ", since the copy in the build cache is damaged" if cached.exists() else ""
        print(f"Waitress {version}, downloading{reason}")
        wheel = download(version, arguments.requirements, arguments.env_dir, arguments.work)
        for stale in arguments.cache.glob("waitress-*"):
            stale.unlink()
        # Into the cache in one step: a build that is stopped leaves no half of a file.
        partial = arguments.cache / "waitress.partial"
        partial.write_bytes(wheel.read_bytes())
        partial.replace(cached)
    unpack(cached, arguments.target)


def main(argv: list[str]) -> int:
    """Install, or say what the user has to fix."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--env-dir", required=True)
    for name in ("--cache", "--project", "--requirements", "--target", "--work"):
        parser.add_argument(name, type=Path, required=True)
    try:
        install(parser.parse_args(argv))
    except UserError as error:
        print(error, end="", file=sys.stderr)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
