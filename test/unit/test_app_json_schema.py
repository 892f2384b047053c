"""The sample site's app.json against Heroku's schema: https://devcenter.heroku.com/articles/app-json-schema"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SAMPLE = Path(__file__).resolve().parents[1] / "fixtures/sample_site/app.json"

URI = {"type": "string", "pattern": "^https?://"}
ENV = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {
                    "description": {"type": "string"},
                    "value": {"type": "string"},
                    "required": {"type": "boolean"},
                    "generator": {"const": "secret"},
                },
                "additionalProperties": False,
            },
        ]
    },
}
FORMATION = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "quantity": {"type": "integer", "minimum": 0},
            "size": {"type": "string", "pattern": "^(?i:eco|basic|(standard|performance|private|shield)-[0-9a-z-]+)$"},
        },
        "additionalProperties": False,
    },
}
ADDONS = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string", "pattern": "^[a-z0-9-]+(:[a-z0-9-]+)?$"},
            {
                "type": "object",
                "required": ["plan"],
                "properties": {"plan": {"type": "string"}, "as": {"type": "string"}, "options": {"type": "object"}},
                "additionalProperties": False,
            },
        ]
    },
}
BUILDPACKS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["url"],
        "properties": {"url": {"type": "string", "pattern": r"^([a-z0-9-]+/[a-z0-9-]+|https://\S+)$"}},
        "additionalProperties": False,
    },
}


def scripts(*names: str) -> dict[str, Any]:
    """An object of commands."""
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "additionalProperties": False}


COMMON = {"env": ENV, "formation": FORMATION, "addons": ADDONS, "buildpacks": BUILDPACKS}
ENVIRONMENT = {
    "type": "object",
    "properties": {**COMMON, "scripts": scripts("postdeploy", "pr-predestroy")},
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "name": {"type": "string", "maxLength": 30},
        "description": {"type": "string"},
        "keywords": {"type": "array", "items": {"type": "string"}},
        "website": URI,
        "repository": URI,
        "logo": URI,
        "success_url": URI,
        "scripts": scripts("postdeploy", "pr-predestroy"),
        "stack": {"enum": ["heroku-22", "heroku-24", "heroku-26"]},
        "image": {"type": "string"},
        "environments": {
            "type": "object",
            "properties": {
                "test": {
                    "type": "object",
                    "properties": {**COMMON, "scripts": scripts("test-setup", "test")},
                    "additionalProperties": False,
                },
                "review": ENVIRONMENT,
                "production": ENVIRONMENT,
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def test_the_sample_follows_the_schema_and_uses_its_parts() -> None:
    """Buildpacks in the order that works, an add-on, a formation, and a test environment."""
    content = json.loads(SAMPLE.read_text())
    jsonschema.validate(content, SCHEMA)
    assert content["buildpacks"][0]["url"] == "heroku/python"
    assert len(content["buildpacks"]) == 2
    assert content["addons"]
    assert content["formation"]["web"]
    assert content["environments"]["test"]["scripts"]["test"]


def test_every_example_in_readme_follows_the_schema() -> None:
    """People copy it: each JSON block is a whole app.json, with heroku/python first."""
    readme = (SAMPLE.parents[3] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```json\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        content = json.loads(block)
        jsonschema.validate(content, SCHEMA)
        assert content["buildpacks"][0]["url"] == "heroku/python"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("addons", [{"as": "DATABASE"}]),
        ("buildpacks", ["heroku/python"]),
        ("formation", {"web": {"quantity": "2"}}),
        ("env", {"DEBUG": False}),
        ("environments", {"test": {"scripts": {"postdeploy": "x"}}}),
        ("procfile", "web: x"),
    ],
)
def test_the_schema_refuses_mistakes(key: str, value: object) -> None:
    """Else the test above couldn't fail."""
    content = copy.deepcopy(json.loads(SAMPLE.read_text()))
    content[key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA)
