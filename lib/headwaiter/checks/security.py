"""Keys, hosts, HTTPS and cookies.

Only what Django's own deployment checks don't find.
"""

from __future__ import annotations

from collections.abc import Iterator

from .registry import rule
from .site import Site, is_local

_SET_KEY = (
    'In the settings: import os; SECRET_KEY = os.environ["SECRET_KEY"]. Before you deploy that:\n'
    "heroku config:set SECRET_KEY=\"$(python -c 'import secrets; print(secrets.token_urlsafe(50))')\""
)


@rule(
    "E001",
    "SECRET_KEY changes at every boot",
    why="Dynos restart at least once a day and at every deploy: each time all users are logged out, and with several "
    "dynos a login works on one of them only.",
    fix=_SET_KEY,
    dyno_only=True,
)
def secret_key_changes(site: Site) -> Iterator[str]:
    if site.secret_key_changes:
        yield "loading the site again gave another key"


@rule(
    "E002",
    "SECRET_KEY is in the source",
    why="Anyone who can read the repository can forge sessions and password reset links.",
    fix=_SET_KEY,
    dyno_only=True,
)
def secret_key_in_source(site: Site) -> Iterator[str]:
    if site.secret_key_in_source and not str(site.get("SECRET_KEY")).startswith("django-insecure-"):  # security.W009
        yield "the key in use is a string in the settings"


@rule(
    "E005",
    "ALLOWED_HOSTS lacks the app's own domain",
    why="Django answers requests for that domain with 400 Bad Request.",
    fix='Add the names that `heroku domains` shows:\nALLOWED_HOSTS += [".herokuapp.com"]',
    dyno_only=True,
)
def own_domain_not_allowed(site: Site) -> Iterator[str | tuple[str, str]]:
    from django.http.request import validate_host

    hosts = [str(host) for host in site.get("ALLOWED_HOSTS", [])]
    domain = site.environ.get("HEROKU_APP_DEFAULT_DOMAIN_NAME")
    if not hosts:
        return  # security.W020
    if domain and not validate_host(domain, hosts):
        yield f"it does not match {domain}", f'ALLOWED_HOSTS += ["{domain}"]'
    elif all(map(is_local, hosts)):
        yield f"it has only {', '.join(hosts)}"


@rule(
    "E008",
    "SECURE_PROXY_SSL_HEADER names the wrong header or value",
    why="Heroku's router sets X-Forwarded-Proto to https and passes on every other header as the client sent it. "
    "Requests over https then look like http, or a client can claim https.",
    fix='SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")',
)
def proxy_header(site: Site) -> Iterator[str]:
    header = site.get("SECURE_PROXY_SSL_HEADER")
    if header and tuple(header) != ("HTTP_X_FORWARDED_PROTO", "https"):
        yield f"it is {tuple(header)!r}"


@rule(
    "W011",
    "USE_X_FORWARDED_HOST has no effect",
    why="Heroku's router passes X-Forwarded-Host on as the client sent it, so headwaiter removes it. Behind a CDN, let "
    "the CDN send the public name as Host.",
    fix="USE_X_FORWARDED_HOST = False",
)
def forwarded_host(site: Site) -> Iterator[str]:
    if site.get("USE_X_FORWARDED_HOST"):
        yield "it is True"


@rule(
    "W012",
    "CSRF_TRUSTED_ORIGINS trusts every app on Heroku",
    why="Anyone can create an app with a name under herokuapp.com and send forms to the site from it. Forms of the "
    "site itself need no entry.",
    fix="CSRF_TRUSTED_ORIGINS = []",
)
def wide_trusted_origins(site: Site) -> Iterator[str]:
    origins = [str(origin) for origin in site.get("CSRF_TRUSTED_ORIGINS", [])]
    if any(origin.endswith("//*.herokuapp.com") for origin in origins):
        yield "it contains *.herokuapp.com"
