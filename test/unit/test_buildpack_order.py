"""Whether the repository's own list has heroku/python too late."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from buildpack.steps import buildpack_order

OURS = "https://github.com/OWNER/heroku-buildpack-django-waitress#v1"


@pytest.mark.parametrize(
    ("buildpacks", "verdict"),
    [
        (["heroku/python", OURS], "unknown"),
        ([OURS, "heroku/python"], "after"),
        ([OURS, "https://github.com/heroku/heroku-buildpack-python.git"], "after"),
        (["heroku/nodejs", OURS], "absent"),
        (["heroku/python"], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_order(buildpacks: list[str], verdict: str) -> None:
    """heroku/python by its registry name or its repository."""
    assert buildpack_order.order(buildpacks) == verdict


@pytest.mark.parametrize(
    "text", ["", "[]", '{"buildpacks": "x"}', '{"buildpacks": [1]}', '{"buildpacks": [{"url": 1}]}']
)
def test_a_strange_app_json_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """It's a hint for an error message, no reason for another error."""
    (tmp_path / "app.json").write_text(text)
    assert buildpack_order.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "unknown:\n"


def test_dokkus_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a buildpack, where app.json says nothing."""
    (tmp_path / "app.json").write_text(json.dumps({"name": "x"}))
    (tmp_path / ".buildpacks").write_text(f"{OURS}\nhttps://github.com/heroku/heroku-buildpack-python\n")
    assert buildpack_order.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "after:.buildpacks\n"
