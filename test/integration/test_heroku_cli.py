"""The `heroku` commands of README, run with the real Heroku CLI against a local stand-in of the Platform API.

`make test-all` installs it, HEROKU_CLI names another one. Without it the tests are skipped: the CLI is several hundred
megabytes of JavaScript.
Nothing leaves the machine: HEROKU_HOST names the stand-in and telemetry is off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_api import REGISTRY, PlatformApi, Request

CLI = os.environ.get("HEROKU_CLI") or shutil.which("heroku")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CLI is None, reason="needs the Heroku CLI: make test-all, with Node 20"),
]

ROOT = Path(__file__).resolve().parents[2]
OURS = "https://github.com/OWNER/heroku-buildpack-django-waitress"
PYTHON = "urn:buildpack:heroku/python"  # as the platform keeps `heroku/python`
PYTHON_ARCHIVE = REGISTRY["heroku/python"]  # as the CLI sends a name that the user typed
KNOWN_PYTHON = "heroku/python"  # as the CLI sends back what the platform had listed


def installs(*buildpacks: str) -> Request:
    """The request that replaces all of the app's buildpacks with these, in this order."""
    updates = [{"buildpack": buildpack} for buildpack in buildpacks]
    return Request("PUT", "/apps/example/buildpack-installations", {"updates": updates})


@pytest.fixture
def platform() -> Iterator[PlatformApi]:
    with PlatformApi() as api:
        yield api


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with the remote that `heroku create` makes: README's commands name no app."""
    subprocess.run(["git", "init", "--quiet", tmp_path / "site"], check=True)
    remote = ["remote", "add", "heroku", "https://git.heroku.com/example.git"]
    subprocess.run(["git", "-C", tmp_path / "site", *remote], check=True)
    return tmp_path / "site"


