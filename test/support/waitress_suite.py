"""A pytest plugin that puts our server under Waitress's own functional tests: `pytest -p waitress_suite FILE`."""

from __future__ import annotations

import socket
import tempfile
from typing import Any

import pytest
from headwaiter.server.worker import serve
from headwaiter.settings import Settings

# Tests that can't hold for us, each with its reason.
_TEXT = "the app writes text where bytes are due: we answer 500 instead of an empty 200"
EXCLUDED: dict[str, str] = {"test_after_write_cb": _TEXT, "test_in_generator": _TEXT}


class OurServer:
    """Has the interface that Waitress's tests use of their own fixtures: `Server(app, queue, **adjustments).run()`."""

    family = socket.AF_INET

    def __init__(self, application: Any, queue: Any, **adjustments: Any) -> None:
        self.application = application
        self.listener = self.bind()
        threads = adjustments.pop("threads", 4)
        # The tests expect Waitress's name in the Server header, which we leave out.
        self.settings = Settings(waitress={"ident": "waitress", **adjustments}, drain_seconds=5, trust_proxy=False)
        self.threads = threads
        queue.put(self.listener.getsockname())

    def bind(self) -> socket.socket:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return listener

    def run(self) -> None:
        serve(self.application, [self.listener], self.settings, threads=self.threads)


class OurUnixServer(OurServer):
    family = socket.AF_UNIX

    def bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(tempfile.mktemp(suffix=".sock"))
        listener.listen()
        return listener


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Exchange the servers, and skip what is excluded."""
    for item in items:
        module = item.module  # type: ignore[attr-defined]
        module.TcpTests.server = OurServer
        if hasattr(module, "UnixTests"):
            module.UnixTests.server = OurUnixServer
        reason = EXCLUDED.get(item.name)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
