"""A repository as find_project sees it: which Python files it has and what they say. Reads only, within limits.

The limits are far above what real repositories need. They are there because the input is anybody's tree: it may be
huge, endless, cyclic or full of pipes.
"""

from __future__ import annotations

import functools
import io
import os
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from buildpack.finder.python_source import Source, read_source

MAX_FILE_BYTES = 512 * 1024
MAX_DEPTH = 8

MARKS = (
    "WSGI_APPLICATION",
    "ASGI_APPLICATION",
    "get_wsgi_application",
    "WSGIHandler",
    "INSTALLED_APPS",
    "ROOT_URLCONF",
    "settings.configure",
)
SKIPPED = frozenset({"node_modules", "bower_components", "site-packages", "dist-packages", "__pycache__"})


class ProjectError(Exception):
    """What the user must fix. The text is the whole message."""


class Repository:
    """The Python files below `root`, shallowest first, as paths relative to it with "/" between the parts."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._plain: set[str] = set()
        """Those that no symbolic link leads to."""
        self.python_files = sorted(self._walk(), key=lambda path: (path.count("/"), path))
        self._known = frozenset(self.python_files)

    def _walk(self) -> Iterator[str]:
        level = [""]
        for _ in range(MAX_DEPTH + 1):
            below: list[str] = []
            for directory in level:
                for entry in self._entries(directory):
                    path = f"{directory}/{entry.name}" if directory else entry.name
                    if entry.name in SKIPPED or entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        below.append(path)
                    elif not entry.name.endswith(".py"):
                        continue
                    elif entry.is_file(follow_symlinks=False):
                        self._plain.add(path)
                        yield path
                    elif entry.is_symlink() and self.is_file(path):
                        yield path
            level = below

    def _entries(self, directory: str) -> list[os.DirEntry[str]]:
        """A directory's entries, but for names that can't be shown; nothing when it can't be read."""
        try:
            with os.scandir(self._absolute(directory)) as entries:
                return [entry for entry in entries if entry.name.isprintable()]
        except OSError:
            return []

    def names_in_root(self) -> list[str]:
        """The names of the root's files and directories."""
        return sorted(entry.name for entry in self._entries(""))

    def _absolute(self, path: str) -> str:
        return f"{self.root}/{path}"

    def is_file(self, path: str) -> bool:
        """Whether `path`, which can be printed, is a regular file of the repository, or a symbolic link to one."""
        target = os.path.realpath(self._absolute(path))
        return target.startswith(f"{self.root}/") and os.path.isfile(target)  # noqa: PTH113 - no OSError, unlike Path's

    def has(self, path: str) -> bool:
        """Whether it's one of the Python files."""
        return path in self._known

    def is_directory(self, path: str) -> bool:
        """Whether it's a directory of the repository, followed through symbolic links."""
        target = os.path.realpath(self._absolute(path))
        return f"{target}/".startswith(f"{self.root}/") and os.path.isdir(target)  # noqa: PTH112 - as above

    def read(self, path: str) -> str | None:
        """A file's text; None when it isn't a regular file, is unreadable or is larger than MAX_FILE_BYTES."""
        data = self.read_bytes(path)
        return None if data is None else decode(data)

    def read_bytes(self, path: str) -> bytes | None:
        """The same, undecoded. Opens no pipe or device."""
        if path not in self._plain and not self.is_file(path):
            return None
        try:
            with Path(self._absolute(path)).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError:
            return None
        return data if len(data) <= MAX_FILE_BYTES else None

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one repository per run
    def source(self, path: str) -> Source:
        """What a Python file says; an unreadable one says nothing."""
        return read_source(self.read(path) or "")

    @functools.cached_property
    def marked(self) -> dict[str, list[str]]:
        """For each of MARKS, the files that hold it. Each file is read once."""
        pattern = re.compile("|".join(map(re.escape, MARKS)).encode())
        marked: dict[str, list[str]] = {mark: [] for mark in MARKS}
        for path in self.python_files:
            for mark in set(pattern.findall(self.read_bytes(path) or b"")):
                marked[mark.decode()].append(path)
        return marked


def is_below(path: str, directory: str) -> bool:
    """Whether the path is below the directory; everything is below "."."""
    return directory == "." or path.startswith(f"{directory}/")


def join(directory: str, path: str) -> str:
    """Two relative paths as one, without a leading "./"."""
    return path if directory == "." else directory if path == "." else f"{directory}/{path}"


def parent(path: str) -> str:
    """The directory that holds the path; "." for the root."""
    return str(PurePosixPath(path).parent)


def decode(data: bytes) -> str:
    """Text as Python would read it: byte order mark, then coding cookie, then UTF-8. Never fails."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding, errors="replace")
    except (LookupError, SyntaxError, ValueError):  # LookupError: hex and its like are codecs, but none for text
        return data.decode("latin-1")
