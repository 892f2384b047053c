"""Becomes the site's test command: pytest where the project is set up for it, else `manage.py test`.

Usage: run_tests.py BUILD_DIR

Runs on the site's Python. The command starts in the project's directory.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

# Where pytest looks for its configuration: https://docs.pytest.org/en/stable/reference/customize.html
PYTEST_SECTIONS = {
    "pytest.ini": r"^\[pytest\]|\A\s*\Z",
    ".pytest.ini": r"^\[pytest\]|\A\s*\Z",
    "pyproject.toml": r"^\[tool\.pytest(\.ini_options)?\]",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}


def pytest_configuration(directories: list[Path]) -> str | None:
    """The text of the first file that sets pytest up, None where there's none."""
    for directory in directories:
        for name, section in PYTEST_SECTIONS.items():
            try:
                text = (directory / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if re.search(section, text, re.MULTILINE):
                return text
    return None


def command(build_dir: Path, project: dict[str, str | None]) -> tuple[list[str], dict[str, str]]:
    """The test command, and the variables that it needs beside the environment's own."""
    directory = build_dir / (project["directory"] or ".")
    settings = {"DJANGO_SETTINGS_MODULE": project["settings_module"]} if project["settings_module"] else {}
    configuration = pytest_configuration([directory, build_dir])
    if configuration is not None and find_spec("pytest"):
        # pytest-django takes the environment's word over its configuration's.
        return ["python", "-m", "pytest"], {} if "DJANGO_SETTINGS_MODULE" in configuration else settings
    manage_py = build_dir / (project["manage_py"] or "manage.py")
    if not manage_py.is_file():
        return ["python", "-m", "django", "test", "--noinput"], settings
    # manage.py's own default is what the developers test with.
    names_settings = "DJANGO_SETTINGS_MODULE" in manage_py.read_text(encoding="utf-8", errors="replace")
    return ["python", os.path.relpath(manage_py, directory), "test", "--noinput"], {} if names_settings else settings


def main(argv: list[str]) -> int:
    """Replace this process by the tests; returns only when it can't."""
    build_dir = Path(argv[0]).resolve()
    project = json.loads((build_dir / ".heroku/headwaiter/project.json").read_text(encoding="utf-8"))
    words, variables = command(build_dir, project)
    directory = build_dir / project["directory"]
    print(f"-----> Testing with {' '.join(words[1:])} in {project['directory']}", flush=True)
    os.chdir(directory)
    return os.execvpe(words[0], words, {**variables, **os.environ})  # noqa: S606 -- the point: the tests' status is ours


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
