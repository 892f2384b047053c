"""Each rule of `headwaiter check`: a site that has what it looks for, and good sites that haven't."""

from __future__ import annotations

from typing import Any

import pytest
from check_sites import DATABASE, DATABASE_HOST, DATABASE_URL, MIDDLEWARE, SQLITE, site
from headwaiter.checks import RULES, examine
from headwaiter.checks.site import Site


def found(site: Site) -> list[str]:
    """The codes found at a site, E001 for headwaiter.E001; every rule could be examined."""
    findings, skipped = examine(site)
    assert not [each for each in skipped if "could not" in each.reason]
    return [finding.id.removeprefix("headwaiter.") for finding in findings]


def database(**changes: Any) -> dict[str, Any]:
    return {"DATABASES": {"default": DATABASE | changes}}


def cache(backend: str, location: str = "", **options: Any) -> dict[str, Any]:
    return {"CACHES": {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}}


def laptop(**facts: Any) -> dict[str, Any]:
    """The facts away from a dyno, without config vars."""
    return {"on_dyno": False, "environ": {"DYNO": None, "DATABASE_URL": None}, **facts}


LOCMEM, REDIS = "django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.redis.RedisCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
SESSIONS = "django.contrib.sessions.backends."
MAIL = "django.core.mail.backends."
STATIC_FILES_BEFORE_4_2 = "django.contrib.staticfiles.storage.StaticFilesStorage"
HEROKU_REDIS = "rediss://:secret@ec2-9.compute-1.amazonaws.com:6380"
POOLED_URL = DATABASE_URL.replace("5432", "5433")
PGBOUNCER = "postgres://someone:correct-horse-battery@127.0.0.1:6000/d1abc"
FORMATION = {"formation": {"web": {"quantity": 2, "size": "standard-2x"}}}


def view() -> None:
    """Stands for a WSGI application that wraps another one."""


def without(name: str) -> dict[str, Any]:
    return {"MIDDLEWARE": [path for path in MIDDLEWARE if name not in path]}


