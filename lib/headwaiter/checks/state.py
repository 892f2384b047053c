"""Caches and sessions: state that must outlive a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .registry import Seen, rule
from .site import Site, is_local

_LOCMEM = "LocMemCache"
_REDIS = (
    'heroku addons:create heroku-redis:mini, and  CACHES = {"default": {"BACKEND": '
    '"django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["REDIS_URL"], '
    '"OPTIONS": {"ssl_cert_reqs": None}}}'
)
_DB_SESSIONS = 'SESSION_ENGINE = "django.contrib.sessions.backends.db"'


def _session_engine(site: Site) -> str:
    return str(site.get("SESSION_ENGINE", "")).rpartition(".")[2]


def _uses_sessions(site: Site) -> bool:
    return any(str(name).endswith("SessionMiddleware") for name in site.get("MIDDLEWARE", []))


def _session_cache(site: Site, *classes: str) -> bool:
    return site.get("SESSION_CACHE_ALIAS", "default") in site.caches(*classes)


@rule(
    "E301",
    "Sessions live in one process's memory",
    why="Everybody is logged out at every restart, at least once a day; with several processes or dynos a login works "
    "on one of them only.",
    mend=_DB_SESSIONS,
)
def sessions_in_memory(site: Site) -> Iterator[Seen | str]:
    if _uses_sessions(site) and _session_engine(site) == "cache" and _session_cache(site, _LOCMEM, "DummyCache"):
        yield "SESSION_ENGINE is the cache, and that cache is in the process's memory (LocMemCache) or none at all"


@rule(
    "E302",
    "Sessions live on a disk that is thrown away",
    why="A dyno's disk is emptied at every restart and each dyno has its own: everybody is logged out.",
    mend=_DB_SESSIONS,
)
def sessions_on_disk(site: Site) -> Iterator[Seen | str]:
    if not _uses_sessions(site):
        return
    if _session_engine(site) == "file":
        yield "SESSION_ENGINE keeps sessions in files"
    elif _session_engine(site) == "cache" and _session_cache(site, "FileBasedCache"):
        yield "SESSION_ENGINE is the cache, and that cache is a directory"


@rule(
    "W303",
    "Sessions are read through a cache that each process has for itself",
    why="A process goes on showing the old session after another one changed it: logouts and baskets come back.",
    mend=_DB_SESSIONS,
)
def cached_sessions(site: Site) -> Iterator[Seen | str]:
    local = _session_cache(site, _LOCMEM, "FileBasedCache")
    if _uses_sessions(site) and _session_engine(site) == "cached_db" and local and site.several:
        yield f"SESSION_ENGINE is cached_db over a local cache; {site.crowd}"


@rule(
    "W304",
    "The cache is in each process's memory",
    why="What one process stores or deletes the others don't see: counters, locks and rate limits count once for each "
    "process, and old pages come back.",
    mend=_REDIS,
)
def local_cache(site: Site) -> Iterator[Seen | str]:
    if not site.several:
        return
    aliases = sorted(site.caches(_LOCMEM)) if site.overridden("CACHES") else []
    if aliases:
        yield f"CACHES: {', '.join(aliases)} is LocMemCache; {site.crowd}"
    elif site.locmem_users and "default" in site.caches(_LOCMEM):
        yield f"no CACHES, so LocMemCache, which {', '.join(site.locmem_users)} needs; {site.crowd}"


@rule(
    "W305",
    "The cache is a directory on the dyno's disk",
    why="It is empty after every restart and each dyno has its own, which counts against no memory limit but grows.",
    mend=_REDIS,
)
def cache_on_disk(site: Site) -> Iterator[Seen | str]:
    for alias in site.caches("FileBasedCache"):
        yield f"CACHES: {alias} is FileBasedCache"


def _locations(cache: Mapping[str, Any]) -> list[str]:
    location = cache.get("LOCATION") or []
    parts = location if isinstance(location, list | tuple) else str(location).split(",")
    return [str(part).strip() for part in parts]


def _host(location: str) -> str | None:
    """The host of a cache server's URL or host:port; None when it names none (a table, a directory, a label)."""
    if "://" in location:
        return urlsplit(location).hostname
    name, colon, port = location.rpartition(":")
    return name.lower() if colon and port.isdigit() else None


def _cache_servers(site: Site) -> Iterator[tuple[str, Mapping[str, Any], str, str]]:
    """Alias, entry, location and host of every cache that is a server."""
    for alias, cache in site.get("CACHES", {}).items():
        for location in _locations(cache):
            host = _host(location)
            if host:
                yield alias, cache, location, host


@rule(
    "E306",
    "The cache is looked for on the dyno itself",
    why="Nothing but the site runs on a dyno: whatever uses the cache fails with connection refused.",
    mend=_REDIS,
    dyno_only=True,
)
def cache_on_localhost(site: Site) -> Iterator[Seen | str]:
    for alias, _, location, host in _cache_servers(site):
        if is_local(host) and location not in site.environ.values():
            yield f"LOCATION of the cache {alias} is on {host}"


def _certificate_ignored(cache: Mapping[str, Any], location: str) -> bool:
    options = cache.get("OPTIONS") or {}
    for place in (options, options.get("CONNECTION_POOL_KWARGS") or {}, options.get("connection_pool_kwargs") or {}):
        if "ssl_cert_reqs" in place or "ssl_ca_certs" in place or "ssl_context" in place:
            return True
    return "ssl_cert_reqs" in parse_qs(urlsplit(location).query)


@rule(
    "W307",
    "Heroku Key-Value Store's certificate will be refused",
    why="It is signed by Heroku itself: redis-py raises CERTIFICATE_VERIFY_FAILED at the first use of the cache.",
    mend='"OPTIONS": {"ssl_cert_reqs": None}  (django-redis: {"CONNECTION_POOL_KWARGS": {"ssl_cert_reqs": None}})',
    dyno_only=True,
)
def self_signed_redis(site: Site) -> Iterator[Seen | str]:
    for alias, cache, location, host in _cache_servers(site):
        herokus = location.startswith("rediss://") and host.endswith(".amazonaws.com")
        if herokus and not _certificate_ignored(cache, location):
            yield f"LOCATION of the cache {alias} is rediss:// on Heroku, and OPTIONS say nothing of ssl_cert_reqs"
