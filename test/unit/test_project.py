"""Loading the site: the right application, or a message that says what to fix."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from headwaiter import project
from headwaiter.project import ProjectError

WSGI = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory to work in, with modules, path and environment put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:  # another test's site
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(name: str) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        project.load_application(name)
    return caught.value


@pytest.mark.parametrize(
    "name", ["shop.wsgi:application", "shop.wsgi", "shop.wsgi.application", "shop:wsgi.application"]
)
def test_an_application_is_found_under_each_usual_name(site: Path, name: str) -> None:
    """waitress-serve's forms and gunicorn's, where the attribute may be left out."""
    (site / "shop").mkdir()
    (site / "shop" / "__init__.py").write_text("import shop.wsgi\n")
    (site / "shop" / "wsgi.py").write_text(WSGI)
    assert project.load_application(name).__name__ == "application"


def test_a_factory_is_refused_with_what_to_write_instead() -> None:
    """gunicorn calls it; here it's one line in the site."""
    assert "application = create()" in str(refused("made:create()"))


def test_a_missing_module_names_what_is_there(site: Path) -> None:
    """A typo is the usual reason."""
    (site / "shop").mkdir()
    (site / "shop" / "wsgi.py").write_text(WSGI)
    error = refused("shpo.wsgi:application")
    assert "no module shpo" in str(error)
    assert "Did you mean shop.wsgi:application?" in str(error)
    assert error.details == ""


def test_a_site_one_directory_down_is_pointed_out(site: Path) -> None:
    """Then --chdir is what lacks."""
    (site / "backend" / "shop").mkdir(parents=True)
    (site / "backend" / "shop" / "wsgi.py").write_text(WSGI)
    assert "--chdir=backend" in str(refused("shop.wsgi:application"))


def test_a_missing_dependency_is_told_from_a_missing_site(site: Path) -> None:
    """The fix is requirements.txt, and the site's traceback shows where the import stands."""
    (site / "needy.py").write_text("import not_a_package.at_all\n")
    error = refused("needy:application")
    assert "needy imports not_a_package, which isn't installed" in str(error)
    assert "requirements.txt" in str(error)
    assert 'needy.py", line 1' in error.details


def test_the_sites_own_error_keeps_its_traceback_without_our_frames(site: Path) -> None:
    """Chained causes too: often the first one tells."""
    (site / "broken.py").write_text("try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('SECRET_KEY')\n")
    error = refused("broken:application")
    assert "failed with ValueError: SECRET_KEY" in str(error)
    assert "ZeroDivisionError" in error.details
    assert "importlib" not in error.details
    assert "lib/headwaiter" not in error.details


@pytest.mark.parametrize("read", ["os.environ['NOT_A_CONFIG_VAR']", "{}['NOT_A_CONFIG_VAR']"])
def test_a_missing_config_var_is_named_with_the_command(site: Path, read: str) -> None:
    """Settings that read os.environ[...] are the commonest reason; a KeyError of another dictionary is the site's."""
    (site / "unset.py").write_text(f"import os\nSECRET_KEY = {read}\n")
    told = "heroku config:set NOT_A_CONFIG_VAR=" in str(refused("unset:application"))
    assert told == ("environ" in read)


def test_a_syntax_error_shows_the_line(site: Path) -> None:
    """Python's own words are the best here."""
    (site / "wrong.py").write_text("def application(:\n")
    assert "def application(:" in refused("wrong:application").details


def test_a_site_that_exits_while_importing_is_an_error(site: Path) -> None:
    """sys.exit() at import would otherwise end the server without a word."""
    (site / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    assert "SystemExit" in str(refused("leaves:application"))


def test_a_missing_attribute_suggests_what_is_there(site: Path) -> None:
    """The nearest name first, otherwise what looks like an application."""
    (site / "flasky.py").write_text(f"import os\nLIMIT = 3\n{WSGI}")
    assert "Did you mean flasky:application?" in str(refused("flasky:app"))
    (site / "empty.py").write_text("LIMIT = 3\n")
    assert "Nothing in empty looks like a WSGI application" in str(refused("empty:application"))


def test_something_that_cannot_be_called_is_refused(site: Path) -> None:
    """The message says what it is instead."""
    (site / "number.py").write_text("application = 3\n")
    assert "is of type int, not a WSGI application" in str(refused("number:application"))


@pytest.mark.parametrize(
    "source",
    [
        "async def application(scope, receive, send): ...\n",
        "class App:\n    async def __call__(self, scope, receive, send): ...\napplication = App()\n",
    ],
)
def test_an_asgi_application_is_refused_by_name(site: Path, source: str) -> None:
    """Waitress would call it and find a coroutine where bytes should be."""
    (site / "asgi.py").write_text(source)
    error = str(refused("asgi:application"))
    assert "is an ASGI application" in error
    assert "Use wsgi:application" in error


@pytest.mark.parametrize("name", ["1abc:application", "shop wsgi:application", ":application", "a..b:c"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """Before anything is imported."""
    assert "isn't the name of a WSGI application" in str(refused(name))


def test_entering_makes_the_sites_modules_win(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package of the same name must not shadow the site's own."""
    (site / "backend").mkdir()
    environ: dict[str, str] = {}
    project.enter("backend", "shop.settings", environ)
    assert Path.cwd() == site / "backend"
    assert sys.path[0] == str(site / "backend")
    assert environ == {"DJANGO_SETTINGS_MODULE": "shop.settings"}


def test_a_directory_that_is_not_there_is_told(site: Path) -> None:
    """With the place that it was looked for."""
    with pytest.raises(ProjectError, match=r"--chdir=nowhere: No such file or directory\. .* relative to "):
        project.enter("nowhere", None, {})


def test_the_project_file_is_read_from_the_slug(site: Path) -> None:
    """Its directory is relative to the repository, wherever the command is given."""
    path = site / ".heroku" / "headwaiter" / "project.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"directory": "backend", "wsgi_application": "a:b", "database_plan": "x"}))
    os.chdir("/")
    found = project.find(path)
    assert (found.directory, found.application, found.facts["database_plan"]) == (site / "backend", "a:b", "x")


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_broken_project_file_is_told(site: Path, text: str) -> None:
    """Never a traceback, never a silent default."""
    path = site / "project.json"
    path.write_text(text)
    with pytest.raises(ProjectError, match="Deploy again"):
        project.find(path)


def test_no_project_file_is_a_checkout(site: Path) -> None:
    """Then the current directory is the project."""
    assert project.find(site / "none.json").directory == site
