"""Warns where requirements.txt no longer is what requirements.in asks for, as after an edit without `pip-compile`.

Usage: check_lock.py BUILD_DIR PROJECT_JSON

Looks in the root of the repository and in the project's directory. Needs no network: it compares the two files, with
the parser (packaging) that every pip carries. Never fails a build: what can't be read or understood is left out.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

# What pip-compile writes above its result, so that it can be repeated.
COMMAND = re.compile(
    r"by the following command:\s*#\s*#\s+((?:pip-compile|uv pip compile|make) [\w ./=,:@-]+|pip-compile)$", re.M
)
EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


@dataclass
class Requirements:
    """What one requirements file names, with all that it includes: normalised name -> the lines' requirements."""

    asked: dict[str, list[Any]] = field(default_factory=dict)
    constrained: dict[str, list[Any]] = field(default_factory=dict)
    without_version: set[str] = field(default_factory=set)


def load_packaging() -> ModuleType | None:
    """The `packaging.requirements` of pip; None where there's no pip, as uv and Poetry install no requirements.txt."""
    try:
        from pip._vendor.packaging import requirements
    except ImportError:
        return None
    return requirements


def decode(data: bytes) -> str:
    """Text of any encoding that editors write: PowerShell makes UTF-16, with a byte order mark."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return data.decode(encoding, errors="replace")


def logical_lines(text: str) -> Iterator[str]:
    """The lines of a requirements file, joined where they end in a backslash, without comments and empty ones."""
    joined = re.sub(r"\\\r?\n", " ", text)
    for line in joined.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if line:
            yield line


def normalise(name: str) -> str:
    """https://packaging.python.org/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


class Reader:
    """Reads requirements files, following `-r` and `-c` to files inside the repository."""

    def __init__(self, packaging: ModuleType, build_dir: Path) -> None:
        self.packaging = packaging
        self.build_dir = build_dir.resolve()

    def read(self, path: Path) -> Requirements:
        """Everything that the file and those that it includes ask for."""
        found = Requirements()
        self._read_into(found, path, False, set())
        return found

    def _read_into(self, found: Requirements, path: Path, is_constraint: bool, seen: set[Path]) -> None:
        path = path.resolve()
        if path in seen or not path.is_relative_to(self.build_dir) or not path.is_file():
            return
        seen.add(path)
        for line in logical_lines(decode(path.read_bytes())):
            include = re.match(r"(-r|--requirement|-c|--constraint)[ =]?\s*(\S.*)$", line)
            if include:
                constraint = is_constraint or include[1] in ("-c", "--constraint")
                self._read_into(found, path.parent / include[2].strip("\"'"), constraint, seen)
            else:
                self._read_line(found, line, is_constraint)

    def _read_line(self, found: Requirements, line: str, is_constraint: bool) -> None:
        egg = EGG.search(line)
        if egg:
            found.without_version.add(normalise(egg[1]))
            return
        try:
            requirement = self.packaging.Requirement(re.split(r"\s--?[a-z]", line)[0])
        except ValueError:  # an option, a path, or a mistake that pip reports better
            return
        name = normalise(requirement.name)
        if requirement.url:
            found.without_version.add(name)
        elif requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            (found.constrained if is_constraint else found.asked).setdefault(name, []).append(requirement)


def compare(wanted: Requirements, lock: Requirements) -> list[str]:
    """A sentence for each package that the lock lacks or pins to a version that its input rules out."""
    versions = {
        name: exact[1]
        for name, requirements in lock.asked.items()
        for requirement in requirements
        if (exact := re.fullmatch(r"={2,3}([^*,]+)", str(requirement.specifier)))
    }
    missing = {*wanted.asked, *wanted.without_version} - {*lock.asked, *lock.without_version}
    sentences = [f"{name} is missing" for name in sorted(missing)]
    for source in (wanted.asked, wanted.constrained):
        for name in sorted(source.keys() & versions.keys()):
            for requirement in source[name]:
                specifier = requirement.specifier
                if not specifier.contains(versions[name], prereleases=True):
                    sentences.append(f"{name} is pinned to {versions[name]}, but {specifier} is asked for")
    return sentences


def compile_command(lock_text: str, name: str) -> str:
    """The command that made the lock, as its head says, or the plain one."""
    command = COMMAND.search(lock_text[:2000].replace("\r", ""))
    return command[1] if command else f"pip-compile {name}"


def check(packaging: ModuleType, build_dir: Path, directory: Path) -> list[str]:
    """The lines for one directory that has the pair of files."""
    source, lock = directory / "requirements.in", directory / "requirements.txt"
    reader = Reader(packaging, build_dir)
    sentences = compare(reader.read(source), reader.read(lock))
    where = "" if directory == build_dir else f"{directory.relative_to(build_dir)}/"
    if not sentences:
        return [f"{where}requirements.txt agrees with {where}requirements.in"]
    command = compile_command(decode(lock.read_bytes()), source.name)
    lines = ["!", f"! Warning: {where}requirements.txt doesn't agree with {where}requirements.in:"]
    lines += [f"!   - {sentence}" for sentence in sentences]
    lines += ["!", "! The build has installed requirements.txt as it stands. Lock again:"]
    lines += [f"!   {f'cd {where} && ' if where else ''}{command}", "!"]
    return lines


def main(argv: list[str]) -> int:
    """Check both directories. Always 0: a check that can't be made is no reason to stop a deploy."""
    build_dir = Path(argv[0]).resolve()
    project = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    directories = dict.fromkeys((build_dir, (build_dir / project["directory"]).resolve()))
    names = ("requirements.in", "requirements.txt")
    pairs = [directory for directory in directories if all((directory / name).is_file() for name in names)]
    packaging = load_packaging() if pairs else None
    if packaging is None:
        return 0
    print("> Comparing requirements.txt with requirements.in")
    for directory in pairs:
        try:
            lines = check(packaging, build_dir, directory)
        except (OSError, ValueError, RecursionError) as error:
            lines = [f"They couldn't be compared: {error}"]
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
