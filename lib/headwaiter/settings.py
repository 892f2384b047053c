"""Every setting of the server, in one table: its flag, its config var, its default with the reason, and its help.

Flags win over config vars, config vars over what the build found out, that over the defaults. Waitress's own options
are taken from the installed Waitress, whichever version it is, and keep their meaning.
"""

from __future__ import annotations

import difflib
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from headwaiter.project import Project

Address = tuple[str, int] | str  # (host, port), or the path of a Unix socket; host "*" means every interface
PREFIX = "HEADWAITER_"
DEFAULT_PORT = 8080  # waitress-serve's
HEROKU_GRACE = 30.0  # seconds between SIGTERM and SIGKILL, devcenter: dyno-shutdown-behavior
ROUTER_IDLE = 90.0  # seconds that Heroku's router keeps an idle connection, devcenter: http-routing
TRUE, FALSE = frozenset({"1", "true", "t", "yes", "y", "on"}), frozenset({"0", "false", "f", "no", "n", "off"})


class SettingsError(Exception):
    """Settings that can't be used; `problems` has one sentence for each, and `str()` tells them all."""

    def __init__(self, problems: Sequence[str]) -> None:
        from headwaiter.redact import for_people  # here, as no boot that works needs it

        self.problems = [for_people(problem) for problem in problems]
        count = "one setting" if len(self.problems) == 1 else f"{len(self.problems)} settings"
        super().__init__(f"{count} can't be used:\n" + "\n".join(f"  {problem}" for problem in self.problems))


def _flag(text: str) -> bool:
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise ValueError("is neither yes nor no; write 1 or 0")


def _text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a line break or another character that can't be printed; leave it out")
    return text


def _number(
    low: float, high: float, unit: str, example: str, convert: Callable[[str], float]
) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = convert(text.strip())
        except ValueError:
            number = math.nan
        if math.isnan(number):
            raise ValueError(f"isn't a number of {unit}; write for example {example}")
        if not low <= number <= high:
            raise ValueError(f"must be between {low:g} and {high:g} {unit}; write for example {example}")
        return number

    return parse


def _whole(unit: str, example: int, low: int = 0, high: int = 1_000_000) -> Callable[[str], float]:
    return _number(low, high, unit, str(example), int)


def _seconds(example: float, high: float = 86_400) -> Callable[[str], float]:
    return _number(0, high, "seconds", f"{example:g}", float)


