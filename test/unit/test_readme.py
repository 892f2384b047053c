"""README and docs/ are true: what they name exists, and every setting, error and log line has its row."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import headwaiter
import pytest
import waitress_sdists
from headwaiter import app_json
from headwaiter.budget import arithmetic, server_limits
from headwaiter.settings import Option, Settings, our_options, waitress_options

ROOT = Path(__file__).resolve().parents[2]
README = "README.md"
CONFIGURATION, ERRORS = "docs/configuration.md", "docs/errors.md"
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in chain([ROOT / README], (ROOT / "docs").glob("*.md"), (ROOT / ".github").rglob("*.md"))
    if page.name != "benchmarks.md"  # made of figures; test_benchmarks_page.py reads it
)
BUILD_ONLY = {"HEADWAITER_DIR", "HEADWAITER_APP"}  # read while Heroku builds, by lib/buildpack/finder
SUBCOMMANDS = {"plan", "check"}
OWN_OPTIONS = {"--help", "--version", "--json", "--fail-level", "--app"}


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def everything() -> str:
    return "\n".join(map(text, PAGES))


def options() -> dict[str, Option]:
    """The server's own options by config var; the application's is HEADWAITER_APP."""
    return {option.variable: option for option in our_options().values() if option.name != "application"}


def rows(page: str) -> list[list[str]]:
    """The cells of every row of every table, heads left out."""
    tables = re.findall(r"(?:^\|.*\n)+", text(page), flags=re.MULTILINE)
    lines = chain.from_iterable(table.splitlines()[2:] for table in tables)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def row(page: str, first: str) -> list[str]:
    """The row whose first cell is `first` between backticks; fails where there isn't exactly one."""
    found = [cells for cells in rows(page) if cells[0] == f"`{first}`"]
    assert len(found) == 1, f"{page} has {len(found)} rows for {first}"
    return found[0]


def code(page: str) -> list[str]:
    """Every piece of code: the lines of fenced blocks, and what stands between backticks."""
    fenced = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text(page), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```.*?^ *```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    return [line.strip().removeprefix("$ ") for block in fenced for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", prose
    )


def test_readme_can_be_read_in_one_go() -> None:
    """The rest is in docs/."""
    assert len(text(README).splitlines()) <= 150


# Settings


@pytest.mark.parametrize("variable", sorted(BUILD_ONLY | options().keys()))
def test_every_config_var_has_a_row(variable: str) -> None:
    """A setting that isn't in the table is one that nobody can find."""
    assert len(row(CONFIGURATION, variable)) == 3


@pytest.mark.parametrize("variable", sorted(options()))
def test_the_row_gives_the_default(variable: str) -> None:
    """What Settings has: a number, yes or no; where something else decides, the row says what."""
    default = next(item.default for item in fields(Settings) if item.name == options()[variable].name)
    cell = row(CONFIGURATION, variable)[1]
    if variable == "HEADWAITER_TRUST_PROXY":  # settings.load() looks for DYNO
        assert cell == "yes on a dyno"
    elif isinstance(default, bool):
        assert cell == ("yes" if default else "no")
    elif default is None:
        assert re.match(r"[a-z]", cell)
        assert not re.match(r"yes\b|no\b", cell)
    elif default == 0:
        assert re.fullmatch(r"0 \((off|never)\)", cell)
    else:
        assert cell == f"{default:g}"


def test_every_row_for_a_config_var_is_a_setting() -> None:
    """One that has gone from the code goes from the table."""
    named = {cells[0].strip("`") for cells in rows(CONFIGURATION) if re.fullmatch(r"`[A-Z_]+`", cells[0])}
    assert named == BUILD_ONLY | options().keys()


@pytest.mark.parametrize("page", PAGES)
def test_every_config_var_that_is_named_exists(page: str) -> None:
    """HEADWAITER_* is a setting of ours or of Waitress."""
    named = set(re.findall(r"\bHEADWAITER_[A-Z_]*[A-Z]\b", text(page)))
    known = BUILD_ONLY | options().keys()
    assert named <= known | {option.variable for option in waitress_options().values()}


def test_numbers_of_the_budget() -> None:
    """Those that the code has."""
    for page in (README, CONFIGURATION):
        assert f"at most {arithmetic.THREADS_PER_PROCESS}" in text(page)
    assert f"({arithmetic.MEMORY_PER_PROCESS_MB} MB each)" in text(CONFIGURATION)
    assert f"within {server_limits.TIMEOUT_SECONDS:g} seconds" in text(CONFIGURATION)


def test_supported_versions_are_those_that_are_tested() -> None:
    """The oldest and the newest, of the tests' lock files."""
    locks = "".join(lock.read_text(encoding="utf-8") for lock in (ROOT / "test/support/pythons").glob("*.txt"))
    djangos = sorted({tuple(map(int, found)) for found in re.findall(r"^django==(\d+)\.(\d+)", locks, re.MULTILINE)})
    oldest, newest = (".".join(map(str, version)) for version in (djangos[0], djangos[-1]))
    waitresses = sorted(waitress_sdists.HASHES)
    limits = f"Django {oldest} to {newest}, Waitress {waitresses[0]} to {waitresses[-1]}."
    assert limits in text(README)


