"""The web process, what the Procfile and app.json make of it, and the files that the dyno reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from buildpack.steps import declare_process
from headwaiter import app_json, procfile

ROOT = Path(__file__).resolve().parents[2]
PROJECT = {
    "directory": ".",
    "manage_py": "manage.py",
    "wsgi_application": "shop.wsgi:application",
    "settings_module": "shop.settings",
    "candidates": [],
    "warnings": [],
    "python_version": "3.12.1",
    "django_version": "5.2",
    "waitress_version": "3.0.2",
    "postgres_driver": True,
}
WEB = "headwaiter shop.wsgi:application"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web: a b\n", {"web": "a b"}),
        ("\ufeffweb: a\r\nrelease:b\r\n", {"web": "a", "release": "b"}),
        ("# web: a\n web:  a  \nnonsense\n:x\n", {"web": "a"}),
        ("web: a\nweb: b\n", {"web": "b"}),
        ("web : a\nworker\t: b\nrelease :c\n", {}),
        ("", {}),
    ],
)
def test_procfile_lines(text: str, expected: dict[str, str]) -> None:
    """Heroku's own form of a line; everything else is passed over."""
    assert procfile.parse(text) == expected


@pytest.mark.parametrize(
    ("command", "server"),
    [
        ("gunicorn shop.wsgi --log-file -", "gunicorn"),
        ("cd backend && exec gunicorn shop.wsgi", "gunicorn"),
        ("python -m gunicorn shop.wsgi", "gunicorn"),
        ("newrelic-admin run-program gunicorn shop.wsgi", "gunicorn"),
        ("python manage.py runserver 0.0.0.0:$PORT", "runserver"),
        ("/app/.heroku/python/bin/uvicorn shop.asgi:application", "uvicorn"),
        ("waitress-serve --port=$PORT shop.wsgi:application", "waitress-serve"),
        ("headwaiter shop.wsgi:application", "headwaiter"),
        ("honcho start -f Procfile.web", "honcho"),
        ("sh ./bin/start.sh", "start.sh"),
        ("python server.py", "server.py"),
        ("uwsgi uwsgi.ini", "uwsgi"),
        ("'unbalanced gunicorn", "gunicorn"),
        ("./start", ""),
    ],
)
def test_which_server_a_command_starts(command: str, server: str) -> None:
    """Only the name is kept: the rest may hold secrets."""
    assert procfile.understand(command).server == server


def explain(command: str | None) -> str:
    """What the log says on a Procfile with this web line."""
    processes = None if command is None else {"web": command}
    return "\n".join(declare_process.explain_web(processes, WEB))


def test_without_a_procfile_the_default_runs() -> None:
    """One line says which."""
    assert explain(None) == f"web: {WEB}"


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("bin/start-pgbouncer", "bin/start-pgbouncer"),
        ("newrelic-admin run-program", "newrelic-admin run-program"),
        ("newrelic-admin run-program python -m", "newrelic-admin run-program"),
        ("ddtrace-run --key hunter2", "ddtrace-run"),
    ],
)
def test_a_wrapper_of_another_buildpack_stays(before: str, kept: str) -> None:
    """pgbouncer's has to remain in front of the server; options may hold secrets."""
    assert f"web: {kept} {WEB}" in explain(f"{before} gunicorn shop.wsgi").splitlines()[-1]


def test_nginx_in_front_is_left_out() -> None:
    """It would have $PORT and want the server on its socket; slow clients need it no more."""
    assert explain("bin/start-nginx gunicorn -c nginx.py shop.wsgi").endswith(f" web: {WEB}")


@pytest.mark.parametrize(
    ("processes", "app_json_scripts", "manage_py"),
    [
        ({"release": "./release.sh"}, {}, "manage.py"),
        ({"web": "python manage.py migrate && headwaiter shop.wsgi"}, {}, "manage.py"),
        ({"web": WEB}, {"dokku": {"predeploy": "python manage.py migrate"}}, "manage.py"),
        (None, {"dokku": {"postdeploy": "python manage.py migrate"}}, "manage.py"),
        ({"web": "headwaiter counter:app"}, {}, None),
    ],
)
def test_no_hint_where_something_migrates(
    processes: dict[str, str] | None, app_json_scripts: dict[str, object], manage_py: str | None
) -> None:
    """The release phase, the web process, Dokku's tasks; a site in a single file has no manage.py to run."""
    hints = app_json.AppJson({"scripts": app_json_scripts})
    assert list(declare_process.explain_release(processes, hints, WEB, manage_py)) == []


@pytest.mark.parametrize("scripts", [{}, {"postdeploy": "migrate"}, {"dokku": {"predeploy": "./assets"}}, {"dokku": 1}])
def test_a_hint_where_nothing_migrates(scripts: dict[str, object]) -> None:
    """With the line for the Procfile."""
    lines = list(
        declare_process.explain_release({"web": WEB}, app_json.AppJson({"scripts": scripts}), WEB, "a b/manage.py")
    )
    assert lines[-1] == '  release: python "a b/manage.py" migrate --noinput'


def test_secrets_in_a_procfile_are_not_repeated() -> None:
    """The command itself never gets into the log."""
    assert "hunter2" not in explain("SECRET=hunter2 ./start --password hunter2")


