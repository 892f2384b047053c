"""Who holds the connections, by application_name: web dynos or others; and what to set when there are too few. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from headwaiter.budget.arithmetic import Budget


def is_web(application_name: str) -> bool:
    """Whether a connection of that name is a web dyno's: web.1 on Cedar, web-12a34b56d-e78f9 on Fir."""
    return bool(re.fullmatch(r"web(\.\d+|-[0-9a-z]+-[0-9a-z]+)", application_name))


def web_dynos(names: Iterable[str]) -> int:
    """Web dynos seen, by the highest number on Cedar; Fir's have none, and old ones can't be told from new: 0."""
    return max((int(found[1]) for name in names if (found := re.fullmatch(r"web\.(\d{1,3})", name))), default=0)


def seen_dynos(names: Collection[str]) -> int:
    """Web dynos seen: the highest number on Cedar; on Fir every name counts, an old dyno's too while it leaves."""
    return max(web_dynos(names), sum(name.startswith("web-") and is_web(name) for name in names))


REPEATED_SECONDS = 60.0  # a deploy, where old and new dynos overlap under one name, is over by then
REPEATED_TIMES = 3


class Advisor:
    """Says what to set when connects are refused, from who holds the connections each time.

    `name` is this dyno's; `follows` tells that the budget follows what is seen (live.py).
    """

    def __init__(
        self, budget: Budget, name: str, *, follows: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._budget = budget
        self._name = name
        self._follows = follows
        self._clock = clock
        self._seen: dict[str, int] = {}
        self._since: dict[tuple[str, int], list[float]] = {}

    def see(self, holders: Mapping[str, int]) -> None:
        """Take in who held connections, by application_name, when one was waited for; that one isn't among them."""
        self._seen = dict(holders)
        now = self._clock()
        facts = [("total", sum(holders.values()) + 1), ("beyond", int(self._beyond() > 0))]
        self._since = {fact: [*self._since.get(fact, []), now] for fact in facts}

    def _beyond(self) -> int:
        """Connections of this dyno beyond one for each thread, or a pool's: threads of the site's own hold them."""
        return self._seen.get(self._name, 0) + 1 - self._budget.connections

    def _repeated(self, fact: str, value: int) -> bool:
        times = self._since.get((fact, value), [])
        return len(times) >= REPEATED_TIMES and times[-1] - times[0] >= REPEATED_SECONDS

    def advice(self) -> str:
        """One sentence, with the config var and its value where there is one to set."""
        budget, seen = self._budget, self._seen
        running, total = web_dynos(seen), sum(seen.values()) + 1
        others = sum(number for name, number in seen.items() if not is_web(name))
        if not seen or budget.limit is None:
            return "`headwaiter plan` shows who holds them."
        if self._follows and (running > budget.dynos or others > budget.reserve):
            return f"{running} web dynos and {others} other connections: the dynos make room within 20 s."
        if running > budget.dynos:
            return (
                f"{running} web dynos hold connections, the budget counted on {budget.dynos}: "
                f"heroku config:set HEADWAITER_WEB_DYNOS={running}"
            )
        if others > budget.reserve:
            return (
                f"Other clients hold {others} connections, {budget.reserve} are in reserve: "
                f"heroku config:set HEADWAITER_DB_RESERVE={others + 1}"
            )
        if self._repeated("beyond", 1):
            return (
                f"This dyno holds {self._beyond() + budget.connections} connections, its processes and threads need "
                f"{budget.connections}: threads that the site starts hold the others. "
                f"heroku config:set HEADWAITER_DB_RESERVE={budget.reserve + self._beyond() * budget.dynos}"
            )
        if total < budget.limit and self._repeated("total", total):
            return (
                f"The server has refused at {total} connections for a minute, the budget counts on {budget.limit}: "
                f"heroku config:set HEADWAITER_DB_CONNECTIONS={total}"
            )
        return "A deploy overlaps, or something else took them for a moment: the budget itself holds."
