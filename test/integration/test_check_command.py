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
    MIDDLEWARE += ["django.middleware.gzip.GZipMiddleware", "mysite.blog.stream"]
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
    "mysite/blog/__init__.py": """
        def stream(get_response):
            def middleware(request):
                response = get_response(request)
                response.streaming_content = map(bytes.upper, response.streaming_content)
                return response
            return middleware
    """,
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


def check(directory: Path, *argv: str, python: str = sys.executable, **environ: str) -> Checked:
    """Run `headwaiter check` in the directory, with a key and these config vars."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [python, "-m", "headwaiter", "check", *argv]
    base = {"PYTHONPATH": str(LIB), "PYTHONDONTWRITEBYTECODE": "1", "DJANGO_SECRET_KEY": SECRET_KEY}
    run = subprocess.run(
        command, cwd=directory, env=kept | base | environ, capture_output=True, text=True, check=False, timeout=120
    )
    return Checked(run.returncode, run.stdout, run.stderr)


def bad_site(directory: Path) -> Path:
    return write_site(directory, BAD_SETTINGS, BAD_FILES)


def test_a_good_site_passes_at_every_level(tmp_path: Path) -> None:
    """Nothing is found in a checkout that only manage.py describes, Django's own checks included."""
    result = check(write_site(tmp_path), "--fail-level=info")

    assert result.out.splitlines()[-2:] == ["", "nothing found: exit status 0"]
    assert (result.status, result.err) == (0, "")


def test_what_is_wrong_is_found_out(tmp_path: Path) -> None:
    """Models, URLs, middleware's source, handlers, and whether DATABASE_URL would be read."""
    result = check(bad_site(tmp_path), "--json")

    expected = {"E103", "W201", "W204", "W304", "W401", "W402", "W403", "W505"}
    assert result.codes == expected
    assert result.status == 1
    told = {each["id"]: each["seen"] for each in json.loads(result.out)["findings"]}
    assert told["headwaiter.W204"] == "blog.Post.photo, blog.Post.draft are kept by FileSystemStorage"


def test_a_dyno_has_more_to_check(tmp_path: Path) -> None:
    """The manifest that collectstatic left or didn't, and the database that DATABASE_URL names."""
    result = check(bad_site(tmp_path), "--json", **ON_DYNO)

    assert {"E103", "E203", "W204", "W401"} <= result.codes
    assert not json.loads(result.out)["skipped"]


def test_a_database_that_is_down_stops_nothing(tmp_path: Path) -> None:
    """It's said, the rest is checked, and neither password nor address is told."""
    result = check(write_site(tmp_path), "--json", **ON_DYNO)

    assert result.codes == {"W111"}
    assert result.status == 0
    for secret in ("correct-horse-battery", "127.0.0.1", "d1abc", SECRET_KEY):
        assert secret not in result.out + result.err


