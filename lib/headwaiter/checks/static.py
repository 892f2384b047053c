"""Static files, and the files that users upload."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from .registry import rule
from .site import Site

# Middleware, and WSGI wrappers, that serve static files.
_SERVERS = ("whitenoise", "servestatic", "dj_static", "static_ranges")


def _collected_here(site: Site) -> bool:
    """Whether collectstatic copies to the dyno's disk, and not to a bucket or a CDN."""
    if not site.installed("django.contrib.staticfiles"):
        return False
    from django.contrib.staticfiles.storage import StaticFilesStorage
    from django.utils.module_loading import import_string

    storages = site.get("STORAGES")  # since Django 4.2
    path = storages["staticfiles"]["BACKEND"] if storages else site.get("STATICFILES_STORAGE")
    return issubclass(import_string(path), StaticFilesStorage)


def _served(site: Site) -> bool:
    """Whether a middleware, one of its base classes, or a wrapper of the application serves static files."""
    names = [type(site.application).__module__]
    for path in map(str, site.get("MIDDLEWARE", [])):
        module, _, name = path.rpartition(".")
        names += [path, *(base.__module__ for base in getattr(getattr(import_module(module), name), "__mro__", ()))]
    return any(server in name.lower() for name in names for server in _SERVERS)


@rule(
    "W201",
    "Nothing serves the static files",
    why="With DEBUG off Django serves none, and a dyno has no nginx: pages have no CSS, in the admin too.",
    fix="Add whitenoise to the requirements, and in the settings:\n"
    'MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")',
)
def nothing_serves_static(site: Site) -> Iterator[str]:
    elsewhere = str(site.get("STATIC_URL") or "").startswith(("http://", "https://", "//"))
    if _collected_here(site) and not (elsewhere or site.static_view or _served(site)):
        yield "STATIC_URL is on this site, and MIDDLEWARE has no WhiteNoise"


@rule(
    "E202",
    "STATIC_ROOT is not set",
    why="Heroku's Python buildpack runs collectstatic, which needs it: the build fails.",
    fix='STATIC_ROOT = BASE_DIR / "staticfiles"',
)
def no_static_root(site: Site) -> Iterator[str]:
    if _collected_here(site) and not site.get("STATIC_ROOT") and not site.environ.get("DISABLE_COLLECTSTATIC"):
        yield f"it is {site.get('STATIC_ROOT')!r}"


@rule(
    "E203",
    "The collected static files are missing",
    why="WhiteNoise has nothing to serve, and with a manifest storage each {% static %} raises ValueError: pages fail "
    "with 500.",
    fix="The build must run collectstatic. Then deploy again:\nheroku config:unset DISABLE_COLLECTSTATIC",
    dyno_only=True,
)
def not_collected(site: Site) -> Iterator[str]:
    if site.static_manifest_missing:
        yield f"there is no {site.static_manifest_missing}"
        return
    root = site.get("STATIC_ROOT")
    missing = root and not Path(root).is_dir() and not site.get("WHITENOISE_USE_FINDERS")
    if missing and _collected_here(site) and _served(site):
        yield f"there is no directory {root}"


@rule(
    "W204",
    "Uploads are stored on the dyno's disk",
    why="The disk is emptied at every restart, at least once a day, and each dyno has its own: uploads are lost.",
    fix="Keep them in a bucket: add django-storages[s3] to the requirements, set the config vars "
    "AWS_STORAGE_BUCKET_NAME, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and in the settings:\n"
    'import os; AWS_STORAGE_BUCKET_NAME = os.environ["AWS_STORAGE_BUCKET_NAME"]; '
    'STORAGES["default"] = {"BACKEND": "storages.backends.s3.S3Storage"}',
)
def uploads_on_disk(site: Site) -> Iterator[str]:
    fields = site.local_file_fields
    if fields:
        more = f" and {len(fields) - 4} more" if len(fields) > 4 else ""
        yield f"FileSystemStorage stores {', '.join(fields[:4])}{more}"
