"""What `headwaiter check` prints, its arguments, and what silences a finding."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from check_sites import DATABASE_URL, SECRET_KEY, site
from headwaiter.checks import RULES, command, table
from headwaiter.checks.registry import NEEDS_DYNO, Finding, Skipped
from headwaiter.checks.report import Result, Style
from headwaiter.checks.secrets import secrets_of
from headwaiter.checks.silence import reasons, silence

ABOUT = {
    "settings": "mysite.settings",
    "application": "mysite.wsgi:application",
    "django": "5.2.1",
    "waitress": "3.0.2",
    "python": "3.12.1",
    "on_dyno": True,
}
ERROR = Finding(
    "headwaiter.E004", "error", "DEBUG is on", "DEBUG = True", "It shows.", "DEBUG = False", ("security.W018",)
)
WARNING = Finding("headwaiter.W304", "warning", "The cache is local", "LocMemCache", "It differs.", "Redis")
NOTE = Finding("headwaiter.I007", "info", "Any host", "*", "It may.", "Names")
DJANGO = Finding("security.W018", "warning", "You should not have DEBUG set to True in deployment")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(*findings: Finding, fail_level: str = "error", as_json: bool = False, **changes: object) -> tuple[str, int]:
    result = Result(ABOUT, findings, (), (), **changes)  # type: ignore[arg-type]
    stream = io.StringIO()
    status = result.show(fail_level=fail_level, as_json=as_json, stream=stream)
    return stream.getvalue(), status


def test_many_findings_of_one_id_do_not_drown_the_others() -> None:
    """Three are told and the rest counted; the sum and --json have all of them."""
    alike = [Finding("some_app.W001", "warning", f"View {number} has no schema") for number in range(80)]

    text, _ = printed(*alike, NOTE)

    assert text.count("some_app.W001: View") == 3
    assert "and 77 more of some_app.W001: --json has them all\n80 warnings, 1 note" in text
    assert NOTE.title in text
    assert len(json.loads(printed(*alike, as_json=True)[0])["findings"]) == 80


def test_a_finding_in_a_log_is_plain_whole_lines() -> None:
    """No colour, no folding: each part of a finding is one line, to be found with grep."""
    assert printed(ERROR) == (
        "headwaiter check: mysite.settings (Django 5.2.1, Waitress 3.0.2, Python 3.12.1)\n"
        "\n"
        "error    headwaiter.E004 (security.W018): DEBUG is on\n"
        "  seen DEBUG = True\n"
        "  why  It shows.\n"
        "  mend DEBUG = False\n"
        "\n"
        "1 error: exit status 1, as the fail level is error\n",
        1,
    )


def test_a_good_site_is_told_in_two_lines() -> None:
    """Nothing found is said, not left to be guessed."""
    text, status = printed()

    assert text.splitlines()[1:] == ["", "nothing found: exit status 0"]
    assert status == 0


def test_a_terminal_gets_colour_and_folded_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lines hang below their label; NO_COLOR takes the colour away."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    long = Finding("headwaiter.W304", "warning", "Title", "word " * 30, "Why.", "Mend")
    result = Result(ABOUT, (long,), (), ())

    lines = "\n".join(result.lines("error", Style.of(Terminal()))).splitlines()
    folded = [line for line in lines if line.startswith("       word")]

    assert any("\x1b[33m" in line for line in lines)
    assert len(folded) >= 2 and all(len(line) <= 60 for line in folded)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(result.lines("error", Style.of(Terminal())))


@pytest.mark.parametrize(
    ("fail_level", "status"), [("info", 1), ("warning", 1), ("error", 0), ("critical", 0), ("never", 0)]
)
def test_the_fail_level_decides_the_exit_status(fail_level: str, status: int) -> None:
    """A finding at the level fails, one below it doesn't."""
    assert printed(WARNING, NOTE, fail_level=fail_level)[1] == status


def test_json_has_what_programs_need() -> None:
    """One object, with the findings, the silenced ones with reasons, and what was left out."""
    result = Result(ABOUT, (ERROR,), ((WARNING, "one process"),), (Skipped("headwaiter.W515", NEEDS_DYNO),))
    stream = io.StringIO()

    assert result.show(fail_level="error", as_json=True, stream=stream) == 1

    told = json.loads(stream.getvalue())
    assert {**ABOUT, "fail_level": "error", "failed": True}.items() <= told.items()
    assert [each["id"] for each in told["findings"]] == ["headwaiter.E004"]
    assert [(each["id"], each["reason"]) for each in told["silenced"]] == [("headwaiter.W304", "one process")]
    assert told["skipped"] == [{"id": "headwaiter.W515", "reason": NEEDS_DYNO}]
    assert set(told["findings"][0]) == {"id", "level", "title", "seen", "why", "mend", "also"}


