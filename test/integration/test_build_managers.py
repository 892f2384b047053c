"""Builds and Heroku CI runs of the same site with pip, Pipenv, Poetry and uv, and in other directories."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import heroku
import pytest

FIXTURES = heroku.BUILDPACK / "test/fixtures"
MANAGERS = heroku.BUILDPACK / ".tools/managers/bin"
MANAGER_NAMES = ["pip", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pipenv", "poetry", "uv"))]
HAS_PIP = {"pip": True, "pipenv": True, "poetry": False, "uv": False}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build cache for tests that aren't about it: each manager installs once."""
    return tmp_path_factory.mktemp("cache")


def site(folder: Path, manager: str, directory: str = ".") -> Path:
    """A repository: the minimal site in one of its directories, the manager's files in the root."""
    repository = folder / "repository"
    shutil.copytree(FIXTURES / "minimal_site", repository / directory)
    if manager == "pip":
        (repository / "requirements.txt").write_text("django<5.3\n")
    elif not (MANAGERS / manager).exists():
        pytest.skip(f"needs {manager}: make test-all")
    else:
        shutil.copytree(FIXTURES / "managers" / manager, repository, dirs_exist_ok=True)
    return repository


def first_answer(slug: heroku.Slug) -> int | None:
    """The status of the first answer of the released web process."""
    port = heroku.free_port()
    dyno = heroku.start_dyno(slug, slug.process_types["web"], port=port)
    try:
        return heroku.answer(f"http://127.0.0.1:{port}/", dyno)
    finally:
        heroku.stop_dyno(dyno)


@pytest.mark.parametrize("manager", MANAGER_NAMES)
def test_each_package_manager(manager: str, tmp_path: Path) -> None:
    """Waitress gets into the slug with and without a pip there, and the site answers."""
    if not HAS_PIP[manager] and importlib.util.find_spec("ensurepip") is None:  # heroku/python's Python has it
        pytest.skip("needs a Python with ensurepip, which Debian has apart: apt-get install python3-venv")
    slug = heroku.build(site(tmp_path, manager), tmp_path / "app", cache_dir=tmp_path / "cache", python=sys.executable)
    packages = next((slug.root / ".heroku/python/lib").glob("python3.*/site-packages"))
    assert (packages / "pip").is_dir() == HAS_PIP[manager]
    assert "Waitress 3.0.2, downloading" in slug.log
    assert first_answer(slug) == 200


@pytest.mark.parametrize("manager", MANAGER_NAMES)
def test_a_run_of_heroku_ci(manager: str, tmp_path: Path, cache: Path) -> None:
    """The build directory is /app itself and nothing is exported: test-compile, .profile.d, test."""
    repository = site(tmp_path, manager)
    app, env = tmp_path / "app", tmp_path / "env"
    shutil.copytree(repository, app)
    env.mkdir()
    scratch = {"TMPDIR": str(tmp_path)}  # uv leaves its locks there
    environment = heroku.scrubbed_environment(CI="true", INSTALL_TEST="1", DISABLE_COLLECTSTATIC="1", **scratch)
    folders = [str(app), str(cache), str(env)]
    options = ["--app-dir", str(app), "--export", str(tmp_path / "export"), "--python", sys.executable]
    stand_in = [sys.executable, str(heroku.BUILDPACK / "test/support/heroku_python.py"), *folders, *options]
    subprocess.run(stand_in, env=environment, check=True, capture_output=True)

    compiled = subprocess.run(
        [heroku.BUILDPACK / "bin/test-compile", *folders], env=environment, capture_output=True, check=False
    )
    assert compiled.returncode == 0, compiled.stdout
    slug = heroku.Slug(app, "", {}, {}, {"CI": "true"})
    command = f"{heroku.BUILDPACK}/bin/test {app} {env}"
    tested = heroku.start_dyno(slug, command, name="run.1", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = tested.communicate(timeout=120)
    assert tested.returncode == 0, output
    assert b"-----> Testing with manage.py test --noinput in ." in output
    assert b"Ran 1 test" in output

    (app / "minimal/tests.py").write_text((app / "minimal/tests.py").read_text().replace("hello", "goodbye"))
    failed = heroku.start_dyno(slug, command, name="run.1", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    failed.communicate(timeout=120)
    assert failed.returncode == 1


@pytest.mark.parametrize(
    ("directory", "command"),
    [
        ("src/back-end", "headwaiter --chdir=src/back-end minimal.wsgi:application"),
        ("my site", "headwaiter minimal.wsgi:application"),
    ],
)
def test_a_site_in_a_directory_of_the_repository(directory: str, command: str, tmp_path: Path, cache: Path) -> None:
    """It's started from there; a name that would need quotes is read from project.json."""
    repository = site(tmp_path, "pip", directory)
    slug = heroku.build(repository, tmp_path / "app", cache_dir=cache, python=sys.executable)
    assert slug.process_types["web"] == command
    assert first_answer(slug) == 200


@pytest.mark.parametrize("manager", MANAGER_NAMES)
def test_packages_below_the_root(manager: str, tmp_path: Path, cache: Path) -> None:
    """heroku/python finds none; the command that the error and docs/platforms.md give makes the build pass."""
    repository = site(tmp_path, manager)
    (repository / "backend").mkdir()
    for path in [path for path in repository.iterdir() if path.name != "backend"]:
        path.rename(repository / "backend" / path.name)
    with pytest.raises(heroku.BuildFailedError) as refused:
        heroku.build(repository, tmp_path / "app", cache_dir=cache, python=sys.executable)
    command = refused.value.log.rpartition("!       ")[2]
    assert f"`{command}`" in (heroku.BUILDPACK / "docs/platforms.md").read_text()
    if manager == "poetry":
        return  # its export is a plugin, which isn't among the tools

    environment = {**heroku.scrubbed_environment(), "PIPENV_IGNORE_VIRTUALENVS": "1", "WORKON_HOME": str(tmp_path)}
    environment["PATH"] = f"{MANAGERS}:{environment['PATH']}"
    subprocess.run(["bash", "-c", command], cwd=repository, env=environment, check=True, timeout=120)
    slug = heroku.build(repository, tmp_path / "app", cache_dir=cache, python=sys.executable)
    assert first_answer(slug) == 200


def test_directories_with_spaces(tmp_path: Path, cache: Path) -> None:
    """Build, cache and config var directories may have any name."""
    folder = tmp_path / "a b'c"
    folder.mkdir()
    my_cache = folder / "my cache"
    my_cache.symlink_to(cache)
    slug = heroku.build(site(folder, "pip"), folder / "my app", cache_dir=my_cache, python=sys.executable)
    assert first_answer(slug) == 200


def test_a_procfile_of_the_site_wins(tmp_path: Path, cache: Path) -> None:
    """As on Heroku; the log says so."""
    repository = site(tmp_path, "pip")
    (repository / "Procfile").write_text("web: waitress-serve --port=$PORT minimal.wsgi:application\n")
    slug = heroku.build(repository, tmp_path / "app", cache_dir=cache, python=sys.executable)
    assert slug.process_types["web"].startswith("waitress-serve")
    assert "It starts waitress-serve, not headwaiter." in slug.log
    assert first_answer(slug) == 200