# Code -> the settings and the facts that make the good site a bad one.
BAD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("E001", {}, {"secret_key_changes": True}),
    ("E002", {"SECRET_KEY": "django-insecure-abcdefghijklmnopqrstuvwxyz"}, {}),
    ("E002", {}, {"secret_key_in_source": True}),
    ("E015", {"SECRET_KEY": ""}, {}),
    ("W003", {}, {"secret_key_made_up": "get_random_secret_key()", "environ": {"DJANGO_SECRET_KEY": None}}),
    ("E004", {"DEBUG": True}, {}),
    ("E005", {"ALLOWED_HOSTS": []}, {}),
    ("E005", {"ALLOWED_HOSTS": []}, laptop()),
    ("E005", {"ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, {}),
    ("W006", {}, {"environ": {"HEROKU_APP_DEFAULT_DOMAIN_NAME": "other-5678.herokuapp.com"}}),
    ("I007", {"ALLOWED_HOSTS": ["*"]}, {}),
    ("E008", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "on")}, {}),
    ("W009", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_SSL", "on")}, {}),
    ("E010", {}, {"trust_proxy": False}),
    ("W011", {"USE_X_FORWARDED_HOST": True}, {}),
    ("W012", {"CSRF_TRUSTED_ORIGINS": ["https://*.herokuapp.com"]}, {}),
    ("W013", {"CSRF_TRUSTED_ORIGINS": ["http://www.example.com"]}, {}),
    ("E014", {"CSRF_COOKIE_DOMAIN": ".herokuapp.com"}, {}),
    ("E101", database(HOST="db.example.com"), {}),
    ("E103", {"DATABASES": {"default": SQLITE}}, {}),
    ("E103", {"DATABASES": {"default": SQLITE}}, laptop(reads_database_url=False)),
    ("E101", database(HOST="db.example.com"), laptop(reads_database_url=False)),
    ("E101", {}, {"reads_database_url": False}),
    ("E102", database(PASSWORD="older"), {}),
    ("E103", {"DATABASES": {"default": SQLITE}}, {"environ": {"DATABASE_URL": None}, "reads_database_url": True}),
    ("W104", {"DATABASES": {"default": DATABASE, "geo": SQLITE}}, {}),
    ("E105", database(HOST="localhost"), {"environ": {"DATABASE_URL": None}}),
    ("E105", database(HOST=""), {"environ": {"DATABASE_URL": None}}),
    ("W106", database(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=False), {}),
    ("W107", database(CONN_HEALTH_CHECKS=False), {}),
    ("E108", database(OPTIONS={"sslmode": "disable"}), {}),
    ("I109", database(OPTIONS={}), {}),
    ("W110", database(PORT=5433), {}),
    ("W110", database(PORT=6543), {"environ": {"DATABASE_CONNECTION_POOL_URL": POOLED_URL.replace("5433", "6543")}}),
    ("W110", database(HOST="127.0.0.1", PORT="6000"), {"environ": {"DATABASE_URL": PGBOUNCER}}),
    ("W111", {}, {"database_error": "OperationalError: no answer", "pending_migrations": None}),
    ("W111", {}, {"database_error": "OperationalError: no answer", "budget_warnings": ("its limit is a guess",)}),
    ("E112", {}, {"pending_migrations": ("auth.0001_initial",), "procfile": {}}),
    ("W113", {}, {"pending_migrations": ("auth.0001_initial",)}),
    ("I114", {}, {"procfile": {}}),
    ("I114", {}, {"procfile": None, "project": {"release_process": False}}),
    ("W201", without("whitenoise"), {}),
    ("W201", {**without("whitenoise"), "STORAGES": None, "STATICFILES_STORAGE": STATIC_FILES_BEFORE_4_2}, {}),
    ("E202", {"STATIC_ROOT": None}, {}),
    ("E203", {}, {"static_manifest_missing": "staticfiles/staticfiles.json"}),
    ("E203", {"STATIC_ROOT": "/nowhere"}, {"static_manifest_missing": "/nowhere/staticfiles.json"}),
    ("W204", {}, {"local_file_fields": ("blog.Post.photo",)}),
    ("W205", {"STATIC_ROOT": "/nowhere/staticfiles"}, {}),
    ("I206", {"MIDDLEWARE": [*MIDDLEWARE[::2], *MIDDLEWARE[1::2]]}, {}),
    ("E301", {"SESSION_ENGINE": SESSIONS + "cache"}, {}),
    ("E302", {"SESSION_ENGINE": SESSIONS + "file"}, {}),
    ("W303", {"SESSION_ENGINE": SESSIONS + "cached_db"}, {}),
    ("W304", cache(LOCMEM), {}),
    ("W304", cache(LOCMEM), {"processes": 1, "web_dynos": 2}),
    ("W304", {}, {"locmem_users": ("django-ratelimit",)}),
    ("W305", cache(FILES, "/tmp/cache"), {}),
    ("E306", cache(REDIS, "redis://localhost:6379/0"), {}),
    ("E306", cache("django.core.cache.backends.memcached.PyMemcacheCache", "127.0.0.1:11211"), {}),
    ("W307", cache(REDIS, HEROKU_REDIS), {}),
    ("W401", {}, {"console_logging": False}),
    ("W402", {}, {"file_loggers": ("FileHandler to site.log",)}),
    ("W403", {"ADMINS": [("A", "a@example.com")]}, {}),
    ("W403", {}, {"has_password_reset": True}),
    ("W403", {"MAILERS": {"default": {"BACKEND": MAIL + "smtp.EmailBackend", "OPTIONS": {}}}}, {}),
    ("W404", {"EMAIL_BACKEND": MAIL + "console.EmailBackend"}, {}),
    ("E501", {}, {"waitress_version": "2.1.2"}),
    ("E501", {}, {"waitress_version": "3.0.0"}),
    ("W502", {}, {"waitress_version": "3.0.1"}),
    ("W502", {}, {"waitress_version": "4.0"}),
    ("E503", {"WSGI_APPLICATION": None, "ASGI_APPLICATION": "mysite.asgi.application"}, {}),
    ("W504", {"INSTALLED_APPS": ["channels"], "ASGI_APPLICATION": "mysite.asgi.application"}, {}),
    ("W505", {"MIDDLEWARE": [*MIDDLEWARE, "django.middleware.gzip.GZipMiddleware"]}, {}),
    ("I506", {}, {"application": view}),
    ("I506", {}, {"handler_module": "textwrap"}),
    ("W507", {}, {"settings_module": "mysite.settings.local"}),
    ("W508", {}, {"project": {"warnings": ["two wsgi.py were found"]}}),
    ("W509", {}, {"procfile": {"web": "cd site && PORT=1 gunicorn mysite.wsgi", "release": "x"}}),
    ("E510", {}, {"procfile": {"web": "python manage.py runserver 0.0.0.0:$PORT", "release": "x"}}),
    ("W511", {}, {"app_json": FORMATION, "environ": {"HEROKU": "", "HEADWAITER_WEB_DYNOS": "3"}, "memory_mb": None}),
    ("W512", {}, {"app_json": FORMATION, "environ": {"DYNO": "web.3"}, "memory_mb": 1024}),
    ("W513", {}, {"app_json": FORMATION}),
    ("W514", {}, {"app_json": {"env": {"STRIPE_KEY": {"description": "of the shop"}}}}),
    ("W515", {}, {"budget_warnings": ("20 connections are too few",)}),
    ("W516", {}, {"advice": ("channel_timeout is 60",)}),
    ("W517", {"HEADWAITER_SILENCED": {"headwaiter.W999": "gone"}}, {}),
    ("W517", {"HEADWAITER_SILENCED": {"headwaiter.W304": ""}}, {}),
    ("W517", {"HEADWAITER_SILENCED": ["headwaiter.W304"]}, {}),
    ("W517", {"SILENCED_SYSTEM_CHECKS": ["headwaiter.304"]}, {}),
    ("W599", {}, {"django_checks_errors": ("shop.checks.broken raised RuntimeError: closed",)}),
]

