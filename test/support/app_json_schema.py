"""The schema of app.json, as far as this project's examples use it.

Source: https://devcenter.heroku.com/articles/app-json-schema (updated 2024-12-03). Unlike Heroku, it refuses keys that
it doesn't know: in our own examples such a key is a typing mistake.
"""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
URI = {"type": "string", "format": "uri"}


def objects(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def mapping(values: dict[str, Any], names: str = ".") -> dict[str, Any]:
    """An object with any property whose name matches the pattern."""
    return {"type": "object", "patternProperties": {names: values}, "additionalProperties": False}


VARIABLE = objects(
    [], description=TEXT, value=TEXT, required={"type": "boolean"}, generator={"type": "string", "const": "secret"}
)
ENVIRONMENT: dict[str, Any] = {
    "env": mapping({"anyOf": [TEXT, VARIABLE]}, r"^[A-Za-z_][A-Za-z0-9_]*$"),
    "formation": mapping(objects(["quantity"], quantity={"type": "integer", "minimum": 0}, size=TEXT)),
    "addons": {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string", "pattern": r"^[\w-]+(:[\w-]+)?$"},
                objects(["plan"], plan=TEXT, options={"type": "object"}, **{"as": TEXT}),
            ]
        },
    },
    "buildpacks": {"type": "array", "items": objects(["url"], url=TEXT)},
}
SCHEMA: dict[str, Any] = objects(
    [],
    name={"type": "string", "minLength": 3, "maxLength": 30},
    description={"type": "string", "maxLength": 140},
    keywords={"type": "array", "items": TEXT},
    website=URI,
    repository=URI,
    logo=URI,
    success_url=TEXT,
    stack={"enum": ["heroku-22", "heroku-24", "heroku-26"]},
    image=TEXT,
    scripts=objects([], postdeploy=TEXT, **{"pr-predestroy": TEXT}),
    environments=objects(
        [],
        test=objects([], scripts=objects([], test=TEXT, **{"test-setup": TEXT}), **ENVIRONMENT),
        review=objects([], scripts=objects([], postdeploy=TEXT, **{"pr-predestroy": TEXT}), **ENVIRONMENT),
        production=objects([], **ENVIRONMENT),
    ),
    **ENVIRONMENT,
)
