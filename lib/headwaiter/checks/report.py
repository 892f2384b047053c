"""The result of a check: Django's findings beside ours, what is silenced, and how people and programs read it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TextIO

from headwaiter.project import Project
from headwaiter.settings import Settings

from . import django_checks, facts, registry
from .migrations import without_address
from .registry import LEVELS, Finding, Skipped
from .secrets import secrets_of
from .silence import reasons, silence

_COLOURS = {"critical": "1;31", "error": "31", "warning": "33", "info": "36"}
MOST_ALIKE = 3  # of one id: some packages' checks say the same of each of eighty views


@dataclass(frozen=True)
class Result:
    """What a check found at a site. `silenced` pairs a finding with its reason, which may be empty."""

    about: Mapping[str, Any]
    findings: tuple[Finding, ...]
    silenced: tuple[tuple[Finding, str], ...]
    skipped: tuple[Skipped, ...]
    secrets: frozenset[str] = frozenset()

    def failed(self, fail_level: str) -> bool:
        """Whether a finding is at or over the level; `never` is over all of them."""
        return any(LEVELS[each.level] >= LEVELS.get(fail_level, 100) for each in self.findings)

    def show(self, *, fail_level: str, as_json: bool, stream: TextIO | None = None) -> int:
        """Print it; return the exit status, 1 when it failed."""
        stream = stream or sys.stdout
        text = self.as_json(fail_level) if as_json else "\n".join(self.lines(fail_level, Style.of(stream)))
        stream.write(self.redacted(text) + "\n")
        return 1 if self.failed(fail_level) else 0

    def redacted(self, text: str) -> str:
        """A net under the rules, which print no secret: the secrets that the site holds are starred out."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def as_json(self, fail_level: str) -> str:
        """One JSON object; docs/checks.md tells its keys."""
        silenced = [asdict(finding) | {"reason": reason} for finding, reason in self.silenced]
        body = dict(self.about) | {
            "fail_level": fail_level,
            "failed": self.failed(fail_level),
            "findings": [asdict(finding) for finding in self.findings],
            "silenced": silenced,
            "skipped": [asdict(skipped) for skipped in self.skipped],
        }
        return json.dumps(body, indent=2)

    def lines(self, fail_level: str, style: Style) -> Iterator[str]:
        """What people read: a line about the site, the findings, the worst first, and the sum."""
        about = self.about
        versions = f"Django {about['django']}, Waitress {about['waitress'] or 'none'}, Python {about['python']}"
        yield f"headwaiter check: {about['settings'] or 'no settings module'} ({versions})"
        yield from _not_on_dyno(self, style) if not about["on_dyno"] else ()
        told: Counter[str] = Counter()
        for finding in self.findings:
            told[finding.id] += 1
            if told[finding.id] <= MOST_ALIKE:
                yield ""
                yield from _finding(finding, style)
        yield ""
        for identifier, count in told.items():
            if count > MOST_ALIKE:
                yield f"and {count - MOST_ALIKE} more of {identifier}: --json has them all"
        for finding, reason in self.silenced:
            yield f"silenced: {finding.id}, {finding.title} ({reason or 'no reason given'})"
        for skipped in self.skipped:
            if skipped.reason != registry.NEEDS_DYNO:
                yield f"left out: {skipped.id} {skipped.reason}"
        yield _sum(self.findings, len(self.silenced), self.failed(fail_level), fail_level)


def _not_on_dyno(result: Result, style: Style) -> Iterator[str]:
    left_out = sum(skipped.reason == registry.NEEDS_DYNO for skipped in result.skipped)
    yield style.folded(
        f"Not on a dyno: the settings are judged as they are here. {left_out} of {len(registry.RULES)} checks need the "
        "app's config vars or database and are left out: `heroku run headwaiter check` makes them all."
    )


@dataclass(frozen=True)
class Style:
    """How a terminal is written to. `width` None: lines are as long as they are, for logs."""

    colour: bool = False
    width: int | None = None

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Colour and folded lines on a terminal, neither elsewhere. https://no-color.org"""
        if not stream.isatty():
            return cls()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(not plain, max(60, min(shutil.get_terminal_size().columns, 120)))

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def folded(self, text: str, lead: str = "") -> str:
        """The text after its lead, on lines no longer than the terminal's."""
        if self.width is None:
            return lead + text
        return textwrap.fill(
            text,
            self.width,
            initial_indent=lead,
            subsequent_indent=" " * len(lead),
            break_long_words=False,
            break_on_hyphens=False,
        )


def _finding(finding: Finding, style: Style) -> Iterator[str]:
    also = f" ({', '.join(finding.also)})" if finding.also else ""
    level = style.paint(f"{finding.level:<8}", _COLOURS[finding.level])
    yield f"{level} {finding.id}{also}: {style.paint(finding.title, '1')}"
    for label, text in (("seen", finding.seen), ("why", finding.why), ("mend", finding.mend)):
        if text:
            yield style.folded(text, lead=f"  {label:<5}")


def _sum(findings: Iterable[Finding], silenced: int, failed: bool, fail_level: str) -> str:
    counts = Counter(finding.level for finding in findings)
    words = {"critical": "critical", "error": "error", "warning": "warning", "info": "note"}
    parts = [
        f"{n} {words[level]}{'s' if n > 1 and level != 'critical' else ''}" for level in words if (n := counts[level])
    ]
    total = ", ".join(parts) or "nothing found"
    status = f"exit status 1, as the fail level is {fail_level}" if failed else "exit status 0"
    return f"{total}{f', {silenced} silenced' if silenced else ''}: {status}"


def examine(found: Project, settings: Settings, application: Any, environ: Mapping[str, str]) -> Result:
    """Examine the site that is loaded: Django's own checks, then ours. `environ` is from before it was loaded."""
    import django

    theirs, errors = django_checks.run()
    site = facts.gather(found, settings, application, environ)
    site = replace(site, django_checks_errors=tuple(without_address(error, site.databases) for error in errors))
    ours, skipped = registry.examine(site)
    said = {finding.id for finding in theirs}
    ours = [replace(finding, also=tuple(also for also in finding.also if also in said)) for finding in ours]
    shown, silenced = silence(ours, theirs, reasons(site))
    about = {
        "settings": site.settings_module,
        "application": site.application_name,
        "django": django.get_version(),
        "waitress": site.waitress_version,
        "python": facts.python_version(),
        "on_dyno": site.on_dyno,
    }
    return Result(about, tuple(shown), tuple(silenced), tuple(skipped), secrets_of(site))
