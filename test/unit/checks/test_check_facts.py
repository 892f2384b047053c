"""How the facts of a site are collected: sources, log handlers, files."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.utils.functional import SimpleLazyObject
from headwaiter.app_json import AppJson
from headwaiter.checks import facts, probe
from headwaiter.checks.site import Site
from headwaiter.project import Project


def test_a_key_in_the_settings_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole string in the settings and what they import from beside them; elsewhere it's something else."""
    texts = {
        "conf.settings.prod": "from .base import *",
        "conf.settings.base": '# hidden-key-1\nKEY = get("KEY", "hidden-key-2")\nOTHER = "hidden-key-33"\n',
        "conf.settings.views": 'KEY = "hidden-key-4"',
        "other.settings": 'KEY = "hidden-key-5"',
    }
    for name, text in texts.items():
        module = type(sys)(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setitem(sys.modules, name, module)

    found = [n for n in range(1, 6) if facts.in_settings(f"hidden-key-{n}", "conf.settings.prod")]

    assert found == [2, 4]
    assert not facts.in_settings("", "conf.settings.prod")


def test_log_files_are_named_without_their_directory() -> None:
    """Devices aren't files."""
    logger = logging.getLogger("filetest")
    handlers = [logging.FileHandler(name, delay=True) for name in ("/nowhere/site.log", "/dev/stderr")]
    for handler in handlers:
        logger.addHandler(handler)
    try:
        files = facts._of_the_logs()["log_files"]
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
    assert "site.log" in files and "stderr" not in files


def test_the_repository_is_where_the_procfile_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site may be below; without any sign it's the site's own directory."""
    site = tmp_path / "backend" / "site"
    site.mkdir(parents=True)
    monkeypatch.chdir(site)
    assert facts.repository(Project(site)) == site
    (tmp_path / "Procfile").write_text("web: headwaiter a.wsgi\r\n\nrelease:\tpython manage.py migrate\n# x: y\n")
    assert facts.repository(Project(site)) == tmp_path
    assert facts._of_the_repository(Project(site)) == {
        "app_json": AppJson(),
        "procfile": {"web": "headwaiter a.wsgi", "release": "python manage.py migrate"},
    }


@pytest.mark.parametrize(
    ("environ", "expected"), [({}, False), ({"DYNO": "run.1"}, True), ({"DYNO": "ci-1", "CI": "true"}, False)]
)
def test_heroku_ci_is_no_dyno_of_the_app(environ: dict[str, str], expected: bool) -> None:
    """It has DYNO, but not the app's config vars."""
    assert facts.is_on_dyno(environ) is expected


def test_a_digest_compares_keys_without_showing_them() -> None:
    """Equal for equal keys."""
    assert probe.digest("key") == probe.digest("key") != probe.digest("key2")
    assert "key" not in probe.digest("key")


class Refusing:
    """Django's settings with an empty SECRET_KEY."""

    @property
    def SECRET_KEY(self) -> str:  # noqa: N802  # the setting's name
        raise ImproperlyConfigured("The SECRET_KEY setting must not be empty.")


def test_an_empty_secret_key_raises_nothing() -> None:
    """Django raises when it is asked for: security.W009 names it."""
    assert Site(settings=Refusing()).get("SECRET_KEY", "") == ""


def test_a_storage_that_cannot_be_made_stores_nothing_on_this_disk() -> None:
    """Storages that are made when first used raise anything: KeyError for an address of no known kind."""

    def make() -> FileSystemStorage:
        raise KeyError(None)

    assert facts.is_a(FileSystemStorage, FileSystemStorage())
    assert not facts.is_a(FileSystemStorage, SimpleLazyObject(make))


def test_an_installed_app_may_be_named_by_its_config() -> None:
    """As startapp writes it."""

    class Settings:
        INSTALLED_APPS = ("channels.apps.ChannelsConfig", "django_ratelimit_extras")

    site = Site(settings=Settings())
    assert site.installed("channels")
    assert not site.installed("django_ratelimit")


def test_a_running_scheduler_is_seen() -> None:
    """By the name that APScheduler 3 gives its thread."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="APScheduler")
    assert not facts.scheduler_runs()
    thread.start()
    try:
        assert facts.scheduler_runs()
    finally:
        stop.set()
        thread.join()
