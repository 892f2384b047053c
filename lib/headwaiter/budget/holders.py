"""Who holds the connections, by application_name: web dynos or others; and what to set when there are too few. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping


def is_web(application_name: str) -> bool:
    """Whether a connection of that name is a web dyno's: web.1 on Cedar, web-12a34b56d-e78f9 on Fir."""
    return bool(re.fullmatch(r"web(\.\d+|-[0-9a-z]+-[0-9a-z]+)", application_name))


def web_dynos(holders: Mapping[str, int]) -> int:
    """Web dynos seen, by the highest number on Cedar; Fir's have none, and old ones can't be told from new: 0."""
    return max(_numbers(holders), default=0)


def seen_dynos(holders: Mapping[str, int]) -> int:
    """Web dynos seen: the highest number on Cedar; on Fir every name counts, an old dyno's too while it leaves."""
    return max(web_dynos(holders), sum(name.startswith("web-") and is_web(name) for name in holders))


def _numbers(names: Mapping[str, int]) -> Iterator[int]:
    for name in names:
        match = re.fullmatch(r"web\.(\d{1,3})", name)
        if match:
            yield int(match[1])


def advise(holders: Mapping[str, int], dynos: int, reserve: int, limit: int | None) -> str:
    """Which number to set, from who holds the connections; `dynos` and `reserve` are what the budget counted on."""
    running = web_dynos(holders)
    others = sum(number for name, number in holders.items() if not is_web(name))
    total = sum(holders.values())
    if running > dynos:
        return (
            f"{running} web dynos hold connections, the budget counted on {dynos}: "
            f"heroku config:set HEADWAITER_WEB_DYNOS={running}"
        )
    if others > reserve:
        return (
            f"Other clients hold {others} connections, {reserve} are in reserve: "
            f"heroku config:set HEADWAITER_DB_RESERVE={others + 1}"
        )
    if limit and 0 < total < limit - 1:
        return (
            f"Only {total + 1} were in use, the budget counted on {limit}: heroku config:set "
            f"HEADWAITER_DB_CONNECTIONS={total + 1}"
        )
    if holders:
        return "A deploy overlaps, or something else took them for a moment: the budget itself holds."
    return f"If it stays: heroku config:set HEADWAITER_WEB_DYNOS={dynos + 1}"
