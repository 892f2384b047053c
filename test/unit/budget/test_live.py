"""The live budget without sockets: when it changes, and what many dynos do together."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from headwaiter.budget import arithmetic, decide, limits, live
from headwaiter.budget.database import Alias
from headwaiter.budget.dyno import Dyno
from headwaiter.budget.live import HOLD_SECONDS, Held, LiveBudget
from headwaiter.budget.server_limits import Answer, InUse, Survey
from headwaiter.settings import Settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

ALIAS = Alias("default", "postgresql", "db", "5432", "d", "u")


def answer(limit: int, holders: dict[str, int]) -> Answer:
    in_use = tuple(InUse(name, True, True, count) for name, count in holders.items())
    return Answer(limit, None, 1000, 3, False, "17.1", "u", in_use)


def dyno(name: str, limit: int, holders: dict[str, int], now: float, seed: int = 0, **chosen: int) -> LiveBudget:
    """A dyno of 512 MB that boots at `now` and sees `holders`."""
    settings, environ = Settings(**chosen), {"DYNO": name}  # type: ignore[arg-type]
    kind, _, number = name.partition(".")
    here = Dyno(name, kind.partition("-")[0], int(number) if number else None, 512, 8, 256)
    survey = Survey((ALIAS,), {"default": answer(limit, holders)})
    found = limits.find(survey, settings, {}, environ)
    dynos, source = decide._web_dynos(settings, {}, here, decide.names_of_role(survey))
    budget = arithmetic.compute(decide.inputs(settings, here, found.limits, dynos, source))
    return LiveBudget(budget, survey, settings, {}, here, environ, now=now, rng=random.Random(seed))


def size(one: LiveBudget) -> tuple[int, int]:
    return one.budget.processes, one.budget.threads


def see(one: LiveBudget, now: float, holders: dict[str, int], limit: int = 20) -> str:
    """Have it look at `now`; the reason of the change that follows, or nothing."""
    change = one.take({"default": answer(limit, holders)}, now)
    return change.reason if change else ""


def test_more_dynos_count_at_once_and_fewer_after_two_minutes() -> None:
    """So that nothing swings."""
    one = dyno("web.1", 20, {}, now=0)
    assert size(one) == (2, 8)
    assert see(one, 10, {"web.6": 1}) == "6 web dynos instead of 1"
    assert size(one) == (1, 3)
    for now in (20, 60, 100, 139):
        assert see(one, now, {"web.2": 1}) == ""
    assert see(one, 20 + HOLD_SECONDS, {"web.2": 1}) == "2 web dynos instead of 6"
    assert size(one) == (1, 8)


def test_dynos_that_leave_one_after_the_other_are_one_change() -> None:
    """It waits for the last."""
    one = dyno("web.1", 20, {"web.6": 1}, now=0)
    changes = [see(one, now, {f"web.{max(2, 6 - now // 20)}": 1}) for now in range(20, 400, 10)]
    assert [change for change in changes if change] == ["2 web dynos instead of 6"]


def test_a_dyno_that_flickers_is_there() -> None:
    """One without a connection isn't seen at every look."""
    one = dyno("web.1", 20, {"web.2": 1}, now=0)
    assert [see(one, now, {"web.2": 1} if now % 110 == 0 else {}) for now in range(10, 1000, 10)] == [""] * 99


def test_limit_and_other_clients_count_too() -> None:
    """A plan that was changed, in both directions at once; a worker that comes, and goes."""
    one = dyno("web.1", 20, {}, now=0, processes=1)
    assert size(one) == (1, 8)
    assert see(one, 10, {}, limit=8) == "the limit is 8 instead of 20 (the limit of the role)"
    assert size(one) == (1, 6)
    assert see(one, 20, {}, limit=40) == "the limit is 40 instead of 8 (the limit of the role)"
    one = dyno("web.1", 20, {}, now=0)
    assert see(one, 10, {"worker.1": 6}) == "other clients hold 6 connections, they held 0"
    assert size(one) == (1, 8)
    assert see(one, 20, {}) == ""
    assert see(one, 20 + HOLD_SECONDS, {}) == "other clients hold 0 connections, they held 6"


