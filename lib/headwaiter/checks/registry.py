"""The rules' registry: what a rule is, and examining a site with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .site import Site

# Django's own numbers (django.core.checks.messages), so that both kinds of finding sort and fail alike.
LEVELS = {"info": 20, "warning": 30, "error": 40, "critical": 50}
NEEDS_DYNO = "needs the app's config vars: it is judged on a dyno"
_LEVEL_OF_LETTER = {"I": "info", "W": "warning", "E": "error"}


@dataclass(frozen=True)
class Seen:
    """What a rule saw at this site, with the line that mends it here where the rule's own would be too general."""

    text: str
    mend: str | None = None


@dataclass(frozen=True)
class Finding:
    """One thing to mend, ours or Django's. `also` names the ids of Django's findings that say the same."""

    id: str
    level: str
    title: str
    seen: str = ""
    why: str = ""
    mend: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A rule that could not be examined here, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Rule:
    """A possible finding. `dyno_only`: judged where the app's config vars are, so on a dyno and nowhere else."""

    id: str
    level: str
    topic: str
    title: str
    why: str
    mend: str
    dyno_only: bool
    covers: tuple[str, ...]
    look: Callable[[Site], Iterable[Seen | str]]

    def finding(self, seen: Seen | str) -> Finding:
        if isinstance(seen, str):
            seen = Seen(seen)
        mend = self.mend if seen.mend is None else seen.mend
        return Finding(self.id, self.level, self.title, seen.text, self.why, mend, self.covers)


RULES: dict[str, Rule] = {}

Look = Callable[[Site], Iterable[Seen | str]]


def rule(
    code: str, title: str, *, why: str, mend: str, dyno_only: bool = False, covers: tuple[str, ...] = ()
) -> Callable[[Look], Look]:
    """Registers a rule as headwaiter.<code>: its letter is the level, its first digit the topic.

    `why` says why it matters on Heroku, `mend` is the line or command that mends it, `covers` the ids of the findings
    of Django's that need not be shown beside it. Raises ValueError when the code is taken.
    """

    def register(look: Look) -> Look:
        identifier = f"headwaiter.{code}"
        if any(taken[-3:] == code[1:] for taken in RULES):
            raise ValueError(f"{identifier}: the number is taken")
        level, topic = _LEVEL_OF_LETTER[code[0]], look.__module__.rpartition(".")[2]
        RULES[identifier] = Rule(identifier, level, topic, title, why, mend, dyno_only, covers, look)
        return look

    return register


def examine(site: Site) -> tuple[list[Finding], list[Skipped]]:
    """The findings of all the rules, and the rules that could not be examined."""
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for each in RULES.values():
        if each.dyno_only and not site.on_dyno:
            skipped.append(Skipped(each.id, NEEDS_DYNO))
            continue
        try:
            findings += [each.finding(seen) for seen in each.look(site)]
        except Exception as error:  # A setting of a shape nobody expected must not hide the other findings.
            skipped.append(Skipped(each.id, f"could not be examined: {type(error).__name__}"))
    return findings, skipped
