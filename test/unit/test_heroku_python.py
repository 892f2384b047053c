"""What `make run` says where its stand-in for heroku/python can't go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import collectstatic_advice
import heroku_python
import pytest

READS = 'Traceback (most recent call last):\n  File "/app/shop/settings.py", line 9, in <module>\n'


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ("environ.compat.ImproperlyConfigured: Set the DJANGO_SECRET_KEY environment variable", "DJANGO_SECRET_KEY"),
        ("decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default.", "SECRET_KEY"),
        ('environs.exceptions.EnvNotSetError: Environment variable "SECRET_KEY" not set', "SECRET_KEY"),
        ("ValueError: SECRET_KEY must be set in the environment variables", "SECRET_KEY"),
        ("RuntimeError: Missing environment variable: S3_KEY", "S3_KEY"),
        ("KeyError: 'SECRET_KEY'", None),
        ("django.core.exceptions.ImproperlyConfigured: STATIC_ROOT is not set to a filesystem path.", None),
        ("ModuleNotFoundError: No module named 'environment variable'", None),
        ("no traceback at all", None),
    ],
)
def test_the_variable_that_collectstatic_misses(error: str, name: str | None) -> None:
    """By the messages of os.environ, django-environ, environs, decouple and hand-written ones."""
    output = [*READS.splitlines(), "    SET = 'Set the WRONG environment variable'", error, ""]
    assert collectstatic_advice.missing_variable(output) == name


def test_os_environ_names_it_in_this_python() -> None:
    """The traceback tells its KeyError from that of any other dict."""
    for code, name in (("os.environ['S3_KEY']", "S3_KEY"), ("{}['S3_KEY']", None)):
        ran = subprocess.run([sys.executable, "-c", f"import os; {code}"], capture_output=True, text=True, check=False)
        assert collectstatic_advice.missing_variable(ran.stderr.splitlines()) == name


def test_a_missing_variable_comes_before_leaving_the_step_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manage.py that fails: the advice names its variable, in both forms, and only then DISABLE_COLLECTSTATIC."""
    (tmp_path / "manage.py").write_text("raise ValueError('Set the DJANGO_SECRET_KEY environment variable')\n")
    django = tmp_path / "lib/python3.11/site-packages/django/__init__.py"
    django.parent.mkdir(parents=True)
    django.touch()
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    with pytest.raises(SystemExit) as ended:
        heroku_python.collect_static(tmp_path, tmp_path, environment, tmp_path / "env")
    told = str(ended.value)
    assert "heroku config:set DJANGO_SECRET_KEY=VALUE" in told
    assert told.index("--env DJANGO_SECRET_KEY=VALUE'") < told.index("heroku config:set DISABLE_COLLECTSTATIC=1")
    assert "ValueError: Set the DJANGO_SECRET_KEY" in capsys.readouterr().out


def test_a_package_manager_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback: which one, why it's needed, and how to get it."""
    monkeypatch.setattr(heroku_python, "MANAGERS", tmp_path)
    with pytest.raises(SystemExit) as ended:
        heroku_python.install("uv", tmp_path / "uv.lock", tmp_path, {"PATH": str(tmp_path)})
    assert "Error: uv isn't here, and uv.lock names the site's packages." in str(ended.value)
    assert str(ended.value).endswith("scripts/tools.sh managers")