# Commands, files and links


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_is_named_exists(page: str) -> None:
    """`headwaiter --x` and a lone `--x` are options of the command, and its subcommands exist."""
    flags = {option.flag for option in (our_options() | waitress_options()).values()}
    for piece in code(page):
        command = re.match(
            r"(?:.* run |.* -m |.*-pgbouncer |\w+: )?headwaiter((?: .*)?)$", piece.partition(" #")[0].rstrip()
        )
        after = command[1].split() if command else piece.split() if re.match(r"--[a-z]", piece) else []
        typed = {word.partition("=")[0] for word in after if word.startswith("--")}
        assert {flag.replace("--no-", "--", 1) for flag in typed} <= flags | OWN_OPTIONS, piece
        if after and re.fullmatch(r"[a-z]+", after[0]):
            assert after[0] in SUBCOMMANDS, piece


def test_every_make_target_that_is_named_exists() -> None:
    """`make x` is a target of the Makefile, and its variables are read there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pieces = chain.from_iterable(map(code, PAGES))
    named = [piece.partition(" #")[0].split() for piece in pieces if re.search(r"^(\S+=\S+ )*make [a-z]", piece)]
    assert {"run", "test", "lint", "bench"} <= {words[words.index("make") + 1] for words in named}
    for words in named:
        target, *assignments = words[words.index("make") + 1 :]
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
        for assignment in assignments:
            variable = assignment.partition("=")[0]
            assert not re.fullmatch(r"[A-Z_]+", variable) or f"$({variable})" in makefile, assignment


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    """Paths between backticks that begin with a directory of this repository."""
    ours = r"(bin|lib|scripts|test|docs|\.ci|\.github)/[\w./-]*"
    paths = {piece for piece in code(page) if re.fullmatch(ours, piece)}
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """To a file, and to a heading in it as GitHub spells its anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ +(.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


def test_every_page_is_linked_to() -> None:
    """From README or a page that it links to."""
    seen, waiting = set(), [ROOT / README]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if "://" not in link]
    docs = {page.resolve() for page in (ROOT / "docs").glob("*.md")}
    assert docs <= seen


# Errors and log lines


@cache
def build_errors() -> frozenset[str]:
    """The first lines of the build's errors, each as a pattern in which what varies is `.+`."""
    files = [
        *(ROOT / "lib/buildpack").rglob("*.py"),
        *(ROOT / "lib/buildpack").rglob("*.sh"),
        *(ROOT / "bin").iterdir(),
    ]
    sources = "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    # Up to the sentence's full stop, which ends the line or the string. `{x}` and `${x}` vary.
    messages = re.findall(r"(?:^|[\"\t ])Error: (\S.*?)\.(?=\\n|\"|$)", sources, flags=re.MULTILINE)
    return frozenset(".+".join(map(re.escape, re.split(r"\$?\{[^}]+\}", message))) for message in messages)


def test_the_builds_errors_are_found() -> None:
    """Else the tests below would pass over nothing."""
    assert len(build_errors()) >= 12


@pytest.mark.parametrize("pattern", sorted(build_errors()))
def test_every_error_of_the_build_has_a_row(pattern: str) -> None:
    """Whoever searches for the message finds it."""
    assert any(re.fullmatch(pattern, cells[0]) for cells in rows(ERRORS)), pattern


def test_every_row_for_an_error_is_one() -> None:
    """One that the build no longer prints goes from the table."""
    table = text(ERRORS).partition("## The build ends")[2].partition("\n## ")[0]
    named = re.findall(r"^\| ([^|]+) \|", table, flags=re.MULTILINE)[1:]
    others = {name for name in named if name.endswith("(heroku/python)")} | {"Internal Error", "---"}
    known = {name for name in named if any(re.fullmatch(pattern, name) for pattern in build_errors())}
    assert sorted({*named} - known - others) == []


def log_lines() -> set[str]:
    """What follows `at=` in the lines that the server writes."""
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "lib/headwaiter").rglob("*.py"))
    return set(re.findall(r"\blog\.line\(\s*\"([a-z-]+)\"", sources))


def test_every_log_line_has_a_row() -> None:
    """And each row is for a line that is written."""
    assert {cells[0] for cells in rows(ERRORS) if cells[0].startswith("`at=")} >= {f"`at={at}`" for at in log_lines()}
    assert set(re.findall(r"\bat=([a-z-]+)", everything())) <= log_lines()


# The release


def test_one_version() -> None:
    """CHANGELOG's newest release, the one that the examples pin, and `headwaiter --version` are the same."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[v(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changelog, flags=re.MULTILINE)
    assert newest
    assert newest[1] == headwaiter.VERSION
    assert f"[v{newest[1]}]: https://" in changelog
    pinned = re.findall(r"heroku-buildpack-django-waitress#v([\d.]+\d)", everything())
    assert pinned
    assert set(pinned) == {newest[1]}


# app.json

SAMPLE = ROOT / "test/fixtures/sample_site/app.json"


def app_jsons() -> list[str]:
    """Every complete app.json that people may copy."""
    fenced = re.findall(r"^```json\n(.*?)^```", everything(), flags=re.MULTILINE | re.DOTALL)
    assert fenced
    return [*fenced, SAMPLE.read_text(encoding="utf-8")]


@pytest.mark.parametrize("content", list(map(json.loads, app_jsons())))
def test_app_jsons_are_understood(content: dict[str, Any]) -> None:
    """By the build, which takes its hints from them; the buildpacks are in the order that works."""
    read = app_json.parse(json.dumps(content))
    assert (read.database_plan, read.web_dynos, read.dyno_size) == ("heroku-postgresql:essential-0", 2, "standard-1x")
    first, second = [each["url"] for each in content["buildpacks"]]
    assert first == "heroku/python"
    assert second in text("docs/platforms.md")
