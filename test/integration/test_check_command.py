"""`headwaiter check` as people run it: whole sites, whole commands, a real PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import postgres
import pytest
import pythons
from check_sites import SECRET_KEY, write_site

LIB = Path(__file__).parents[2] / "lib"
NOBODY_LISTENS = "postgres://someone:correct-horse-battery@127.0.0.1:1/d1abc"
ON_DYNO = {"DYNO": "run.1234", "DATABASE_URL": NOBODY_LISTENS}

MODELS = """
    from django.db import models

    class Post(models.Model):
        title = models.CharField(max_length=10)
        photo = models.ImageField(upload_to="photos")
        draft = models.FileField(upload_to="drafts")
"""
# A site with a mistake of every kind that has to be found out rather than read from a setting.
BAD_SETTINGS = """
    INSTALLED_APPS += ["mysite.blog"]
    MIDDLEWARE = [name for name in MIDDLEWARE if "whitenoise" not in name]
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": BASE_DIR / "site.log", "delay": True}},
        "loggers": {"django": {"handlers": ["file"], "propagate": False}},
    }
    REST_FRAMEWORK = {"DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"]}
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
    SILENCED_SYSTEM_CHECKS = ["fields.E210"]  # Pillow isn't installed here
"""
BAD_FILES = {
    "mysite/blog/__init__.py": "",
    "mysite/blog/models.py": MODELS,
    "mysite/urls.py": """
        from django.http import HttpResponse
        from django.urls import path
        urlpatterns = [path("forgotten/", lambda request: HttpResponse(), name="password_reset")]
    """,
}


@dataclass
class Checked:
    status: int
    out: str
    err: str

    @property
    def codes(self) -> set[str]:
        """The ids of the findings, ours without their prefix; the output was JSON."""
        return {each["id"].removeprefix("headwaiter.") for each in json.loads(self.out)["findings"]}


def check(
    directory: Path,
    *argv: str,
    application: str = "mysite.wsgi:application",
    python: str = sys.executable,
    **environ: str,
) -> Checked:
    """Run `headwaiter check` in the directory, with a key and these config vars."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [python, "-m", "headwaiter", "check", *argv, *filter(None, [application])]
    base = {"PYTHONPATH": str(LIB), "PYTHONDONTWRITEBYTECODE": "1", "DJANGO_SECRET_KEY": SECRET_KEY}
    run = subprocess.run(
        command, cwd=directory, env=kept | base | environ, capture_output=True, text=True, check=False, timeout=120
    )
    return Checked(run.returncode, run.stdout, run.stderr)


def bad_site(directory: Path) -> Path:
    return write_site(directory, BAD_SETTINGS, BAD_FILES)


def test_a_good_site_passes_at_every_level(tmp_path: Path) -> None:
    """Nothing is found, by Django's own checks either."""
    result = check(write_site(tmp_path), "--fail-level=info")

    assert result.out.splitlines() == [
        "Not on a dyno: without the app's config vars and database. For all checks: heroku run headwaiter check",
        "headwaiter check found no issues (0 silenced).",
    ]
    assert (result.status, result.err) == (0, "")


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    """Models, URLs, handlers, whether DATABASE_URL would be read; Django's checks beside ours, the worst first."""
    result = check(bad_site(tmp_path), "--json")

    assert result.codes == {"E103", "W201", "W204", "W304", "W401", "W402", "W403"}
    assert result.status == 1
    findings = json.loads(result.out)["findings"]
    assert findings[0]["id"] == "headwaiter.E103"
    seen = {each["id"]: each["message"] for each in findings}
    assert "FileSystemStorage stores blog.Post.photo, blog.Post.draft." in seen["headwaiter.W204"]


def test_a_dyno_has_more_to_check(tmp_path: Path) -> None:
    """The manifest that collectstatic left or didn't, and the database that DATABASE_URL names."""
    assert {"E103", "E203", "W204", "W401"} <= check(bad_site(tmp_path), "--json", **ON_DYNO).codes


