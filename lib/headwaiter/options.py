"""What an option is, and how its text becomes a value. Parsers raise ValueError: what is wrong and how to fix it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import field
from typing import Any, NamedTuple

PREFIX = "HEADWAITER_"
TRUE, FALSE = frozenset({"1", "true", "t", "yes", "y", "on"}), frozenset({"0", "false", "f", "no", "n", "off"})


class Option(NamedTuple):
    """One option, ours or Waitress's, with its flag and its config var."""

    name: str  # the field of Settings or of Waitress's Adjustments: drain_seconds
    parse: Callable[[str], Any]
    switch: bool  # --x and --no-x rather than --x=VALUE
    variable: str  # the config var
    group: str = ""
    value: str = ""
    about: str = ""

    @property
    def flag(self) -> str:
        """The option as it is typed: --drain-seconds."""
        return "--" + self.name.replace("_", "-")


def option(default: Any, parse: Callable[[str], Any], group: str, value: str, about: str, *, variable: str = "") -> Any:
    """Describe a field of Settings: its parser, its group in `--help`, the word for its value, and what it does."""
    details = {"parse": parse, "group": group, "value": value, "about": about, "variable": variable}
    return field(default=default, metadata=details)


def flag(text: str) -> bool:
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise ValueError("is neither yes nor no; write 1 or 0")


def text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a line break or another character that can't be printed; leave it out")
    return text


def whole(unit: str, example: int, low: int = 0, high: int = 1_000_000) -> Callable[[str], float]:
    """Return a parser of whole numbers from `low` to `high`."""
    return _number(low, high, unit, str(example), int)


def seconds(example: float, high: float = 86_400) -> Callable[[str], float]:
    """Return a parser of seconds from 0 to `high`."""
    return _number(0, high, "seconds", f"{example:g}", float)


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


# Waitress takes any number: with 0 bytes to receive, for example, it hangs up on everybody.
_RANGES = {"port": (0, 65_535), "backlog": (1, 2**31 - 1), "recv_bytes": (1, 2**24), "connection_limit": (1, 10**6)}
_LISTS = frozenset({"listen", "trusted_proxy_headers"})  # may have a line for each entry


def of_waitress() -> dict[str, Option]:
    """Return the options of the installed Waitress by name. Raises ImportError where there is none."""
    from waitress.adjustments import Adjustments, asbool

    found = {}
    for name, cast in Adjustments._params:
        if name != "sockets":  # makes sense in Python code alone
            parse = flag if cast is asbool else _waitress_value(name, cast)
            found[name] = Option(name, parse, cast is asbool, PREFIX + name.upper())
    return found


def _waitress_value(name: str, cast: Callable[[str], Any]) -> Callable[[str], Any]:
    low, high = _RANGES.get(name, (0, 2**62))

    def parse(given: str) -> Any:
        try:
            value = cast(given if name in _LISTS else text(given))
        except ValueError:
            raise ValueError(f"isn't {'a whole number' if cast is int else 'a value that Waitress takes'}") from None
        if cast is int and not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse
