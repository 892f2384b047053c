"""Every case of docs/requests.md, whole and byte by byte; and what is refused stays refused between other requests."""

from __future__ import annotations

import pytest
from parsing import read
from request_cases import CASES, DOCUMENT, Case, document, get, outcome


def name(case: Case) -> str:
    return f"{case.suite}: {case.about}"


@pytest.mark.parametrize("case", CASES, ids=name)
@pytest.mark.parametrize("recv", [32 * 1024, 7, 1])
def test_what_becomes_of_a_request(case: Case, recv: int) -> None:
    """However the bytes arrive."""
    assert outcome(case.data, recv=recv, peer=case.peer) == case.outcome


@pytest.mark.parametrize("case", [case for case in CASES if case.outcome[0].isdigit()], ids=name)
def test_nothing_is_read_after_a_refusal(case: Case) -> None:
    """Nor is what came before it lost."""
    before = outcome(get(b"/before"), peer=case.peer)
    assert outcome(get(b"/before") + case.data + get(b"/after"), peer=case.peer) == f"{before}; {case.outcome}"


def test_each_difference_has_its_reason() -> None:
    """Where gunicorn or llhttp decide otherwise."""
    assert [case.about for case in CASES if case.differs and not case.why] == []


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "::1", "fd00::1", "::ffff:10.1.2.3", "unix"])
def test_a_health_check_needs_no_host(peer: str) -> None:
    """From a private address, and not through a proxy."""
    assert read(b"GET / HTTP/1.1\r\n\r\n", peer=peer)[0].error is None
    assert read(b"GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", peer=peer)[0].error.code == 400


def test_no_name_comes_twice() -> None:
    """The tests and the page name the cases."""
    names = [name(case) for case in CASES]
    assert len(names) == len(set(names))


def test_the_page_says_what_the_cases_say() -> None:
    """Run `python test/support/request_cases.py` with PYTHONPATH=lib after a change."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()
