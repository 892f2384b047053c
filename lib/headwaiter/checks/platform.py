"""The app's processes, and what the build and app.json say of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from headwaiter import procfile

from .registry import rule
from .site import Site


@rule(
    "W504",
    "Websockets do not work over WSGI",
    why="The consumers of channels need an ASGI server; headwaiter answers only HTTP requests.",
    fix="Run the consumers in a second app on an ASGI server. If the site uses no websockets:\n"
    'SILENCED_SYSTEM_CHECKS = ["headwaiter.W504"]',
)
def websockets(site: Site) -> Iterator[str]:
    if site.installed("channels") and site.get("ASGI_APPLICATION"):
        yield f"channels is installed and ASGI_APPLICATION is {site.get('ASGI_APPLICATION')!r}"


@rule(
    "W508",
    "The build had a warning",
    why="It was not sure of what it found.",
    fix="The last build's log:\nheroku plugins:install heroku-builds && heroku builds:output",
)
def build_warnings(site: Site) -> Iterator[str]:
    yield from map(str, site.project.get("warnings") or [])


@rule(
    "W509",
    "The Procfile starts another server",
    why="The Procfile's web process replaces the buildpack's, so headwaiter does not serve the site.",
    fix="Delete the web line from the Procfile, or change it to:\nweb: headwaiter mysite.wsgi:application",
)
def other_server(site: Site) -> Iterator[tuple[str, str]]:
    server = procfile.understand(site.procfile.get("web", "")).server
    if server in procfile.SERVERS and server != "headwaiter":
        directory = site.project.get("directory") or "."
        chdir = "" if directory == "." else f"--chdir={directory} "
        line = f"web: headwaiter {chdir}{site.application_name}"
        yield f"its web process is {server}", f"Delete the web line from the Procfile, or change it to:\n{line}"


@rule(
    "W514",
    "A config var that app.json requires is not set",
    why="app.json sets config vars only when an app is created: one that was added later has to be set by hand.",
    fix="heroku config:edit",
    dyno_only=True,
)
def missing_config_vars(site: Site) -> Iterator[tuple[str, str]]:
    for name in site.app_json.required:
        if not site.environ.get(name):
            value = site.app_json.env.get(name)
            yield name, f"heroku config:set {name}={shlex.quote(value)}" if value else f"heroku config:edit {name}"


@rule(
    "W515",
    "headwaiter has a warning",
    why="The number of processes, threads and connections depends on it.",
    fix="The whole calculation:\nheroku run headwaiter plan",
    dyno_only=True,
)
def boot_warnings(site: Site) -> Iterator[str]:
    yield from site.warnings


@rule(
    "W518",
    "A scheduler runs in the web process",
    why="Its jobs run once for each dyno, or once for each process without preloading, and stop whenever web dynos "
    "restart or scale. A scheduler belongs in one process of its own.",
    fix="Start it in a management command instead of ready() or at import, add that to the Procfile "
    "(clock: python manage.py runapscheduler), deploy, and run:\nheroku ps:scale clock=1",
)
def scheduler(site: Site) -> Iterator[str]:
    if site.scheduler:
        yield "loading the site started APScheduler"
