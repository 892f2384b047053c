"""Behind Heroku's router, in a real Django site, on every Python that is here and the Django and Waitress it has."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import pythons
from boot import Server, boot

pytestmark = pytest.mark.server

SITE = """
import django, json, os
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import ensure_csrf_cookie

@ensure_csrf_cookie
def show(request):
    return JsonResponse({
        "secure": request.is_secure(), "remote": request.META["REMOTE_ADDR"], "port": request.META["SERVER_PORT"],
        "url": request.build_absolute_uri("/"), "host": request.get_host(),
        "for": request.META.get("HTTP_X_FORWARDED_FOR"),
    })

urlpatterns = [path("", show)]
settings.configure(
    ALLOWED_HOSTS=["shop.example.com", "127.0.0.1"], SECRET_KEY="x" * 50, ROOT_URLCONF=__name__,
    SECURE_SSL_REDIRECT=True,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware"],
)
application = get_wsgi_application()
"""
ROUTER = {
    "Host": "shop.example.com",
    "X-Forwarded-For": "203.0.113.9, 198.51.100.7",  # the left one is what the client made up
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Host": "evil.example.net",
}


@pytest.fixture(scope="module", params=pythons.parameters())
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("site")
    (directory / "site_under_test.py").write_text(SITE)
    arguments = ("--processes=2", "--threads=2", "--port=0", "site_under_test:application")
    with boot(directory, *arguments, env={"DYNO": "web.1"}, python=pythons.python(request.param)) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log


def test_django_sees_the_client_and_not_the_router(server: Server) -> None:
    """is_secure() without SECURE_PROXY_SSL_HEADER, no redirect loop, the client's address, never the client's host."""
    answer = server.get("/", ROUTER)
    assert answer.status == 200, answer
    seen = json.loads(answer.body)
    assert seen.pop("for").endswith("198.51.100.7")  # Waitress before 3.0.2 leaves what the client made up in front
    assert seen == {
        "secure": True,
        "remote": "198.51.100.7",
        "port": "443",
        "url": "https://shop.example.com/",
        "host": "shop.example.com",
    }


def test_plain_http_is_redirected_once(server: Server) -> None:
    """The router says http, so SECURE_SSL_REDIRECT does its work."""
    answer = server.get("/", {**ROUTER, "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80"})
    assert (answer.status, answer.headers["location"]) == (301, "https://shop.example.com/")


@pytest.mark.parametrize(
    ("proto", "status"), [("http,https", 200), ("HTTPS", 200), ("wss", 200), ("https, https", 200), ("https,http", 301)]
)
def test_odd_schemes_do_not_break_honest_users(server: Server, proto: str, status: int) -> None:
    """Waitress alone answers 400 to these; the last word is the router's, as with X-Forwarded-For."""
    assert server.get("/", {**ROUTER, "X-Forwarded-Proto": proto}).status == status


@pytest.mark.parametrize(("origin", "status"), [("https://shop.example.com", 200), ("https://evil.example.net", 403)])
def test_csrf_checks_the_origin_that_the_browser_sees(server: Server, origin: str, status: int) -> None:
    """A form of the site is taken although the dyno itself speaks http; another site's isn't."""
    cookie = server.get("/", ROUTER).headers["set-cookie"].split(";")[0]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    token = cookie.partition("=")[2]
    headers = {**ROUTER, "Cookie": cookie, "X-CSRFToken": token, "Origin": origin}
    connection.request("POST", "/", b"", headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == status


def test_without_a_router_nobody_may_forge_these_headers(tmp_path: Path) -> None:
    """Off a dyno the headers are removed."""
    (tmp_path / "site_under_test.py").write_text(SITE.replace("SECURE_SSL_REDIRECT=True", "SECURE_SSL_REDIRECT=False"))
    with boot(tmp_path, "site_under_test:application") as server:
        seen = json.loads(server.get("/", ROUTER).body)
        assert (seen["secure"], seen["remote"], seen["for"]) == (False, "127.0.0.1", None)
