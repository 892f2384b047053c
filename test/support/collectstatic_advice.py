"""What to do where collectstatic fails: first the config var that the settings miss, then how to do without."""

from __future__ import annotations

import re
from collections.abc import Sequence

NAME = r"([A-Z][A-Z0-9_]*[A-Z0-9])\b"
VARIABLE = r"(?i:env(?:ironment)?[ _]?var(?:iable)?)"
# How the last line of a traceback names a variable that isn't set: os.environ, django-environ, environs, decouple, and
# what people write themselves.
MESSAGES = (
    rf"{VARIABLE}:? [\"'`]?{NAME}",
    rf"{NAME}[\"'`]? {VARIABLE}",
    rf": [\"'`]?{NAME}[\"'`]? .*{VARIABLE}",
)

MISSING = """
 !     The settings need the config var {name}, which isn't set. On Heroku:
 !       heroku config:set {name}=VALUE
 !     and here: make run RUN_OPTIONS='--env {name}=VALUE'"""
DISABLE = """
 !     {reason} A site without static files of its own can
 !     do without this step. On Heroku:
 !       heroku config:set DISABLE_COLLECTSTATIC=1
 !     and here: make run RUN_OPTIONS='--env DISABLE_COLLECTSTATIC=1'"""


def advice(output: Sequence[str]) -> str:
    """The lines for the log after this output of collectstatic."""
    name = missing_variable(output)
    if name:
        return MISSING.format(name=name) + DISABLE.format(reason="Or leave the step out.")
    return DISABLE.format(reason="The traceback above says why.")


def missing_variable(output: Sequence[str]) -> str | None:
    """The environment variable that the traceback's last line misses; None where it has another cause."""
    errors = [line for line in output if re.match(r"[A-Za-z_][\w.]*: ", line)]
    error = errors[-1] if errors else ""
    key = re.fullmatch(rf"KeyError: '{NAME}'", error)
    if key and any(re.search(r'(<frozen os>|/os\.py)", line \d+, in __getitem__', line) for line in output):
        return key[1]
    found = (re.search(message, error) for message in MESSAGES)
    return next((match[1] for match in found if match), None)
