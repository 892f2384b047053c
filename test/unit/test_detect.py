"""bin/detect on every layout of test/support/layouts.py. It agrees with the finder, whose rules it has in bash."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import layouts
import pytest

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


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_site_passes(layout: layouts.Layout, tmp_path: Path) -> None:
    """The name alone, on standard output."""
    ran = detect(layouts.write(tmp_path / "my app", layout.tree))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Django (Waitress)\n", "")


@pytest.mark.parametrize("name", layouts.REFUSED)
def test_site_that_cannot_be_served_passes(name: str, tmp_path: Path) -> None:
    """bin/compile refuses these, with a better message."""
    assert detect(layouts.write(tmp_path / "repo", layouts.REFUSED[name][0])).returncode == 0


@pytest.mark.parametrize("name", layouts.NOT_SITES)
def test_other_repositories_fail(name: str, tmp_path: Path) -> None:
    """Status 1, standard output empty, the reason and what to do on standard error."""
    tree, part = layouts.NOT_SITES[name]
    ran = detect(layouts.write(tmp_path / "my app", tree))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: ")
    assert part in ran.stderr
    assert "HEADWAITER_DIR" in ran.stderr
    assert "unbound variable" not in ran.stderr


def test_environment_points_too(tmp_path: Path) -> None:
    """HEADWAITER_DIR may come from the environment where a platform passes it; it wins over app.json."""
    tree = {**layouts.NOT_SITES["library_with_example"][0], "app.json": '{"env": {"HEADWAITER_DIR": "gone"}}'}
    root = layouts.write(tmp_path / "repo", tree)
    assert detect(root, HEADWAITER_DIR="example").returncode == 0
    assert "'nowhere', and there is no such directory" in detect(root, HEADWAITER_DIR="nowhere").stderr
    assert "'gone', and there is no such directory" in detect(root).stderr


def test_advice_works_as_given(tmp_path: Path) -> None:
    """The app.json that the message proposes makes detect pass."""
    root = layouts.write(tmp_path / "repo", layouts.NOT_SITES["library_with_example"][0])
    advice = next(line for line in detect(root).stderr.splitlines() if "HEADWAITER_DIR" in line)
    (root / "app.json").write_text(advice)
    assert detect(root).stdout == "Django (Waitress)\n"


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
