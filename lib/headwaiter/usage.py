"""The texts of `headwaiter --help` and `--version`, made from the tables of options."""

from __future__ import annotations

import contextlib
import platform
import textwrap
from collections.abc import Iterable

from headwaiter import VERSION, settings
from headwaiter.options import PREFIX, Option

WIDTH = 100
INDENT = 28

HEAD = """\
Usage: headwaiter [options] MODULE:ATTRIBUTE
       headwaiter plan      show how many processes and threads fit the database and the dyno, and why
       headwaiter check     find settings of the site that would hurt on Heroku

Serves a WSGI application on Waitress, for example:

  headwaiter mysite.wsgi:application
  headwaiter --port=8000 --processes=2 --threads=4 mysite.wsgi:application

Each option has a config var: --drain-seconds is HEADWAITER_DRAIN_SECONDS, unless another name is given below. Options
take precedence over config vars. The server listens on PORT, or on 8080.
"""


def help_text() -> str:
    ours = [option for option in settings.our_options().values() if option.group]
    parts = [HEAD]
    groups = dict.fromkeys(option.group for option in ours)
    parts += [f"{group}:\n" + _rows(option for option in ours if option.group == group) for group in groups]
    parts.append("Waitress's own options, which keep their meaning (see `waitress-serve --help`):\n" + _of_waitress())
    parts.append(f"Other:\n{_row('--help', 'Show this.')}\n{_row('--version', 'Show the versions of what runs here.')}")
    return "\n\n".join(part.rstrip() for part in parts)


def _rows(options: Iterable[Option]) -> str:
    rows = []
    for option in options:
        usual = PREFIX + option.name.upper()
        about = option.about if option.variable == usual else f"{option.about} Config var: {option.variable}."
        flag = f"--[no-]{option.flag[2:]}" if option.switch else f"{option.flag}={option.value}"
        rows.append(_row(flag, about))
    return "\n".join(rows)


def _of_waitress() -> str:
    try:
        flags = [option.flag for option in settings.waitress_options().values()]
    except settings.SettingsError as error:
        flags = error.problems
    return textwrap.fill(" ".join(flags), WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _row(flag: str, about: str) -> str:
    lines = textwrap.wrap(about, WIDTH - INDENT) or [""]
    first = f"  {flag:<{INDENT - 3}} "
    if len(first) > INDENT:
        lines.insert(0, "")
    return "\n".join([(first + lines[0]).rstrip(), *(" " * INDENT + line for line in lines[1:])])


def versions() -> dict[str, str]:
    """Return the versions of what runs: Python, Waitress and, where it's installed, Django."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("waitress", "django"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def version_text() -> str:
    return f"headwaiter {VERSION} on " + ", ".join(f"{name} {number}" for name, number in versions().items())
