"""What a rule is, and how the rules get into Django's check framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType

from django.core import checks

from .site import Site

TAG = "headwaiter"
_LEVELS = {"I": checks.INFO, "W": checks.WARNING, "E": checks.ERROR}

Look = Callable[[Site], Iterable[str | tuple[str, str]]]


@dataclass(frozen=True)
class Rule:
    """One possible finding. `look` yields what it saw, alone or with a fix for this site in place of the general one.

    `dyno_only`: judged where the app's config vars are, on a dyno.
    """

    code: str  # the letter of its level (I, W, E) and its number
    title: str
    why: str  # why it matters on Heroku
    fix: str  # its last line can be run, or pasted, as it stands
    dyno_only: bool
    look: Look

    @property
    def id(self) -> str:
        """The id in SILENCED_SYSTEM_CHECKS."""
        return f"headwaiter.{self.code}"

    def check(self, site: Site) -> list[checks.CheckMessage]:
        """Return what the rule finds at the site."""
        if self.dyno_only and not site.on_dyno:
            return []
        try:
            return [self._message(seen) for seen in self.look(site)]
        except Exception as error:  # a setting of a shape that nobody expected must not hide the other findings
            return [stopped(self.id, error)]

    def _message(self, seen: str | tuple[str, str]) -> checks.CheckMessage:
        text, fix = (seen, self.fix) if isinstance(seen, str) else seen
        return checks.CheckMessage(_LEVELS[self.code[0]], f"{self.title}: {text}. {self.why}", hint=fix, id=self.id)


RULES: list[Rule] = []


def rule(code: str, title: str, *, why: str, fix: str, dyno_only: bool = False) -> Callable[[Look], Look]:
    """Add the decorated function to RULES as headwaiter.<code>."""

    def add(look: Look) -> Look:
        RULES.append(Rule(code, title, why, fix, dyno_only, look))
        return look

    return add


def load() -> tuple[ModuleType, ...]:
    """Import the modules of rules, each of which adds its own; return them in the order of the documentation."""
    from . import database, logs, platform, security, state, static

    return security, database, static, state, logs, platform


def register(site: Site) -> None:
    """Have Django's run_checks() examine the site with every rule."""
    load()
    checks.register(lambda **_: [message for each in RULES for message in each.check(site)], TAG)


def run() -> list[checks.CheckMessage]:
    """Return what `manage.py check --deploy` and the rules find, the worst first. No database is asked."""
    try:
        found = checks.run_checks(include_deployment_checks=True)
    except Exception as error:  # from a check of the site or of a package: its database is down, for one
        found = [stopped("a check of the site or of one of its packages", error), *checks.run_checks(tags=[TAG])]
    return sorted(found, key=lambda message: -message.level)


def stopped(what: str, error: Exception) -> checks.CheckMessage:
    """Return the finding that a check raised an error."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    hint = "The whole error:\nheroku run python manage.py check --deploy"
    return checks.Warning(f"A check failed: {what} raised {text}", hint=hint, id="headwaiter.W599")
