"""Every setting of the server, in one table: its flag, its config var, its default with the reason, and its help.

Flags win over config vars, config vars over what the build found out, that over the defaults. Waitress's own options
are taken from the installed Waitress, whichever version it is, and keep their meaning.
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from headwaiter import addresses, command_line, options
from headwaiter.addresses import Address
from headwaiter.options import PREFIX, Option, flag, option, seconds, text, whole

HEROKU_GRACE = 30.0  # seconds between SIGTERM and SIGKILL, devcenter: dyno-shutdown-behavior
ROUTER_IDLE = 90.0  # seconds that Heroku's router keeps an idle connection, devcenter: http-routing

# What is trusted where a router is in front, and only it reaches $PORT.
ROUTER_TRUST: Mapping[str, Any] = {
    "trusted_proxy": "*",
    "trusted_proxy_count": 1,
    # Not the host: Heroku's router passes on whatever X-Forwarded-Host the client sent.
    "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"},
}


class SettingsError(Exception):
    """Settings that can't be used; `problems` has one sentence for each, and `str()` tells them all."""

    def __init__(self, problems: Sequence[str]) -> None:
        from headwaiter.redact import for_people  # here, as no boot that works needs it

        self.problems = [for_people(problem) for problem in problems]
        count = "one setting" if len(self.problems) == 1 else f"{len(self.problems)} settings"
        super().__init__(f"{count} can't be used:\n" + "\n".join(f"  {problem}" for problem in self.problems))


