"""The promises of the connection budget, for every input that hypothesis thinks of, and the cases that people meet."""

from __future__ import annotations

import pytest
from headwaiter.budget.arithmetic import MEMORY_PER_PROCESS_MB, THREADS_PER_PROCESS, Budget, Inputs, Limit, compute
from hypothesis import given, settings
from hypothesis import strategies as st

ESSENTIAL = Limit(20, "the plan essential-0")
DYNO_1X = Inputs(limits=(ESSENTIAL,), memory_mb=512, cpus=8, tasks=256)

limits = st.builds(
    Limit,
    connections=st.integers(1, 1000),
    source=st.just("a test"),
    per_thread=st.integers(0, 4),
    per_process=st.integers(0, 30),
    others=st.integers(0, 500),
    per_dyno=st.booleans(),
).filter(lambda limit: limit.per_thread + limit.per_process > 0)

inputs = st.builds(
    Inputs,
    limits=st.lists(limits, max_size=4).map(tuple),
    dynos=st.integers(1, 120),
    reserve=st.none() | st.integers(0, 200),
    processes=st.none() | st.integers(1, 40),
    threads=st.none() | st.integers(1, 300),
    memory_mb=st.none() | st.integers(1, 130_000),
    cpus=st.integers(1, 64),
    tasks=st.none() | st.integers(1, 65_536),
)
unforced = inputs.map(lambda chosen: chosen._replace(processes=None, threads=None))
many = settings(max_examples=400, deadline=None)