def test_it_changes_nothing(tmp_path: Path) -> None:
    """Not a file is written, an SQLite database isn't made, for one."""
    site = bad_site(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    check(site, **ON_DYNO)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_key_made_up_at_every_boot(tmp_path: Path) -> None:
    """Told by loading the settings again; the key is in no output."""
    made_up = "from django.core.management.utils import get_random_secret_key\nSECRET_KEY = get_random_secret_key()\n"
    result = check(write_site(tmp_path, made_up), "--json", **ON_DYNO)

    assert "E001" in result.codes
    assert result.status == 1


def test_a_key_that_wsgi_py_reads_from_a_file_is_no_random_one(tmp_path: Path) -> None:
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

    assert "E001" not in check(site, "--json", "mysite.wsgi:application", **ON_DYNO).codes
    assert "E001" in check(site, "--json", **ON_DYNO).codes


def test_what_the_site_prints_is_not_the_answer(tmp_path: Path) -> None:
    """JSON stays JSON; the site's own words go to stderr."""
    result = check(write_site(tmp_path, 'print("loading")'), "--json")

    assert json.loads(result.out)["settings"] == "mysite.settings"
    assert "loading" in result.err


def test_silenced_findings_are_listed_with_their_reasons(tmp_path: Path) -> None:
    """They don't fail the check and aren't forgotten."""
    silenced = """
        SILENCED_SYSTEM_CHECKS = ["security.W004"]
        HEADWAITER_SILENCED = {"headwaiter.I007": "our CDN checks the host"}
        ALLOWED_HOSTS, SECURE_HSTS_SECONDS = ["*"], 0
    """
    result = check(write_site(tmp_path, silenced), "--fail-level=info")

    assert result.out.splitlines()[-3:] == [
        'silenced: headwaiter.I007, ALLOWED_HOSTS is ["*"] (our CDN checks the host)',
        "silenced: security.W004, You have not set a value for the SECURE_HSTS_SECONDS setting (no reason given)",
        "nothing found, 2 silenced: exit status 0",
    ]
    assert result.status == 0


def test_a_check_of_the_sites_own_that_raises(tmp_path: Path) -> None:
    """Ours and the other ones of Django's are told all the same, and the message loses the database's address."""
    raising = """
        from django.core import checks

        @checks.register
        def broken(app_configs, **kwargs):
            raise RuntimeError(f"{DATABASES['default']['HOST']} is closed")

        SECURE_HSTS_SECONDS = 0
    """
    result = check(write_site(tmp_path, raising), "--json", **ON_DYNO)

    assert result.codes == {"W599", "W111", "security.W004"}
    assert "mysite.settings.broken raised RuntimeError: <host> is closed" in result.out


def test_a_site_for_asgi_alone(tmp_path: Path) -> None:
    """It can be loaded, and can't be run."""
    site = write_site(tmp_path, 'WSGI_APPLICATION, ASGI_APPLICATION = None, "mysite.asgi.application"')
    result = check(site, "--json")

    assert "E503" in result.codes
    assert result.status == 1


@pytest.mark.parametrize(
    ("settings", "argv", "message"),
    [
        ("1 / 0", [], "headwaiter check: The settings mysite.settings can't be loaded: ZeroDivisionError"),
        ("", ["mysite.wsgi:app"], "Did you mean mysite.wsgi:application?"),
        ('WSGI_APPLICATION = "mysite.nowhere.application"', [], "There is no module mysite.nowhere"),
        ("", ["--chdir=mysite"], "There is no manage.py in"),
    ],
)
def test_a_site_that_cannot_be_loaded(tmp_path: Path, settings: str, argv: list[str], message: str) -> None:
    """Status 78, the reason on stderr, nothing on stdout."""
    result = check(write_site(tmp_path, settings), *argv)

    assert (result.status, result.out) == (78, "")
    assert message in result.err


def test_in_the_slug_the_build_has_told_where_the_site_is(tmp_path: Path) -> None:
    """From the slug's root, without arguments, with the package and project.json where the build puts them."""
    write_site(tmp_path / "backend")
    (tmp_path / "Procfile").write_text("release: x\nweb: gunicorn mysite.wsgi\n")
    built = tmp_path / ".heroku" / "headwaiter"
    shutil.copytree(LIB / "headwaiter", built / "python" / "headwaiter", ignore=shutil.ignore_patterns("__pycache__"))
    facts = {"directory": "backend", "wsgi_application": "mysite.wsgi:application", "warnings": ["two were found"]}
    (built / "project.json").write_text(json.dumps(facts))

    result = check(tmp_path, "--json", PYTHONPATH=str(built / "python"), **ON_DYNO)

    assert result.codes == {"W111", "W508", "W509"}
    assert json.loads(result.out)["application"] == "mysite.wsgi:application"


def test_other_wsgi_applications_are_left_alone(tmp_path: Path) -> None:
    """What isn't Django can't be checked."""
    (tmp_path / "shop.py").write_text("def application(environ, start_response): ...\n")
    result = check(tmp_path, "shop:application")

    assert result.status == 0
    assert "shop:application isn't a Django site" in result.err


def test_pending_migrations_on_a_real_database(tmp_path: Path) -> None:
    """Found while they are pending, without a trace in the database; once they ran, a dyno has nothing to mend."""
    server = postgres.server()
    server.role("checker", limit=20)
    server.execute("CREATE DATABASE checked OWNER checker")
    site = write_site(tmp_path)
    dyno = {"DYNO": "run.1234", "DATABASE_URL": server.url("checker", "checked")}

    pending = check(site, "--json", **dyno)
    with server.admin("checked") as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()

    assert pending.codes == {"W113"}
    assert "auth.0001_initial" in pending.out
    assert tables == (0,)
    assert server.in_use("checker") == {}

    (site / "Procfile").write_text("worker: python worker.py\n")
    assert check(site, "--json", **dyno).codes == {"E112"}

    run = "import django; django.setup(); from django.core.management import call_command; call_command('migrate')"
    environ = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "DJANGO_SECRET_KEY": SECRET_KEY, **dyno}
    subprocess.run([sys.executable, "-c", run], cwd=site, env=environ, check=True, capture_output=True)
    (site / "Procfile").write_text("release: python manage.py migrate\n")
    result = check(site, "--fail-level=info", **dyno)
    assert result.out.splitlines()[-1] == "nothing found: exit status 0"


@pytest.mark.parametrize("version", pythons.available())
def test_every_python_and_django(tmp_path: Path, version: str) -> None:
    """The same findings from Django 4.2 to the newest, whatever Waitress is there."""
    result = check(bad_site(tmp_path), "--json", python=pythons.python(version))

    about_waitress = {"E501", "W502"}
    assert result.codes - about_waitress == {"E103", "W201", "W204", "W304", "W401", "W402", "W403", "W505"}
    assert result.err == ""
