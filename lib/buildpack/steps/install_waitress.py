"""Puts Waitress beside headwaiter in the slug, unless the site brings its own.

Usage: install_waitress.py CACHE_DIR ENV_DIR TARGET_DIR PROJECT_JSON

The wheel comes from the build cache; pip downloads it where it isn't there or isn't what requirements.txt's hashes say.
It's unpacked rather than installed by pip: a pure Python wheel needs no more, and pip alone takes longer to start. Its
dist-info stays, so importlib.metadata knows it. Runs on the site's Python, with -I.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # lib/

from buildpack import config_var

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
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
    (version,) = re.findall(r"^waitress==(\S+)", requirements, re.MULTILINE)
    return version, frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirements))


def is_intact(wheel: Path, hashes: frozenset[str]) -> bool:
    """Whether the file is there and is one of those that the lock file allows."""
    try:
        return hashlib.sha256(wheel.read_bytes()).hexdigest() in hashes
    except OSError:
        return False


def pip_command() -> list[str]:
    """pip for the site's Python: its own, or ensurepip's wheel where uv or Poetry left none; raises UserError."""
    if find_spec("pip") is not None:
        return [sys.executable, "-I", "-B", "-m", "pip"]
    ensurepip = find_spec("ensurepip")
    bundled = Path(ensurepip.origin).with_name("_bundled") if ensurepip and ensurepip.origin else None
    for folder in (bundled, sysconfig.get_config_var("WHEEL_PKG_DIR")):  # the latter is Debian's
        for wheel in Path(folder).glob("pip-*.whl") if folder else ():
            return [sys.executable, "-I", "-B", f"{wheel}/pip"]
    raise UserError(NO_PIP)


def pip_environment(env_dir: str) -> dict[str, str]:
    """This process's environment, and the index that the config vars name."""
    values = {name: config_var.read(env_dir, name) for name in PIP_CONFIG_VARS}
    return {**os.environ, **{name: value for name, value in values.items() if value and "\0" not in value}}


def download(version: str, env_dir: str, cache: Path) -> None:
    """Fetch the wheel by pip, which checks the hashes too. UserError where that fails."""
    command = [*pip_command(), "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(REQUIREMENTS)]
    command += ["--retries=2", "--timeout=15", "--dest", str(cache)]
    environment = pip_environment(env_dir)
    pip = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if pip.returncode:
        lines = [line for line in (pip.stderr + pip.stdout).decode(errors="replace").splitlines() if line.strip()]
        said = "\n".join(f"  {line.strip()[:200]}" for line in lines[-3:]) or f"  (nothing; status {pip.returncode})"
        raise UserError(DOWNLOAD_FAILED.format(version=version, said=said))


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


def install(cache: Path, env_dir: str, target: Path, own: str | None) -> None:
    """Do it, and say what is done before each step that takes time. `own`: the version that the site brings."""
    version, hashes = pinned(REQUIREMENTS.read_text(encoding="utf-8"))
    if own is not None:
        print("\n".join(describe_own(own, version)))
        return

    cached = cache / f"waitress-{version}-py3-none-any.whl"
    if is_intact(cached, hashes):
        print(f"Waitress {version}, from the build cache")
    else:
        reason = ", since the copy in the build cache is damaged" if cached.exists() else ""
        print(f"Waitress {version}, downloading{reason}")
        for stale in cache.glob("waitress-*"):
            stale.unlink()
        download(version, env_dir, cache)
    with zipfile.ZipFile(cached) as archive:  # it keeps every member below the target
        archive.extractall(target)


def main(argv: list[str]) -> int:
    """Install, or say what the user has to fix."""
    print("> Installing Waitress")
    cache, env_dir, target, project = argv
    own = json.loads(Path(project).read_text(encoding="utf-8"))["waitress_version"]
    try:
        install(Path(cache), env_dir, Path(target), own)
    except UserError as error:
        print(error, end="", file=sys.stderr)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
