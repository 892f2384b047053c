"""Each rule of `headwaiter check`: a site that it finds something at, and good sites where it finds nothing."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from check_sites import DATABASE, DATABASE_HOST, DATABASE_URL, MIDDLEWARE, SECRET_KEY, SQLITE, site
from headwaiter.app_json import AppJson
from headwaiter.checks import registry, rules  # noqa: F401  # the second fills the first
from headwaiter.checks.site import Site

RULES = {rule.code: rule for rule in registry.RULES}


def check(site: Site) -> list[Any]:
    return [message for rule in registry.RULES for message in rule.check(site)]


def found(site: Site) -> list[str]:
    """The codes found at a site, E001 for headwaiter.E001."""
    return [message.id.removeprefix("headwaiter.") for message in check(site)]


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
OPTIONAL = AppJson({"env": {"A": {"required": False}, "DJANGO_SECRET_KEY": {}, "B": ""}})
POOLED_URL = DATABASE_URL.replace("5432", "5433")


def without(name: str) -> dict[str, Any]:
    return {"MIDDLEWARE": [path for path in MIDDLEWARE if name not in path]}


# Code -> the settings and the facts that make the good site a bad one.
BAD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("E001", {}, {"secret_key_changes": True}),
    ("E002", {}, {"secret_key_in_source": True}),
    ("E005", {"ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, {}),
    ("E005", {}, {"environ": {"HEROKU_APP_DEFAULT_DOMAIN_NAME": "other-5678.herokuapp.com"}}),
    ("E008", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "on")}, {}),
    ("E008", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_SSL", "on")}, {}),
    ("W011", {"USE_X_FORWARDED_HOST": True}, {}),
    ("W012", {"CSRF_TRUSTED_ORIGINS": ["https://*.herokuapp.com"]}, {}),
    ("E101", database(HOST="db.example.com"), {}),
    ("E101", database(HOST="db.example.com"), laptop(reads_database_url=False)),
    ("E101", {}, {"reads_database_url": False}),
    (
        "E101",
        database(HOST="localhost"),
        laptop(reads_database_url=False, environ={"DATABASE_URL": None, "DB_HOST": "localhost"}),
    ),
    ("E101", database(HOST="localhost"), {"environ": {"DATABASE_URL": None}}),
    ("E101", database(HOST=""), {"environ": {"DATABASE_URL": None}}),
    ("E103", {"DATABASES": {"default": SQLITE}}, {}),
    ("E103", {"DATABASES": {"default": SQLITE}}, laptop(reads_database_url=False)),
    ("E103", {"DATABASES": {"default": SQLITE}}, {"environ": {"DATABASE_URL": None}, "reads_database_url": True}),
    ("W106", database(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=False), {}),
    ("W107", database(CONN_HEALTH_CHECKS=False), {}),
    ("W111", {}, {"database_error": "OperationalError: no answer"}),
    ("E112", {}, {"pending_migrations": ("auth.0001_initial",)}),
    ("I114", {}, {"procfile": {}}),
    (
        "I114",
        {},
        {"procfile": {}, "app_json": AppJson({"scripts": {"dokku": {"predeploy": "echo"}}})},
    ),
    ("W201", without("whitenoise"), {}),
    ("W201", {**without("whitenoise"), "STORAGES": None, "STATICFILES_STORAGE": STATIC_FILES_BEFORE_4_2}, {}),
    ("E202", {"STATIC_ROOT": None}, {}),
    ("E203", {}, {"static_manifest_missing": "staticfiles/staticfiles.json"}),
    ("E203", {"STATIC_ROOT": "/nowhere"}, {"static_manifest_missing": "/nowhere/staticfiles.json"}),
    ("E203", {"STATIC_ROOT": "/nowhere/staticfiles"}, {}),
    ("W204", {}, {"local_file_fields": ("blog.Post.photo",)}),
    ("E301", {"SESSION_ENGINE": SESSIONS + "cache"}, {}),
    ("E301", {"SESSION_ENGINE": SESSIONS + "file"}, {}),
    ("W304", cache(LOCMEM), {}),
    ("W304", cache(LOCMEM), {"processes": 1, "web_dynos": 2}),
    ("W304", {}, {"locmem_users": ("django-ratelimit",)}),
    ("E306", cache(REDIS, "redis://localhost:6379/0"), {}),
    ("E306", cache("django.core.cache.backends.memcached.PyMemcacheCache", "127.0.0.1:11211"), {}),
    ("W307", cache(REDIS, HEROKU_REDIS), {}),
    ("W401", {}, {"console_logging": False}),
    ("W402", {}, {"log_files": ("site.log",)}),
    ("W403", {"ADMINS": [("A", "a@example.com")]}, {}),
    ("W403", {}, {"has_password_reset": True}),
    ("W403", {"MAILERS": {"default": {"BACKEND": MAIL + "smtp.EmailBackend", "OPTIONS": {}}}}, {}),
    ("W403", {"EMAIL_BACKEND": MAIL + "console.EmailBackend"}, {}),
    ("W504", {"INSTALLED_APPS": ["channels"], "ASGI_APPLICATION": "mysite.asgi.application"}, {}),
    ("W508", {}, {"project": {"warnings": ["two wsgi.py were found"]}}),
    ("W509", {}, {"procfile": {"web": "cd site && PORT=1 gunicorn mysite.wsgi", "release": "x"}}),
    ("W509", {}, {"procfile": {"web": "python manage.py runserver 0.0.0.0:$PORT", "release": "x"}}),
    ("W514", {}, {"app_json": AppJson({"env": {"STRIPE_KEY": {"description": "of the shop"}}})}),
    ("W514", {}, {"app_json": AppJson({"env": {"STRIPE_KEY": "test key"}})}),
    ("W515", {}, {"warnings": ("20 connections are too few.",)}),
    ("W518", {}, {"scheduler": True}),
]

# Close to a bad one, but right: nothing may be found.
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
    ("a pooler's config var", database(PORT=5433), {"environ": {"POOL_URL": POOLED_URL}}),
    (
        "a database from elsewhere",
        database(HOST="db.example.com"),
        {"environ": {"DB_HOST": "db.example.com"}, "reads_database_url": False},
    ),
    ("a script in the Procfile", {}, {"procfile": {"web": "bin/web --config=gunicorn.conf.py", "release": "x"}}),
    ("the pgbouncer buildpack", {}, {"procfile": {"web": "bin/start-pgbouncer headwaiter a.wsgi", "release": "x"}}),
    ("startproject's key, which security.W009 names", {"SECRET_KEY": "django-insecure-x"}, {"secret_key_in_source": 1}),
    ("no hosts, which security.W020 names", {"ALLOWED_HOSTS": []}, {}),
    ("the app's own domain allowed", {}, {"environ": {"HEROKU_APP_DEFAULT_DOMAIN_NAME": "mysite-1234.herokuapp.com"}}),
    ("the header that isn't needed", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, {}),
    ("its own origin", {"CSRF_TRUSTED_ORIGINS": ["https://mysite-1234.herokuapp.com", "http://localhost:8000"]}, {}),
    ("connections without end", database(CONN_MAX_AGE=None), {}),
    ("a pool or a pooler", database(CONN_MAX_AGE=0), {"pooled": frozenset({"default"})}),
    ("pending in the release phase", {}, {"pending_migrations": ("a.1",), "environ": {"DYNO": "release.1234"}}),
    ("the web process migrates", {}, {"procfile": {"web": "bin/migrate && headwaiter mysite.wsgi"}}),
    (
        "Dokku migrates before a deploy",
        {},
        {"procfile": {}, "app_json": AppJson({"scripts": {"dokku": {"predeploy": "python manage.py migrate"}}})},
    ),
    (
        "Dokku migrates after a deploy",
        {},
        {"procfile": {}, "app_json": AppJson({"scripts": {"dokku": {"postdeploy": "python manage.py migrate"}}})},
    ),
    ("static files in a bucket", without("whitenoise") | {"STATIC_URL": "https://cdn.example.com/"}, {}),
    ("static files by the URLconf", without("whitenoise"), {"static_view": True}),
    ("no static files", without("whitenoise") | {"INSTALLED_APPS": [], "STATIC_ROOT": None}, {}),
    ("collectstatic switched off", {"STATIC_ROOT": None}, {"environ": {"DISABLE_COLLECTSTATIC": "1"}}),
    ("sessions in Redis", {"SESSION_ENGINE": SESSIONS + "cache"} | cache(REDIS, "redis://cache.example.com:1"), {}),
    ("no sessions", without("Session") | {"SESSION_ENGINE": SESSIONS + "cache"}, {}),
    ("one process of one dyno", cache(LOCMEM), {"processes": 1}),
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
    ("a cache on disk", cache(FILES, "/tmp/cache"), {}),
    ("mail by a real server", {"ADMINS": ["a@example.com"], "EMAIL_HOST": "smtp.example.com"}, {}),
    ("mail by an API", {"ADMINS": ["a@example.com"], "EMAIL_BACKEND": "anymail.backends.mailgun.EmailBackend"}, {}),
    ("mail to the log on a laptop", {"EMAIL_BACKEND": MAIL + "console.EmailBackend"}, laptop()),
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
    (
        "optional config vars",
        {},
        {"app_json": OPTIONAL},
    ),
]


@pytest.mark.parametrize(("code", "settings", "facts"), BAD, ids=[f"{at}-{each[0]}" for at, each in enumerate(BAD)])
def test_a_bad_site_has_that_one_finding(code: str, settings: dict[str, Any], facts: dict[str, Any]) -> None:
    """The good site with one thing wrong."""
    assert found(site(settings, **facts)) == [code]


@pytest.mark.parametrize(("settings", "facts"), [each[1:] for each in GOOD], ids=[each[0] for each in GOOD])
def test_a_good_site_has_no_finding(settings: dict[str, Any], facts: dict[str, Any]) -> None:
    """What looks like a mistake and isn't one."""
    assert found(site(settings, **facts)) == []