def _option(
    default: Any, parse: Callable[[str], Any], group: str, value: str, about: str, *, variable: str = ""
) -> Any:
    """Describe one setting: how it's read, where `--help` lists it, the word for its value, and what it does."""
    told = {"parse": parse, "group": group, "value": value, "about": about, "variable": variable}
    return field(default=default, metadata=told)


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

    application: str | None = _option(
        None, _text, "", "MODULE:ATTRIBUTE", "The site's WSGI application, mysite.wsgi:application."
    )
    chdir: str | None = _option(
        None,
        _text,
        SITE,
        "DIRECTORY",
        "Go there first: the directory that holds manage.py. Default: the one found at build.",
    )
    settings_module: str | None = _option(
        None,
        _text,
        SITE,
        "MODULE",
        "Django's settings module. Default: what the site's wsgi.py says.",
        variable="DJANGO_SETTINGS_MODULE",
    )
    call: bool = _option(False, _flag, SITE, "", "The attribute is a factory: call it to get the application.")

    processes: int | None = _option(
        None,
        _whole("processes", 2, low=1, high=512),
        SIZE,
        "N",
        "Worker processes. Default: what memory, CPUs and database connections allow.",
        variable="WEB_CONCURRENCY",
    )
    threads: int | None = _option(
        None,
        _whole("threads", 5, low=1, high=4096),
        SIZE,
        "N",
        "Requests that a process works on at a time. Default: what the database's connection limit allows.",
    )
    preload: bool = _option(
        True,
        _flag,
        SIZE,
        "",
        "Import the site once, before the processes start: they share its memory and start at once.",
    )
    max_requests: int = _option(
        0, _whole("requests", 10_000, high=10**9), SIZE, "N", "Replace a process after so many requests; 0 is never."
    )
    max_memory_mb: int = _option(
        0, _whole("megabytes", 400), SIZE, "MB", "Replace a process that has grown over so many megabytes; 0 is never."
    )

    drain_seconds: float = _option(
        25.0,
        _seconds(25, high=3600),
        LIFE,
        "SECONDS",
        "How long requests under way may take after SIGTERM. Default: 25, as Heroku kills after 30.",
    )

    trust_proxy: bool = _option(
        False,
        _flag,
        ROUTER,
        "",
        "A router in front tells the client's address, scheme and port (X-Forwarded-*). Default: yes on a dyno.",
    )
    min_rate: int = _option(
        100,
        _whole("bytes a second", 100),
        CLIENTS,
        "BYTES",
        "Drop a client that sends fewer bytes a second than this. Default: 100, a twentieth of a 2G phone; 0 is never.",
    )
    min_rate_seconds: float = _option(
        60.0, _seconds(60), CLIENTS, "SECONDS", "How long a client may be slower than that. Default: 60."
    )
    queue_seconds: float = _option(
        30.0,
        _seconds(30),
        CLIENTS,
        "SECONDS",
        "Answer 503 to a request that waited so long for a thread. Default: 30, as the router does; 0 is never.",
    )

    db_connections: int | None = _option(
        None,
        _whole("connections", 20, low=1),
        DATABASE,
        "N",
        "The database's connection limit. Default: what its server says, or its plan.",
    )
    db_plan: str | None = _option(
        None, _text, DATABASE, "PLAN", "Its Heroku Postgres plan, essential-0. Default: the one in app.json."
    )
    db_reserve: int | None = _option(
        None,
        _whole("connections", 3),
        DATABASE,
        "N",
        "Connections to leave for release phase, one-off dynos and psql. Default: at least 2, or a tenth.",
    )
    web_dynos: int | None = _option(
        None, _whole("dynos", 1, low=1, high=1000), DATABASE, "N", "Web dynos that share it. Default: app.json's, or 1."
    )
    db_wait: float = _option(
        20.0,
        _seconds(20),
        DATABASE,
        "SECONDS",
        "How long a request waits for a connection when the server has none left. Default: 20.",
    )

    access_log: bool = _option(False, _flag, LOGS, "", "Log every request. Default: no, as Heroku's router does.")
    metrics_seconds: float = _option(
        0.0, _seconds(60), LOGS, "SECONDS", "Log sample# metrics so often, for a log drain; 0 is never."
    )
    slow_request_seconds: float = _option(
        20.0,
        _seconds(20),
        LOGS,
        "SECONDS",
        "Log where a request hangs that takes so long. Default: 20, before the router's 30; 0 is never.",
    )

    listen: tuple[Address, ...] = (("*", DEFAULT_PORT),)
    ipv4: bool = True
    ipv6: bool = True
    unix_socket_perms: int = 0o600
    waitress: Mapping[str, Any] = field(default_factory=dict)  # Waitress's options that somebody chose, and the trust
    advice: tuple[str, ...] = ()  # sentences for the boot log: settings that work, but hardly as meant


class Option(NamedTuple):
    """One option on the command line, ours or Waitress's."""

    name: str  # the field of Settings or of Waitress's Adjustments: drain_seconds
    parse: Callable[[str], Any]  # raises ValueError with what is wrong
    switch: bool  # --x and --no-x rather than --x=VALUE
    group: str
    value: str
    about: str
    variable: str  # the config var

    @property
    def flag(self) -> str:
        """The option as it's typed: --drain-seconds."""
        return "--" + self.name.replace("_", "-")


def our_options() -> dict[str, Option]:
    """Return headwaiter's own options by field name, in the order of `--help`."""
    found = {}
    for item in fields(Settings):
        told = item.metadata
        if told:
            variable = told["variable"] or PREFIX + item.name.upper()
            switch = told["parse"] is _flag
            found[item.name] = Option(
                item.name, told["parse"], switch, told["group"], told["value"], told["about"], variable
            )
    return found


# Options of Waitress that make sense in Python code alone.
_CODE_ONLY = frozenset({"sockets"})
# Options of Waitress that say where to listen; `_listen` settles them together.
PLACE = frozenset({"host", "port", "listen", "unix_socket", "unix_socket_perms", "ipv4", "ipv6"})


def waitress_options() -> dict[str, Option]:
    """Return the installed Waitress's own options by name; ours of the same name (threads) are left out."""
    try:
        from waitress.adjustments import Adjustments, asbool
    except ImportError:
        raise SettingsError(["waitress isn't installed for this Python. Add it: pip install waitress."]) from None

    ours = our_options()
    found = {}
    for name, cast in Adjustments._params:
        if name in ours or name in _CODE_ONLY:
            continue
        parse = _flag if cast is asbool else _waitress_value(name, cast)
        value = {int: "N", str: "TEXT"}.get(cast, "VALUE")
        found[name] = Option(name, parse, cast is asbool, "Waitress", value, "", PREFIX + name.upper())
    return found


# Waitress takes any number: with 0 bytes to receive, for example, it hangs up on everybody.
_RANGES = {"port": (0, 65_535), "backlog": (1, 2**31 - 1), "recv_bytes": (1, 2**24), "connection_limit": (1, 10**6)}
_LISTS = frozenset({"listen", "trusted_proxy_headers"})  # may have a line for each entry


