"""What a DATABASE_URL names, as far as it can be read."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from headwaiter.budget.database import PORTS, Alias

_POSTGRESQL = frozenset(("postgres", "postgresql", "pgsql", "postgis", "timescale", "timescalegis", "cockroachdb"))
_MYSQL = frozenset(("mysql", "mysql2", "mysqlgis", "mariadb"))


def parse(text: str) -> Alias | None:
    """Return the server, database and user, or None for anything that isn't a database's URL. Quotes nothing."""
    try:
        parts = urlsplit(text.strip())
        if "@" in parts.path + parts.query + parts.fragment:
            return None  # a password with / ? or # that isn't quoted: what looks like a host or a name is a part of it
        scheme = parts.scheme.partition("+")[0].lower()
        vendor = "postgresql" if scheme in _POSTGRESQL else "mysql" if scheme in _MYSQL else ""
        port = str(parts.port or PORTS.get(vendor, ""))
        host = unquote(parts.hostname or "").lower()
        return Alias("DATABASE_URL", vendor, host, port, unquote(parts.path[1:]), unquote(parts.username or ""))
    except ValueError:
        return None
