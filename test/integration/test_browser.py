"""A real browser on the sample site, over https behind a router: redirect, CSRF, secure cookies, static files, admin.

The picture in docs is made here: GUESTBOOK_PICTURE=docs/guestbook.png make test TEST=test_browser
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import browser
import heroku
import pytest
from router import router

pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser.PROGRAM is None, reason=browser.MISSING)]

SAMPLE = heroku.BUILDPACK / "test/fixtures/sample_site"
CONFIG_VARS = {"SECRET_KEY": "of-a-test", "HTTPS_ONLY": "yes"}
ADMIN = {
    "DJANGO_SUPERUSER_USERNAME": "ada",
    "DJANGO_SUPERUSER_PASSWORD": "pass word",
    "DJANGO_SUPERUSER_EMAIL": "a@b.de",
}
WIDTH, HEIGHT = 640, 520


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A tab, with the site built, migrated and served behind the router as https://guestbook.test."""
    folder = tmp_path_factory.mktemp("browser")
    slug = heroku.build(
        SAMPLE, folder / "app", cache_dir=folder / "cache", config_vars={**CONFIG_VARS, **ADMIN}, python=sys.executable
    )
    for command in (slug.process_types["release"], "python manage.py createsuperuser --noinput"):
        assert heroku.start_dyno(slug, command, name="run.1").wait() == 0
    port = heroku.free_port()
    dyno = heroku.start_dyno(slug, slug.process_types["web"], port=port)
    try:
        assert heroku.answer(f"http://127.0.0.1:{port}/health", dyno) == 200
        with router(port, folder) as ports:
            hosts = {"guestbook.test:80": ports.http, "guestbook.test:443": ports.https}
            with browser.browser(folder, hosts) as tab:
                yield tab
    finally:
        heroku.stop_dyno(dyno)


def test_a_visitor_signs_the_guestbook(page: browser.Page, tmp_path: Path) -> None:
    """From the plain address to https, once; the form's token and cookie are taken; the entry is on the page."""
    page.go("http://guestbook.test/")
    assert page.evaluate("location.href") == "https://guestbook.test/"
    assert page.cookies()["csrftoken"]["secure"]

    page.type("[name=name]", "Ada")
    page.type("[name=text]", "Good soup, and quick service.")
    page.click("button")
    page.wait_for("document.querySelector('ol').innerText.includes('Good soup')")

    assert page.evaluate("location.href") == "https://guestbook.test/"
    # The stylesheet has arrived, under its hashed name, and counts.
    assert page.evaluate("getComputedStyle(document.querySelector('button')).backgroundColor") == "rgb(0, 114, 178)"
    picture = page.picture(WIDTH, HEIGHT)
    assert struct.unpack(">8s8x2L", picture[:24]) == (b"\x89PNG\r\n\x1a\n", WIDTH, HEIGHT)
    (heroku.BUILDPACK / os.environ.get("GUESTBOOK_PICTURE", str(tmp_path / "guestbook.png"))).write_bytes(picture)


def test_the_admin_lets_its_user_in(page: browser.Page) -> None:
    """Login, a session cookie for https only, and a list with the admin's own stylesheet."""
    page.go("https://guestbook.test/admin/notes/note/")
    page.type("[name=username]", ADMIN["DJANGO_SUPERUSER_USERNAME"])
    page.type("[name=password]", ADMIN["DJANGO_SUPERUSER_PASSWORD"])
    page.click("[type=submit]")
    page.wait_for("document.querySelector('#changelist')")
    assert page.cookies()["sessionid"]["secure"]
    assert page.evaluate("document.styleSheets.length") > 0
    assert page.evaluate("[...document.styleSheets].every(sheet => sheet.cssRules.length)")
