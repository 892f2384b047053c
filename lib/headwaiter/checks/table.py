"""The documentation of the checks, made from their registry: `headwaiter check --list` prints docs/checks.md."""

from __future__ import annotations

from . import RULES, TOPICS
from .registry import Rule

_INTRODUCTION = """\
# The checks of `headwaiter check`

Made by `headwaiter check --list`; change the rules in lib/headwaiter/checks/ and not this file.

`heroku run headwaiter check` runs Django's own `check --deploy` and these. The letter is the level: E error,
W warning, I note; `--fail-level` says from which one on the exit status is 1 (default: error). Those marked *dyno* are
judged where the app's config vars are; elsewhere they are left out. Where one says what a check of Django's says too,
its id stands beside it and the finding is shown once.

To silence one, name it in the site's settings: `SILENCED_SYSTEM_CHECKS = ["headwaiter.W304"]`, or with the reason
beside it, which the report then shows, `HEADWAITER_SILENCED = {"headwaiter.W304": "one process only"}`. Ids of Django's
may stand in both.

`--json` prints one object: `settings`, `application`, `django`, `waitress`, `python`, `on_dyno`, `fail_level`,
`failed`, `findings` (each with `id`, `level`, `title`, `seen`, `why`, `mend`, `also`), `silenced` (the same with
`reason`) and `skipped` (`id`, `reason`).
"""


def markdown() -> str:
    """The whole document."""
    sections = [_INTRODUCTION]
    for topic, title in TOPICS.items():
        rules = [rule for rule in RULES.values() if rule.topic == topic]
        rows = [_row(rule) for rule in sorted(rules, key=lambda rule: rule.id[-3:])]
        head = (
            f"## {title.rstrip('.')}\n\n| id | finding | why it matters on Heroku | mend |\n| --- | --- | --- | --- |"
        )
        sections.append("\n".join([head, *rows]) + "\n")
    return "\n".join(sections)


def _row(rule: Rule) -> str:
    code = rule.id.partition(".")[2]
    marks = " *dyno*" if rule.dyno_only else ""
    also = f" ({', '.join(rule.covers)})" if rule.covers else ""
    cells = (f"`{code}`{marks}", rule.title + also, rule.why, f"`` {rule.mend} ``")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
