"""The site that headwaiter runs: what the build found out about it, its place, and its WSGI application."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction, isroutine
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parent
PROJECT_FILE = PACKAGE.parent.parent / "project.json"


class ProjectError(Exception):
    """The site can't be loaded. `str()` is a message for people; `details` the site's own traceback, or nothing."""

    def __init__(self, message: str, details: str = "") -> None:
        from headwaiter.redact import for_people  # here, as no boot that works needs it

        super().__init__(for_people(message))
        self.details = details


@dataclass(frozen=True)
class Project:
    """What the build wrote into the slug; without a build everything is None and the directory the current one."""

    directory: Path  # absolute
    application: str | None = None  # module:attribute
    settings_module: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # project.json as it stands, for hints like database_plan

    def as_settings(self) -> dict[str, str | None]:
        """Return the settings that the build decided, for settings.load()."""
        return {
            "application": self.application,
            "chdir": str(self.directory),
            "settings_module": self.settings_module,
        }


def read_project_file(path: Path = PROJECT_FILE) -> Mapping[str, Any] | None:
    """Return what the build wrote into the slug, or None in a checkout. Raises ProjectError when it can't be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} can't be read ({error}). Deploy again: the build writes it anew.") from error
    if not isinstance(facts, dict):
        raise ProjectError(f"{path} isn't a JSON object. Deploy again: the build writes it anew.")
    return facts


def find(path: Path = PROJECT_FILE) -> Project:
    """Return the project that the build described; directories in it are relative to the repository's root."""
    facts = read_project_file(path)
    if facts is None:
        return Project(directory=Path.cwd())
    return Project(
        directory=path.parent.parent.parent / (facts.get("directory") or "."),
        application=facts.get("wsgi_application"),
        settings_module=facts.get("settings_module"),
        facts=facts,
    )


def enter(directory: str | None, settings_module: str | None, environ: MutableMapping[str, str] | None = None) -> None:
    """Go to the project's directory, make it importable and name its settings module in DJANGO_SETTINGS_MODULE.

    None leaves things as they are. Raises ProjectError.
    """
    environ = os.environ if environ is None else environ
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise ProjectError(
                f"--chdir={directory}: {error.strerror}. Give the directory that holds manage.py, "
                f"relative to {Path.cwd()}."
            ) from error
    here = str(Path.cwd())
    # waitress-serve appends it; in front, the site's own modules win over installed ones of the same name.
    sys.path[:] = [here, *(entry for entry in sys.path if entry not in ("", here))]
    if settings_module:
        environ["DJANGO_SETTINGS_MODULE"] = settings_module


def load_application(name: str) -> Callable[..., Any]:
    """Import and return the WSGI application `name` ("module:attribute", or a module that has `application`).

    Raises ProjectError with the fix in its message and the site's own traceback in `details`.
    """
    if "(" in name:
        raise ProjectError(
            f"{name}: an application factory can't be called here. Call it in a module of the site, "
            f"application = {name.rpartition(':')[2]}, and name that: module:application"
        )
    module_name, colon, attribute = name.partition(":")
    found = _import(module_name, name) if colon else _resolve_dotted(name)
    for part in filter(None, attribute.split(".")):
        found = _attribute(found, part, name)
    if isinstance(found, ModuleType):
        found = _attribute(found, "application", f"{name}:application")
    return _checked(found, name)


def _resolve_dotted(name: str) -> Any:
    """Resolve `package.module` or `package.module.attribute`, as waitress-serve does without a colon."""
    parent, _, last = name.rpartition(".")
    try:
        return _import(name, name)
    except ProjectError:
        if not parent:
            raise
        module = _import(parent, name)
        if not hasattr(module, last):
            raise
        return pkgutil.resolve_name(name)


def _import(module_name: str, name: str) -> ModuleType:
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ProjectError(
            f"{name!r} isn't the name of a WSGI application. Give module:attribute, mysite.wsgi:application"
        )
    try:
        module: ModuleType = _guarded(lambda: importlib.import_module(module_name), name)
    except ProjectError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            if f"{module_name}.".startswith(f"{cause.name}."):
                raise ProjectError(_no_such_module(cause.name)) from cause
            raise ProjectError(_missing_dependency(module_name, cause.name), error.details) from cause
        raise
    return module