SITE, SIZE, LIFE, ROUTER, CLIENTS, DATABASE, LOGS = (
    "The site",
    "Processes and threads",
    "Starting and stopping",
    "Behind a router",
    "Slow clients and long queues",
    "Database connections",
    "Logs",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was chosen, whole and valid. None means that something else decides: the budget, the site, nobody."""

    application: str | None = option(
        None, text, "", "MODULE:ATTRIBUTE", "The site's WSGI application, mysite.wsgi:application."
    )
    chdir: str | None = option(
        None,
        text,
        SITE,
        "DIRECTORY",
        "Run in this directory. Default: the one with manage.py, found by the build.",
    )
    settings_module: str | None = option(
        None,
        text,
        SITE,
        "MODULE",
        "Django's settings module. Default: what the site's wsgi.py says.",
        variable="DJANGO_SETTINGS_MODULE",
    )

    processes: int | None = option(
        None,
        whole("processes", 2, low=1, high=512),
        SIZE,
        "N",
        "Worker processes. Default: what memory, CPUs and database connections allow.",
        variable="WEB_CONCURRENCY",
    )
    threads: int | None = option(
        None,
        whole("threads", 5, low=1, high=4096),
        SIZE,
        "N",
        "Requests that a process works on at a time. Default: what the database's connection limit allows.",
    )
    preload: bool = option(
        True,
        flag,
        SIZE,
        "",
        "Import the site once and fork the processes, which then share its memory and start at once. Default: yes.",
    )
    max_requests: int = option(
        0, whole("requests", 10_000, high=10**9), SIZE, "N", "Replace a process after this many requests; 0 is never."
    )
    max_memory_mb: int = option(
        0, whole("megabytes", 400), SIZE, "MB", "Replace a process that uses more memory than this; 0 is never."
    )

    drain_seconds: float = option(
        25.0,
        seconds(25, high=3600),
        LIFE,
        "SECONDS",
        "How long requests under way may take after SIGTERM. Default: 25, as Heroku kills after 30.",
    )

    trust_proxy: bool = option(
        False,
        flag,
        ROUTER,
        "",
        "Take the client's address, scheme and port from X-Forwarded-* headers. Default: yes on a dyno.",
    )
    min_rate: int = option(
        100,
        whole("bytes a second", 100),
        CLIENTS,
        "BYTES",
        "Drop a client that sends fewer bytes a second for a minute. Default: 100, a twentieth of 2G; 0 is never.",
    )
    queue_seconds: float = option(
        30.0,
        seconds(30),
        CLIENTS,
        "SECONDS",
        "Answer 503 to a request that has waited this long for a thread. Default: 30, as the router does; 0 is never.",
    )

    db_connections: int | None = option(
        None,
        whole("connections", 20, low=1),
        DATABASE,
        "N",
        "The database's connection limit. Default: what its server says, or its plan.",
    )
    db_plan: str | None = option(
        None, text, DATABASE, "PLAN", "Its Heroku Postgres plan, essential-0. Default: the one in app.json."
    )
    db_reserve: int | None = option(
        None,
        whole("connections", 3),
        DATABASE,
        "N",
        "Connections to leave for release phase, one-off dynos and psql. Default: at least 2, or a tenth.",
    )
    web_dynos: int | None = option(
        None,
        whole("dynos", 1, low=1, high=1000),
        DATABASE,
        "N",
        "Web dynos that share it. Default: what app.json or the dyno's number says, or the dynos that are connected.",
    )
    db_wait: float = option(
        20.0,
        seconds(20),
        DATABASE,
        "SECONDS",
        "How long a request waits for a connection when the server has none left. Default: 20.",
    )

    live_budget: bool = option(
        True,
        flag,
        DATABASE,
        "",
        "Change processes and threads when the number of web dynos or the limit changes. Default: yes.",
    )

    access_log: bool = option(False, flag, LOGS, "", "Log every request. Default: no, as Heroku's router does.")
    slow_request_seconds: float = option(
        20.0,
        seconds(20),
        LOGS,
        "SECONDS",
        "Log the stack of a request that has run this long. Default: 20, before the router's 30; 0 is never.",
    )

    listen: tuple[Address, ...] = (("*", addresses.DEFAULT_PORT),)
    ipv4: bool = True
    ipv6: bool = True
    unix_socket_perms: int = 0o600
    waitress: Mapping[str, Any] = field(default_factory=dict)  # Waitress's options that somebody chose
    advice: tuple[str, ...] = ()  # sentences for the boot log: settings that work, but hardly as meant


def our_options() -> dict[str, Option]:
    """Return headwaiter's own options by field name, in the order of `--help`."""
    found = {}
    for item in fields(Settings):
        if item.metadata:
            details = dict(item.metadata)
            variable = details.pop("variable") or PREFIX + item.name.upper()
            found[item.name] = Option(item.name, switch=details["parse"] is flag, variable=variable, **details)
    return found


def waitress_options() -> dict[str, Option]:
    """Return the installed Waitress's own options by name; ours of the same name (threads) are left out."""
    try:
        found = options.of_waitress()
    except ImportError:
        raise SettingsError(["waitress isn't installed for this Python. Add it: pip install waitress."]) from None
    ours = our_options()
    return {name: each for name, each in found.items() if name not in ours}


def load(
    argv: Sequence[str],
    environ: Mapping[str, str] | None = None,
    built: Mapping[str, str | None] | None = None,
    *,
    serving: bool = True,
) -> Settings:
    """Return the settings from flags, config vars and what the build found; `serving` insists on a port to listen on.

    `built` has the keys application, chdir and settings_module. Raises SettingsError that names every value that can't
    be used, all at once.
    """
    environ = os.environ if environ is None else environ
    ours, theirs = our_options(), waitress_options()
    known = ours | theirs
    typed = command_line.flags(argv, ours, theirs)
    given = _strongest(typed.given, command_line.config_vars(known, environ).given)
    values, unusable = command_line.parsed(given, known)
    problems = [*typed.problems, *unusable]
    chosen = _with_built(_fields_of(values, trust_proxy="DYNO" in environ), built or {})
    waitress = {name: value for name, value in values.items() if name in theirs and name not in addresses.OPTIONS}
    if not problems:
        problems += _refused_by_waitress({**(ROUTER_TRUST if chosen["trust_proxy"] else {}), **waitress})
    try:
        chosen["listen"] = addresses.settle(given, values, environ, serving=serving)
    except addresses.AddressError as error:
        problems.append(str(error))
    if problems:
        raise SettingsError(problems)
    found = Settings(**chosen, waitress=waitress)
    variables = frozenset(each.variable for each in known.values())
    return replace(found, advice=tuple(_advice(found, environ, variables)))


def _strongest(
    flags: Mapping[str, command_line.Given], config_vars: Mapping[str, command_line.Given]
) -> dict[str, command_line.Given]:
    """Flags win; one that says where to listen silences every config var that does."""
    silenced = addresses.OPTIONS if addresses.OPTIONS & flags.keys() else frozenset()
    return {**{name: gift for name, gift in config_vars.items() if name not in silenced}, **flags}


def _fields_of(values: Mapping[str, Any], *, trust_proxy: bool) -> dict[str, Any]:
    """Return those values that are fields of Settings; `trust_proxy` is the default of that one."""
    names = {item.name for item in fields(Settings)} - {"listen"}
    return {"trust_proxy": trust_proxy, **{name: value for name, value in values.items() if name in names}}


def _with_built(chosen: dict[str, Any], built: Mapping[str, str | None]) -> dict[str, Any]:
    """Add what the build found out, unless another application was named: its directory may be another one."""
    if chosen.get("application", built.get("application")) != built.get("application"):
        return chosen
    return {**built, **chosen}


def _refused_by_waitress(waitress: Mapping[str, Any]) -> list[str]:
    from waitress.adjustments import Adjustments

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            Adjustments(**waitress)
        except ValueError as error:
            return [f"Waitress refuses its options: {error}."]
    return []


def _advice(settings: Settings, environ: Mapping[str, str], known: frozenset[str]) -> Iterator[str]:
    if "DYNO" in environ and settings.drain_seconds > HEROKU_GRACE - 2:
        yield (
            f"drain_seconds is {settings.drain_seconds:g}, but Heroku kills the dyno {HEROKU_GRACE:g} s after SIGTERM: "
            "25 leaves time to end in order."
        )
    timeout = settings.waitress.get("channel_timeout", ROUTER_IDLE + 1)
    if "DYNO" in environ and timeout <= ROUTER_IDLE:
        yield (
            f"channel_timeout is {timeout}, but Heroku's router keeps idle connections {ROUTER_IDLE:g} s: "
            "some requests will meet a closing connection (H13, H18). 95 or more is safe."
        )
    asked = environ.get("HEADWAITER_APP", "").strip()
    if asked and settings.application and asked not in (settings.application, settings.application.partition(":")[0]):
        yield (
            f"HEADWAITER_APP is {asked}, but {settings.application} is served: the build reads it, so deploy again "
            '(git commit --allow-empty -m "Build again").'
        )
    for name in sorted(environ.keys() - known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.9) if name.startswith(PREFIX) else []
        if near:
            yield f"The config var {name} isn't a setting. Did you mean {near[0]}?"
