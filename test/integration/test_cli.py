"""The command as people meet it: what it prints, what it returns, what it passes on to Waitress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from boot import boot, run
from headwaiter import cli

APP = """
def application(environ, start_response):
    body = repr({key: str(value) for key, value in environ.items() if key.isupper()} | {
        "scheme": environ["wsgi.url_scheme"]}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
def create():
    return application
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_help_is_for_people_and_lists_every_option(app: Path) -> None:
    """Ours in groups, the installed Waitress's own by name, nothing wider than a screen."""
    found = run(app, "--help")
    assert found.returncode == 0
    assert found.stderr == ""
    assert "--drain-seconds=SECONDS" in found.stdout
    assert "--connection-limit" in found.stdout
    assert "Config var: WEB_CONCURRENCY." in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 120


@pytest.mark.parametrize("command", ["--help", "--version", "plan"])
def test_a_reader_that_has_seen_enough_is_no_error(app: Path, command: str) -> None:
    """As in `headwaiter --help | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = subprocess.run(
            [sys.executable, "-m", "headwaiter", command],
            cwd=app,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (found.returncode, found.stderr) == (141, b"")


def test_version_names_what_runs(app: Path) -> None:
    """What a bug report needs."""
    assert re.fullmatch(
        r"headwaiter \d+\.\d+\.\d+ on python 3\.\d+\.\d+, waitress [\d.]+, django [\d.]+\n",
        run(app, "--version").stdout,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ("--thread=4", "--drain=x", "--treads=1", "app"),
            64,
            "headwaiter: 2 settings can't be used:\n"
            "  --drain: no such option. Did you mean --drain-seconds?\n"
            "  --treads: no such option. Did you mean --threads?\n",
        ),
        (
            (),
            64,
            "headwaiter: one setting can't be used:\n"
            "  MODULE:ATTRIBUTE: no application was named. Try: headwaiter mysite.wsgi:application.\n",
        ),
        (
            ("app:application", "--chdir=missing"),
            78,
            "headwaiter: --chdir=missing: No such file or directory. Give the directory that holds manage.py, "
            "relative to {here}.\n",
        ),
        (
            ("app:aplication",),
            78,
            "headwaiter: app:aplication: app has no attribute 'aplication'. Did you mean app:application?\n",
        ),
    ],
)
def test_a_mistake_is_one_clear_message(app: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    """Nothing on the other stream, no traceback of ours, and the server ends."""
    found = run(app, *arguments)
    assert found.stderr == message.format(here=app)
    assert found.stdout == ""
    assert found.returncode == status


def test_the_sites_own_error_comes_with_its_traceback(app: Path) -> None:
    """The site's frames only, and our sentence last, where people look first."""
    (app / "broken.py").write_text("def settings():\n    raise RuntimeError('no SECRET_KEY')\nsettings()\n")
    found = run(app, "broken:application")
    assert found.returncode == 78
    assert found.stderr.startswith("Traceback (most recent call last):\n")
    assert re.findall(r'File "(.*)", line (\d+)', found.stderr) == [
        (f"{app}/broken.py", "3"),
        (f"{app}/broken.py", "2"),
    ]
    assert found.stderr.splitlines()[-1].startswith("headwaiter: Importing broken:application failed with RuntimeError")


def test_a_web_dyno_without_port_is_told(app: Path) -> None:
    """The router would never find port 8080."""
    found = run(app, "app:application", env={"DYNO": "web.1"})
    assert found.returncode == 64
    assert "PORT: isn't set, and this is a web dyno" in found.stderr


def test_port_and_config_vars_are_read(app: Path) -> None:
    """As on Heroku: no flag at all but the application, and the boot line says everything once."""
    env = {
        "DYNO": "web.1",
        "PORT": "0",
        "WEB_CONCURRENCY": "1",
        "HEADWAITER_THREADS": "3",
        "DATABASE_URL": "postgres://u:s3cret@h/d",
    }
    with boot(app, "--port=0", "app:application", env=env) as server:
        (line,) = server.lines("at=boot")
        assert "app=app:application" in line
        assert "processes=1 threads=3" in line
        assert "trusted_proxy=*" in line
        assert re.search(r"python=3\.\d+\.\d+ waitress=[\d.]+", line)
        assert server.stop() == 0
        assert "s3cret" not in server.log
        assert len(server.log.splitlines()) < 20


def test_a_one_off_dyno_stays_quiet(app: Path) -> None:
    """Its terminal belongs to the person's own command."""
    found = run(app, "--listen=127.0.0.1:99999", "app:application", env={"DYNO": "run.1234"})
    assert found.stdout == ""
    assert "99999" in found.stderr


def test_waitress_options_mean_what_they_mean_there(app: Path) -> None:
    """--url-prefix, --url-scheme and --ident reach Waitress."""
    options = ("--url-prefix=/shop", "--url-scheme=https", "--ident=me")
    with boot(app, *options, "app:application") as server:
        answer = server.get("/shop/x")
        environ = eval(answer.text)
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["scheme"]) == ("/shop", "/x", "https")
        assert answer.headers["server"] == "me"


def test_plan_and_check_are_commands(app: Path) -> None:
    """They have their own options and texts."""
    assert run(app, "plan", "--help").returncode == 0
    assert run(app, "check", "--help").returncode == 0


def test_plan_takes_the_servers_options_in_any_order(app: Path) -> None:
    """An option's value that is a word of its own isn't the application."""
    (app / "src").mkdir()
    (app / "app.py").rename(app / "src/app.py")
    for words in (["--chdir", "src", "app:application"], ["app:application", "--chdir", "src"]):
        found = run(app, "plan", *words)
        assert (found.returncode, found.stderr) == (0, "")
        assert "Warnings" not in found.stdout


@pytest.mark.parametrize("command", ["plan", "check"])
@pytest.mark.parametrize("word", ["--json=x", "--no-such-option"])
def test_plan_and_check_end_with_64_at_wrong_usage(app: Path, command: str, word: str) -> None:
    """As the server does, whoever finds the mistake."""
    found = run(app, command, word, "app:application")
    assert (found.returncode, found.stdout) == (64, "")
    assert word.partition("=")[0] in found.stderr
