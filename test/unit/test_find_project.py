"""lib/buildpack/finder on every layout of test/support/layouts.py, and its messages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import layouts
import pytest
from buildpack.finder import ProjectError, find_project

FINDER = Path(__file__).parents[2] / "lib/buildpack/finder"


def write_config(directory: Path, config: dict[str, str]) -> str:
    directory.mkdir()
    for name, value in config.items():
        (directory / name).write_bytes(value.encode("utf-8", errors="surrogateescape"))
    return str(directory)


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_layout_is_understood(layout: layouts.Layout, tmp_path: Path) -> None:
    """Directory, application and settings are right; other options and what is unsure are told, and nothing else."""
    root = layouts.write(tmp_path / "repo", layout.tree)
    found = find_project(str(root), write_config(tmp_path / "env", dict(layout.config)))

    assert (found["directory"], found["wsgi_application"], found["settings_module"]) == layout.answer
    assert found["candidates"] == layout.candidates
    warnings = found["warnings"]
    assert isinstance(warnings, list)
    if layout.warning is None:
        assert warnings == []
    else:
        assert len(warnings) == 1, warnings
        assert layout.warning in warnings[0]
    assert found["manage_py"] is None or (root / str(found["manage_py"])).is_file()
    assert str(found["reason"]).endswith(".")


@pytest.mark.parametrize("layout", [each for each in layouts.LAYOUTS if each.warning], ids=lambda layout: layout.name)
def test_the_last_line_of_a_warning_settles_it(layout: layouts.Layout, tmp_path: Path) -> None:
    """It can be run, or put into the Procfile, as it stands; then the warning is gone."""
    root = layouts.write(tmp_path / "repo", layout.tree)
    (warning,) = find_project(str(root), write_config(tmp_path / "env", dict(layout.config)))["warnings"]  # type: ignore[attr-defined]
    command = re.search(r"heroku config:set (\w+)=([\w.:/-]+)$", warning)
    line = re.search(r"In the Procfile, (name|write) this instead: ([\w.:]+)$", warning)
    file = re.search(r"git mv (\S+) Procfile$", warning)
    if command:
        (tmp_path / "env" / command[1]).write_text(command[2])
    elif file:
        (root / file[1]).rename(root / "Procfile")
    else:
        assert line
        (root / "Procfile").write_text(f"web: gunicorn {line[2]}\n" if line[1] == "name" else f"{line[2]} ./serve\n")
    assert warning not in find_project(str(root), str(tmp_path / "env"))["warnings"]  # type: ignore[operator]


def test_warnings_of_the_settings_agree(tmp_path: Path) -> None:
    """However many there are, each has the same line."""
    tree = {
        **layouts.layered("config.settings.dev", "config.settings.local"),
        "config/settings/dev.py": "from .base import *\n",
        "app.json": '{"env": {"DJANGO_SETTINGS_MODULE": "gone.settings"}}',
        "Dockerfile": "ENV DJANGO_SETTINGS_MODULE=old.settings\n",
    }
    warnings = find_project(str(layouts.write(tmp_path, tree)), None)["warnings"]
    assert isinstance(warnings, list)
    assert [warning.rpartition(": ")[2] for warning in warnings] == [
        "heroku config:set DJANGO_SETTINGS_MODULE=config.settings.production"
    ] * 3


@pytest.mark.parametrize("name", layouts.REFUSED)
def test_refusal_says_what_to_fix(name: str, tmp_path: Path) -> None:
    """A message that names the value and what to do."""
    tree, config, part = layouts.REFUSED[name]
    root = layouts.write(tmp_path / "repo", tree)

    with pytest.raises(ProjectError) as refusal:
        find_project(str(root), write_config(tmp_path / "env", dict(config)))

    message = str(refusal.value)
    assert message.startswith("Error: ")
    assert part in message
    assert "heroku " in message


@pytest.mark.parametrize("name", [*layouts.NOT_DJANGO, *layouts.NOT_SITES])
def test_what_is_not_a_site_is_refused(name: str, tmp_path: Path) -> None:
    """A library, a template, an example: with the reason and what to do."""
    tree, part = {**layouts.NOT_DJANGO, **layouts.NOT_SITES}[name]
    with pytest.raises(ProjectError) as refused:
        find_project(str(layouts.write(tmp_path / "repo", tree)), None)
    assert name in layouts.NOT_DJANGO or part in str(refused.value)
    assert "heroku config:" in str(refused.value)


def test_command_prints_json_alone(tmp_path: Path) -> None:
    """The command works with -I from any directory, and adds no byte code or other file to the tree."""
    root = layouts.write(tmp_path / "my site", layouts.site("backend/"))
    before = sorted(root.rglob("*"))

    ran = subprocess.run(
        [sys.executable, "-I", "-B", FINDER, str(root)], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert ran.stderr == ""
    assert json.loads(ran.stdout) == {
        "directory": "backend",
        "manage_py": "backend/manage.py",
        "wsgi_application": "shop.wsgi:application",
        "settings_module": "shop.settings",
        "candidates": [],
        "warnings": [],
        "reason": "backend/manage.py is Django's; the application: WSGI_APPLICATION in backend/shop/settings.py names "
        "it; the settings: backend/shop/wsgi.py names them.",
    }
    assert sorted(root.rglob("*")) == before


def test_command_refuses_with_status_65(tmp_path: Path) -> None:
    """The message is on standard error, nothing is on standard output."""
    ran = subprocess.run([sys.executable, "-I", "-B", FINDER, tmp_path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (65, "")
    assert ran.stderr.startswith("Error: No Django site")


def test_other_config_vars_stay_closed(tmp_path: Path) -> None:
    """Only those that the finder uses are opened: a pipe among the others would block whoever reads it."""
    root = layouts.write(tmp_path / "repo", layouts.site())
    env_dir = Path(write_config(tmp_path / "env", {"SECRET_KEY": "this-must-not-show", "HEADWAITER_APP": ""}))
    os.mkfifo(env_dir / "DATABASE_URL")

    found = find_project(str(root), str(env_dir))

    assert "this-must-not-show" not in json.dumps(found)
    assert found["wsgi_application"] == "shop.wsgi:application"


def test_pipes_devices_and_loops_are_left_alone(tmp_path: Path) -> None:
    """Nothing that isn't a regular file of the repository is opened, whatever its name."""
    root = layouts.write(tmp_path / "repo", layouts.site("backend/"))
    for name in ("manage.py", "wsgi.py", "app.json", "Procfile", "Dockerfile", "settings.py"):
        os.mkfifo(root / name)
    (root / "loop").symlink_to(".")
    (root / "self.py").symlink_to("self.py")
    (root / "zero.py").symlink_to("/dev/zero")
    (root / "passwd.py").symlink_to("/etc/passwd")

    assert find_project(str(root), None)["directory"] == "backend"


def test_link_inside_the_repository_counts(tmp_path: Path) -> None:
    """manage.py may be a symbolic link to a file of another name, not to one outside."""
    root = layouts.write(tmp_path / "repo", {**layouts.site(), "bin/django": layouts.manage()})
    (root / "manage.py").unlink()
    (root / "manage.py").symlink_to("bin/django")

    assert find_project(str(root), None)["manage_py"] == "manage.py"

    outside = layouts.write(tmp_path / "outside", {"wsgi.py": layouts.wsgi()}) / "wsgi.py"
    (root / "shop" / "wsgi.py").unlink()
    (root / "shop" / "wsgi.py").symlink_to(outside)
    with pytest.raises(ProjectError, match="has no WSGI application"):
        find_project(str(root), None)


def test_directory_that_leads_outside_is_refused(tmp_path: Path) -> None:
    """A symbolic link can't smuggle HEADWAITER_DIR out of the repository."""
    layouts.write(tmp_path / "outside", layouts.site())
    root = layouts.write(tmp_path / "repo", layouts.site())
    (root / "out").symlink_to("../outside")

    with pytest.raises(ProjectError, match="no such directory in the repository"):
        find_project(str(root), write_config(tmp_path / "env", {"HEADWAITER_DIR": "out"}))
