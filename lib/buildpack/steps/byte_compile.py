"""Byte-compiles the slug's packages, so that the first boot doesn't have to.

Usage: byte_compile.py DIRECTORY BUILD_DIR CACHE_FILE

The result depends on nothing but the sources and the Python: hashes instead of times, and /app instead of the build's
own directory in what tracebacks show. "Unchecked", since nothing in a slug changes later. The build cache keeps it for
the next build of the same, which saves a tenth of a second.
"""

from __future__ import annotations

import hashlib
import marshal
import sys
from pathlib import Path

DIGEST_BYTES = 32


def digest_of_sources(directory: Path) -> bytes:
    """What the result depends on."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(directory.rglob("*.py")):
        digest.update(f"\0{path.relative_to(directory)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def read_cache(cache: Path, key: bytes) -> dict[str, bytes] | None:
    """The compiled files by their name; None where they are of other sources, damaged or not there."""
    try:
        data = cache.read_bytes()
    except OSError:
        return None
    content = data[2 * DIGEST_BYTES :]
    if data[: 2 * DIGEST_BYTES] != key + hashlib.sha256(content).digest():
        return None
    found: dict[str, bytes] = marshal.loads(content)  # noqa: S302  # our own: its hash is right
    return found


def write_cache(cache: Path, key: bytes, directory: Path) -> None:
    """Keep the compiled files. In one step: a build that is stopped leaves no half of a file."""
    compiled = sorted(directory.rglob("*.pyc"))
    content = marshal.dumps({str(path.relative_to(directory)): path.read_bytes() for path in compiled})
    partial = cache.with_suffix(".partial")
    partial.write_bytes(key + hashlib.sha256(content).digest() + content)
    partial.replace(cache)


def compile_all(directory: Path, build_dir: str) -> bool:
    """Compile every module below the directory."""
    import compileall  # here, as it isn't needed where the cache has everything
    from py_compile import PycInvalidationMode

    compiled = compileall.compile_dir(
        directory,
        quiet=1,
        force=True,
        stripdir=build_dir,
        prependdir="/app",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    return bool(compiled)


def main(argv: list[str]) -> int:
    """Take everything from the cache, or compile it."""
    directory, build_dir, cache = Path(argv[0]), argv[1], Path(argv[2])
    key = digest_of_sources(directory)
    kept = read_cache(cache, key)
    if kept is None:
        if not compile_all(directory, build_dir):
            return 1
        write_cache(cache, key, directory)
        return 0
    for name, compiled in kept.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(compiled)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
