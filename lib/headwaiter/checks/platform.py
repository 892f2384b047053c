"""Waitress, the app's processes and what app.json says of them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from .registry import RULES, Seen, rule
from .site import Site


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@rule(
    "E501",
    "Waitress has known holes",
    why="Versions before 3.0.1 can be made to spin for ever (CVE-2024-49769) and to answer requests that were never "
    "asked (CVE-2024-49768).",
    mend="waitress>=3.0.2,<4 in the requirements (or no waitress at all: the buildpack brings it)",
)
def vulnerable_waitress(site: Site) -> Iterator[Seen | str]:
    if site.waitress_version and _version(site.waitress_version) < (3, 0, 1):
        yield f"waitress {site.waitress_version}"


@rule(
    "W502",
    "headwaiter wasn't tried with this Waitress",
    why="It drains and limits connections through parts of Waitress that may change; before 3.0.2 addresses in "
    "X-Forwarded-For that anybody can write are passed on.",
    mend="waitress>=3.0.2,<4 in the requirements",
)
def untested_waitress(site: Site) -> Iterator[Seen | str]:
    version = _version(site.waitress_version or "3.0.2")
    if (3, 0, 1) <= version < (3, 0, 2) or version >= (4,):
        yield f"waitress {site.waitress_version}"


@rule(
    "E503",
    "The site has an ASGI application only",
    why="Waitress speaks WSGI: headwaiter can't run it.",
    mend="add wsgi.py (application = django.core.wsgi.get_wsgi_application()), or use an ASGI server for websockets",
)
def asgi_only(site: Site) -> Iterator[Seen | str]:
    asgi = site.get("ASGI_APPLICATION")
    if asgi and not site.get("WSGI_APPLICATION") and site.application is None:
        yield f"ASGI_APPLICATION = {asgi!r}, and no WSGI application was found"


@rule(
    "W504",
    "Websockets don't work over WSGI",
    why="The consumers of channels need an ASGI server; headwaiter answers HTTP requests only.",
    mend="run them in an app of their own on an ASGI server, or silence this when websockets aren't used",
)
def websockets(site: Site) -> Iterator[Seen | str]:
    if "channels" in site.get("INSTALLED_APPS", []) and site.get("ASGI_APPLICATION"):
        yield f"channels is in INSTALLED_APPS and ASGI_APPLICATION = {site.get('ASGI_APPLICATION')!r}"


def _objects(site: Site) -> Iterator[tuple[str, Any]]:
    for path in site.get("MIDDLEWARE", []):
        module, _, name = str(path).rpartition(".")
        yield str(path), getattr(import_module(module), name)


def _rewrites_streams(middleware: Any) -> bool:
    """Whether the source of a middleware, or of a base of its, assigns to a response's streaming_content."""
    for part in inspect.getmro(middleware) if inspect.isclass(middleware) else [middleware]:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        except (OSError, TypeError, SyntaxError):
            continue
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(target, ast.Attribute) and target.attr == "streaming_content" for target in targets):
                return True
    return False


@rule(
    "W505",
    "A middleware wraps file responses",
    why="headwaiter sends a FileResponse, and WhiteNoise's files, straight from the disk. Once wrapped, a thread has "
    "to read each download through Python and copy it to memory or a temporary file first.",
    mend="take it out of MIDDLEWARE (compress static files when they are collected: WhiteNoise's "
    "CompressedManifestStaticFilesStorage), or apply it to views (django.views.decorators.gzip.gzip_page)",
)
def wrapping_middleware(site: Site) -> Iterator[Seen | str]:
    for path, middleware in _objects(site):
        if _rewrites_streams(middleware):
            yield f"{path} replaces streaming_content"


def _passes_files(module: str) -> bool:
    try:
        return "wsgi.file_wrapper" in inspect.getsource(import_module(module))
    except (ImportError, OSError, TypeError):
        return False


