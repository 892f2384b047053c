"""What the deployment itself says about how the site runs: config vars, app.json, Dockerfile, uwsgi.ini, Procfile."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from headwaiter import app_json, procfile

from buildpack import config_var
from buildpack.finder.names import is_development
from buildpack.finder.repository import ProjectError, Repository, join
from buildpack.finder.syntax import CONFIGURATION, SETTINGS

CONFIG_VARS = ("HEADWAITER_DIR", "HEADWAITER_APP", SETTINGS, CONFIGURATION)

SETTINGS_VALUE = rf"""{SETTINGS}[= ]["']?([A-Za-z_][\w.]*)"""


@dataclass(frozen=True)
class Statement:
    """A value, and who says so, in words for the user."""

    value: str
    origin: str
    is_config_var: bool = False
    """Whether it's set on the app itself; a file may be out of date."""


def set_config_var(name: str, value: str) -> str:
    """The command that sets it."""
    return f"heroku config:set {name}={shlex.quote(value)}"


def read_config_vars(env_dir: str | None, repository: Repository) -> dict[str, Statement]:
    """Our config vars: from ENV_DIR (one file each, the content is data), else from app.json's `env`.

    Raises ProjectError for a value that isn't one line of text.
    """
    found = {}
    declared = app_json.parse(repository.read("app.json") or "{}").env
    for name in CONFIG_VARS:
        if stated := config_var.read(env_dir or "", name):
            found[name] = Statement(stated, f"the config var {name}", is_config_var=True)
        elif value := declared.get(name):
            found[name] = Statement(value, "app.json's env")
    for name, statement in found.items():
        if not statement.value.isprintable():
            raise ProjectError(
                f"Error: {name} isn't one line of text.\n\n"
                f"In {statement.origin}, its value is {statement.value[:80]!a}.\n\n"
                f"Set it again: heroku config:set {name}=..."
            )
    return found


def stated_settings(repository: Repository, directory: str) -> list[Statement]:
    """The settings modules that deployment files set, the most binding first. They may be out of date."""
    found = []
    for path in dict.fromkeys((join(directory, "Dockerfile"), "Dockerfile")):
        for instruction in re.findall(r"^[ \t]*ENV[ \t]+((?:.*\\\n)*.*)", repository.read(path) or "", re.MULTILINE):
            found += [Statement(value, f"ENV in {path}") for value in re.findall(rf"\b{SETTINGS_VALUE}", instruction)]
    # The last one of a Dockerfile holds, but its last stage is often the developers'.
    found.reverse()
    found.sort(key=lambda statement: is_development(statement.value))
    for name in ("uwsgi.ini", "deploy/uwsgi.ini", "config/uwsgi.ini", "conf/uwsgi.ini", "docker/uwsgi.ini"):
        for path in dict.fromkeys((join(directory, name), name)):
            lines = re.findall(rf"^[ \t]*env[ \t]*=[ \t]*{SETTINGS_VALUE}", repository.read(path) or "", re.MULTILINE)
            found += [Statement(value, path) for value in lines]
    command = web_process(repository).command
    found += [
        Statement(value, "Procfile's web process")
        for value in re.findall(rf"(?:\b{SETTINGS}=[\"']?|\s--settings[= ])([A-Za-z_][\w.]*)", command)
    ]
    return found


def web_process(repository: Repository) -> procfile.Web:
    """What Procfile's web process does."""
    return procfile.understand(procfile.parse(repository.read("Procfile") or "").get("web", ""))


def web_directory(repository: Repository) -> str | None:
    """The directory that the web command changes to, such as "backend"; None when it says nothing of the kind."""
    command = web_process(repository).command
    found = re.search(r"(?:\bcd |--chdir[= ]|--pythonpath[= ])[ ]*[\"']?([\w./-]+)", command)
    directory = found[1].removeprefix("/app/").removeprefix("./").strip("/") if found else ""
    return directory if directory and repository.is_directory(directory) else None
