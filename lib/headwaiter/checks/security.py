"""Keys, hosts, HTTPS and cookies.

What Django's own `check --deploy` says about them stands beside these: it isn't repeated here.
"""

from __future__ import annotations

from collections.abc import Iterator

from .registry import Seen, rule
from .site import LOCAL_HOSTS, Site

_SET_KEY = (
    'SECRET_KEY = os.environ["SECRET_KEY"]  and  heroku config:set SECRET_KEY="$(python -c '
    "'import secrets; print(secrets.token_urlsafe(50))')\""
)


@rule(
    "E001",
    "SECRET_KEY is another one at every boot",
    why="Dynos restart daily and at every deploy or config change: each time everybody is logged out, and with several "
    "dynos a login works on one of them only.",
    mend=_SET_KEY,
    dyno_only=True,
)
def secret_key_changes(site: Site) -> Iterator[Seen | str]:
    if site.secret_key_changes:
        made = f" (they call {site.secret_key_made_up})" if site.secret_key_made_up else ""
        yield f"loading the settings twice gave two different keys{made}"


@rule(
    "E002",
    "SECRET_KEY stands in the source",
    why="Whoever can read the repository, or the slug, can forge sessions and password reset links.",
    mend=_SET_KEY,
    dyno_only=True,
    covers=("security.W009",),
)
def secret_key_in_source(site: Site) -> Iterator[Seen | str]:
    if str(site.get("SECRET_KEY", "")).startswith("django-insecure-"):
        yield "SECRET_KEY begins with django-insecure-: it is the one startproject wrote into the settings"
    elif site.secret_key_in_source:
        yield "the key in force is written out in the settings' source"


@rule(
    "E015",
    "SECRET_KEY is empty",
    why="Django refuses to work without one: requests are answered with 500.",
    mend=_SET_KEY,
    covers=("security.W009",),
)
def secret_key_empty(site: Site) -> Iterator[Seen | str]:
    if not site.get("SECRET_KEY"):
        yield "SECRET_KEY is empty or isn't set"


@rule(
    "W003",
    "SECRET_KEY may be made up when it isn't set",
    why="A key that the settings make up and keep in a file is lost with the dyno's disk, at every restart.",
    mend=_SET_KEY,
    dyno_only=True,
)
def secret_key_made_up(site: Site) -> Iterator[Seen | str]:
    key = site.get("SECRET_KEY")
    kept = not site.secret_key_changes and not site.secret_key_in_source and key not in site.environ.values()
    if site.secret_key_made_up and kept:
        yield f"the settings call {site.secret_key_made_up} for it, and no config var holds the key in force"


@rule(
    "E004",
    "DEBUG is on",
    why="Every error page shows the site's settings and code to the world, and each query is kept in memory until R14.",
    mend='DEBUG = os.environ.get("DEBUG") == "1"  (and no such config var on Heroku)',
    dyno_only=True,
    covers=("security.W018",),
)
def debug_is_on(site: Site) -> Iterator[Seen | str]:
    if site.get("DEBUG"):
        yield f"DEBUG = True in {site.settings_module or 'the settings'}"


@rule(
    "E005",
    "ALLOWED_HOSTS lets nobody in",
    why="Every request is answered with 400 Bad Request.",
    mend='ALLOWED_HOSTS = ["www.example.com", "<app>.herokuapp.com"]  (the names in `heroku domains`)',
    covers=("security.W020",),
)
def no_allowed_hosts(site: Site) -> Iterator[Seen | str]:
    hosts = site.get("ALLOWED_HOSTS", [])
    if not hosts and (site.on_dyno or not site.get("DEBUG")):
        yield "ALLOWED_HOSTS = []"
    elif site.on_dyno and hosts and all(str(host).lower() in LOCAL_HOSTS | {".localhost"} for host in hosts):
        yield f"ALLOWED_HOSTS has this machine's own names only: {', '.join(map(str, hosts))}"


@rule(
    "W006",
    "ALLOWED_HOSTS lacks the app's own domain",
    why="Requests to that address are answered with 400 Bad Request.",
    mend='ALLOWED_HOSTS += [os.environ["HEROKU_APP_DEFAULT_DOMAIN_NAME"]]',
    dyno_only=True,
)
def default_domain_not_allowed(site: Site) -> Iterator[Seen | str]:
    from django.http.request import validate_host

    domain = site.environ.get("HEROKU_APP_DEFAULT_DOMAIN_NAME", "")
    hosts = site.get("ALLOWED_HOSTS", [])
    if domain and hosts and not validate_host(domain, hosts):
        yield f"HEROKU_APP_DEFAULT_DOMAIN_NAME is {domain}, which no entry matches"


@rule(
    "I007",
    'ALLOWED_HOSTS is ["*"]',
    why="Heroku's router only passes requests for the app's own domains, so this does no harm there; with a CDN in "
    "front that sets the Host header itself, or on another platform, links in password reset mails can be forged.",
    mend='ALLOWED_HOSTS = ["www.example.com", "<app>.herokuapp.com"]',
)
def any_host(site: Site) -> Iterator[Seen | str]:
    if "*" in site.get("ALLOWED_HOSTS", []):
        yield "ALLOWED_HOSTS contains *"