def reserve_of(limit: Limit, chosen: Inputs) -> int:
    """The reserve as the design has it, worked out again."""
    if limit.per_dyno:
        return 0
    if chosen.reserve is not None:
        return chosen.reserve
    return max(2, limit.connections // 10, min(limit.others + 1, limit.connections // 2))


def total(limit: Limit, chosen: Inputs, processes: int, threads: int) -> int:
    """Connections of all dynos with all threads busy, and the reserve."""
    dynos = 1 if limit.per_dyno else chosen.dynos
    held = dynos * processes * (threads * limit.per_thread + limit.per_process)
    return held + reserve_of(limit, chosen)


def kept(budget: Budget, chosen: Inputs) -> bool:
    return all(total(limit, chosen, budget.processes, budget.threads) <= limit.connections for limit in chosen.limits)


@many
@given(unforced)
def test_limit_is_kept_whenever_one_thread_can_keep_it(chosen: Inputs) -> None:
    """Processes x threads x connections x dynos + reserve <= limit, for each limit."""
    possible = all(total(limit, chosen, 1, 1) <= limit.connections for limit in chosen.limits)
    assert kept(compute(chosen), chosen) == possible


@many
@given(inputs)
def test_a_limit_that_cannot_be_kept_is_said(chosen: Inputs) -> None:
    """A warning with the numbers, then and only then."""
    budget = compute(chosen)
    over = [warning for warning in budget.warnings if "over the limit of" in warning]
    assert bool(over) == (not kept(budget, chosen))
    for warning in over:
        assert f"{budget.processes} process" in warning
        assert warning.count(". ") >= 1  # and the fix


@many
@given(inputs)
def test_there_is_always_a_thread(chosen: Inputs) -> None:
    """At least one process with one thread, and never more than one process can use."""
    budget = compute(chosen)
    assert budget.processes >= 1
    assert budget.threads >= 1
    assert chosen.threads or budget.threads <= THREADS_PER_PROCESS
    assert chosen.processes is None or budget.processes == chosen.processes


@many
@given(unforced, st.integers(1, 500), st.data())
def test_a_higher_limit_never_lowers_threads(chosen: Inputs, more: int, data: st.DataObject) -> None:
    """Neither the threads of a process nor those of the dyno fall when any limit rises."""
    if not chosen.limits:
        return
    index = data.draw(st.integers(0, len(chosen.limits) - 1))
    raised = list(chosen.limits)
    raised[index] = raised[index]._replace(connections=raised[index].connections + more)
    before, after = compute(chosen), compute(chosen._replace(limits=tuple(raised)))
    assert after.threads >= before.threads
    assert after.processes >= before.processes


@many
@given(inputs, st.integers(1, 500))
def test_a_higher_limit_never_lowers_threads_with_chosen_sizes(chosen: Inputs, more: int) -> None:
    """The same when a person set WEB_CONCURRENCY or HEADWAITER_THREADS."""
    raised = tuple(limit._replace(connections=limit.connections + more) for limit in chosen.limits)
    before, after = compute(chosen), compute(chosen._replace(limits=raised))
    assert after.threads >= before.threads
    assert after.threads * after.processes >= before.threads * before.processes


@many
@given(unforced, st.integers(1, 50))
def test_more_dynos_never_mean_more_connections_each(chosen: Inputs, more: int) -> None:
    """Scaling up shrinks each dyno's share or leaves it."""
    before, after = compute(chosen), compute(chosen._replace(dynos=chosen.dynos + more))
    assert after.threads <= before.threads
    assert after.processes <= before.processes


@many
@given(inputs)
def test_memory_and_thread_caps_hold(chosen: Inputs) -> None:
    """Processes fit the memory unless a person chose them; what can't even start is never chosen."""
    budget = compute(chosen)
    if chosen.processes is None and budget.processes > 1:
        assert budget.processes * MEMORY_PER_PROCESS_MB <= (chosen.memory_mb or 512)
        assert budget.processes <= chosen.cpus
    if chosen.tasks and budget.threads > 1:
        assert budget.processes * (budget.threads + 4) + 16 <= chosen.tasks


@many
@given(inputs)
def test_what_is_reported_adds_up(chosen: Inputs) -> None:
    """Spare, reserve and connections make the limit; the sentence has the numbers."""
    budget = compute(chosen)
    if budget.limit is None:
        assert not chosen.limits
        return
    candidates = [limit for limit in chosen.limits if limit.connections == budget.limit]
    assert any(
        total(limit, chosen, budget.processes, budget.threads) + (budget.spare or 0) == limit.connections
        for limit in candidates
    )
    assert f"of {budget.limit} connections" in budget.sentence
    assert all(reason.endswith(".") for reason in budget.reasons)


@pytest.mark.parametrize(
    ("dynos", "processes", "threads"),
    [(1, 2, 8), (2, 1, 8), (3, 1, 6), (4, 1, 4), (5, 1, 3), (6, 1, 3), (9, 1, 2), (18, 1, 1)],
)
def test_essential_0_on_standard_1x(dynos: int, processes: int, threads: int) -> None:
    """The plan and dyno that most sites have: 20 connections, 2 in reserve, 512 MB."""
    budget = compute(DYNO_1X._replace(dynos=dynos))
    assert (budget.processes, budget.threads) == (processes, threads)
    assert budget.warnings == ()


def test_sentence_and_reasons_of_a_common_case() -> None:
    """Whole texts: they are what the boot log and `headwaiter plan` print."""
    budget = compute(DYNO_1X._replace(dynos=3, dynos_source="app.json's formation"))
    assert budget.sentence == "3 web dynos x 1 process x 6 threads + 2 in reserve = 20 of 20 connections."
    assert budget.reasons == (
        "Limit 20: the plan essential-0.",
        "Reserve 2 for release phase, one-off dynos, psql and workers: "
        "the larger of 2 and a tenth, or more while they hold more.",
        "3 web dynos: app.json's formation.",
        "1 process: the connections fill one process before the next; memory and CPUs would carry 2.",
        "6 threads in each: this dyno may hold 6 connections.",
    )


def test_too_many_dynos_are_told_how_many_fit() -> None:
    """Nothing smaller than one thread exists, so the numbers and the fix are said."""
    (warning,) = compute(DYNO_1X._replace(dynos=25)).warnings
    assert warning == (
        "25 web dynos of 1 process x 1 thread can hold 25 connections; with 2 in reserve that is 27, over the limit of "
        "20 (the plan essential-0). The limit carries 18 web dynos (heroku ps:scale web=18); for more, a larger plan."
    )


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"processes": 12, "dynos": 3, "memory_mb": 4096}, "heroku config:set WEB_CONCURRENCY=6"),
        ({"threads": 30}, "heroku config:set HEADWAITER_THREADS=18"),
        ({"reserve": 20}, "Lower HEADWAITER_DB_RESERVE."),
        ({"limits": (ESSENTIAL._replace(per_thread=0, per_process=30),)}, "max_size"),
        ({"limits": (ESSENTIAL._replace(connections=2),)}, "Take a larger plan"),
    ],
)
def test_fix_names_the_nearest_cause(changes: dict[str, object], fix: str) -> None:
    """Whoever set the number that is too large reads the command that lowers it."""
    (warning,) = compute(DYNO_1X._replace(**changes)).warnings
    assert fix in warning