# Close to a bad one, but right: none of these may be found at fault.
GOOD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the good site", {}, {}),
    ("the good site on a laptop", {}, laptop(reads_database_url=True)),
    ("development on a laptop", {"DEBUG": True, "ALLOWED_HOSTS": []}, laptop(reads_database_url=True)),
    ("sqlite on a laptop, DATABASE_URL read", {"DATABASES": {"default": SQLITE}}, laptop(reads_database_url=True)),
    ("settings that couldn't be loaded again", {"DATABASES": {"default": SQLITE}}, laptop(reads_database_url=None)),
    ("local postgres on a laptop", database(HOST="localhost"), laptop(reads_database_url=True)),
    ("no database at all", {"DATABASES": {}}, {"environ": {"DATABASE_URL": None}, "procfile": {}}),
    (
        "another config var's database",
        database(HOST="b.example.com"),
        {"environ": {"B_URL": "mysql://b.example.com/d1abc"}},
    ),
    (
        "a pooler's config var",
        database(PORT=5433, DISABLE_SERVER_SIDE_CURSORS=True),
        {"environ": {"POOL_URL": POOLED_URL}},
    ),
    (
        "a database from elsewhere",
        database(HOST="db.example.com"),
        {"environ": {"DB_HOST": "db.example.com"}, "reads_database_url": False},
    ),
    ("a script in the Procfile", {}, {"procfile": {"web": "bin/web --config=gunicorn.conf.py", "release": "x"}}),
    ("the pgbouncer buildpack", {}, {"procfile": {"web": "bin/start-pgbouncer headwaiter a.wsgi", "release": "x"}}),
    ("a key made up only when unset", {}, {"secret_key_made_up": "token_urlsafe()"}),
    ("the app's own domain allowed", {}, {"environ": {"HEROKU_APP_DEFAULT_DOMAIN_NAME": "mysite-1234.herokuapp.com"}}),
    ("the header that isn't needed", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, {}),
    ("its own origin", {"CSRF_TRUSTED_ORIGINS": ["https://mysite-1234.herokuapp.com", "http://localhost:8000"]}, {}),
    ("http and https origins", {"CSRF_TRUSTED_ORIGINS": ["https://*.example.com", "http://*.example.com"]}, {}),
    ("cookies for its own domain", {"SESSION_COOKIE_DOMAIN": ".example.com"}, {}),
    ("connections without end", database(CONN_MAX_AGE=None), {}),
    ("a pool of Django's own", database(CONN_MAX_AGE=0, OPTIONS={"sslmode": "require", "pool": True}), {}),
    ("sslmode in the environment", database(OPTIONS={}), {"environ": {"PGSSLMODE": "require"}}),
    ("a pooler without cursors", database(PORT=5433, DISABLE_SERVER_SIDE_CURSORS=True, CONN_MAX_AGE=0), {}),
    (
        "a pooler in session mode",
        database(HOST="127.0.0.1", PORT="6000"),
        {"environ": {"DATABASE_URL": PGBOUNCER, "PGBOUNCER_POOL_MODE": "session"}},
    ),
    ("pending in the release phase", {}, {"pending_migrations": ("a.1",), "environ": {"DYNO": "release.1234"}}),
    ("release known from the build", {}, {"procfile": None}),
    ("neither build nor Procfile", {}, laptop(procfile=None, project={}, reads_database_url=True)),
    ("static files in a bucket", without("whitenoise") | {"STATIC_URL": "https://cdn.example.com/"}, {}),
    ("static files by the URLconf", without("whitenoise"), {"static_view": True}),
    ("no static files", without("whitenoise") | {"INSTALLED_APPS": [], "STATIC_ROOT": None}, {}),
    ("collectstatic switched off", {"STATIC_ROOT": None}, {"environ": {"DISABLE_COLLECTSTATIC": "1"}}),
    ("sessions in Redis", {"SESSION_ENGINE": SESSIONS + "cache"} | cache(REDIS, "redis://cache.example.com:1"), {}),
    ("no sessions", without("Session") | {"SESSION_ENGINE": SESSIONS + "cache"}, {}),
    ("one process of one dyno", cache(LOCMEM), {"processes": 1}),
    ("Django's default cache, unused", {}, {}),
    ("local Redis on a laptop", cache(REDIS, "redis://localhost:6379"), laptop(reads_database_url=True)),
    (
        "Redis where a config var says",
        cache(REDIS, "redis://localhost:1"),
        {"environ": {"REDIS_URL": "redis://localhost:1"}},
    ),
    ("Heroku's Redis", cache(REDIS, HEROKU_REDIS, ssl_cert_reqs=None), {}),
    ("Heroku's Redis, django-redis", cache(REDIS, HEROKU_REDIS, CONNECTION_POOL_KWARGS={"ssl_cert_reqs": None}), {}),
    ("Heroku's Redis, by its URL", cache(REDIS, HEROKU_REDIS + "?ssl_cert_reqs=none"), {}),
    ("another Redis with TLS", cache(REDIS, "rediss://redis.example.com:6380"), {}),
    ("a cache in the database", cache("django.core.cache.backends.db.DatabaseCache", "cache_table"), {}),
    ("mail by a real server", {"ADMINS": ["a@example.com"], "EMAIL_HOST": "smtp.example.com"}, {}),
    ("mail by an API", {"ADMINS": ["a@example.com"], "EMAIL_BACKEND": "anymail.backends.mailgun.EmailBackend"}, {}),
    (
        "Django's defaults, set",
        {
            "EMAIL_HOST": "localhost",
            "EMAIL_BACKEND": MAIL + "smtp.EmailBackend",
            "CACHES": {"default": {"BACKEND": LOCMEM}},
        },
        {},
    ),
    ("mailers", {"MAILERS": {"default": {"OPTIONS": {"host": "smtp.example.com"}}}}, {}),
    ("no mail", {"MAILERS": {}}, {}),
    ("ASGI and WSGI", {"ASGI_APPLICATION": "mysite.asgi.application"}, {}),
    ("an agent that passes files on", {}, {"handler_module": "wsgiref.handlers"}),
    ("production settings", {}, {"settings_module": "mysite.settings.production"}),
    ("app.json as it is", {}, {"app_json": FORMATION, "memory_mb": 1024, "environ": {"HEADWAITER_WEB_DYNOS": "2"}}),
    ("app.json on a one-off dyno", {}, {"app_json": FORMATION, "environ": {"DYNO": "run.4321"}}),
    ("optional config vars", {}, {"app_json": {"env": {"A": {"required": False}, "DJANGO_SECRET_KEY": {}, "B": ""}}}),
    ("silenced with a reason", {"HEADWAITER_SILENCED": {"headwaiter.W304": "one process", "models.W042": "old"}}, {}),
]