def heroku(platform: PlatformApi, checkout: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs one `heroku ...` line as a user types it, in the checkout."""
    home = checkout.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HEROKU_HOST": platform.url,
        "HEROKU_GIT_HOST": "git.heroku.com",
        "HEROKU_BUILDPACK_REGISTRY_URL": platform.url,
        "HEROKU_PARTICLEBOARD_URL": platform.url,
        "HEROKU_API_KEY": "made-up-token",
        "HEROKU_SKIP_ANALYTICS": "1",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "true",
        "HEROKU_DISABLE_AUTOUPDATE": "1",  # else each command leaves a process behind that looks for updates
        "DISABLE_TELEMETRY": "true",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    program, *arguments = command.split()
    assert program == "heroku"
    return subprocess.run(
        [str(CLI), *arguments], cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_adding_both_buildpacks_in_order(platform: PlatformApi, checkout: Path) -> None:
    """heroku/python first, then ours: ours ends up last, which is what makes its web process count."""
    first = heroku(platform, checkout, "heroku buildpacks:add heroku/python")
    second = heroku(platform, checkout, f"heroku buildpacks:add {OURS}")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert platform.writes == [installs(PYTHON_ARCHIVE), installs(KNOWN_PYTHON, OURS)]
    assert platform.buildpacks == [PYTHON, OURS]
    assert f"1. heroku/python\n  2. {OURS}" in second.stdout


@pytest.mark.parametrize("before", [[], [PYTHON], ["urn:buildpack:heroku/nodejs"]])
def test_readmes_own_commands_put_python_first_and_ours_last(
    platform: PlatformApi, checkout: Path, before: list[str]
) -> None:
    """Whatever the app had: nothing, heroku/python already (which the CLI reports), or another language's buildpack."""
    platform.buildpacks = list(before)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(heroku buildpacks:\S+ .+)$", text.partition("git push heroku")[0], flags=re.MULTILINE)
    assert commands

    for command in commands:
        heroku(platform, checkout, command)

    others = [buildpack for buildpack in before if buildpack != PYTHON]
    assert platform.buildpacks[:-1] == [*others, PYTHON]
    assert platform.buildpacks[-1] == commands[-1].split()[-1]


def test_set_with_another_language_there_throws_that_out(platform: PlatformApi, checkout: Path) -> None:
    """Why README doesn't begin with `buildpacks:set heroku/python`: it replaces the first of the list."""
    platform.buildpacks = ["urn:buildpack:heroku/nodejs"]
    heroku(platform, checkout, "heroku buildpacks:set heroku/python")
    assert platform.buildpacks == [PYTHON]


@pytest.mark.parametrize("url", [f"{OURS}.git", f"{OURS}#v1", f"{OURS}.git#v1", f"{OURS}/archive/refs/tags/v1.tar.gz"])
def test_a_pinned_url_is_sent_as_typed(platform: PlatformApi, checkout: Path, url: str) -> None:
    """The CLI neither strips the tag nor asks the registry about a URL."""
    platform.buildpacks = [PYTHON]

    result = heroku(platform, checkout, f"heroku buildpacks:add {url}")

    assert result.returncode == 0, result.stderr
    assert platform.writes == [installs(KNOWN_PYTHON, url)]


def test_listing_shows_the_order(platform: PlatformApi, checkout: Path) -> None:
    """`heroku buildpacks` changes nothing and numbers them as they run."""
    platform.buildpacks = [PYTHON, f"{OURS}#v1"]

    result = heroku(platform, checkout, "heroku buildpacks")

    assert result.returncode == 0, result.stderr
    assert f"1. heroku/python\n2. {OURS}#v1" in result.stdout
    assert platform.writes == []


def test_python_is_put_before_ours_when_it_is_missing(platform: PlatformApi, checkout: Path) -> None:
    """--index 1 inserts, it doesn't replace: the fix that our build error names when heroku/python isn't there."""
    platform.buildpacks = [OURS]

    result = heroku(platform, checkout, "heroku buildpacks:add --index 1 heroku/python")

    assert result.returncode == 0, result.stderr
    assert platform.writes == [installs(PYTHON_ARCHIVE, OURS)]


def test_the_same_command_is_refused_when_the_order_is_wrong(platform: PlatformApi, checkout: Path) -> None:
    """With both there already, --index 1 heroku/python is a duplicate: one of them must be removed first."""
    platform.buildpacks = [OURS, PYTHON]

    result = heroku(platform, checkout, "heroku buildpacks:add --index 1 heroku/python")

    assert result.returncode != 0
    assert "The buildpack heroku/python is already set on your app." in result.stderr
    assert platform.writes == []


def test_the_wrong_order_is_mended_by_remove_and_add(platform: PlatformApi, checkout: Path) -> None:
    """Taking heroku/python out and putting it first leaves ours last."""
    platform.buildpacks = [OURS, PYTHON]

    removed = heroku(platform, checkout, "heroku buildpacks:remove heroku/python")
    added = heroku(platform, checkout, "heroku buildpacks:add --index 1 heroku/python")

    assert (removed.returncode, added.returncode) == (0, 0), removed.stderr + added.stderr
    assert platform.buildpacks == [PYTHON, OURS]


def test_another_tag_is_not_a_duplicate_but_a_second_copy(platform: PlatformApi, checkout: Path) -> None:
    """Adding a newer tag runs the buildpack twice: an upgrade is `buildpacks:set --index`."""
    platform.buildpacks = [PYTHON, f"{OURS}#v1"]

    heroku(platform, checkout, f"heroku buildpacks:add {OURS}#v2")
    assert platform.buildpacks == [PYTHON, f"{OURS}#v1", f"{OURS}#v2"]

    platform.buildpacks = [PYTHON, f"{OURS}#v1"]
    result = heroku(platform, checkout, f"heroku buildpacks:set --index 2 {OURS}#v2")
    assert result.returncode == 0, result.stderr
    assert platform.buildpacks == [PYTHON, f"{OURS}#v2"]


def test_set_without_an_index_replaces_the_first(platform: PlatformApi, checkout: Path) -> None:
    """The trap: `buildpacks:set OURS` throws heroku/python out, which is why README says add."""
    platform.buildpacks = [PYTHON]

    result = heroku(platform, checkout, f"heroku buildpacks:set {OURS}")

    assert result.returncode == 0, result.stderr
    assert platform.writes == [installs(OURS)]


@pytest.mark.parametrize("address", ["git@github.com:OWNER/heroku-buildpack-django-waitress.git", "OWNER/unpublished"])
def test_neither_an_ssh_address_nor_an_unpublished_name_is_accepted(
    platform: PlatformApi, checkout: Path, address: str
) -> None:
    """Both are looked up in the registry and fail, and the app keeps what it had: README gives the https form."""
    platform.buildpacks = [PYTHON]

    result = heroku(platform, checkout, f"heroku buildpacks:add {address}")

    assert result.returncode != 0
    assert platform.buildpacks == [PYTHON]


def test_config_vars_are_patched_as_strings(platform: PlatformApi, checkout: Path) -> None:
    """`heroku config:set` changes the named ones alone and makes a release, so the dynos restart."""
    platform.config_vars = {"SECRET_KEY": "this-should-be-preserved"}

    result = heroku(platform, checkout, "heroku config:set HEADWAITER_WEB_DYNOS=3 HEADWAITER_DB_PLAN=essential-0")

    assert result.returncode == 0, result.stderr
    expected = {"HEADWAITER_WEB_DYNOS": "3", "HEADWAITER_DB_PLAN": "essential-0"}
    assert platform.writes == [Request("PATCH", "/apps/example/config-vars", expected)]
    assert platform.config_vars == {"SECRET_KEY": "this-should-be-preserved", **expected}


def test_unsetting_a_config_var(platform: PlatformApi, checkout: Path) -> None:
    """Back to the default: the CLI sends null, the platform forgets the value."""
    platform.config_vars = {"WEB_CONCURRENCY": "9"}

    result = heroku(platform, checkout, "heroku config:unset WEB_CONCURRENCY")

    assert result.returncode == 0, result.stderr
    assert platform.writes == [Request("PATCH", "/apps/example/config-vars", {"WEB_CONCURRENCY": None})]
    assert platform.config_vars == {}


def test_every_heroku_command_in_our_texts_exists(platform: PlatformApi, checkout: Path) -> None:
    """What a message or README tells people to type is a command of the CLI, or of a plugin that the text names."""
    listed = heroku(platform, checkout, "heroku commands --json")
    commands = {command["id"] for command in json.loads(listed.stdout)}
    commands |= {alias for command in json.loads(listed.stdout) for alias in command.get("aliases", [])}
    plugins = dict.fromkeys(["builds:cache:purge", "builds:output"], "heroku plugins:install heroku-builds")

    unknown = set()
    for path in our_texts():
        text = path.read_text(encoding="utf-8")
        for named in re.findall(r"(?<!push )(?<!/)\bheroku ([a-z]+(?::[a-z-]+)*)\b(?!/)", text):
            if named not in commands and not (named in plugins and plugins[named] in text):
                unknown.add(f"{path.relative_to(ROOT)}: heroku {named}")
    assert not unknown


def our_texts() -> list[Path]:
    """README and every file whose messages a user may read."""
    found = [
        path for folder in ("bin", "lib") for path in (ROOT / folder).rglob("*") if path.suffix in ("", ".sh", ".py")
    ]
    return [path for path in [*found, ROOT / "README.md"] if path.is_file()]
