"""bin/detect on the layouts of test/support/layouts.py, and on generated trees: what the finder accepts passes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import layouts
import pytest
from buildpack.finder import ProjectError, find_project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DETECT = Path(__file__).parents[2] / "bin" / "detect"


def detect(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run bin/detect with a PATH on which Python and the network's tools fail."""
    poison = root.parent / "poison"
    poison.mkdir(exist_ok=True)
    for name in ("python", "python3", "curl", "wget", "git"):
        (poison / name).write_text("#!/bin/sh\necho this-must-not-run\nexit 99\n")
        (poison / name).chmod(0o755)
    env = {"PATH": f"{poison}:{os.environ['PATH']}", "HOME": str(root.parent), **environment}
    return subprocess.run(
        [DETECT, root], capture_output=True, env=env, cwd=root.parent, timeout=60, encoding="utf-8", errors="replace"
    )


@pytest.mark.parametrize("layout", [*layouts.WHERE, *layouts.APPLICATIONS], ids=lambda layout: layout.name)
def test_site_passes(layout: layouts.Layout, tmp_path: Path) -> None:
    """The name alone, on standard output. Which settings a site has makes no difference."""
    ran = detect(layouts.write(tmp_path / "my app", layout.tree))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Django (Waitress)\n", "")


@pytest.mark.parametrize("name", [*layouts.REFUSED, *layouts.NOT_SITES])
def test_django_that_cannot_be_served_passes(name: str, tmp_path: Path) -> None:
    """bin/compile refuses these, with a better message."""
    tree = layouts.REFUSED[name][0] if name in layouts.REFUSED else layouts.NOT_SITES[name][0]
    assert detect(layouts.write(tmp_path / "repo", tree)).returncode == 0


@pytest.mark.parametrize("name", layouts.NOT_DJANGO)
def test_other_repositories_fail(name: str, tmp_path: Path) -> None:
    """Status 1, standard output empty, the reason and what to do on standard error."""
    tree, part = layouts.NOT_DJANGO[name]
    ran = detect(layouts.write(tmp_path / "my app", tree))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: ")
    assert part in ran.stderr
    assert "HEADWAITER_DIR" in ran.stderr
    assert "unbound variable" not in ran.stderr


def test_a_directory_that_is_set_passes(tmp_path: Path) -> None:
    """HEADWAITER_DIR may be in app.json, or in the environment where a platform passes it; bin/compile checks it."""
    root = layouts.write(tmp_path / "repo", {"code.txt": ""})
    assert detect(root).returncode == 1
    assert detect(root, HEADWAITER_DIR="nowhere").returncode == 0
    advice = next(line for line in detect(root).stderr.splitlines() if "HEADWAITER_DIR" in line)
    (root / "app.json").write_text(advice)
    assert detect(root).stdout == "Django (Waitress)\n"


def test_a_single_file_is_named_as_the_message_says(tmp_path: Path) -> None:
    """The line can be put into the Procfile as it stands; the finder takes the site, too."""
    root = layouts.write(tmp_path / "repo", {"counter.py": layouts.NANODJANGO})
    assert detect(root, HEADWAITER_APP="counter:app").returncode == 0
    message = detect(root).stderr
    (root / "Procfile").write_text(next(line for line in message.splitlines() if "web: headwaiter" in line))
    assert detect(root).stdout == "Django (Waitress)\n"
    assert find_project(str(root), None)["wsgi_application"] == "counter:app"