def test_away_from_a_dyno_it_says_what_was_left_out() -> None:
    """The checks that need config vars are counted, and where to run them is said."""
    result = Result({**ABOUT, "on_dyno": False}, (), (), (Skipped("headwaiter.W515", NEEDS_DYNO),))

    assert list(result.lines("error", Style()))[1] == (
        f"Not on a dyno: the settings are judged as they are here. 1 of {len(RULES)} checks need the app's config vars "
        "or database and are left out: `heroku run headwaiter check` makes them all."
    )


def test_the_finding_of_django_is_not_told_twice() -> None:
    """Ours stands for Django's; once ours is silenced, Django's shows."""
    assert silence([ERROR], [DJANGO], {}) == ([ERROR], [])
    assert silence([ERROR], [DJANGO], {"headwaiter.E004": "why"}) == ([DJANGO], [(ERROR, "why")])


def test_silencing_djangos_silences_ours_that_says_the_same() -> None:
    """Who decided about security.W018 isn't asked again under another name."""
    shown, silenced = silence([ERROR], [DJANGO], {"security.W018": "a demo"})

    assert shown == []
    assert silenced == [(ERROR, "a demo"), (DJANGO, "a demo")]


def test_the_worst_comes_first_and_ours_before_djangos() -> None:
    """Sorted by level, then ours, then the id."""
    assert silence([NOTE, WARNING, ERROR], [Finding("x.W1", "warning", "T")], {})[0] == [
        ERROR,
        WARNING,
        Finding("x.W1", "warning", "T"),
        NOTE,
    ]


def test_reasons_come_from_both_settings() -> None:
    """Django's list has no reasons; ours adds them, and a wrong type is no list at all."""
    silenced = {"SILENCED_SYSTEM_CHECKS": ["a.W1", "b.W1"], "HEADWAITER_SILENCED": {"b.W1": "known", "c.W1": None}}

    assert reasons(site(silenced)) == {"a.W1": "", "b.W1": "known", "c.W1": ""}
    assert reasons(site({"HEADWAITER_SILENCED": ["a.W1"]})) == {}


def test_a_secret_in_a_finding_is_starred_out() -> None:
    """The net under the rules: keys, passwords and secret config vars that come through Django's findings."""
    secrets = secrets_of(site(environ={"STRIPE_API_KEY": "sk_live_0123456789"}))
    leak = Finding("x.E1", "error", f"{SECRET_KEY} correct-horse-battery {DATABASE_URL} sk_live_0123456789 postgres")

    text, _ = printed(leak, secrets=secrets)

    assert "x.E1: *** *** *** *** postgres\n" in text


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ([], {}, ("error", False, ())),
        (["--fail-level=warning", "--json"], {}, ("warning", True, ())),
        (["--fail-level", "INFO", "mysite.wsgi"], {}, ("info", False, ("mysite.wsgi",))),
        ([], {"HEADWAITER_FAIL_LEVEL": "never"}, ("never", False, ())),
        (["--fail-level=error", "--chdir=x"], {"HEADWAITER_FAIL_LEVEL": "never"}, ("error", False, ("--chdir=x",))),
    ],
)
def test_arguments(argv: list[str], environ: dict[str, str], expected: tuple[object, ...]) -> None:
    """Flags win over the config var; what isn't ours goes to the server's settings."""
    parsed = command.parse(argv, environ)

    assert (parsed.fail_level, parsed.json, parsed.rest) == expected


@pytest.mark.parametrize(
    ("argv", "environ", "where"),
    [
        (["--fail-level=high"], {}, "--fail-level=high"),
        (["--fail-level"], {}, "--fail-level="),
        ([], {"HEADWAITER_FAIL_LEVEL": "2"}, "HEADWAITER_FAIL_LEVEL=2"),
    ],
)
def test_a_level_that_is_none_is_named(argv: list[str], environ: dict[str, str], where: str) -> None:
    """The message has the value, where it came from, and the levels."""
    message = f"{where}: isn't a level; write info, warning, error, critical or never."
    with pytest.raises(command.UsageError, match=re.escape(message)):
        command.parse(argv, environ)


def test_bad_usage_exits_with_64(capsys: pytest.CaptureFixture[str]) -> None:
    """The message goes to stderr, nothing to stdout."""
    assert command.main(["--fail-level=high"]) == 64
    assert command.main(["--no-such-option", "mysite.wsgi"]) == 64

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--fail-level=high: isn't a level" in captured.err
    assert "--no-such-option: no such option" in captured.err


def test_the_documentation_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/checks.md is the output of `headwaiter check --list`: make it anew when a rule changes."""
    assert command.main(["--list"]) == 0

    assert (Path(__file__).parents[3] / "docs" / "checks.md").read_text() == capsys.readouterr().out


def test_the_documentation_has_every_rule() -> None:
    """One row for each."""
    rows = re.findall(r"^\| `([EWI]\d{3})`", table.markdown(), re.MULTILINE)

    assert sorted(f"headwaiter.{code}" for code in rows) == sorted(RULES)
