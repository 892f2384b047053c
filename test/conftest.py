"""What all tests share: the markers' meaning, and fixtures that more than one file uses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")
os.environ["PATH"] = f"{Path(__file__).parents[1] / '.tools/bin'}:{os.environ['PATH']}"  # scripts/tools.sh programs

NEEDS_ROOT = pytest.mark.skip(reason="needs root: sudo make test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs root where we aren't: `make test` started by root runs it."""
    for item in items:
        if os.getuid() and item.get_closest_marker("root"):
            item.add_marker(NEEDS_ROOT)


@pytest.fixture(scope="session")
def container() -> tuple[str, ...]:
    """The command in front that makes a server process 1, as in Docker; `boot()` then sees it as a child."""
    own_processes = ("--fork", "--pid", "--mount-proc", "--kill-child")
    for user in ([], ["--user", "--map-current-user"]):
        wrapper = ("unshare", *user, *own_processes)
        if not subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode:
            return wrapper
    pytest.skip("the kernel allows no namespaces here: sudo make test")