@rule(
    "I506",
    "The WSGI application is wrapped",
    why="A wrapper that returns another iterable than Django's takes wsgi.file_wrapper from downloads: a thread then "
    "has to read each through Python and copy it to memory or a temporary file first.",
    mend="check that the wrapper returns Django's response object as it is, or do without it",
)
def wrapped_application(site: Site) -> Iterator[Seen | str]:
    from django.core.handlers.wsgi import WSGIHandler

    application = site.application
    known = isinstance(application, WSGIHandler) or type(application).__module__.startswith("whitenoise")
    if application is not None and not known and not _passes_files(type(application).__module__):
        label = f"{application.__module__}.{getattr(application, '__qualname__', type(application).__qualname__)}"
        yield f"{site.application_name} is {label}, not Django's WSGIHandler"
    module = site.handler_module
    if module != "django.core.handlers.wsgi" and not _passes_files(module) and not module.startswith("sentry_sdk"):
        yield f"{module} replaced WSGIHandler.__call__"


@rule(
    "W507",
    "The settings in force look like development's",
    why="They tend to switch on DEBUG, a mail log and a database on the developer's machine.",
    mend="heroku config:set DJANGO_SETTINGS_MODULE=<package>.settings.production",
    dyno_only=True,
)
def development_settings(site: Site) -> Iterator[Seen | str]:
    if site.settings_module.rpartition(".")[2].lower() in ("local", "dev", "devel", "development", "test", "testing"):
        yield f"DJANGO_SETTINGS_MODULE = {site.settings_module}"


@rule(
    "W508",
    "The build warned",
    why="It couldn't be sure of what it found, and the site runs on its guess.",
    mend="as the warning says",
)
def build_warnings(site: Site) -> Iterator[Seen | str]:
    yield from (str(warning) for warning in site.project.get("warnings") or [])


_SERVERS = "gunicorn|uwsgi|uvicorn|daphne|hypercorn|granian|waitress-serve|mod_wsgi-express"


@rule(
    "W509",
    "The Procfile starts another server",
    why="The Procfile wins over the buildpack's default: headwaiter isn't what answers.",
    mend="delete the web line from the Procfile, or:  web: headwaiter <package>.wsgi:application",
)
def other_server(site: Site) -> Iterator[Seen | str]:
    web = (site.procfile or {}).get("web", "")
    other = re.search(rf"(?<![\w.-])({_SERVERS})(?![\w.-])", web)  # a script may well start headwaiter
    if other and "headwaiter" not in web:
        yield Seen(f"web: ... {other[1]} ...", _web_line(site))


def _web_line(site: Site) -> str | None:
    """The mend with the site's own command, where the build or the user named the application."""
    if not site.application_name:
        return None
    directory = site.project.get("directory") or "."
    chdir = "" if directory == "." else f"--chdir={directory} "
    return f"delete the web line from the Procfile, or:  web: headwaiter {chdir}{site.application_name}"


@rule(
    "E510",
    "The Procfile starts Django's development server",
    why="runserver isn't made for the public: one slow client stops it, it knows no drain and no limit of connections.",
    mend="delete the web line from the Procfile, or:  web: headwaiter <package>.wsgi:application",
)
def development_server(site: Site) -> Iterator[Seen | str]:
    if "runserver" in (site.procfile or {}).get("web", ""):
        yield Seen("web: ... runserver ...", _web_line(site))


def _formation(site: Site) -> Mapping[str, Any]:
    formation = site.app_json.get("formation")
    web = formation.get("web") if isinstance(formation, Mapping) else None
    return web if isinstance(web, Mapping) else {}


@rule(
    "W511",
    "app.json and HEADWAITER_WEB_DYNOS disagree",
    why="The connection budget is shared out among that many dynos: too few, and the database refuses connections.",
    mend="heroku config:set HEADWAITER_WEB_DYNOS=<what `heroku ps` shows>, or mend formation.web.quantity in app.json",
)
def formation_disagrees(site: Site) -> Iterator[Seen | str]:
    told, quantity = site.environ.get("HEADWAITER_WEB_DYNOS"), _formation(site).get("quantity")
    if told and told.isdigit() and isinstance(quantity, int) and int(told) != quantity:
        yield f"HEADWAITER_WEB_DYNOS is {told}, formation.web.quantity in app.json {quantity}"


