"""Caches and sessions: state that must outlive a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .registry import rule
from .site import Site, is_local

_LOCMEM = "LocMemCache"
_REDIS = (
    "Add redis to the requirements, run heroku addons:create heroku-redis:mini, and in the settings:\n"
    'import os; CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", '
    '"LOCATION": os.environ["REDIS_URL"], "OPTIONS": {"ssl_cert_reqs": None}}}'
)


@rule(
    "E301",
    "Sessions are lost at every restart",
    why="A dyno's memory and disk are emptied at least once a day, and each dyno has its own: users are logged out.",
    fix='SESSION_ENGINE = "django.contrib.sessions.backends.db"',
)
def sessions_lost(site: Site) -> Iterator[str]:
    engine = str(site.get("SESSION_ENGINE", "")).rpartition(".")[2]
    if not any(str(name).endswith("SessionMiddleware") for name in site.get("MIDDLEWARE", [])):
        return
    if engine == "file":
        yield "SESSION_ENGINE stores them in files"
    for name in (_LOCMEM, "DummyCache", "FileBasedCache") if engine == "cache" else ():
        if site.get("SESSION_CACHE_ALIAS", "default") in site.caches(name):
            yield f"SESSION_ENGINE is the cache, and the cache is {name}"


@rule(
    "W304",
    "Each process has its own cache",
    why="A process does not see what another one stores or deletes: counters, locks and rate limits count for each "
    "process, and old pages come back.",
    fix=_REDIS,
)
def local_cache(site: Site) -> Iterator[str]:
    if site.processes and site.processes * site.web_dynos == 1:
        return  # where the number isn't known there are several, as on Heroku by default
    aliases = sorted(site.caches(_LOCMEM))
    if aliases and site.overridden("CACHES"):
        yield f"LocMemCache is the cache {', '.join(aliases)}"
    elif "default" in aliases and site.locmem_users:
        yield f"without CACHES it is LocMemCache, and {', '.join(site.locmem_users)} depends on it"


def _servers(site: Site) -> Iterator[tuple[str, Mapping[str, Any], str, str]]:
    """Alias, entry, location and host of every cache that is a server."""
    for alias, cache in site.get("CACHES", {}).items():
        given = cache.get("LOCATION") or []
        for location in given if isinstance(given, list | tuple) else str(given).split(","):
            location = str(location).strip()
            name, colon, port = location.rpartition(":")
            host = urlsplit(location).hostname if "://" in location else name if colon and port.isdigit() else None
            if host:
                yield alias, cache, location, host


@rule(
    "E306",
    "The cache is expected on the dyno itself",
    why="Only the site runs on a dyno: whatever uses the cache fails with connection refused.",
    fix=_REDIS,
    dyno_only=True,
)
def cache_on_localhost(site: Site) -> Iterator[str]:
    for alias, _, location, host in _servers(site):
        if is_local(host) and location not in site.environ.values():
            yield f"LOCATION of the cache {alias} is on {host}"


@rule(
    "W307",
    "The certificate of Heroku Key-Value Store will be refused",
    why="It is self-signed: redis-py raises CERTIFICATE_VERIFY_FAILED when the cache is first used.",
    fix='For django-redis the option is {"CONNECTION_POOL_KWARGS": {"ssl_cert_reqs": None}}; for Django\'s own:\n'
    'CACHES["default"]["OPTIONS"] = {"ssl_cert_reqs": None}',
    dyno_only=True,
)
def self_signed_redis(site: Site) -> Iterator[str]:
    for alias, cache, location, host in _servers(site):
        herokus = location.startswith("rediss://") and host.endswith(".amazonaws.com")
        if herokus and not _certificate_options(cache) and "ssl_cert_reqs" not in parse_qs(urlsplit(location).query):
            yield f"LOCATION of the cache {alias} starts with rediss://, and ssl_cert_reqs is not set"


def _certificate_options(cache: Mapping[str, Any]) -> bool:
    options = cache.get("OPTIONS") or {}
    nested = [options.get(name) or {} for name in ("CONNECTION_POOL_KWARGS", "connection_pool_kwargs")]
    return any({"ssl_cert_reqs", "ssl_ca_certs", "ssl_context"} & set(place) for place in (options, *nested))
