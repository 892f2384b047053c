"""Every app.json that this project shows to people is one that Heroku takes."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from app_json_schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = json.loads((ROOT / "test/fixtures/sample_site/app.json").read_text(encoding="utf-8"))


def examples() -> dict[str, Any]:
    """The fixtures' app.json files, and README's JSON blocks, by where they are."""
    found = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in ROOT.glob("test/fixtures/*/app.json")
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```json\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    found.update({f"README.md, JSON block {number}": block for number, block in enumerate(blocks, 1)})
    return found


@pytest.mark.parametrize("where", examples())
def test_the_example_is_valid(where: str) -> None:
    """It fits the schema of the platform, and lists heroku/python before this buildpack."""
    found = json.loads(examples()[where])
    jsonschema.validate(found, SCHEMA)
    urls = [entry["url"] for entry in found["buildpacks"]]
    assert urls[0] == "heroku/python"
    assert "django-waitress" in urls[-1]


def test_readme_has_an_example() -> None:
    """Otherwise the test above would check less than it says."""
    assert any(where.startswith("README") for where in examples())


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("buildpack", []),
        ("buildpacks", ["heroku/python"]),
        ("addons", "heroku-postgresql"),
        ("formation", {"web": {"quantity": "2"}}),
        ("env", {"SECRET KEY": ""}),
        ("environments", {"staging": {}}),
    ],
)
def test_the_schema_refuses_mistakes(key: str, wrong: object) -> None:
    """The usual ones: a misspelt key, a list of names where objects belong, a number in quotes."""
    broken = {**copy.deepcopy(SAMPLE), key: wrong}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)
