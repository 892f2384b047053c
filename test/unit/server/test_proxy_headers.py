"""Reading what the router says: nothing a client sends breaks it, and nothing unknown counts as secure."""

from __future__ import annotations

import pytest
from headwaiter.server import proxy_headers
from hypothesis import given
from hypothesis import strategies as st

HEADERS = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"})
latin1 = st.text(st.characters(max_codepoint=255))
lists = st.lists(st.sampled_from(["https", "http", "HTTPS", " wss", '"https"', "", "gopher", "\t"])).map(",".join)


@given(lists | latin1)
def test_a_scheme_is_plain_or_nothing(value: str) -> None:
    """Waitress takes http and https alone."""
    assert proxy_headers.scheme(value) in ("http", "https", None)


@given(latin1)
def test_only_the_last_entry_decides(value: str) -> None:
    """A client can put anything in front of what the router appends."""
    assert proxy_headers.scheme(value + ",https") == "https"
    assert proxy_headers.scheme(value + ",http") == "http"
    assert proxy_headers.scheme(value + ",unknown") is None


@pytest.mark.parametrize(("count", "scheme"), [(1, "http"), (2, "https"), (3, "https"), (9, "https")])
def test_several_trusted_proxies(count: int, scheme: str) -> None:
    """The outermost trusted one knows what the client used."""
    assert proxy_headers.scheme("https,https,http", count) == scheme


@pytest.mark.parametrize(
    ("value", "port"), [("443", "443"), ("80, 8443", "8443"), ("0", None), ("65536", None), ("٤٤٣", None), ("x", None)]
)
def test_ports(value: str, port: str | None) -> None:
    """A number between 1 and 65535, in plain digits."""
    assert proxy_headers.port(value) == port


@given(latin1, latin1, latin1, st.integers(1, 4))
def test_whatever_comes_waitress_takes_the_result(proto: str, port: str, addresses: str, count: int) -> None:
    """No answer 400 for anybody: Waitress's own parser is asked."""
    from waitress.proxy_headers import parse_proxy_headers

    environ = {
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_PROTO": proto,
        "HTTP_X_FORWARDED_PORT": port,
        "HTTP_X_FORWARDED_FOR": addresses,
    }
    proxy_headers.normalise(environ, HEADERS, count)
    parse_proxy_headers(environ, trusted_proxy_count=count, trusted_proxy_headers=HEADERS)
    assert environ["wsgi.url_scheme"] in ("http", "https")


def test_only_trusted_headers_are_touched() -> None:
    """The others are Waitress's business."""
    environ = {"HTTP_X_FORWARDED_PROTO": "odd", "HTTP_X_FORWARDED_PORT": "odd"}
    proxy_headers.normalise(environ, frozenset({"x-forwarded-port"}), 1)
    assert environ == {"HTTP_X_FORWARDED_PROTO": "odd"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1700000000000", 5.0),  # Heroku: milliseconds
        ("t=1700000000000000", 5.0),
        ("t=1700000000.000", 5.0),
        ("1700000000", 5.0),
        ("1700000006000", 0.0),  # a clock one second ahead
        ("1700000100000", None),
        ("1600000000000", None),
        ("", None),
        ("t=", None),
        ("soon", None),
    ],
)
def test_request_start(value: str, seconds: float | None) -> None:
    """Three units and two spellings are in use; nonsense is no time at all."""
    assert proxy_headers.seconds_since_start(value, now=1_700_000_005.0) == seconds


@given(latin1 | st.integers().map(str) | st.floats().map(lambda number: f"t={number}"))
def test_request_start_never_fails(value: str) -> None:
    """It's only for the log."""
    waited = proxy_headers.seconds_since_start(value)
    assert waited is None or 0 <= waited < proxy_headers.LONGEST_WAIT
