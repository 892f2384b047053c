"""Each case of docs/requests.md is refused, or seen by the app, as the page says."""

from __future__ import annotations

import pytest
import request_cases
from headwaiter.server.request import Parser
from parsing import read
from request_cases import CASES, Case

PUBLIC = "8.8.8.8"


def seen(requests: list[Parser], expected: str) -> str:
    """What the app sees, in the form of Case.expected."""
    name, colon, _ = expected.partition(": ")
    if colon:
        return f"{name}: {requests[0].headers.get(name)}"
    return ", ".join(f"{one.command} {one.path} {one.get_body_stream().read().decode()}".rstrip() for one in requests)


@pytest.mark.parametrize("recv", [32 * 1024, 1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_case(case: Case, recv: int) -> None:
    """In one piece, and byte by byte."""
    requests = read(case.data, recv=recv, peer=PUBLIC)
    errors = [one.error.code for one in requests if one.error]
    if isinstance(case.expected, int):
        assert errors == [case.expected]
        assert len(requests) == 1
    else:
        assert errors == []
        assert all(one.completed for one in requests)
        assert seen(requests, case.expected) == case.expected


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "::1", "fd00::1", "::ffff:10.1.2.3", "unix"])
def test_a_health_check_needs_no_host(peer: str) -> None:
    """From a private address, and not through a proxy."""
    assert read(b"GET / HTTP/1.1\r\n\r\n", peer=peer)[0].error is None
    assert read(b"GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", peer=peer)[0].error.code == 400


def test_the_page_is_up_to_date() -> None:
    """Run `python test/support/request_cases.py` with PYTHONPATH=lib after a change."""
    assert request_cases.DOCUMENT.read_text(encoding="utf-8") == request_cases.document()