PIECES = {
    "manage.py": [layouts.manage(), "from shop.cli import main\nmain()\n", "import os\n", "x = '#'; execute_manager()"],
    "wsgi": [layouts.wsgi(), "from django.core.wsgi import *\n", "application = None\n", "# get_wsgi_application\n"],
    "single": [
        layouts.NANODJANGO,
        "import os, \\\n  django\nif os:\n  app = 1\n",
        "from shop.conf import app\nsettings.configure()\n",
        "app = 1\n# import django",
    ],
    "settings": [layouts.SETTINGS, "from .base import *\n", "ROOT_URLCONF = 'shop.urls'\n", "DEBUG = 1\n"],
}
ROOT_FILES = {
    "Procfile": [
        "web: headwaiter counter:app\n",
        "worker: x\n  web: cd shop && waitress-serve --port=$PORT counter:app",
        "web: bin/start-pgbouncer headwaiter --threads 4 counter:app\n",
        "web: gunicorn counter:app\n",
        "web : headwaiter counter:app\n",
    ],
    "app.json": [
        '{"env": {"HEADWAITER_APP": "counter:app"}}',
        '{"env": {"HEADWAITER_DIR": {"value": "shop"}}}',
        '{"scripts": {"postdeploy": "headwaiter counter:app"}}',
    ],
}
FOLDERS = [
    "",
    "shop/",
    "backend/",
    "src/shop/",
    "config/settings/",
    "tests/",
    "example/",
    "a/b/c/d/e/f/g/",
    ".old/",
    "venv/",
]
NAMES = {
    "manage.py": ["manage.py"],
    "wsgi": ["wsgi.py", "wsgi_prod.py", "wsgi/__init__.py", "app.py"],
    "single": ["counter.py"],
    "settings": ["settings.py", "conf.py", "production.py", "base.py"],
}


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    """A repository of a few files, each more or less like those of a site."""
    tree = {"README": ""} | draw(
        st.fixed_dictionaries({}, optional={name: st.sampled_from(texts) for name, texts in ROOT_FILES.items()})
    )
    for kind, contents in PIECES.items():
        folders = ["", "shop/"] if kind == "single" else FOLDERS
        for folder in draw(st.lists(st.sampled_from(folders), max_size=2)):
            tree[folder + draw(st.sampled_from(NAMES[kind]))] = draw(st.sampled_from(contents))
    return {path: text for path, text in tree.items() if not any(other.startswith(path + "/") for other in tree)}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees())
def test_what_the_finder_accepts_passes(tree: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Otherwise Heroku would say that no buildpack is for it, and the finder's message would reach nobody."""
    root = layouts.write(tmp_path_factory.mktemp("generated"), tree)
    try:
        find_project(str(root), None)
    except ProjectError:
        return
    assert detect(root).returncode == 0, tree


@pytest.mark.parametrize(
    "settings_file", ["shop/conf.py", "shop/config/production.py", "config/production.py", "shop/config/__init__.py"]
)
def test_a_manage_py_that_calls_the_packages_main(settings_file: str, tmp_path: Path) -> None:
    """It names nothing of Django's; the WSGI module and the settings do, whatever they are called."""
    tree = {
        "manage.py": "from shop.cli import main\n\nmain()\n",
        "shop/wsgi.py": layouts.wsgi(settings_file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")),
        settings_file: layouts.SETTINGS,
    }
    root = layouts.write(tmp_path / "repo", tree)
    assert find_project(str(root), None)["wsgi_application"] == "shop.wsgi:application"
    assert detect(root).returncode == 0


def test_hostile_names_and_files(tmp_path: Path) -> None:
    """Pipes, loops, directories, unreadable and non-UTF-8 names: neither opened for ever nor printed raw."""
    root = layouts.write(tmp_path / "repo", {"manage.py/manage.py/x": "", "a\nb\x1b[31m/x": "", "-rf": ""})
    os.mkfifo(root / "wsgi.py")
    os.mkfifo(root / "app.json")
    (root / "loop").symlink_to(".")
    (root / "self").symlink_to("self")
    (root / "nowhere.py").symlink_to("/nowhere")
    (root / "zero").mkdir()
    (root / "zero" / "manage.py").symlink_to("/dev/zero")
    (root / "closed").mkdir(mode=0)
    with open(os.fsencode(root) + b"/caf\xe9.py", "wb") as file:
        file.write(b"\xff\x00")
    ran = detect(root)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "\x1b" not in ran.stderr
    layouts.write(root, layouts.site("caf\xe9 $(touch pwned)/"))
    assert detect(root).stdout == "Django (Waitress)\n"
    assert not list(tmp_path.rglob("pwned"))


def test_link_counts_inside_the_repository_only(tmp_path: Path) -> None:
    """manage.py may be a symbolic link to a file of the repository."""
    root = layouts.write(tmp_path / "repo", {"bin/django": layouts.manage()})
    outside = layouts.write(tmp_path / "outside", {"django": layouts.manage()}) / "django"
    link = root / "manage.py"
    link.symlink_to(outside)
    assert detect(root).returncode == 1
    link.unlink()
    link.symlink_to("bin/django")
    assert detect(root).returncode == 0