def test_every_rule_has_a_bad_site() -> None:
    """No rule without a site that shows it, no number used twice."""
    assert {code for code, _, _ in BAD} == set(RULES)
    assert len({code[1:] for code in RULES}) == len(registry.RULES)


@pytest.mark.parametrize(("code", "settings", "facts"), BAD, ids=[f"{at}-{each[0]}" for at, each in enumerate(BAD)])
def test_a_fix_ends_with_a_line_that_can_be_run(code: str, settings: dict[str, Any], facts: dict[str, Any]) -> None:
    """A command, a line of the Procfile, or a line of Python for the settings; the same in the documentation."""
    for fix in (RULES[code].fix, *(message.hint for message in check(site(settings, **facts)))):
        line = fix.splitlines()[-1]
        assert "..." not in line and "<" not in line
        if not re.match(r"heroku [a-z]+|(web|release): (headwaiter|python) ", line):
            ast.parse(line)
            assert "=" in line or ".insert(" in line or ".update(" in line


@pytest.mark.parametrize("code", RULES)
def test_a_rule_is_worded_in_sentences(code: str) -> None:
    """Title and finding make one sentence, the reason the next ones."""
    rule = RULES[code]
    assert rule.title[0].isupper() or rule.title.startswith("headwaiter")
    assert not rule.title.endswith(".") and rule.why.endswith(".")


