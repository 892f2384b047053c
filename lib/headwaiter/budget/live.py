"""The boot's decision, made again while the dyno runs: what the database server said goes in, a new `Budget` comes out.

Heroku scales without a restart, so the number of web dynos, the limit and what others hold change under running dynos.
Fewer threads and processes follow at once, more when the smaller formation has been seen for HOLD_SECONDS. No network,
no process, no thread: the time is an argument.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headwaiter.budget import arithmetic, decide, limits, server_limits
from headwaiter.budget.arithmetic import Budget, Inputs, Limit
from headwaiter.budget.database import Alias
from headwaiter.budget.dyno import Dyno
from headwaiter.budget.holders import seen_dynos
from headwaiter.budget.server_limits import Answer, Survey
from headwaiter.settings import Settings

FIRST_LOOK_SECONDS = 3.0  # after the boot: until then a new dyno may hold no connection that the others can see
PERIOD_SECONDS = 12.0  # between two looks; with the jitter 15 at most, so that a new dyno has its share within 20
SECONDS_PER_DYNO = 0.45  # 100 dynos look every 45 s with two queries each: 4.4 queries a second
HURRY_SECONDS = 2.0  # between two looks when connects are refused
HOLD_SECONDS = 120.0
CHECK_FAILED_SECONDS = 3.0  # after a look that failed, doubled with each until it is the usual period


@dataclass
class Held:
    """A number that rises at once, and falls when all looks for HOLD_SECONDS saw less and the last one the most."""

    value: int
    _below: list[tuple[float, int]] = field(default_factory=list)
    _since: float = 0.0  # the first look that saw less

    def take(self, number: int, now: float) -> int:
        """Take in what was seen at `now`, a time in seconds; return the number that counts."""
        if number >= self.value:
            self.value, self._below = number, []
            return self.value
        if not self._below:
            self._since = now
        self._below = [(at, seen) for at, seen in self._below if now - at <= HOLD_SECONDS] + [(now, number)]
        # Where several dynos leave one after the other, this waits for the last: one change, not one for each.
        if now - self._since >= HOLD_SECONDS and number == max(seen for _, seen in self._below):
            self.value, self._below = number, []
        return self.value


@dataclass(frozen=True)
class Change:
    """What is to run from now on, and why."""

    before: Budget
    budget: Budget
    reason: str


def why_fixed(settings: Settings, survey: Survey | None, environ: Mapping[str, str]) -> str | None:
    """Return why the budget stays as it was at boot, a clause; None where it follows the formation."""
    if not settings.live_budget:
        return "HEADWAITER_LIVE_BUDGET is off"
    if settings.processes and settings.threads:
        return "WEB_CONCURRENCY and HEADWAITER_THREADS are set"
    if survey is None or not survey.aliases:
        return "the site has no database of Django's"
    if not _to_ask(survey, environ):
        vendors = {alias.vendor for alias in survey.aliases}
        if vendors <= {"sqlite", "none"}:
            return "SQLite and sites without a database have no connection limit"
        return "a pooler shares the connections out" if "postgresql" in vendors else "only PostgreSQL names its clients"
    return None


def _to_ask(survey: Survey, environ: Mapping[str, str]) -> list[Alias]:
    """One alias for each account on a PostgreSQL server that no pooler hides."""
    return [
        alias
        for alias in server_limits.accounts(survey.aliases)
        if alias.vendor == "postgresql" and not limits.pooler(alias, survey, environ)
    ]


class LiveBudget:
    """One dyno's budget as it runs. `survey` is the boot's, `budget` what the boot made of it."""

    def __init__(
        self,
        budget: Budget,
        survey: Survey,
        settings: Settings,
        facts: Mapping[str, object],
        here: Dyno,
        environ: Mapping[str, str],
        *,
        now: float,
        rng: random.Random | None = None,
    ) -> None:
        self.budget = budget
        self.aliases = [alias.name for alias in _to_ask(survey, environ)]
        self._survey = survey
        self._settings, self._facts, self._here, self._environ = settings, facts, here, environ
        self._random = rng or random.Random()  # noqa: S311  # spreads the dynos' looks, hides nothing
        self._dynos = Held(budget.inputs.dynos)
        self._others = {_key(limit): Held(limit.others) for limit in budget.inputs.limits}
        self._failures = 0
        self._looked = now
        self.next_look = now + FIRST_LOOK_SECONDS * self._jitter()

    def _jitter(self) -> float:
        return self._random.uniform(0.75, 1.25)

    def look_begins(self, now: float) -> None:
        """Note that a look was asked for; without an answer the next one is due after the usual time."""
        self._looked = now
        self.next_look = now + max(PERIOD_SECONDS, SECONDS_PER_DYNO * self.budget.inputs.dynos) * self._jitter()

    def hurry(self, now: float) -> None:
        """Look soon: a connect was refused."""
        self.next_look = min(self.next_look, max(now, self._looked + HURRY_SECONDS * self._jitter()))

    def failed(self, now: float) -> None:
        """Try again soon, and later each time: nothing was learnt."""
        self._failures += 1
        pause = CHECK_FAILED_SECONDS * 2 ** min(self._failures - 1, 10)
        self.next_look = min(self.next_look, now + pause * self._jitter())

    def take(self, answers: Mapping[str, Answer], now: float) -> Change | None:
        """Decide anew from what the servers said, by alias; None when processes and threads stay as they are."""
        if not answers:
            self.failed(now)
            return None
        self._failures = 0
        aliases = self._survey.aliases
        self._survey = Survey(aliases, {**self._survey.answers, **server_limits.spread(aliases, answers)})
        found = limits.find(self._survey, self._settings, self._facts, self._environ)
        held = tuple(self._with_held_others(limit, now) for limit in found.limits)
        dynos, source = self._count_dynos(now)
        inputs = decide.inputs(self._settings, self._here, held, dynos, source)
        before, self.budget = self.budget, arithmetic.compute(inputs)
        if (before.processes, before.threads) == (self.budget.processes, self.budget.threads):
            return None
        return Change(before, self.budget, _reason(before, self.budget))

    def _with_held_others(self, limit: Limit, now: float) -> Limit:
        others = self._others.setdefault(_key(limit), Held(limit.others)).take(limit.others, now)
        return limit._replace(others=others)

    def _count_dynos(self, now: float) -> tuple[int, str]:
        """Return how many web dynos there are. Only connections that carry the dyno's name can be counted."""
        if self._settings.web_dynos:
            return self._settings.web_dynos, "HEADWAITER_WEB_DYNOS"
        name = self._here.name or ""
        named = self._environ.get("PGAPPNAME", name) == name
        if not named or any(alias.application_name for alias in self._survey.aliases):
            return self._dynos.value, "as at boot: the connections don't carry the dynos' names"
        seen = seen_dynos({*decide.names_of_role(self._survey), name})
        return self._dynos.take(max(1, seen), now), "as many hold connections now"


def _key(limit: Limit) -> tuple[str, Sequence[str]]:
    return (limit.source, limit.aliases)


def _reason(before: Budget, after: Budget) -> str:
    """Why a budget changed: the clause of the log line."""
    old, new = before.inputs, after.inputs
    if old.dynos != new.dynos:
        return f"{arithmetic.count(new.dynos, 'web dyno')} instead of {old.dynos}"
    if before.limit != after.limit:
        return f"the limit is {after.limit} instead of {before.limit} ({after.limit_source})"
    return f"other clients hold {_others(new)} connections, they held {_others(old)}"


def _others(inputs: Inputs) -> int:
    return max((limit.others for limit in inputs.limits), default=0)