def _waitress_value(name: str, cast: Callable[[str], Any]) -> Callable[[str], Any]:
    low, high = _RANGES.get(name, (0, 2**62))

    def parse(text: str) -> Any:
        try:
            value = cast(text if name in _LISTS else _text(text))
        except ValueError:
            word = "a whole number" if cast is int else "a value that Waitress takes"
            raise ValueError(f"isn't {word}") from None
        if cast is int and not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


# What is trusted where a router is in front, and only it reaches $PORT.
ROUTER_TRUST: Mapping[str, Any] = {
    "trusted_proxy": "*",
    "trusted_proxy_count": 1,
    # Not the host: Heroku's router passes on whatever X-Forwarded-Host the client sent.
    "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"},
}


class _Given(NamedTuple):
    """One value that somebody gave, and where, for the message when it's wrong."""

    text: str
    where: str  # --drain-seconds=abc, or HEADWAITER_DRAIN_SECONDS=abc (config var)


def load(
    argv: Sequence[str],
    environ: Mapping[str, str] | None = None,
    project: Project | None = None,
    *,
    serving: bool = True,
) -> Settings:
    """Return the settings from flags, config vars and what the build found; `serving` insists on a port to listen on.

    Raises SettingsError that names every value that can't be used, all at once.
    """
    environ = os.environ if environ is None else environ
    ours, theirs = our_options(), waitress_options()
    options = ours | theirs
    problems: list[str] = []
    flags = _from_flags(argv, options, problems)
    given = _from_config_vars(options, environ)
    if flags.keys() & PLACE:
        given = {name: gift for name, gift in given.items() if name not in PLACE}
    given.update(flags)

    values = _parsed(given, options, problems)
    chosen = {name: value for name, value in values.items() if name in ours}
    chosen.setdefault("trust_proxy", "DYNO" in environ)
    _add_project(chosen, project)
    waitress = {name: value for name, value in ROUTER_TRUST.items() if chosen["trust_proxy"] and name in theirs}
    waitress.update({name: value for name, value in values.items() if name in theirs and name not in PLACE})
    if not problems:
        problems += _refused_by_waitress(waitress)
    chosen["listen"] = _listen(given, values, environ, problems, serving=serving)
    chosen.update({name: values[name] for name in ("ipv4", "ipv6", "unix_socket_perms") if name in values})
    if problems:
        raise SettingsError(problems)
    found = Settings(**chosen, waitress=waitress)
    return Settings(**{**_plain(found), "advice": tuple(_advice(found, environ, options))})


