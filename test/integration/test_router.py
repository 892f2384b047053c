"""Behind Heroku's router: who asks, over which scheme; and never by the client's own word."""

from __future__ import annotations

import pytest
from boot import Server
from worker import connect, read_answer, workers

pytestmark = pytest.mark.server


def told(server: Server, **headers: str) -> dict[str, str]:
    answer = server.get("/told", {name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status == 200, answer.text
    return dict(line.split("=", 1) for line in answer.text.splitlines())


def test_the_routers_headers_count_where_they_are_trusted() -> None:
    """Scheme, port and the last address; the host of the client's own making never."""
    with workers(settings={"trust_proxy": True}) as server:
        seen = told(
            server,
            X_Forwarded_Proto="https",
            X_Forwarded_Port="443",
            X_Forwarded_For="6.6.6.6, 203.0.113.7",
            X_Forwarded_Host="evil.example",
        )
        assert seen == {
            "wsgi.url_scheme": "https",
            "REMOTE_ADDR": "203.0.113.7",
            "SERVER_PORT": "443",
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_HOST": "None",
        }


def test_without_a_router_nothing_is_believed() -> None:
    """Anybody could send these headers."""
    with workers() as server:
        seen = told(server, X_Forwarded_Proto="https", X_Forwarded_For="6.6.6.6", X_Forwarded_Host="evil.example")
        assert (seen["wsgi.url_scheme"], seen["REMOTE_ADDR"]) == ("http", "127.0.0.1")
        assert (seen["HTTP_X_FORWARDED_PROTO"], seen["HTTP_X_FORWARDED_HOST"]) == ("None", "None")


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http,https", "https"),
        ("https, http", "http"),
        ("wss", "https"),
        ('"https"', "https"),
        ("", "http"),
        ("gopher", "http"),
        (",", "http"),
    ],
)
def test_odd_schemes_do_not_break_honest_users(value: str, scheme: str) -> None:
    """Waitress alone answers 400 to most of these. The last entry is the router's; an unknown one is never secure."""
    with workers(settings={"trust_proxy": True}) as server:
        seen = told(server, X_Forwarded_Proto=value, X_Forwarded_Port="443,80", X_Forwarded_For='"6.6.6.6, 203.0.113.7')
        assert seen["wsgi.url_scheme"] == scheme
        assert seen["HTTP_X_FORWARDED_PROTO"] == (scheme if scheme == "https" or "http" in value else "None")
        assert seen["REMOTE_ADDR"] == "203.0.113.7"


def test_the_user_may_choose_otherwise() -> None:
    """waitress-serve's own options keep their meaning."""
    options = {"trusted_proxy": "127.0.0.1", "trusted_proxy_headers": "x-forwarded-host x-forwarded-proto"}
    with workers(settings={"trust_proxy": True, "waitress": options}) as server:
        seen = told(server, X_Forwarded_Proto="https", X_Forwarded_For="6.6.6.6", X_Forwarded_Host="me.example")
        assert (seen["wsgi.url_scheme"], seen["REMOTE_ADDR"]) == ("https", "127.0.0.1")
        assert seen["HTTP_X_FORWARDED_HOST"] == "me.example"


def test_a_connection_outlives_the_routers_90_seconds() -> None:
    """Idle connections are closed later than by the router, or it would meet closed ones: H13, H18."""
    show = """
import headwaiter.server.worker as server
original = server.adjustments
def adjustments(*arguments):
    chosen = original(*arguments)
    print("timeout", chosen.channel_timeout, flush=True)
    return chosen
server.adjustments = adjustments
"""
    with workers(before=show) as server:
        assert int(server.wait_for(r"timeout (\d+)")[0][1]) > 90
        client = connect(server.port)
        for _ in range(3):
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(client)[0] == 200
