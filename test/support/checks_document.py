"""docs/checks.md, made from the rules: running this file writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwaiter.checks.registry import Rule

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "checks.md"

_INTRODUCTION = """\
# The checks of `headwaiter check`

<!-- Made from lib/headwaiter/checks/ by test/support/checks_document.py. -->

`heroku run headwaiter check` runs the checks below together with Django's own `check --deploy`, in Django's check
framework. It changes nothing, and works when the database is down. The letter of an id is its level: E error, W
warning, I info. Checks marked *dyno* need the app's config vars, and are skipped elsewhere.

* The exit status is 1 when a finding has at least the level of `--fail-level` (default: `ERROR`), 0 otherwise. In CI:
  `headwaiter check --fail-level=warning`.
* To silence a finding, ours or Django's, name it in the site's settings, with the reason in a comment:
  `SILENCED_SYSTEM_CHECKS = ["headwaiter.W304"]`.
* `--json` prints one object with `on_dyno`, `failed`, `silenced` (how many) and `findings`, each with `id`, `level`,
  `message` and `fix`. The last line of `fix` can be run, or pasted, as it stands.
* `SECURE_SSL_REDIRECT = True`, which Django's security.W008 asks for, is safe: headwaiter takes the scheme from the
  router's `X-Forwarded-Proto`.
"""
_FAILED = """\
## When a check fails itself

`W599` stands for a check that raised an error. Where it is one of the site's own, Django's are left out until it works.
"""


def document() -> str:
    """The whole file."""
    from headwaiter.checks import registry, rules

    sections = [_INTRODUCTION]
    for module in rules.TOPICS:
        title = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        own = [rule for rule in registry.RULES if rule.look.__module__ == module.__name__]
        head = f"## {title}\n\n| id | finding | why it matters on Heroku | fix |\n| --- | --- | --- | --- |"
        sections.append("\n".join([head, *_rows(own)]) + "\n")
    sections.append(_FAILED)
    return "\n".join(sections)


def _rows(rules: list[Rule]) -> Iterator[str]:
    for rule in sorted(rules, key=lambda rule: rule.code[1:]):
        *text, line = rule.fix.splitlines()
        code = f"`{rule.code}`{' *dyno*' if rule.dyno_only else ''}"
        cells = (code, rule.title, rule.why, " ".join([*text, f"`` {line} ``"]))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "lib"))
    DOCUMENT.write_text(document())
