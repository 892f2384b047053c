"""Byte-compiles the slug's packages, so that the first boot doesn't have to.

Usage: byte_compile.py DIRECTORY BUILD_DIR

The result depends on nothing but the sources: hashes instead of times, and /app instead of the build's own directory in
what tracebacks show. "Unchecked", since nothing in a slug changes later.
"""

from __future__ import annotations

import compileall
import sys
from py_compile import PycInvalidationMode


def main(argv: list[str]) -> int:
    """Compile every module below the directory."""
    directory, build_dir = argv
    compiled = compileall.compile_dir(
        directory,
        quiet=1,
        force=True,
        stripdir=build_dir,
        prependdir="/app",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    return 0 if compiled else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
