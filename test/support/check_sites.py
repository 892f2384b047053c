"""Sites for the tests of `headwaiter check`: one with nothing to fix, as settings or on disk, and changes to it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headwaiter.budget.database import Alias
from headwaiter.checks.site import Site

SECRET_KEY = "f3v7-Qk1xZ_8mRt0yWn5bLc2dHs9gJp4aEu6iOo-XqVzTrKw7Bd"  # long enough for Django, and used nowhere else
DATABASE_HOST = "ec2-1-2-3-4.compute-1.amazonaws.com"
DATABASE_URL = f"postgres://someone:correct-horse-battery@{DATABASE_HOST}:5432/d1abc"
KEPT_CONNECTION = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True, "OPTIONS": {"sslmode": "require"}}
DATABASE: dict[str, Any] = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": DATABASE_HOST,
    "PORT": 5432,
    "NAME": "d1abc",
    "USER": "someone",
    "PASSWORD": "correct-horse-battery",
    **KEPT_CONNECTION,
}
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
GOOD_SETTINGS: dict[str, Any] = {
    "SECRET_KEY": SECRET_KEY,
    "DEBUG": False,
    "ALLOWED_HOSTS": ["www.example.com", "mysite-1234.herokuapp.com"],
    "SECURE_SSL_REDIRECT": True,
    "INSTALLED_APPS": ["django.contrib.staticfiles"],
    "MIDDLEWARE": MIDDLEWARE,
    "DATABASES": {"default": DATABASE},
    "WSGI_APPLICATION": "mysite.wsgi.application",
    "STATIC_URL": "/static/",
    "STATIC_ROOT": str(Path(__file__).parent),  # a directory that is there
}
GOOD_FACTS: dict[str, Any] = {
    "environ": {"DYNO": "web.1", "DATABASE_URL": DATABASE_URL, "DJANGO_SECRET_KEY": SECRET_KEY},
    "on_dyno": True,
    "procfile": {"release": "python manage.py migrate", "web": "headwaiter mysite.wsgi:application"},
    "application_name": "mysite.wsgi:application",
    "secret_key_changes": False,
    "processes": 2,
}


class PlainSettings:
    """Django's defaults with some settings over them, without configuring Django."""

    def __init__(self, **overrides: Any) -> None:
        self._overrides = overrides

    def __getattr__(self, name: str) -> Any:
        from django.conf import global_settings

        if name in self._overrides:
            return self._overrides[name]
        return getattr(global_settings, name)

    def is_overridden(self, name: str) -> bool:
        return name in self._overrides


def site(settings: Mapping[str, Any] | None = None, **facts: Any) -> Site:
    """The good site with these settings and facts changed; `environ` is added to its environment, None takes away."""
    environ = GOOD_FACTS["environ"] | facts.pop("environ", {})
    facts["environ"] = {name: value for name, value in environ.items() if value is not None}
    chosen = PlainSettings(**GOOD_SETTINGS | dict(settings or {}))
    databases = tuple(alias(name, entry) for name, entry in chosen.DATABASES.items())
    return Site(settings=chosen, databases=databases, **GOOD_FACTS | facts)


def alias(name: str, entry: Mapping[str, Any]) -> Alias:
    """An entry of DATABASES as budget.database.aliases() reads it from Django."""
    vendor = "sqlite" if entry["ENGINE"].endswith("sqlite3") else "postgresql"
    return Alias(name, vendor, entry.get("HOST", ""), str(entry.get("PORT", "")), entry["NAME"])


SOURCE = """\
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["www.example.com"]
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SECURE_HSTS_SECONDS, SECURE_HSTS_INCLUDE_SUBDOMAINS, SECURE_HSTS_PRELOAD = 3600, True, True
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = []
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {}
if "DATABASE_URL" in os.environ:
    from urllib.parse import urlsplit

    url = urlsplit(os.environ["DATABASE_URL"])
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "PASSWORD": url.password or "",
        "HOST": url.hostname,
        "PORT": url.port or "",
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
"""


def write_site(directory: Path, settings: str = "", files: Mapping[str, str] | None = None) -> Path:
    """Write the good site, `settings` added at the end of its settings, and other files by their path; return it."""
    package = directory / "mysite"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SOURCE + textwrap.dedent(settings))
    (package / "urls.py").write_text("urlpatterns = []\n")
    (package / "wsgi.py").write_text(
        "import os\nfrom django.core.wsgi import get_wsgi_application\n"
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\napplication = get_wsgi_application()\n'
    )
    (directory / "staticfiles").mkdir()
    (directory / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n')
    (directory / "Procfile").write_text("release: python manage.py migrate\n")
    (directory / "app.json").write_text(json.dumps({"formation": {"web": {"quantity": 1}}}))
    for name, text in (files or {}).items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return directory
