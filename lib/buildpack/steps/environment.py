"""What the site's Python environment holds: one JSON object on standard output.

Usage: environment.py PROJECT_JSON BUILD_DIR

Runs on the site's own Python, with -I: nothing of the site is imported. Keys: `python_version`, `django_version`,
`waitress_version` (null where absent), `postgres_driver` (bool: psycopg 2 or 3). A few sites carry their packages along
in the repository: these are looked for in the project's directory and its root, and their version is "unknown".
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import sys
from pathlib import Path


def version(distribution: str, path: list[str]) -> str | None:
    """The installed version of a distribution, "unknown" where only its module is there, None where neither is."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown" if has_module(distribution, path) else None


def has_module(name: str, path: list[str]) -> bool:
    """Whether a top-level package with code in it can be found, without importing it."""
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    return spec is not None and spec.origin is not None


def main(argv: list[str]) -> int:
    """Print the object."""
    project = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    build_dir = Path(argv[1])
    path = [*sys.path, str(build_dir), str(build_dir / project["directory"])]
    facts = {
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "django_version": version("django", path),
        "waitress_version": version("waitress", path),
        "postgres_driver": has_module("psycopg2", path) or has_module("psycopg", path),
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
