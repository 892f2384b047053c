"""Which manage.py is a site's, and which a library's, for tests or examples."""

from __future__ import annotations

import functools
import re

from buildpack.finder.python_source import Source
from buildpack.finder.repository import Repository

NOT_A_SITE = re.compile(
    r"(^|/)(tests?|testing|examples?|demos?|samples?|sandbox|docs?|fixtures|project_templates?|templates)/",
    re.IGNORECASE,
)
TESTS_SETTINGS = re.compile(r"(^|\.)(tests?|testing)\.|^(tests?_settings|settings_tests?)$")
# Names that a real site may well have; in a repository that is published as a Django package they're its example's.
EXAMPLE = re.compile(r"(^|[./])(tests?|examples?|demos?|samples?|sandbox)[_-]?(project|proj|site|app)?s?[./]")
PLACEHOLDER = re.compile(r"\{\{ ?[A-Za-z_.]+ ?\}\}|\{%")


@functools.lru_cache(maxsize=1)
def is_published_package(repository: Repository) -> bool:
    """Whether the repository says of itself that it's a package for Django projects. Some real sites do, too."""
    names = ("setup.py", "setup.cfg", "pyproject.toml")
    return any("Framework :: Django" in (repository.read(name) or "") for name in names)


def why_not_a_site(repository: Repository, path: str, source: Source) -> str | None:
    """Why this Django manage.py isn't that of a site; None when it is."""
    if found := NOT_A_SITE.search(path):
        return f"is below {found[2]}/"
    settings = source.settings[0] if source.settings else ""
    if PLACEHOLDER.search(path + (repository.read(path) or "")):
        return "is a template with placeholders"
    if TESTS_SETTINGS.search(settings):
        return f"uses the settings of tests, {settings}"
    if (EXAMPLE.search(path) or EXAMPLE.search(settings)) and is_published_package(repository):
        return "is the example of a Django package"
    return None


def is_site_file(repository: Repository, path: str) -> bool:
    """Whether a settings or WSGI module may be that of a site."""
    name = path.rpartition("/")[2]
    if NOT_A_SITE.search(path) or "{{" in path or re.search(r"tests?", name) or name in {"setup.py", "conftest.py"}:
        return False
    return not (EXAMPLE.search(path) and is_published_package(repository))