@rule(
    "W512",
    "More web dynos run than the budget knows of",
    why="app.json counts when an app is created and not when it is scaled: each dyno takes a larger share of the "
    "database's connections than there is.",
    mend="heroku config:set HEADWAITER_WEB_DYNOS=<what `heroku ps` shows>",
    dyno_only=True,
)
def more_dynos(site: Site) -> Iterator[Seen | str]:
    number = re.fullmatch(r"web\.(\d+)", site.environ.get("DYNO", ""))
    told = site.environ.get("HEADWAITER_WEB_DYNOS") or _formation(site).get("quantity")
    if number and told and str(told).isdigit() and int(number[1]) > int(told):
        yield f"this is {number[0]}, and {told} web dyno(s) are declared"


@rule(
    "W513",
    "The dyno isn't the size that app.json names",
    why="The budget was made for what is really there, but the formation you count on isn't what runs.",
    mend="heroku ps:type web=<size>, or mend formation.web.size in app.json",
    dyno_only=True,
)
def other_size(site: Site) -> Iterator[Seen | str]:
    from headwaiter.budget import dyno

    size = _formation(site).get("size")
    expected = dyno.memory_of_size(size) if size else None
    if expected and site.memory_mb and site.environ.get("DYNO", "").startswith("web") and site.memory_mb != expected:
        yield f"formation.web.size is {size} ({expected} MB), this dyno has {site.memory_mb} MB"


@rule(
    "W514",
    "A config var that app.json requires is missing",
    why="app.json sets config vars only when an app is created: one added later has to be set by hand.",
    mend="heroku config:set NAME=...",
    dyno_only=True,
)
def missing_config_vars(site: Site) -> Iterator[Seen | str]:
    env = site.app_json.get("env")
    wanted = env if isinstance(env, Mapping) else {}
    missing = [name for name, entry in wanted.items() if _required(entry) and not site.environ.get(name)]
    if missing:
        yield Seen(f"not set: {', '.join(missing)}", f"heroku config:set {missing[0]}=...")


def _required(entry: Any) -> bool:
    """Whether app.json's entry for a config var demands a value; one with a value or generator brought its own."""
    if not isinstance(entry, Mapping):
        return bool(entry)
    return entry.get("required", True) is not False


@rule(
    "W516",
    "A setting of headwaiter's hardly does what it is meant to",
    why="It is accepted, but not in the way its name promises.",
    mend="as it says",
    dyno_only=True,
)
def settings_advice(site: Site) -> Iterator[Seen | str]:
    yield from site.advice


@rule(
    "W515",
    "The connection budget warns",
    why="Processes and threads come from it: too many, and the database refuses some; too few, and requests queue.",
    mend="heroku run headwaiter plan  shows the arithmetic",
    dyno_only=True,
)
def budget(site: Site) -> Iterator[Seen | str]:
    if not site.database_error:  # W111 says so then, and the budget goes by guesses
        yield from site.budget_warnings


@rule(
    "W517",
    "A silenced finding isn't one, or has no reason",
    why="A finding that is silenced by a wrong name still fails the check; one without a reason is silenced for ever.",
    mend='HEADWAITER_SILENCED = {"headwaiter.W304": "one process only"}',
)
def silenced_badly(site: Site) -> Iterator[Seen | str]:
    told = site.get("HEADWAITER_SILENCED", {})
    if not isinstance(told, Mapping):
        yield f"HEADWAITER_SILENCED is a {type(told).__name__}, not a dict of ids and reasons"
        return
    names = [*map(str, told), *map(str, site.get("SILENCED_SYSTEM_CHECKS", []))]
    unknown = sorted(name for name in set(names) if name.startswith("headwaiter.") and name not in RULES)
    if unknown:
        yield f"no such finding: {', '.join(unknown)}"
    bare = sorted(str(name) for name, reason in told.items() if not reason)
    if bare:
        yield f"no reason in HEADWAITER_SILENCED: {', '.join(bare)}"


@rule(
    "W599",
    "A check of Django's stopped with an error",
    why="What it would have found is missing here.",
    mend="python manage.py check --deploy  shows the whole error",
)
def django_checks_stopped(site: Site) -> Iterator[Seen | str]:
    yield from site.django_checks_errors