@pytest.mark.parametrize(
    ("chosen", "seen", "limit", "expected"),
    [
        ({"web_dynos": 1}, {"web.6": 1}, 20, (2, 8)),
        ({"web_dynos": 1}, {"web.6": 1}, 10, (1, 8)),
        ({"threads": 5}, {"web.6": 1}, 20, (1, 5)),
        ({"processes": 2}, {"web.6": 1}, 20, (2, 1)),
        ({"db_connections": 20}, {}, 10, (2, 8)),
        ({"db_reserve": 2}, {"worker.1": 9}, 20, (2, 8)),
    ],
)
def test_a_number_that_a_person_set_stays(
    chosen: dict[str, int], seen: dict[str, int], limit: int, expected: tuple[int, int]
) -> None:
    """Each its own part only."""
    one = dyno("web.1", 20, {}, now=0, **chosen)
    see(one, 10, seen, limit)
    assert size(one) == expected


def test_dynos_without_numbers_are_counted_by_their_names() -> None:
    """Fir's."""
    one = dyno("web-12a34b56d-e78f9", 20, {}, now=0)
    see(one, 10, {f"web-12a34b56d-{number}": 1 for number in range(5)})
    assert one.budget.dynos == 6


def test_names_that_the_site_chose_say_nothing_about_dynos() -> None:
    """The number of the boot stays; the limit is followed."""
    one = dyno("web.3", 20, {}, now=0)
    one._survey = Survey((ALIAS._replace(application_name="mine"),), one._survey.answers)
    see(one, 10, {"mine": 9}, limit=40)
    assert (one.budget.dynos, one.budget.limit) == (3, 40)


def test_looks_come_sooner_when_refused_and_later_when_they_fail_or_dynos_are_many() -> None:
    """100 dynos ask less than five queries a second; a database that is down isn't asked all the time."""
    one = dyno("web.1", 20, {}, now=0)
    one.look_begins(100)
    assert 109 <= one.next_look <= 115
    one.hurry(101)
    assert 101 < one.next_look <= 102.5
    for _ in range(5):
        one.look_begins(200)
        one.take({}, 200)
    assert 209 <= one.next_look <= 215
    crowd = dyno("web.100", 500, {}, now=0)
    periods = []
    for _ in range(100):
        crowd.look_begins(0)
        periods.append(crowd.next_look)
    assert 100 * 2 / (sum(periods) / len(periods)) < 5


@pytest.mark.parametrize(
    ("settings", "vendor", "pooled", "reason"),
    [
        (Settings(), "postgresql", False, None),
        (Settings(live_budget=False), "postgresql", False, "HEADWAITER_LIVE_BUDGET is off"),
        (Settings(processes=1, threads=1), "postgresql", False, "WEB_CONCURRENCY and HEADWAITER_THREADS are set"),
        (Settings(), "postgresql", True, "a pooler shares the connections out"),
        (Settings(), "mysql", False, "only PostgreSQL names its clients"),
        (Settings(), "sqlite", False, "SQLite and sites without a database have no connection limit"),
    ],
)
def test_why_a_budget_is_fixed(settings: Settings, vendor: str, pooled: bool, reason: str | None) -> None:
    """`headwaiter plan` says it."""
    said = Answer(20, None, 100, 3, pooled, "17.1", "u")
    survey = Survey((Alias("default", vendor, "db", "5432", "d", "u"),), {"default": said})
    assert live.why_fixed(settings, survey, {}) == reason


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_a_held_number_is_never_below_what_was_seen_last(seen: list[int]) -> None:
    """And it falls only to a number that all looks of the last two minutes allow."""
    held = Held(5)
    history: list[tuple[int, int]] = []
    for now, number in enumerate(seen):
        history.append((now * 10, number))
        before = held.value
        after = held.take(number, now * 10)
        assert after >= number
        if after < before:
            assert after == max(each for at, each in history if now * 10 - at <= HOLD_SECONDS)


