"""Which command bin/test becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from buildpack.steps import run_tests

PROJECT: dict[str, str | None] = {
    "directory": "site",
    "manage_py": "site/manage.py",
    "settings_module": "shop.settings",
}
SETTINGS = {"DJANGO_SETTINGS_MODULE": "shop.settings"}
NAMES_SETTINGS = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.dev')\n"


@pytest.fixture
def build_dir(tmp_path: Path) -> Path:
    """A repository with a project in site/."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/manage.py").write_text(NAMES_SETTINGS)
    return tmp_path


def test_manage_py_test_with_its_own_settings(build_dir: Path) -> None:
    """What the developers run is what CI runs."""
    assert run_tests.command(build_dir, PROJECT) == (["python", "manage.py", "test", "--noinput"], {})


def test_a_manage_py_without_settings_gets_those_that_were_found(build_dir: Path) -> None:
    """It couldn't start otherwise."""
    (build_dir / "site/manage.py").write_text("execute_from_command_line\n")
    assert run_tests.command(build_dir, PROJECT) == (["python", "manage.py", "test", "--noinput"], SETTINGS)


def test_no_manage_py(build_dir: Path) -> None:
    """django-admin does the same."""
    (build_dir / "site/manage.py").unlink()
    assert run_tests.command(build_dir, PROJECT) == (["python", "-m", "django", "test", "--noinput"], SETTINGS)


@pytest.mark.parametrize("where", [".", "site"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\n"),
        ("pytest.ini", ""),
        ("pyproject.toml", "[tool.x]\n[tool.pytest.ini_options]\n"),
        ("setup.cfg", "[tool:pytest]\n"),
        ("tox.ini", "[tox]\n\n[pytest]\n"),
    ],
)
def test_pytest_where_the_project_is_set_up_for_it(build_dir: Path, where: str, name: str, text: str) -> None:
    """Its configuration counts in the project's directory and in the root."""
    (build_dir / where / name).write_text(text)
    assert run_tests.command(build_dir, PROJECT) == (["python", "-m", "pytest"], SETTINGS)


@pytest.mark.parametrize(("name", "text"), [("pyproject.toml", "[tool.ruff]\n"), ("tox.ini", "[tox]\n")])
def test_other_configuration_is_not_pytests(build_dir: Path, name: str, text: str) -> None:
    """A file's name alone says nothing."""
    (build_dir / name).write_text(text)
    assert run_tests.command(build_dir, PROJECT)[0][1] == "manage.py"


def test_settings_named_for_pytest_stay(build_dir: Path) -> None:
    """pytest-django would prefer the environment's."""
    (build_dir / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = shop.test\n")
    assert run_tests.command(build_dir, PROJECT) == (["python", "-m", "pytest"], {})


def test_pytest_that_is_not_installed_is_not_used(build_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """heroku/python may have left the development packages out."""
    (build_dir / "pytest.ini").write_text("")
    monkeypatch.setattr(run_tests, "find_spec", lambda name: None)
    assert run_tests.command(build_dir, PROJECT)[0][1] == "manage.py"
