"""Which Waitress, is it the right file, and what is known to be wrong with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from buildpack.steps import install_waitress

REQUIREMENTS = Path(install_waitress.__file__).parents[2] / "requirements.txt"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.0.2", False),
        ("3.0.1", False),
        ("3.0.0", True),
        ("2.1.2", True),
        ("3.1", False),
        ("10.0b1", False),
        ("3", True),
    ],
)
def test_known_vulnerabilities(version: str, expected: bool) -> None:
    """Every version before 3.0.1 has some."""
    assert install_waitress.is_vulnerable(version) is expected


def test_a_vulnerable_version_of_the_site_is_named_with_the_fixed_one() -> None:
    """The site's own Waitress stays; the log says what to ask for."""
    lines = install_waitress.describe_own("2.1.1", "3.0.2")
    assert lines[0] == "The site brings its own Waitress 2.1.1: that's the one that runs"
    assert "! Warning: Waitress 2.1.1 has known vulnerabilities:" in lines
    assert any("waitress>=3.0.2" in line for line in lines)
    assert install_waitress.describe_own("3.0.2", "3.0.2") == [
        "The site brings its own Waitress 3.0.2: that's the one that runs"
    ]


def test_the_lock_file_gives_version_and_hashes() -> None:
    """The real lib/requirements.txt: one version, a wheel and an archive."""
    version, hashes = install_waitress.pinned(REQUIREMENTS.read_text())
    assert not install_waitress.is_vulnerable(version)
    assert len(hashes) == 2


def test_pip_is_the_sites_own_or_a_wheel_of_ensurepip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python's own ensurepip has the wheel beside it, Debian's in another directory; else the user is told."""
    assert install_waitress.pip_command()[-2:] == ["-m", "pip"] or install_waitress.find_spec("pip") is None
    (tmp_path / "debian").mkdir()
    ensurepip = SimpleNamespace(origin=str(tmp_path / "ensurepip" / "__init__.py"))
    monkeypatch.setattr(install_waitress, "find_spec", {"pip": None, "ensurepip": ensurepip}.get)
    monkeypatch.setattr(install_waitress.sysconfig, "get_config_var", lambda _: str(tmp_path / "debian"))
    with pytest.raises(install_waitress.UserError, match="no pip to download Waitress with"):
        install_waitress.pip_command()
    (tmp_path / "debian" / "pip-23.0.1-py3-none-any.whl").touch()
    assert install_waitress.pip_command()[-1] == f"{tmp_path}/debian/pip-23.0.1-py3-none-any.whl/pip"
    (tmp_path / "ensurepip" / "_bundled").mkdir(parents=True)
    (tmp_path / "ensurepip" / "_bundled" / "pip-25.1-py3-none-any.whl").touch()
    assert install_waitress.pip_command()[-1] == f"{tmp_path}/ensurepip/_bundled/pip-25.1-py3-none-any.whl/pip"


def test_only_the_index_is_taken_from_config_vars(tmp_path: Path) -> None:
    """Values are data: what can't be in an environment, or isn't about the index, stays out of pip's environment."""
    (tmp_path / "PIP_INDEX_URL").write_text("https://user:secret@example.org/simple\n")
    (tmp_path / "PIP_TRUSTED_HOST").write_bytes(b"a\0b")
    (tmp_path / "SECRET_KEY").write_text("x")
    environment = install_waitress.pip_environment(str(tmp_path))
    assert environment["PIP_INDEX_URL"] == "https://user:secret@example.org/simple"
    assert "SECRET_KEY" not in environment
    assert environment.get("PIP_TRUSTED_HOST") != "a\0b"


def test_nothing_is_installed_beside_the_sites_own(tmp_path: Path) -> None:
    """The site's own wins, and no network is needed."""
    install_waitress.install(tmp_path / "cache", "", tmp_path, own="3.0.2")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable index is the user's affair: a message, no half of a file."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(install_waitress.UserError, match=r"couldn't be downloaded"):
        install_waitress.install(tmp_path, "", tmp_path / "target", own=None)
    assert list(tmp_path.iterdir()) == []
