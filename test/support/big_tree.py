"""A repository as large as they come, for what must be quick: a site, its files, and what was committed by mistake."""

from __future__ import annotations

from pathlib import Path

import layouts

PER_DIRECTORY = 40


def make(root: Path, files: int = 6000) -> Path:
    """Write a site in backend/ with about `files` files around it, two thirds of them vendored; returns the root.

    A third is the site's own apps (Python, HTML, CSS), a third node_modules, a third a virtual environment
    whose packages have a manage.py, settings and wsgi.py of their own.
    """
    layouts.write(root, layouts.site("backend/"))
    third = files // 3
    for index in range(third):
        folder = f"backend/apps/app_{index // PER_DIRECTORY}/{('models', 'templates', 'static/app')[index % 3]}"
        suffix = (".py", ".html", ".css")[index % 3]
        layouts.write(root, {f"{folder}/file_{index}{suffix}": f"NAME = {index}  # of the site's own code\n" * 20})
    for index in range(third):
        folder = f"frontend/node_modules/package_{index // PER_DIRECTORY}/lib"
        layouts.write(root, {f"{folder}/index_{index}.js": "module.exports = {};\n" * 20})
    for index in range(third):
        name = {0: "manage.py", 1: "settings.py", 2: "wsgi.py"}.get(index % PER_DIRECTORY, f"module_{index}.py")
        folder = f"env/lib/python3.12/site-packages/package_{index // PER_DIRECTORY}"
        layouts.write(root, {f"{folder}/{name}": layouts.manage("other.settings")})
    return root