def _guarded(act: Callable[[], Any], name: str) -> Any:
    """Run the site's own code; whatever it raises becomes a ProjectError that keeps the site's traceback."""
    try:
        return act()
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        fix = (
            f"The traceback above is the site's own: "
            f"correct it there; `python -c 'import {name.partition(':')[0]}'` shows the same error."
        )
        variable = _missing_config_var(error)
        if variable:
            fix = f"The site reads the config var {variable}, which isn't set: heroku config:set {variable}=..."
        raise ProjectError(
            f"Importing {name} failed with {what.splitlines()[0].rstrip('.')}. {fix}", _site_traceback(error)
        ) from error


def _missing_config_var(error: BaseException) -> str | None:
    """Return the name that `os.environ[name]` didn't find, or None where something else went wrong."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if isinstance(error, KeyError) and frame.f_code is type(os.environ).__getitem__.__code__:
        return str(error.args[0])
    return None


def _no_such_module(missing: str) -> str:
    found = sorted(str(path)[:-3].replace(os.sep, ".") for path in Path().glob("*/wsgi.py"))
    deeper = sorted(str(path.parent.parent) for path in Path().glob("*/*/wsgi.py"))
    if found:
        fix = f"Did you mean {found[0]}:application?"
    elif deeper:
        fix = f"Is it below? Add --chdir={deeper[0]}"
    else:
        fix = "Give --chdir=DIRECTORY if the site lives elsewhere, and check that the file is committed."
    return f"There is no module {missing} in {Path.cwd()} or among the installed packages. {fix}"


def _missing_dependency(module_name: str, missing: str) -> str:
    top = missing.partition(".")[0]
    return (
        f"{module_name} imports {missing}, which isn't installed here. Add the package that provides {top} to "
        f"requirements.txt (or pyproject.toml and its lock file), commit and deploy again. If {top} is a part of "
        f"the site itself, check that it is committed and that {Path.cwd()} is the right directory (--chdir)."
    )


def _attribute(owner: Any, attribute: str, name: str) -> Any:
    try:
        return getattr(owner, attribute)
    except AttributeError:
        pass
    near = difflib.get_close_matches(attribute, _applications(owner), n=1, cutoff=0.5) or _applications(owner)[:1]
    label = getattr(owner, "__name__", type(owner).__name__)
    fix = f"Did you mean {label}:{near[0]}?" if near else f"Nothing in {label} looks like a WSGI application."
    raise ProjectError(f"{name}: {label} has no attribute {attribute!r}. {fix}")


def _applications(owner: Any) -> list[str]:
    """Return the public names in `owner` that could be WSGI applications, the usual ones first."""
    names = [key for key, value in vars(owner).items() if not key.startswith("_") and _may_be_application(value)]
    return sorted(names, key=lambda key: (key not in ("application", "app"), key))


def _may_be_application(value: Any) -> bool:
    return (
        callable(value) and not isinstance(value, type) and not (isroutine(value) and value.__name__.startswith("get_"))
    )


def _checked(application: Any, name: str) -> Callable[..., Any]:
    if not callable(application):
        raise ProjectError(
            f"{name} is of type {type(application).__name__}, not a WSGI application: it can't be called. "
            "A Django site's is the `application` in its wsgi.py."
        )
    called = application if isroutine(application) else type(application).__call__
    if iscoroutinefunction(called):
        wsgi = name.replace("asgi", "wsgi")
        fix = f"Use {wsgi}" if wsgi != name else "Use the site's WSGI application"
        raise ProjectError(
            f"{name} is an ASGI application, and Waitress speaks WSGI. {fix}; a site that needs websockets needs "
            "an ASGI server (uvicorn, daphne, granian)."
        )
    result: Callable[..., Any] = application
    return result


def _site_traceback(error: BaseException) -> str:
    """Return the traceback as Python prints it, without the frames of this package and of the import machinery."""
    whole = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = whole
    while link is not None:
        kept = [each for each in link.stack if "importlib" not in each.filename and str(PACKAGE) not in each.filename]
        link.stack = traceback.StackSummary.from_list(kept)
        link = link.__cause__ or link.__context__
    return "".join(whole.format()).rstrip()
