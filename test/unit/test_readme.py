"""README tells the truth: what it names exists, and every setting has its row."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from headwaiter.settings import Option, Settings, our_options, waitress_options

ROOT = Path(__file__).resolve().parents[2]
BUILD_ONLY = {"HEADWAITER_DIR", "HEADWAITER_APP"}  # read while Heroku builds, by lib/buildpack/finder
CHECK_ONLY = {"HEADWAITER_FAIL_LEVEL"}  # read by lib/headwaiter/check.py
SUBCOMMANDS = {"plan", "check"}
OWN_OPTIONS = {"--help", "--version", "--json", "--fail-level", "--app"}


@cache
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def options() -> dict[str, Option]:
    """The server's own options by config var; the application's is HEADWAITER_APP."""
    return {option.variable: option for option in our_options().values() if option.name != "application"}


def table_row(variable: str) -> str:
    """The row of a table whose first cell names the config var, "" without one."""
    rows = [line for line in readme().splitlines() if line.startswith("|")]
    return next((row for row in rows if f"`{variable}`" in row.split("|")[1]), "")


def code() -> list[str]:
    """Every piece of code: the lines of fenced blocks, and what stands between backticks."""
    fenced = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", readme(), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```.*?^ *```", "", readme(), flags=re.MULTILINE | re.DOTALL)
    return [line.strip().removeprefix("$ ") for block in fenced for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", prose
    )


@pytest.mark.parametrize("variable", sorted(BUILD_ONLY | CHECK_ONLY | options().keys()))
def test_every_config_var_has_a_row_in_the_table(variable: str) -> None:
    """A setting that isn't in README's table is one that nobody can find."""
    assert table_row(variable), f"README's table has no row for {variable}"


@pytest.mark.parametrize("variable", sorted(name for name, option in options().items() if not option.switch))
def test_the_table_tells_the_default(variable: str) -> None:
    """A number in the settings is the number in README; 0 turns the thing off, and the row says so."""
    default = next(item.default for item in fields(Settings) if item.name == options()[variable].name)
    if isinstance(default, (int, float)):
        words = [f"{default:g}"] if default else ["0", "off", "never"]
        assert any(re.search(rf"(?<![\w.]){word}(?![\w.]\d)", table_row(variable)) for word in words)


def test_every_config_var_that_readme_names_exists() -> None:
    """HEADWAITER_* that README speaks of are settings of ours or of Waitress."""
    named = set(re.findall(r"\bHEADWAITER_[A-Z_]*[A-Z]\b", readme()))
    known = BUILD_ONLY | CHECK_ONLY | options().keys() | {option.variable for option in waitress_options().values()}
    assert named <= known


def test_every_option_that_readme_names_exists() -> None:
    """`headwaiter --x` is an option of the command, and its subcommands exist."""
    flags = {option.flag for option in (our_options() | waitress_options()).values()}
    for piece in code():
        words = piece.split()
        if "headwaiter" not in words:
            continue
        after = words[words.index("headwaiter") + 1 :]
        typed = {word.partition("=")[0] for word in after if word.startswith("--")}
        assert {flag.replace("--no-", "--", 1) for flag in typed} <= flags | OWN_OPTIONS, piece
        if after and re.fullmatch(r"[a-z]+", after[0]):
            assert after[0] in SUBCOMMANDS, piece


def test_every_make_target_that_readme_names_exists() -> None:
    """`make x` is a target of the Makefile, and its variables are read there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [piece.split() for piece in code() if re.match(r"make [a-z]", piece)]
    assert {"run", "test"} <= {words[1] for words in named}
    for _, target, *assignments in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
        for assignment in assignments:
            variable = assignment.partition("=")[0]
            assert not re.fullmatch(r"[A-Z_]+", variable) or f"$({variable})" in makefile, assignment


def test_every_file_that_readme_names_exists() -> None:
    """Relative links, and paths between backticks that begin with a directory of this repository."""
    linked = [target for target in re.findall(r"\]\(([^)\s]+)\)", readme()) if "://" not in target]
    linked += re.findall(r"<(?:img|source)[^>]+(?:src|srcset)=\"([^\":]+)\"", readme())
    paths = {target.partition("#")[0] for target in linked} - {""}
    paths |= {piece for piece in code() if re.match(r"(bin|lib|test|docs|requirements|\.ci|\.github)/[\w./-]*$", piece)}
    missing = sorted(path for path in paths if not (ROOT / path).exists())
    assert not missing


def test_every_section_that_readme_links_to_exists() -> None:
    """`#a-section` is a heading, spelt as GitHub spells its anchor."""
    headings = re.findall(r"^#+ +(.+)$", readme(), flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
    linked = set(re.findall(r"\]\(#([^)\s]+)\)", readme()))
    assert linked <= anchors