@dataclass
class Server:
    """PostgreSQL as the dynos see it: slots, and who holds them."""

    limit: int
    held: dict[str, int] = field(default_factory=dict)

    def connect(self, name: str, wanted: int) -> bool:
        """Open connections up to `wanted`, as busy threads do, or as many as there is room for; close the surplus.

        True if they are as many as wanted.
        """
        held = self.held.get(name, 0)
        if held != wanted:
            free = self.limit - sum(self.held.values())
            self.held[name] = min(wanted, held + max(0, free))
        return self.held[name] == wanted


@dataclass
class Running:
    live: LiveBudget
    shares: list[tuple[float, tuple[int, int]]]


class Formation:
    """Dynos whose threads are all busy, on one server; a second at a time, as long as something happens."""

    def __init__(self, limit: int, seed: int) -> None:
        self.server, self.random, self.now = Server(limit), random.Random(seed), 0.0
        self.dynos: dict[str, Running] = {}

    def scale(self, size: int) -> None:
        for number in range(1, size + 1):
            name = f"web.{number}"
            if name not in self.dynos:
                one = dyno(name, self.server.limit, self.seen_by(name), self.now, self.random.randrange(10**9))
                self.dynos[name] = Running(one, [(self.now, size_of(one))])
        for name in [name for name in self.dynos if int(name[4:]) > size]:
            del self.dynos[name]
            self.server.held.pop(name, None)

    def seen_by(self, name: str) -> dict[str, int]:
        own = {name: self.server.held.get(name, 0) - 1}
        return {name: count for name, count in (self.server.held | own).items() if count > 0}

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 1.0
            waiting = False
            for name in self.random.sample(list(self.dynos), len(self.dynos)):
                one = self.dynos[name].live
                if self.now >= one.next_look:
                    self.look(name, one)
                processes, threads = size_of(one)
                waiting |= not self.server.connect(name, processes * threads)
            if not waiting:  # nothing happens before the next look
                self.now = max(self.now, min(until, min(one.live.next_look for one in self.dynos.values()) - 1.0))

    def look(self, name: str, one: LiveBudget) -> None:
        """On a connection that the dyno has; without one the look fails, as the role is full."""
        one.look_begins(self.now)
        answers = {"default": answer(self.server.limit, self.seen_by(name))} if self.server.held.get(name) else {}
        if one.take(answers, self.now):
            self.dynos[name].shares.append((self.now, size_of(one)))


size_of = size


@pytest.mark.parametrize("most", [3, 12, 40, pytest.param(200, marks=pytest.mark.slow)])
@hypothesis_settings(max_examples=4, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_a_formation_settles_within_the_limit(data: st.DataObject, seed: int, most: int) -> None:
    """Whatever came before: after the last change each dyno reaches its share in bounded time, and changes no more."""
    room = data.draw(st.integers(1, 8), "connections for each dyno")
    limit = most * room * 10 // 9 + 3
    formation = Formation(limit, seed)
    for size in data.draw(st.lists(st.integers(1, most), min_size=1, max_size=3), "sizes"):
        formation.scale(size)
        formation.run(data.draw(st.integers(1, 200), "seconds"))
    final = data.draw(st.integers(1, most), "final size")
    formation.scale(final)
    changed = formation.now
    slowest = 1.25 * max(live.PERIOD_SECONDS, live.SECONDS_PER_DYNO * most)
    formation.run(3 * slowest)
    reserve = max(2, limit // 10)
    assert sum(formation.server.held.values()) <= limit - reserve, "over the limit less the reserve"
    formation.run(HOLD_SECONDS + slowest)
    expected = size_of(dyno("web.1", limit, {f"web.{final}": 1}, 0))
    assert {size_of(each.live) for each in formation.dynos.values()} == {expected}
    assert sum(formation.server.held.values()) == final * expected[0] * expected[1] <= limit - reserve
    for each in formation.dynos.values():
        assert len([at for at, _ in each.shares if at > changed]) <= 2
    settled = {name: len(each.shares) for name, each in formation.dynos.items()}
    formation.run(4 * slowest)
    assert {name: len(each.shares) for name, each in formation.dynos.items()} == settled, "a share changed twice"
