"""Reads flags and config vars: which option was given, as text, and where. Waitress parses its own options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from getopt import GetoptError
from typing import Any, NamedTuple

from headwaiter.options import Option


class Given(NamedTuple):
    """One value that somebody gave, and where, for the message when it's wrong."""

    text: str
    where: str  # --drain-seconds=abc, or HEADWAITER_DRAIN_SECONDS=abc (config var)


class Words(NamedTuple):
    """What was given, by option, and one sentence for each word that isn't understood."""

    given: Mapping[str, Given]
    problems: tuple[str, ...] = ()


def config_vars(options: Mapping[str, Option], environ: Mapping[str, str]) -> Words:
    """Return the values that config vars give; an empty config var is one that isn't set."""
    found = {}
    for name, option in options.items():
        text = environ.get(option.variable, "").strip()
        # heroku/python sets WEB_CONCURRENCY from the dyno's memory alone, and leaves its name in the other variable.
        automatic = option.variable == "WEB_CONCURRENCY" and environ.get("WEB_CONCURRENCY_SET_BY")
        if text and not automatic:
            found[name] = Given(text, f"{option.variable}={text} (config var)")
    return Words(found)


def flags(argv: Sequence[str], ours: Mapping[str, Option], theirs: Mapping[str, Option]) -> Words:
    """Return the values that the command line gives: our own options first, Waitress parses what is left."""
    own, rest, missing = _own(argv, ours)
    found, applications, refused = _waitress(rest, {**ours, **theirs})
    problems = [*missing, *refused]
    problems += [
        f"{name}: one application at a time, and {applications[0]} is already it." for name in applications[1:]
    ]
    if applications:
        own["application"] = Given(applications[0], applications[0])
    return Words({**found, **own}, tuple(problems))


def _own(argv: Sequence[str], options: Mapping[str, Option]) -> tuple[dict[str, Given], list[str], list[str]]:
    """Take our options out of `argv`: return their values, the other words, and what is wrong."""
    known = {option.flag: option for option in options.values() if option.name != "application"}
    negated = {f"--no-{flag[2:]}": option for flag, option in known.items() if option.switch}
    found, rest, problems = {}, [], []
    words = iter(argv)
    for word in words:
        typed, equals, text = word.partition("=")
        option = known.get(typed) or negated.get(typed)
        if option is None:
            rest.append(word)
        elif option.switch and equals:
            problems.append(f"{word}: takes no value; write {option.flag} or --no-{option.flag[2:]}.")
        elif option.switch:
            found[option.name] = Given(str(int(typed in known)), word)
        elif text or (text := "" if equals else next(words, "")):
            found[option.name] = Given(text, word if equals else f"{typed} {text}")
        else:
            problems.append(f"{typed}: a value is missing; write {option.flag}={option.value}.")
    return found, rest, problems


def _waitress(words: Sequence[str], options: Mapping[str, Option]) -> tuple[dict[str, Given], list[str], list[str]]:
    """Let Waitress parse `words`: return the values, the applications named among them, and what is wrong."""
    from waitress.adjustments import Adjustments

    found: dict[str, Any] = {}
    applications, problems = [], []
    rest = list(words)
    while rest:
        try:
            values, left = Adjustments.parse_args(rest)
        except GetoptError as error:
            problems.append(_refused(error, options))
            left_out = [word for word in rest if word.partition("=")[0].lstrip("-") != error.opt]
            rest = left_out if len(left_out) < len(rest) else []
            continue
        listen = f"{found.get('listen', '')} {values.get('listen', '')}".strip()
        found |= values
        found |= {"listen": listen} if listen else {}
        applications += left[:1]  # getopt stops at the first word that is no option
        rest = left[1:]
    given = {name: Given(text, _typed(options[name], text)) for name, text in found.items() if name in options}
    problems += [_unknown("--call", options)] if found.get("call") else []
    return given, applications, problems


def _typed(option: Option, text: str) -> str:
    if option.switch:
        return option.flag if text == "true" else f"--no-{option.flag[2:]}"
    return f"{option.flag}={text}"


def _refused(error: GetoptError, options: Mapping[str, Option]) -> str:
    """Word what getopt says of one option; a single letter is one that was typed with a single dash."""
    typed = f"-{error.opt}" if len(error.opt) == 1 else f"--{error.opt}"
    if "not recognized" in error.msg:
        return _unknown(typed, options)
    return f"{error.msg}."


def _unknown(typed: str, options: Mapping[str, Option]) -> str:
    near = difflib.get_close_matches(typed, [option.flag for option in options.values()], n=1, cutoff=0.5)
    return f"{typed}: no such option. " + (f"Did you mean {near[0]}?" if near else "`headwaiter --help` lists them.")


def parsed(given: Mapping[str, Given], options: Mapping[str, Option]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values that `given` means, and one sentence for each that can't be used."""
    results = {name: _parse(options[name], gift) for name, gift in given.items()}
    values = {name: value for name, (value, problem) in results.items() if not problem}
    return values, tuple(problem for _, problem in results.values() if problem)


def _parse(option: Option, gift: Given) -> tuple[Any, str]:
    try:
        return option.parse(gift.text), ""
    except ValueError as error:
        return None, f"{gift.where}: {error}."