def _parsed(given: Mapping[str, _Given], options: Mapping[str, Option], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, gift in given.items():
        try:
            values[name] = options[name].parse(gift.text)
        except ValueError as error:  # noqa: PERF203  # each value has its own error, and there are a few dozen
            problems.append(f"{gift.where}: {error}.")
    return values


def _plain(settings: Settings) -> dict[str, Any]:
    return {item.name: getattr(settings, item.name) for item in fields(settings)}


def _from_config_vars(options: Mapping[str, Option], environ: Mapping[str, str]) -> dict[str, _Given]:
    """Return the values that config vars give; an empty config var is one that isn't set."""
    found = {}
    for name, option in options.items():
        text = environ.get(option.variable, "").strip()
        # heroku/python sets WEB_CONCURRENCY from the dyno's memory alone, and leaves its name in the other variable.
        automatic = option.variable == "WEB_CONCURRENCY" and environ.get("WEB_CONCURRENCY_SET_BY")
        if text and not automatic:
            found[name] = _Given(text, f"{option.variable}={text} (config var)")
    return found


def _from_flags(argv: Sequence[str], options: Mapping[str, Option], problems: list[str]) -> dict[str, _Given]:
    """Return the values that the command line gives; what can't be understood is added to `problems`."""
    found: dict[str, _Given] = {}
    words = iter(argv)
    for word in words:
        if word == "--":
            for rest in words:
                _take_application(rest, found, problems)
        elif word.startswith("-") and len(word) > 1:
            _take_flag(word, words, options, found, problems)
        else:
            _take_application(word, found, problems)
    return found


def _take_application(word: str, found: dict[str, _Given], problems: list[str]) -> None:
    if "application" in found:
        problems.append(f"{word}: one application at a time, and {found['application'].text} is already it.")
    else:
        found["application"] = _Given(word, word)


def _take_flag(
    word: str, words: Iterator[str], options: Mapping[str, Option], found: dict[str, _Given], problems: list[str]
) -> None:
    typed, equals, text = word.partition("=")
    flags = _flags(options)
    matches = [typed] if typed in flags else [flag for flag in flags if typed[:2] == "--" and flag.startswith(typed)]
    if len(matches) != 1:
        problems.append(_unknown(typed, matches, flags))
        return
    option = flags[matches[0]]
    if option.switch:
        if equals:
            problems.append(f"{word}: takes no value; write {option.flag} or --no-{option.flag[2:]}.")
            return
        text = "0" if matches[0] != option.flag else "1"
    elif not equals:
        text = next(words, "")
    if not text and option.name not in ("ident", "url_prefix"):
        problems.append(f"{typed}: a value is missing; write {option.flag}={option.value}.")
        return
    where = word if equals or option.switch else f"{typed} {text}"
    if option.name == "listen" and "listen" in found and found["listen"].where.startswith("--"):
        text = f"{found['listen'].text} {text}"
    found[option.name] = _Given(text, where)


def _flags(options: Mapping[str, Option]) -> dict[str, Option]:
    flags = {option.flag: option for option in options.values() if option.name != "application"}
    return flags | {f"--no-{flag[2:]}": option for flag, option in flags.items() if option.switch}


def _unknown(typed: str, matches: Sequence[str], flags: Mapping[str, Option]) -> str:
    if matches:
        return f"{typed}: could be {' or '.join(sorted(matches))}; write it out."
    near = difflib.get_close_matches(typed, flags, n=1, cutoff=0.5)
    return f"{typed}: no such option. " + (f"Did you mean {near[0]}?" if near else "`headwaiter --help` lists them.")


def _add_project(chosen: dict[str, Any], project: Project | None) -> None:
    """Fill in what the build found out, unless another application was named: its directory may be another one."""
    if project is None or chosen.setdefault("application", project.application) != project.application:
        return
    chosen.setdefault("chdir", str(project.directory))
    chosen.setdefault("settings_module", project.settings_module)


def _refused_by_waitress(waitress: Mapping[str, Any]) -> list[str]:
    from waitress.adjustments import Adjustments

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            Adjustments(**waitress)
        except ValueError as error:
            return [f"Waitress refuses its options: {error}."]
    return []


def _listen(
    given: Mapping[str, _Given],
    values: Mapping[str, Any],
    environ: Mapping[str, str],
    problems: list[str],
    *,
    serving: bool,
) -> tuple[Address, ...]:
    """Settle --listen, --host, --port, --unix-socket and PORT, which exclude each other as in waitress-serve."""
    places = [name for name in ("listen", "unix_socket") if name in values]
    both = places + [name for name in ("host", "port") if name in values] * bool(places)
    if len(both) > 1:
        problems.append(f"{' and '.join(given[name].where for name in both)}: exclude each other; keep one.")
        return ()
    if "unix_socket" in values:
        return (values["unix_socket"],)
    fallback = values["port"] if "port" in values else _port_of_the_dyno(given, environ, problems, serving=serving)
    if "listen" not in values:
        return ((values.get("host", "*"), fallback),)
    return tuple(_address(place, fallback, problems) for place in values["listen"])


def _port(text: str) -> int | None:
    """Return the port that `text` is, or None; int() itself refuses numbers of thousands of digits."""
    return int(text) if text.isdecimal() and len(text) < 10 and int(text) <= 65_535 else None


def _port_of_the_dyno(
    given: Mapping[str, _Given], environ: Mapping[str, str], problems: list[str], *, serving: bool
) -> int:
    """Return PORT; where it's missing, waitress-serve's 8080, but on a web dyno the router would never find that."""
    text = environ.get("PORT", "").strip()
    port = _port(text)
    if port is not None:
        return port
    if not serving or "port" in given or "listen" in given:
        return DEFAULT_PORT
    if text:
        problems.append(f"PORT={text}: isn't a port; unset it (Heroku sets it itself) or write a number up to 65535.")
    elif environ.get("DYNO", "").startswith(("web.", "web-")):
        problems.append(
            "PORT: isn't set, and this is a web dyno, where Heroku sets it. Something unsets it before headwaiter "
            "starts (a .profile or a script in the Procfile); mend that, or give --port."
        )
    return DEFAULT_PORT


def _address(place: str, fallback: int, problems: list[str]) -> Address:
    host, colon, text = place.rpartition(":")
    if not colon or "]" in text:
        host, text = place, str(fallback)
    port = _port(text)
    if port is None:
        problems.append(f"--listen={place}: {text!r} isn't a port; write for example --listen=127.0.0.1:8080.")
        return place
    return (host.strip("[]") or "*", port)


def _advice(settings: Settings, environ: Mapping[str, str], options: Mapping[str, Option]) -> Iterator[str]:
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
    known = {option.variable for option in options.values()}
    for name in sorted(set(environ) - known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.9) if name.startswith(PREFIX) else []
        if near:
            yield f"The config var {name} isn't a setting. Did you mean {near[0]}?"
