"""All the rules, in Django's check framework."""

from __future__ import annotations

from django.core import checks

from . import database, logs, platform, registry, security, state, static
from .site import Site

TOPICS = (security, database, static, state, logs, platform)  # in the order of the documentation
_TAG = "headwaiter"


def register(site: Site) -> None:
    """Have Django's run_checks() examine the site with every rule."""
    checks.register(lambda **_: [message for each in registry.RULES for message in each.check(site)], _TAG)


def run() -> list[checks.CheckMessage]:
    """Return what `manage.py check --deploy` and the rules find, the worst first. No database is asked."""
    try:
        found = checks.run_checks(include_deployment_checks=True)
    except Exception as error:  # from a check of the site or of a package: its database is down, for one
        found = [
            registry.stopped("a check of the site or of one of its packages", error),
            *checks.run_checks(tags=[_TAG]),
        ]
    return sorted(found, key=lambda message: -message.level)
