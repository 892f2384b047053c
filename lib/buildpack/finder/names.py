"""What the name of a settings module, or of a class of django-configurations, says about its purpose."""

from __future__ import annotations

import re
from collections.abc import Iterable

DEVELOPMENT = frozenset(
    {"local", "dev", "devel", "develop", "development", "devstack", "debug", "test", "tests", "testing"}
)
# The best first: this is Heroku's build.
PRODUCTION = ("heroku", "production", "prod", "live", "deploy", "deployment")


def words(name: str) -> set[str]:
    """The words of a name, in lower case: "mysite.settings_local" and "LocalDev" have "local"."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def is_development(name: str) -> bool:
    """Whether a name says that these settings are for a developer's machine."""
    return not DEVELOPMENT.isdisjoint(words(name))


def is_production(name: str) -> bool:
    """Whether it says that they are for a deployment."""
    return not words(name).isdisjoint(PRODUCTION)


def better(name: str, others: Iterable[str]) -> list[str]:
    """Those of the others that fit a deployment better than this one, the best first.

    A developer's settings are worse than any for production; all others are worse than Heroku's own alone.
    """
    wanted = PRODUCTION if is_development(name) else PRODUCTION[:1]
    if wanted[0] in words(_last(name)):
        return []
    fitting = [other for other in others if not is_development(_last(other))]
    return list(dict.fromkeys(other for word in wanted for other in fitting if word in words(_last(other))))


def _last(name: str) -> str:
    return name.rpartition(".")[2]
