"""What .github/workflows/ci.yml names is there, and its actions can't change by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pythons
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
STEPS = [step for job in yaml.safe_load(TEXT)["jobs"].values() for step in job["steps"]]


def test_actions_are_pinned_by_commit() -> None:
    """A tag may be moved."""
    actions = re.findall(r"\buses: (.*)", TEXT)
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_every_supported_python_is_installed() -> None:
    """Tests skip a version that isn't here."""
    [versions] = [step["with"]["python-version"] for step in STEPS if "setup-python" in step.get("uses", "")]
    assert sorted(versions.split()) == sorted(pythons.VERSIONS)


def test_scripts_that_are_run_exist() -> None:
    """From the root of the checkout, or of its directory `buildpack`."""
    named = {path for step in STEPS for path in re.findall(r"(?:\bscripts|\.ci)/[\w./-]+", step.get("run", ""))}
    assert named >= {".ci/run", "scripts/fresh.sh", "scripts/testrunner.sh"}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []
