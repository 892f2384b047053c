"""What `headwaiter check` prints, its arguments, and its documentation."""

from __future__ import annotations

import json
import re

import pytest
from checks_document import DOCUMENT, document
from django.core import checks
from headwaiter.checks import command, registry

ERROR = checks.Error("The database is SQLite. It is lost.", hint="Add one:\nheroku addons:create", id="headwaiter.E103")
WARNING = checks.Warning("HSTS is off.", obj="shop.Order", id="security.W004")
ABOUT = {"on_dyno": True, "failed": True, "silenced": 2}


def test_a_finding_is_whole_lines() -> None:
    """To be found with grep in a log; the fix below, its last line to be copied."""
    assert command.as_text([ERROR, WARNING], ABOUT).splitlines() == [
        "ERROR headwaiter.E103: The database is SQLite. It is lost.",
        "    Add one:",
        "    heroku addons:create",
        "",
        "WARNING security.W004: shop.Order: HSTS is off.",
        "",
        "headwaiter check found 2 issues (2 silenced).",
    ]


def test_away_from_a_dyno_it_says_where_all_checks_run() -> None:
    """Without the config vars a part of them is skipped."""
    text = command.as_text([], {**ABOUT, "on_dyno": False})

    assert text.splitlines()[0].endswith("heroku run headwaiter check")


def test_json_has_what_programs_need() -> None:
    """One object, with the findings in it."""
    assert json.loads(command.as_json([ERROR, WARNING], ABOUT)) == {
        **ABOUT,
        "findings": [
            {
                "id": "headwaiter.E103",
                "level": "error",
                "message": "The database is SQLite. It is lost.",
                "fix": "Add one:\nheroku addons:create",
            },
            {"id": "security.W004", "level": "warning", "message": "shop.Order: HSTS is off.", "fix": ""},
        ],
    }


def test_a_level_between_djangos_counts_as_the_lower_one() -> None:
    """Django allows any number."""
    assert '"level": "warning"' in command.as_json([checks.CheckMessage(35, "Odd", id="x.W1")], ABOUT)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--fail-level=high"], "invalid choice: 'HIGH'"),
        (["--fail-level"], "expected one argument"),
        (["--no-such-option", "mysite.wsgi"], "--no-such-option: no such option"),
        ([], "no application was named. Try: headwaiter check mysite.wsgi:application"),
    ],
)
def test_wrong_usage_exits_with_64(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message goes to stderr, nothing to stdout."""
    assert command.main(argv) == 64

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("headwaiter check: ") and message in captured.err


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, with status 0."""
    with pytest.raises(SystemExit) as stopped:
        command.main(["--help"])

    assert stopped.value.code == 0
    assert {"--fail-level", "--json", "--chdir"} <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


def test_the_documentation_is_what_the_code_says() -> None:
    """After a change of a rule: python test/support/checks_document.py."""
    assert DOCUMENT.read_text() == document()


def test_the_documentation_has_every_rule() -> None:
    """One row for each."""
    rows = re.findall(r"^\| `([EWI]\d{3})`", document(), re.MULTILINE)

    assert sorted(rows) == sorted(rule.code for rule in registry.RULES)