@pytest.mark.parametrize(("code", "settings", "facts"), BAD, ids=[f"{at}-{each[0]}" for at, each in enumerate(BAD)])
def test_a_site_that_has_it_is_told_so_and_nothing_else(
    code: str, settings: dict[str, Any], facts: dict[str, Any]
) -> None:
    """The good site with one thing wrong has that one finding."""
    assert found(site(settings, **facts)) == [code]


@pytest.mark.parametrize(("settings", "facts"), [each[1:] for each in GOOD], ids=[each[0] for each in GOOD])
def test_a_site_that_has_not_is_left_in_peace(settings: dict[str, Any], facts: dict[str, Any]) -> None:
    """What looks like a mistake and isn't one raises no alarm."""
    assert found(site(settings, **facts)) == []


@pytest.mark.parametrize(
    ("directory", "command"), [(".", "headwaiter shop.wsgi:app"), ("src", "headwaiter --chdir=src shop.wsgi:app")]
)
def test_another_server_in_the_procfile_is_told_the_sites_own_command(directory: str, command: str) -> None:
    """The mend can be copied as it stands, for a site in a subdirectory too."""
    facts = {"application_name": "shop.wsgi:app", "project": {"directory": directory, "release_process": True}}
    findings, _ = examine(site(procfile={"web": "gunicorn shop.wsgi:app", "release": "x"}, **facts))
    assert [finding.mend for finding in findings] == [f"delete the web line from the Procfile, or:  web: {command}"]


