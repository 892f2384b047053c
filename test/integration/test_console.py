"""An error in a view leaves its traceback in the log, whatever LOGGING says, and leaves it once."""

from __future__ import annotations

from pathlib import Path

import pytest
from boot import boot

SITE = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

def broken(request):
    raise RuntimeError("the kitchen burns")

urlpatterns = [path("", broken)]
settings.configure(DEBUG={debug}, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], {logging})
application = get_wsgi_application()
"""
CONSOLE = (
    '{"version": 1, "disable_existing_loggers": False, "handlers": {"c": {"class": "logging.StreamHandler"}}, '
    '"root": {"handlers": ["c"]}}'
)
FILE_ONLY = (
    '{"version": 1, "disable_existing_loggers": False, "handlers": {"n": {"class": "logging.NullHandler"}}, '
    '"loggers": {"django": {"handlers": ["n"], "propagate": False}}}'
)


@pytest.mark.parametrize(
    ("debug", "logging", "times"),
    [
        (False, "", 1),  # Django's default sends it to the ADMINS alone
        (True, "", 1),
        (False, f"LOGGING={CONSOLE}", 1),
        (False, f"LOGGING={FILE_ONLY}", 0),  # the site said so
    ],
)
def test_an_error_is_logged_once(tmp_path: Path, debug: bool, logging: str, times: int) -> None:
    """One traceback for one failed request."""
    (tmp_path / "site_app.py").write_text(SITE.format(debug=debug, logging=logging))
    with boot(tmp_path, "site_app:application", "--processes=1", "--threads=1") as server:
        assert server.get("/").status == 500
        assert server.stop() == 0
    assert server.log.count("RuntimeError: the kitchen burns") == times