@rule(
    "E008",
    "SECURE_PROXY_SSL_HEADER never says https",
    why="Heroku's router sends X-Forwarded-Proto: https. A value that never matches makes every request look like "
    "http: SECURE_SSL_REDIRECT redirects for ever, and forms fail with 403.",
    mend='SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  (or none: headwaiter sets the scheme)',
)
def proxy_header_value(site: Site) -> Iterator[Seen | str]:
    header = site.get("SECURE_PROXY_SSL_HEADER")
    if header and header[0] == "HTTP_X_FORWARDED_PROTO" and header[1] != "https":
        yield f"SECURE_PROXY_SSL_HEADER = {tuple(header)!r}"


@rule(
    "W009",
    "SECURE_PROXY_SSL_HEADER names a header that anybody can send",
    why="Heroku's router sets X-Forwarded-Proto and passes every other header as the client sent it: a plain http "
    "request can call itself https.",
    mend="delete SECURE_PROXY_SSL_HEADER  (headwaiter sets the scheme from the router's header)",
)
def proxy_header_name(site: Site) -> Iterator[Seen | str]:
    header = site.get("SECURE_PROXY_SSL_HEADER")
    if header and header[0] != "HTTP_X_FORWARDED_PROTO":
        yield f"SECURE_PROXY_SSL_HEADER = {tuple(header)!r}"


@rule(
    "E010",
    "headwaiter was told not to trust the router",
    why="X-Forwarded-Proto is then removed and every request looks like http: SECURE_SSL_REDIRECT redirects for ever, "
    "forms on https pages fail with 403, and all clients seem to have the router's address.",
    mend="heroku config:unset HEADWAITER_TRUST_PROXY",
    dyno_only=True,
)
def router_not_trusted(site: Site) -> Iterator[Seen | str]:
    if not site.trust_proxy:
        redirect = " and SECURE_SSL_REDIRECT is on" if site.get("SECURE_SSL_REDIRECT") else ""
        yield f"the proxy isn't trusted (HEADWAITER_TRUST_PROXY){redirect}"


@rule(
    "W011",
    "USE_X_FORWARDED_HOST has nothing to read",
    why="Heroku's router passes X-Forwarded-Host as the client sent it, so headwaiter removes it: the site sees the "
    "Host header all the same.",
    mend="delete USE_X_FORWARDED_HOST  (behind a CDN, let it send the public name as Host)",
)
def forwarded_host(site: Site) -> Iterator[Seen | str]:
    if site.get("USE_X_FORWARDED_HOST"):
        yield "USE_X_FORWARDED_HOST = True"


@rule(
    "W012",
    "CSRF_TRUSTED_ORIGINS trusts every app on Heroku",
    why="Anybody can have a name below herokuapp.com and send forms to the site from it.",
    mend='CSRF_TRUSTED_ORIGINS = ["https://<app>.herokuapp.com"]',
)
def wide_trusted_origins(site: Site) -> Iterator[Seen | str]:
    wide = [origin for origin in site.get("CSRF_TRUSTED_ORIGINS", []) if str(origin).endswith("//*.herokuapp.com")]
    if wide:
        yield f"CSRF_TRUSTED_ORIGINS contains {', '.join(wide)}"


@rule(
    "W013",
    "CSRF_TRUSTED_ORIGINS has an address that isn't https",
    why="Origins are compared with their scheme, and browsers send https ones to a site that redirects to https: forms "
    "from that address fail with 403.",
    mend='CSRF_TRUSTED_ORIGINS = ["https://www.example.com"]',
)
def plain_trusted_origins(site: Site) -> Iterator[Seen | str]:
    origins = [str(origin) for origin in site.get("CSRF_TRUSTED_ORIGINS", [])]
    names = [origin.removeprefix("http://") for origin in origins if origin.startswith("http://")]
    plain = [n for n in names if f"https://{n}" not in origins and n.partition(":")[0] not in LOCAL_HOSTS]
    if plain and site.get("SECURE_SSL_REDIRECT"):
        yield f"CSRF_TRUSTED_ORIGINS contains http://{', http://'.join(plain)}, and SECURE_SSL_REDIRECT is on"


@rule(
    "E014",
    "A cookie's domain is herokuapp.com",
    why="Browsers refuse cookies for herokuapp.com (it is on the Public Suffix List): nobody can log in, every form "
    "fails with 403.",
    mend="SESSION_COOKIE_DOMAIN = CSRF_COOKIE_DOMAIN = None",
)
def cookie_domain(site: Site) -> Iterator[Seen | str]:
    for name in ("SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_DOMAIN", "LANGUAGE_COOKIE_DOMAIN"):
        if str(site.get(name) or "").lower().lstrip(".") == "herokuapp.com":
            yield Seen(f"{name} = {site.get(name)!r}", f"{name} = None")