def test_a_pooler_on_the_dyno_counts_this_dyno_alone() -> None:
    """The warning has the numbers of one dyno, however many there are."""
    pooler = Limit(10, "PGBOUNCER_MAX_CLIENT_CONN", per_dyno=True)
    (warning,) = compute(DYNO_1X._replace(limits=(pooler,), dynos=3, processes=2, threads=8)).warnings
    assert warning.startswith(
        "1 web dyno of 2 processes x 8 threads can hold 16 connections; with 0 in reserve that is 16"
    )


def test_aliases_on_one_server_share_its_budget() -> None:
    """Two connections for each thread: half the threads."""
    budget = compute(DYNO_1X._replace(limits=(ESSENTIAL._replace(per_thread=2),)))
    assert (budget.processes, budget.threads) == (1, 8)
    assert budget.spare == 2
    assert "x 2 connections" in budget.sentence


def test_a_pool_counts_by_its_size_in_each_process() -> None:
    """Threads wait for the pool, so its max_size is what the server sees."""
    budget = compute(DYNO_1X._replace(limits=(ESSENTIAL._replace(per_thread=0, per_process=4),)))
    assert (budget.processes, budget.threads) == (2, 8)
    assert budget.connections == 8


def test_no_database_means_memory_and_cpus_alone_decide() -> None:
    """And it is said."""
    budget = compute(DYNO_1X._replace(limits=()))
    assert (budget.processes, budget.threads, budget.limit, budget.spare) == (2, 8, None, None)
    assert budget.sentence == "2 processes x 8 threads: no database with a connection limit."


def test_tightest_of_several_limits_binds() -> None:
    """Role, database and server: the one that leaves the fewest threads is reported."""
    server = Limit(100, "max_connections", per_thread=2)
    database = Limit(8, "datconnlimit")
    budget = compute(DYNO_1X._replace(limits=(ESSENTIAL, server, database)))
    assert (budget.limit, budget.limit_source, budget.threads) == (8, "datconnlimit", 6)


def test_others_connections_count_but_take_half_at_most() -> None:
    """A worker's 7 are respected; 19 of an old server that is going away don't strangle the new one, and it is said."""
    worker = compute(DYNO_1X._replace(limits=(ESSENTIAL._replace(others=7),)))
    assert worker.reserve == 8
    assert not worker.warnings
    crowd = compute(DYNO_1X._replace(limits=(ESSENTIAL._replace(others=19),)))
    assert (crowd.reserve, crowd.threads) == (10, 8)
    assert "heroku config:set HEADWAITER_DB_RESERVE=20" in crowd.warnings[0]


def test_threads_that_the_dyno_cannot_start_are_lowered_and_said() -> None:
    """256 processes and threads is all that a Standard-1X runs."""
    budget = compute(DYNO_1X._replace(limits=(), threads=1000, processes=1))
    assert budget.threads == 236
    assert "HEADWAITER_THREADS is 1000" in budget.warnings[0]


def test_web_concurrency_beyond_the_memory_is_said() -> None:
    """A person's number is kept, with what it means."""
    budget = compute(DYNO_1X._replace(limits=(), processes=8))
    assert budget.processes == 8
    assert "64 MB for each process. heroku config:set WEB_CONCURRENCY=2" in budget.warnings[0]
