"""How the facts of a site are found out: sources, log handlers, files."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from check_sites import DATABASE
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.utils.functional import SimpleLazyObject
from headwaiter.checks import command, facts, loggers, migrations, source
from headwaiter.checks.probe import digest
from headwaiter.checks.site import Site, url_endpoint
from headwaiter.project import Project


def test_a_key_in_the_source_is_found(tmp_path: Path) -> None:
    """As a string anywhere; in a comment or as part of another one it is something else."""
    path = tmp_path / "settings.py"
    path.write_text('# hidden-key-1\nKEY = get("KEY", "hidden-key-2")\nOTHER = "hidden-key-33"\n')

    assert source.contains([path], "hidden-key-2")
    assert not source.contains([path], "hidden-key-1")
    assert not source.contains([path], "hidden-key-3")
    assert not source.contains([path], "")


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("SECRET_KEY = get('K', get_random_secret_key())", "get_random_secret_key()"),
        ("path.write_text(utils.get_random_secret_key())", "get_random_secret_key()"),
        ("SECRET_KEY = os.environ.get('K') or secrets.token_urlsafe(50)", "token_urlsafe()"),
        ("SECRET_KEY = ''.join([random.SystemRandom().choice(letters) for i in range(50)])", "choice()"),
        ("SECRET_KEY = os.environ['K']\nTOKEN = secrets.token_urlsafe()", None),
        ("SECRET_KEY = (", None),
    ],
)
def test_a_key_that_is_made_up_is_seen(tmp_path: Path, text: str, call: str | None) -> None:
    """Django's own function anywhere, other sources of chance where SECRET_KEY is set."""
    path = tmp_path / "settings.py"
    path.write_text(text)

    assert source.random_key_call([path, tmp_path / "not-there.py"]) == call


def test_the_settings_beside_the_settings_are_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from .base import *`: the loaded modules of the same package that look like settings."""
    for name in ("conf", "conf.settings", "conf.settings.prod", "conf.settings.base", "conf.views", "confirm.settings"):
        module = type(sys)(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, module)

    files = source.settings_files("conf.settings.prod")

    assert [file.name for file in files] == ["conf.settings.base.py", "conf.settings.prod.py"]


def test_log_files_are_named_without_their_directory() -> None:
    """Devices aren't files."""
    logger = logging.getLogger("filetest")
    handlers = [logging.FileHandler(name, delay=True) for name in ("/nowhere/site.log", "/dev/stderr")]
    for handler in handlers:
        logger.addHandler(handler)
    try:
        assert "FileHandler to site.log" in list(loggers.to_files())
        assert not any("stderr" in each for each in loggers.to_files())
    finally:
        for handler in handlers:
            logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web: headwaiter a.wsgi\r\n\nrelease:\tpython manage.py migrate\n# x: y\n", {"web", "release"}),
        ("", set()),
    ],
)
def test_procfile(tmp_path: Path, text: str, expected: set[str]) -> None:
    """Process types as Heroku reads them, comments and empty lines left out."""
    path = tmp_path / "Procfile"
    path.write_text(text)

    assert set(facts.read_procfile(path) or {}) == expected
    assert facts.read_procfile(tmp_path / "none") is None


def test_the_repository_is_where_the_procfile_is(tmp_path: Path) -> None:
    """The site may live below; without any sign the site's own directory is it."""
    (tmp_path / "backend" / "site").mkdir(parents=True)
    site = Project(tmp_path / "backend" / "site")
    assert facts.repository(site) == site.directory
    (tmp_path / "Procfile").touch()
    assert facts.repository(site) == tmp_path


@pytest.mark.parametrize(
    ("environ", "expected"), [({}, False), ({"DYNO": "run.1"}, True), ({"DYNO": "ci-1", "CI": "true"}, False)]
)
def test_heroku_ci_is_no_dyno_of_the_app(environ: dict[str, str], expected: bool) -> None:
    """It has DYNO, but not the app's config vars."""
    assert facts.is_on_dyno(environ) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@DB.example.com/a%20b", ("db.example.com", "5432", "a b")),
        ("mysql2://u:p@db.example.com:3307/x?y=z", ("db.example.com", "3307", "x")),
        ("postgres://u:p@host:port/x", None),
        ("sqlite:///db.sqlite3", None),
        ("", None),
    ],
)
def test_where_a_url_leads(url: str, expected: tuple[str, str, str] | None) -> None:
    """Host, port and name as DATABASES has them; None for what isn't a server's address."""
    assert url_endpoint(url) == expected


def test_a_drivers_message_loses_the_address() -> None:
    """What DATABASE_URL holds doesn't come back through an error."""
    host, user = DATABASE["HOST"], DATABASE["USER"]
    text = (
        f'connection to server at "{host}", port 5432 failed: FATAL: password authentication failed for user "{user}"'
    )

    assert migrations.without_address(text, {"default": DATABASE}) == (
        'connection to server at "<host>", port 5432 failed: FATAL: password authentication failed for user "<user>"'
    )


def test_digests_compare_keys_without_telling_them() -> None:
    """Equal for equal keys under one nonce, and different under another."""
    assert digest("key", "nonce") == digest(b"key", "nonce")
    assert digest("key", "nonce") != digest("key2", "nonce")
    assert digest("key", "nonce") != digest("key", "nonce2")


@pytest.mark.parametrize(
    "line",
    [
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")',
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'",
        'os.environ.setdefault(\n    "DJANGO_SETTINGS_MODULE",\n    "mysite.settings",\n)',
    ],
)
def test_manage_py_names_the_settings(tmp_path: Path, line: str) -> None:
    """For a checkout without a build."""
    path = tmp_path / "manage.py"
    path.write_text(f"import os\n{line}\n")

    assert command.settings_of_manage_py(path) == "mysite.settings"
    assert command.settings_of_manage_py(tmp_path / "none.py") is None


class Refusing:
    """Django's settings with an empty SECRET_KEY."""

    @property
    def SECRET_KEY(self) -> str:  # noqa: N802  # the setting's name
        raise ImproperlyConfigured("The SECRET_KEY setting must not be empty.")


def test_an_empty_secret_key_is_one_that_is_not_there() -> None:
    """Django raises when it is asked for: the finding is E015, not a traceback."""
    assert facts._secret_key(Refusing()) == ""
    assert Site(settings=Refusing()).get("SECRET_KEY") is None


def test_a_storage_that_cannot_be_made_keeps_nothing_on_this_disk() -> None:
    """Storages made when first asked raise what they like: KeyError for an address of no known kind."""

    def make() -> FileSystemStorage:
        raise KeyError(None)

    assert facts._is_a(FileSystemStorage, FileSystemStorage())
    assert not facts._is_a(FileSystemStorage, SimpleLazyObject(make))