def test_every_rule_has_a_bad_site() -> None:
    """No rule without a site that shows it."""
    assert {f"headwaiter.{code}" for code, _, _ in BAD} == set(RULES)


@pytest.mark.parametrize("identifier", RULES)
def test_rules_speak_to_people(identifier: str) -> None:
    """Each has a title without a full stop, a reason with one, and a mend."""
    rule = RULES[identifier]
    assert rule.title.startswith(("headwaiter", "app.json")) or rule.title[0].isupper()
    assert not rule.title.endswith(".")
    assert rule.why.endswith(".") and rule.mend


def test_a_setting_of_an_odd_shape_hides_nothing_else() -> None:
    """A rule that stumbles is left out; the others are told."""
    findings, skipped = examine(site({"CACHES": 7, "DEBUG": True}))

    assert "headwaiter.E004" in [finding.id for finding in findings]
    assert {each.id for each in skipped} >= {"headwaiter.W304"}
    assert all(each.reason == "could not be examined: AttributeError" for each in skipped)


def test_no_finding_tells_a_secret() -> None:
    """Passwords, keys and the database's address are in no finding, whatever is wrong."""
    for _, settings, facts in BAD:
        findings, _ = examine(site(settings, **facts))
        text = " ".join(f"{each.seen} {each.mend}" for each in findings)
        for secret in ("correct-horse-battery", "f3v7-Qk1xZ", "secret@", DATABASE_HOST, "d1abc"):
            assert secret not in text


@pytest.mark.parametrize(
    ("url", "mend"), [("postgres://x.example.com/x", "dj_database_url"), (None, "heroku addons:create")]
)
def test_sqlite_on_a_dyno_asks_for_what_is_missing(url: str | None, mend: str) -> None:
    """Settings that read DATABASE_URL need the add-on only."""
    facts = {"environ": {"DATABASE_URL": url}, "reads_database_url": None if url else True}
    findings, _ = examine(site({"DATABASES": {"default": SQLITE}}, **facts))

    by_id = {finding.id: finding for finding in findings}
    assert mend in by_id["headwaiter.E103"].mend
    assert ("dj_database_url" in by_id["headwaiter.E103"].mend) is bool(url)
