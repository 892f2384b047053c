"""Static files, and the files that users upload."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from .registry import Seen, rule
from .site import Site

# Middleware, and WSGI wrappers, that answer for static files.
_SERVERS = ("whitenoise", "servestatic", "dj_static", "static_ranges")


def storage_class(site: Site, alias: str) -> Any:
    """The class behind an alias of STORAGES. Raises ImportError, as Django will, when there is none."""
    before_4_2 = {"default": "DEFAULT_FILE_STORAGE", "staticfiles": "STATICFILES_STORAGE"}
    storages = site.get("STORAGES")
    path = storages[alias]["BACKEND"] if storages else site.get(before_4_2[alias])
    module, _, name = str(path).rpartition(".")
    return getattr(import_module(module), name)


def _uses_staticfiles(site: Site) -> bool:
    return "django.contrib.staticfiles" in site.get("INSTALLED_APPS", [])


def _kept_on_disk(site: Site) -> bool:
    """Whether collectstatic copies to this disk, and not to a bucket or a CDN."""
    from django.contrib.staticfiles.storage import StaticFilesStorage

    return issubclass(storage_class(site, "staticfiles"), StaticFilesStorage)


def _static_server(site: Site) -> bool:
    wrapper = type(site.application).__module__.partition(".")[0] if site.application else ""
    names = [str(name) for name in site.get("MIDDLEWARE", [])] + [wrapper]
    # A site's own subclass of a server's middleware counts as well.
    return any(server in name.lower() for name in [*names, *_bases(site)] for server in _SERVERS)


def _bases(site: Site) -> Iterator[str]:
    for path in site.get("MIDDLEWARE", []):
        module, _, name = str(path).rpartition(".")
        for base in getattr(getattr(import_module(module), name, None), "__mro__", ()):
            yield base.__module__


@rule(
    "W201",
    "Nothing serves the static files",
    why="Django serves none when DEBUG is off and there is no nginx on a dyno: pages come without CSS, the admin too.",
    mend='pip install whitenoise, add it to the requirements, and "whitenoise.middleware.WhiteNoiseMiddleware" in '
    "MIDDLEWARE right after SecurityMiddleware",
)
def nothing_serves_static(site: Site) -> Iterator[Seen | str]:
    url = str(site.get("STATIC_URL") or "")
    elsewhere = url.startswith(("http://", "https://", "//"))
    if not _uses_staticfiles(site) or elsewhere or site.static_view:
        return
    if _kept_on_disk(site) and not _static_server(site):
        yield "no WhiteNoise in MIDDLEWARE, files are collected on the dyno's disk, and STATIC_URL is on this site"


@rule(
    "E202",
    "STATIC_ROOT isn't set",
    why="Heroku's Python buildpack runs collectstatic, which stops the build without it.",
    mend='STATIC_ROOT = BASE_DIR / "staticfiles"',
)
def no_static_root(site: Site) -> Iterator[Seen | str]:
    if not _uses_staticfiles(site) or site.get("STATIC_ROOT") or site.environ.get("DISABLE_COLLECTSTATIC"):
        return
    if _kept_on_disk(site):
        yield f"STATIC_ROOT = {site.get('STATIC_ROOT')!r}"


@rule(
    "E203",
    "The static files' manifest is missing",
    why="Each {% static %} raises ValueError: Missing staticfiles manifest entry. Pages answer with 500.",
    mend="heroku config:unset DISABLE_COLLECTSTATIC, and deploy again",
    dyno_only=True,
)
def no_manifest(site: Site) -> Iterator[Seen | str]:
    if site.static_manifest_missing and not site.get("DEBUG"):
        yield f"there is no {site.static_manifest_missing}"


@rule(
    "W204",
    "Uploads go to a disk that is thrown away",
    why="A dyno's disk is emptied at every restart, at least once a day, and each dyno has its own: uploads vanish.",
    mend="keep them in a bucket: pip install django-storages[s3], and "
    'STORAGES["default"] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": ...}}',
)
def media_on_disk(site: Site) -> Iterator[Seen | str]:
    fields = site.local_file_fields
    if fields:
        shown = ", ".join(fields[:4]) + (f" and {len(fields) - 4} more" if len(fields) > 4 else "")
        yield f"{shown} {'is' if len(fields) == 1 else 'are'} kept by FileSystemStorage"


@rule(
    "I206",
    "WhiteNoise isn't right after SecurityMiddleware",
    why="Each static file then runs through the middleware before it: sessions, logins, the database for some.",
    mend='"whitenoise.middleware.WhiteNoiseMiddleware" in MIDDLEWARE right after SecurityMiddleware',
)
def whitenoise_late(site: Site) -> Iterator[Seen | str]:
    names = [str(name) for name in site.get("MIDDLEWARE", [])]
    whitenoise = next((at for at, name in enumerate(names) if name.endswith(".WhiteNoiseMiddleware")), None)
    before = [name for name in names[:whitenoise] if name.startswith(("django.contrib.", "django.middleware."))]
    before = [name for name in before if not name.endswith(".SecurityMiddleware")]
    if whitenoise is not None and before:
        yield f"{len(before)} of Django's middlewares come before it, {before[0].rpartition('.')[2]} first"


@rule(
    "W205",
    "The directory of static files isn't there",
    why="WhiteNoise serves what collectstatic copied to STATIC_ROOT; nothing did.",
    mend="heroku config:unset DISABLE_COLLECTSTATIC, and deploy again",
    dyno_only=True,
)
def static_root_not_there(site: Site) -> Iterator[Seen | str]:
    root = site.get("STATIC_ROOT")
    if not root or Path(root).is_dir() or not _uses_staticfiles(site) or site.get("WHITENOISE_USE_FINDERS"):
        return
    if _kept_on_disk(site) and _static_server(site) and not site.static_manifest_missing:  # E203 says so then
        yield f"STATIC_ROOT = {str(root)!r} is no directory"
