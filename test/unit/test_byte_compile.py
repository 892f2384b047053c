"""The bytecode in the slug: compiled once, then from the build cache as long as it's of the same sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from buildpack.steps import byte_compile


def slug(folder: Path, source: str = "x = 1\n") -> Path:
    """A slug's directory of packages, with one module and no bytecode."""
    (folder / "python/shop").mkdir(parents=True)
    (folder / "python/shop/__init__.py").write_text(source)
    return folder / "python"


def build(directory: Path, cache: Path) -> dict[str, bytes]:
    """The bytecode that a build puts there."""
    assert byte_compile.main([str(directory), str(directory.parent), str(cache)]) == 0
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.pyc")}


def test_the_next_build_takes_it_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another directory too, with the same result."""
    first = build(slug(tmp_path / "first"), tmp_path / "bytecode")
    monkeypatch.setattr(byte_compile, "compile_all", lambda *_: pytest.fail("compiled again"))
    assert first
    assert build(slug(tmp_path / "second"), tmp_path / "bytecode") == first
    assert [path.name for path in tmp_path.glob("bytecode*")] == ["bytecode"]


def test_other_sources_and_another_python_are_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytecode that isn't of the sources would run unnoticed: nothing checks it on the dyno."""
    first = build(slug(tmp_path / "first"), tmp_path / "bytecode")
    assert build(slug(tmp_path / "second", "x = 2\n"), tmp_path / "bytecode") != first
    kept = (tmp_path / "bytecode").read_bytes()
    monkeypatch.setattr("sys.version", "4.0.0")
    build(slug(tmp_path / "third", "x = 2\n"), tmp_path / "bytecode")
    assert (tmp_path / "bytecode").read_bytes()[:32] != kept[:32]


@pytest.mark.parametrize("keep", [0, 10, 64, -1])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, keep: int) -> None:
    """Cut anywhere, or with a changed byte, it's as if it weren't there."""
    cache = tmp_path / "bytecode"
    first = build(slug(tmp_path / "first"), cache)
    whole = cache.read_bytes()
    for number, damaged in enumerate((whole[:keep], whole[:keep] + b"?" + whole[keep:][1:])):
        cache.write_bytes(damaged)
        assert build(slug(tmp_path / str(number)), cache) == first
        assert cache.read_bytes() == whole