@pytest.mark.parametrize(
    ("directory", "command"), [(".", "headwaiter shop.wsgi:app"), ("src", "headwaiter --chdir=src shop.wsgi:app")]
)
def test_the_web_line_is_the_sites_own(directory: str, command: str) -> None:
    """It can be copied as it stands, for a site in a subdirectory too."""
    facts = {"application_name": "shop.wsgi:app", "project": {"directory": directory}}
    messages = check(site(procfile={"web": "gunicorn shop.wsgi:app", "release": "x"}, **facts))

    assert [message.hint.splitlines()[-1] for message in messages] == [f"web: {command}"]


def test_the_migrate_line_is_the_sites_own() -> None:
    """manage.py where the build found it."""
    messages = check(site(procfile={}, project={"manage_py": "src/manage.py"}))

    assert messages[0].hint.splitlines()[-1] == "release: python src/manage.py migrate --noinput"


@pytest.mark.parametrize(
    ("entry", "fix"),
    [({}, "heroku config:edit KEY"), ({"value": "a b"}, "heroku config:set KEY='a b'")],
)
def test_a_missing_config_var_is_set_to_its_value_in_app_json(entry: dict[str, str], fix: str) -> None:
    """Where there is one."""
    assert [each.hint for each in check(site(app_json=AppJson({"env": {"KEY": entry}})))] == [fix]


def test_a_setting_of_an_odd_shape_hides_nothing_else() -> None:
    """A rule that fails is a finding; the others are there."""
    messages = check(site({"CACHES": 7, "USE_X_FORWARDED_HOST": True}))

    assert "headwaiter.W011" in [message.id for message in messages]
    failed = [message.msg for message in messages if message.id == "headwaiter.W599"]
    assert "A check failed: headwaiter.W304 raised AttributeError: 'int' object has no attribute 'items'" in failed


def test_a_warning_that_is_a_sentence_keeps_its_full_stop() -> None:
    """The build's and the budget's have one."""
    texts = [each.msg for each in check(site(warnings=("It is 20.", "It is 20. (Or so.)", "it is 20")))]

    assert [text.partition(": ")[2].partition(" The number")[0] for text in texts] == [
        "It is 20.",
        "It is 20. (Or so.)",
        "it is 20.",
    ]


def test_no_finding_has_a_secret() -> None:
    """Passwords, keys and the database's address are in no finding, whatever is wrong."""
    for _, settings, facts in BAD:
        text = " ".join(f"{each.msg} {each.hint}" for each in check(site(settings, **facts)))
        for secret in ("correct-horse-battery", SECRET_KEY, "secret@", DATABASE_HOST, "d1abc"):
            assert secret not in text


@pytest.mark.parametrize(
    ("url", "fix"), [(DATABASE_URL, "import dj_database_url"), (None, "heroku addons:create heroku-postgresql")]
)
def test_sqlite_on_a_dyno_asks_for_what_is_missing(url: str | None, fix: str) -> None:
    """Settings that read DATABASE_URL need only the add-on."""
    facts = {"environ": {"DATABASE_URL": url}, "reads_database_url": url is None}
    messages = check(site({"DATABASES": {"default": SQLITE}}, **facts))

    assert [message.hint.splitlines()[-1][: len(fix)] for message in messages] == [fix]
