"""The listening sockets, without a server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from boot import environment

BIND = """
import os
from headwaiter.server import listen
from headwaiter.settings import Settings
sockets = listen.bind(Settings(listen=("site.sock",)))
assert os.path.exists("site.sock")
"""
REPLACE = """
import socket
os.rename("site.sock", "old.sock")
socket.socket(socket.AF_UNIX).bind("site.sock")
"""
CHILD = """
import sys
if os.fork():
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
sys.exit(0)
"""


@pytest.mark.parametrize(("then", "stays"), [("", False), ("os.chdir('/')", False), (REPLACE, True), (CHILD, True)])
def test_the_file_of_a_unix_socket_goes_with_the_process_that_bound_it(tmp_path: Path, then: str, stays: bool) -> None:
    """Not with a worker, and not when another server has put its own there."""
    subprocess.run([sys.executable, "-c", BIND + then], cwd=tmp_path, env=environment(), check=True, timeout=60)
    assert (tmp_path / "site.sock").exists() == stays