def test_a_database_that_is_down_stops_nothing(tmp_path: Path) -> None:
    """It is a finding, the rest is checked, and no output has the password or the key."""
    result = check(write_site(tmp_path), "--json", **ON_DYNO)

    assert result.codes == {"W111"}
    assert result.status == 0
    for secret in ("correct-horse-battery", SECRET_KEY):
        assert secret not in result.out + result.err


@pytest.mark.parametrize(("port", "found"), [(5432, {"W106", "W111"}), (6432, {"W111"})])
def test_a_pooler_needs_no_persistent_connections(tmp_path: Path, port: int, found: set[str]) -> None:
    """The budget knows what is behind PgBouncer, and the check asks it."""
    site = write_site(tmp_path, 'DATABASES["default"]["CONN_MAX_AGE"] = 0')
    dyno = {"DYNO": "run.1234", "DATABASE_URL": f"postgres://someone:correct-horse@db.invalid:{port}/d1abc"}

    assert check(site, "--json", **dyno).codes == found


def test_it_changes_nothing(tmp_path: Path) -> None:
    """Not a file is written, an SQLite database isn't made, for one."""
    site = bad_site(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    check(site, **ON_DYNO)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_key_made_up_at_every_boot(tmp_path: Path) -> None:
    """Seen by loading the site again; the key is in no output."""
    made_up = "from django.core.management.utils import get_random_secret_key\nSECRET_KEY = get_random_secret_key()\n"
    result = check(write_site(tmp_path, made_up), "--json", **ON_DYNO)

    assert "E001" in result.codes
    assert result.status == 1


def test_a_key_that_wsgi_py_reads_from_a_file_is_the_same_at_every_boot(tmp_path: Path) -> None:
    """The settings alone make one up; the site as a whole, loaded through wsgi.py, always has the same."""
    settings = 'import secrets\nSECRET_KEY = os.environ.get("KEY") or secrets.token_urlsafe(50)\n'
    wsgi = f"""
        import os
        from django.core.wsgi import get_wsgi_application
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        os.environ["KEY"] = {SECRET_KEY!r}
        application = get_wsgi_application()
    """
    site = write_site(tmp_path, settings, {"mysite/wsgi.py": wsgi})

    assert "E001" not in check(site, "--json", **ON_DYNO).codes


def test_a_site_that_asks_its_database_while_it_is_loaded(tmp_path: Path) -> None:
    """Loading it again fails, but its settings were read by then: E101 sees that DATABASE_URL is ignored."""
    settings = f"""
        if os.environ.get("DATABASE_URL") != {NOBODY_LISTENS!r}:
            INSTALLED_APPS += ["mysite.broken"]
        DATABASES["default"].update(HOST="127.0.0.1", PORT=1)
    """
    result = check(write_site(tmp_path, settings), "--json", **ON_DYNO)

    assert "E101" in result.codes


def test_a_scheduler_in_the_web_process(tmp_path: Path) -> None:
    """Started while the site is loaded, as in AppConfig.ready()."""
    started = """
        import threading
        threading.Thread(target=threading.Event().wait, name="APScheduler", daemon=True).start()
    """
    assert "W518" in check(write_site(tmp_path, started), "--json").codes


def test_what_the_site_prints_is_not_the_answer(tmp_path: Path) -> None:
    """JSON stays JSON; the site's own words go to stderr."""
    result = check(write_site(tmp_path, 'print("loading")'), "--json")

    assert json.loads(result.out)["findings"] == []
    assert "loading" in result.err


def test_djangos_own_setting_silences(tmp_path: Path) -> None:
    """Findings of both kinds; they are counted."""
    silenced = """
        SILENCED_SYSTEM_CHECKS = ["security.W004", "headwaiter.W011"]
        USE_X_FORWARDED_HOST, SECURE_HSTS_SECONDS = True, 0
    """
    result = check(write_site(tmp_path, silenced), "--fail-level=info")

    assert result.out.splitlines()[-1] == "headwaiter check found no issues (2 silenced)."
    assert result.status == 0


def test_a_check_of_the_sites_own_that_raises(tmp_path: Path) -> None:
    """It is a finding, ours are there all the same, and the message loses the password."""
    raising = """
        from django.core import checks

        @checks.register
        def broken(app_configs, **kwargs):
            raise RuntimeError(f"{os.environ['DATABASE_URL']} is closed")
    """
    result = check(write_site(tmp_path, raising), "--json", **ON_DYNO)

    assert result.codes == {"W599", "W111"}
    assert "raised RuntimeError: [DATABASE_URL] is closed" in result.out


@pytest.mark.parametrize(
    ("settings", "argv", "application", "message"),
    [
        ("1 / 0", [], "mysite.wsgi", "headwaiter check: Importing mysite.wsgi failed with ZeroDivisionError"),
        ("", [], "mysite.wsgi:app", "Did you mean mysite.wsgi:application?"),
        ("", ["--chdir=nowhere"], "mysite.wsgi", "--chdir=nowhere: No such file or directory"),
    ],
)
def test_a_site_that_cannot_be_loaded(
    tmp_path: Path, settings: str, argv: list[str], application: str, message: str
) -> None:
    """Status 78, the reason on stderr, nothing on stdout."""
    result = check(write_site(tmp_path, settings), *argv, application=application)

    assert (result.status, result.out) == (78, "")
    assert message in result.err


def test_in_the_slug_the_build_says_where_the_site_is(tmp_path: Path) -> None:
    """From the slug's root, without arguments, with the package and project.json where the build puts them."""
    write_site(tmp_path / "backend")
    (tmp_path / "Procfile").write_text("release: x\nweb: gunicorn mysite.wsgi\n")
    built = tmp_path / ".heroku" / "headwaiter"
    shutil.copytree(LIB / "headwaiter", built / "python" / "headwaiter", ignore=shutil.ignore_patterns("__pycache__"))
    facts = {"directory": "backend", "wsgi_application": "mysite.wsgi:application", "warnings": ["two were found"]}
    (built / "project.json").write_text(json.dumps(facts))

    result = check(tmp_path, "--json", application="", PYTHONPATH=str(built / "python"), **ON_DYNO)

    assert result.codes == {"W111", "W508", "W509"}


def test_other_wsgi_applications_are_left_alone(tmp_path: Path) -> None:
    """What isn't Django can't be checked."""
    (tmp_path / "shop.py").write_text("def application(environ, start_response): ...\n")
    result = check(tmp_path, application="shop:application")

    assert result.status == 0
    assert "shop:application isn't a Django site" in result.err


def test_pending_migrations_on_a_real_database(tmp_path: Path) -> None:
    """Found while they are pending, without a trace in the database; once they ran, a dyno has nothing to fix."""
    server = postgres.server()
    server.role("checker", limit=20)
    server.execute("CREATE DATABASE checked OWNER checker")
    site = write_site(tmp_path)
    dyno = {"DYNO": "run.1234", "DATABASE_URL": server.url("checker", "checked")}

    pending = check(site, "--json", **dyno)
    with server.admin("checked") as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert pending.codes == {"E112"}
    assert "auth.0001_initial" in pending.out
    assert tables == (0,)
    assert server.in_use("checker") == {}

    (site / "Procfile").write_text("worker: python worker.py\n")
    assert check(site, "--json", **dyno).codes == {"E112", "I114"}

    run = "import django; django.setup(); from django.core.management import call_command; call_command('migrate')"
    environ = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "DJANGO_SECRET_KEY": SECRET_KEY, **dyno}
    subprocess.run([sys.executable, "-c", run], cwd=site, env=environ, check=True, capture_output=True)
    (site / "Procfile").write_text("release: python manage.py migrate\n")
    result = check(site, "--fail-level=info", **dyno)
    assert result.out == "headwaiter check found no issues (0 silenced).\n"


@pytest.mark.parametrize("version", pythons.parameters())
def test_every_python_and_django(tmp_path: Path, version: str) -> None:
    """The same findings from Django 4.2 to the newest, whatever Waitress is there."""
    result = check(bad_site(tmp_path), "--json", python=pythons.python(version))

    assert result.codes == {"E103", "W201", "W204", "W304", "W401", "W402", "W403"}
    assert result.err == ""
