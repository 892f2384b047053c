"""What a rule is, and where the rules are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.core import checks

from .site import Site

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
        stop = "" if text.endswith((".", ".)", "?")) else "."
        return checks.CheckMessage(
            _LEVELS[self.code[0]], f"{self.title}: {text}{stop} {self.why}", hint=fix, id=self.id
        )


RULES: list[Rule] = []


def rule(code: str, title: str, *, why: str, fix: str, dyno_only: bool = False) -> Callable[[Look], Look]:
    """Add the decorated function to RULES as headwaiter.<code>."""

    def add(look: Look) -> Look:
        RULES.append(Rule(code, title, why, fix, dyno_only, look))
        return look

    return add


def stopped(what: str, error: Exception) -> checks.CheckMessage:
    """Return the finding that a check raised an error."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    hint = "The whole error:\nheroku run python manage.py check --deploy"
    return checks.Warning(f"A check failed: {what} raised {text}", hint=hint, id="headwaiter.W599")