@pytest.mark.parametrize(
    ("directory", "command"),
    [
        (".", "headwaiter shop.wsgi:application"),
        ("src/back-end", "headwaiter --chdir=src/back-end shop.wsgi:application"),
        ("my site", "headwaiter shop.wsgi:application"),
        ("a;b", "headwaiter shop.wsgi:application"),
        ("$(x)", "headwaiter shop.wsgi:application"),
    ],
)
def test_the_web_command_needs_no_quotes(directory: str, command: str) -> None:
    """Dokku evaluates it without any; such a directory is read from project.json at boot instead."""
    assert declare_process.web_command({**PROJECT, "directory": directory}) == command


@pytest.mark.parametrize("driver", [True, False])
def test_release_yaml_is_yaml(driver: bool) -> None:
    """A parser reads back what was meant."""
    expected: dict[str, object] = {"default_process_types": {"web": WEB}}
    if driver:
        expected["addons"] = ["heroku-postgresql"]
    assert yaml.safe_load(declare_process.release_yaml(WEB, {"postgres_driver": driver})) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, (None, None, None)),
        ({"addons": ["heroku-postgresql"]}, ("heroku-postgresql", None, None)),
        ({"addons": [{"plan": "Heroku-PostgreSQL:Standard-0"}]}, ("heroku-postgresql:standard-0", None, None)),
        ({"addons": ["heroku-redis:mini", "jawsdb:kitefin"]}, ("jawsdb:kitefin", None, None)),
        (
            {"addons": [{"plan": "heroku-postgresql:premium-0", "as": "REPORTS"}, "heroku-postgresql:essential-2"]},
            ("heroku-postgresql:essential-2", None, None),
        ),
        ({"formation": {"web": {"quantity": 3, "size": "Standard-2X"}}}, (None, 3, "standard-2x")),
        ({"formation": {"web": {"quantity": True, "size": "a\nb"}}}, (None, None, None)),
        ({"formation": {"web": {"quantity": -1}}}, (None, None, None)),
        ({"formation": {"web": {"quantity": 10**30}}}, (None, None, None)),
        ({"formation": [], "addons": {"x": 1}}, (None, None, None)),
        ({"formation": {"web": []}, "addons": [None, 1, {"plan": 5}]}, (None, None, None)),
    ],
)
def test_what_app_json_hints(content: dict[str, object], expected: tuple[object, ...]) -> None:
    """Another form than the schema's is passed over, never an error."""
    hints = app_json.AppJson(content)
    assert (hints.database_plan, hints.web_dynos, hints.dyno_size) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe\x00", b"null", b"[" * 100_000, b'{"a": 1e999}'])
def test_a_broken_app_json_is_said_and_passed_over(tmp_path: Path, data: bytes) -> None:
    """No content makes it fail."""
    (tmp_path / "app.json").write_bytes(data)
    hints = app_json.read(tmp_path / "app.json")
    assert hints.database_plan is None
    assert hints.problem is not None or data.startswith(b'{"a"')


def test_the_error_names_line_and_column(tmp_path: Path) -> None:
    """As the person who fixes it needs."""
    (tmp_path / "app.json").write_text('{\n  "name": "x",\n}\n')
    problem = app_json.read(tmp_path / "app.json").problem
    assert problem is not None
    assert "line 3" in problem or "line 2" in problem


def declared(tmp_path: Path, capsys: pytest.CaptureFixture[str], **config_vars: str) -> tuple[dict[str, object], str]:
    """project.json and the log of the real program on the sample site's files."""
    sample = ROOT / "test/fixtures/sample_site"
    slug, env_dir = tmp_path / "slug", tmp_path / "env"
    slug.mkdir()
    env_dir.mkdir()
    for name, value in config_vars.items():
        (env_dir / name).write_text(value)
    project = tmp_path / "project.json"
    project.write_text(json.dumps(PROJECT))
    assert declare_process.main([str(sample), str(env_dir), str(slug), str(project)]) == 0
    return json.loads((slug / "project.json").read_text()), capsys.readouterr().out


def test_project_json_is_what_the_dyno_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found in the build, and what app.json says of the database and the dynos."""
    facts, _ = declared(tmp_path, capsys)
    assert facts == {**PROJECT, "database_plan": "heroku-postgresql:essential-0", "web_dynos": 2}


def test_the_log_previews_the_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan and the formation of app.json through the dyno's own arithmetic."""
    _, log = declared(tmp_path, capsys)
    assert "app.json asks for heroku-postgresql:essential-0 and 2 web dynos of size standard-1x" in log
    assert "2 web dynos x 1 process x 8 threads + 2\nin reserve = 18 of 20 connections." in log


def test_config_vars_win_over_app_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be kept is a warning with the fix."""
    _, log = declared(tmp_path, capsys, HEADWAITER_WEB_DYNOS="30", HEADWAITER_THREADS="no number")
    assert "30 web dynos" in log
    assert "! Warning: " in log
    assert "no number" not in log


def test_a_crash_of_the_preview_costs_its_line_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It decides nothing: the dyno does its own arithmetic."""
    monkeypatch.setattr("buildpack.steps.preview_budget.limit", lambda *_: 1 / 0)
    _, log = declared(tmp_path, capsys)
    assert "! What they allow couldn't be worked out here (ZeroDivisionError)." in log
    assert "web: headwaiter shop.wsgi:application" in log
    assert "heroku run headwaiter plan" in log
