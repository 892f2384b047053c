"""The connection budget: numbers in, a `Budget` out, with the reason for each number. No clock, no files, no network.

What is promised, for any input (test_budget.py proves it): processes x threads x connections per thread x web dynos
+ reserve <= limit whenever one thread in one process can keep that, and a warning with the fix when it can't.
A higher limit never means fewer threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

THREADS_PER_PROCESS = 8
"""More threads than this in one process bring nothing.

Measured by test/bench/threads_curve.py, one CPU, 32 clients. Requests a second on 1, 4, 6, 8, 12, 16 and 32 threads:
52, 140, 159, 176, 141, 167, 154 for a view of 3 ms of Python and 10 ms of queries; 187, 186, 187, 185, 188, 186, 184
for Python code alone; p95 the same from 4 threads up. Only a view that waits more than 7 times as long as it computes
gains from more (46, 187, 277, 374, 559, 748, 1440 for 20 ms of waiting alone): HEADWAITER_THREADS is for that.
"""

MEMORY_PER_PROCESS_MB = 256
"""heroku/python counts the same for a process of a Python web site: https://devcenter.heroku.com/articles/python-concurrency."""

ASSUMED_MEMORY_MB = 512
"""When the memory limit is unknown: the smallest dyno."""

_TASKS_PER_PROCESS = 4  # besides its requests: the main thread, the watcher of slow requests, a pool's workers
_TASKS_BESIDE = 16  # the parent, a shell on the dyno (heroku ps:exec), the platform's own

DYNOS_UNKNOWN = "nothing says more; HEADWAITER_WEB_DYNOS does"
"""The source of a number of web dynos that is 1 for want of a better one."""


class Limit(NamedTuple):
    """One ceiling on connections, and what counts against it.

    A role, a database and a server can each have one; `per_thread` connections of each thread and `per_process` of
    each process (a pool's max_size) count against it. `others` are held now by clients that aren't web dynos.
    """

    connections: int
    source: str
    aliases: tuple[str, ...] = ("default",)
    per_thread: int = 1
    per_process: int = 0
    others: int = 0
    per_dyno: bool = False
    """True for a pooler on the dyno itself: no other dyno, no psql counts against it."""

    def used(self, processes: int, threads: int) -> int:
        """Connections of one dyno, all its threads busy."""
        return processes * (threads * self.per_thread + self.per_process)


class Inputs(NamedTuple):
    """Everything that counts. None means that nobody said so."""

    limits: tuple[Limit, ...] = ()
    dynos: int = 1
    dynos_source: str = DYNOS_UNKNOWN
    reserve: int | None = None
    processes: int | None = None
    threads: int | None = None
    memory_mb: int | None = None
    cpus: int = 1
    tasks: int | None = None


class Budget(NamedTuple):
    """What one dyno runs. `limit` and what follows speak of the limit that binds; None when no database has one."""

    processes: int
    threads: int
    dynos: int
    limit: int | None = None
    limit_source: str = "no database with a connection limit"
    reserve: int = 0
    connections: int = 0
    """What this dyno holds at most, all threads busy."""
    spare: int | None = None
    """What is left of the limit; negative when the budget can't be kept."""
    sentence: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    inputs: Inputs = Inputs()

    @property
    def over_limit(self) -> bool:
        """Whether the dynos together can hold more connections than the limit leaves them."""
        return self.spare is not None and self.spare < 0


def reserve_for(limit: Limit, chosen: int | None) -> int:
    """Connections to leave to everything but web dynos: release phase, one-off dynos, workers, psql."""
    if limit.per_dyno:
        return 0
    if chosen is not None:
        return chosen
    # An observation takes half at most: on the first deploy the old server's connections still look like others'.
    observed = min(limit.others + 1, limit.connections // 2)
    return max(2, limit.connections // 10, observed)


def compute(inputs: Inputs) -> Budget:
    """Choose processes and threads, and say why."""
    processes = inputs.processes or _processes(inputs)
    threads = _threads(inputs, processes)
    binding = _binding(inputs, processes)
    budget = Budget(processes, threads, inputs.dynos, inputs=inputs)
    if binding:
        dynos = _sharing(binding, inputs)
        reserve = reserve_for(binding, inputs.reserve)
        connections = binding.used(processes, threads)
        budget = budget._replace(
            limit=binding.connections,
            limit_source=binding.source,
            reserve=reserve,
            connections=connections,
            spare=binding.connections - reserve - dynos * connections,
        )
    return budget._replace(
        sentence=_sentence(budget, binding),
        reasons=tuple(_reasons(budget, binding)),
        warnings=tuple(_warnings(budget)),
    )


def _sharing(limit: Limit, inputs: Inputs) -> int:
    return 1 if limit.per_dyno else inputs.dynos


def _allowance(limit: Limit, inputs: Inputs) -> int:
    """Connections that this dyno may hold."""
    return max(0, limit.connections - reserve_for(limit, inputs.reserve)) // _sharing(limit, inputs)


def _room(limit: Limit, inputs: Inputs, processes: int) -> int | None:
    """Threads per process that the limit allows with so many processes; None when threads don't count against it."""
    left = _allowance(limit, inputs) // processes - limit.per_process
    if limit.per_thread:
        return max(0, left // limit.per_thread)
    return None if left >= 0 else 0


def _rooms(inputs: Inputs, processes: int) -> list[int]:
    rooms = [_room(limit, inputs, processes) for limit in inputs.limits]
    if inputs.tasks:
        rooms.append(max(0, (inputs.tasks - _TASKS_BESIDE) // processes - _TASKS_PER_PROCESS))
    return [room for room in rooms if room is not None]


def _processes(inputs: Inputs) -> int:
    """As many as memory and CPUs carry, each with its full number of threads; else one.

    Filling one process before starting the next keeps both promises: threads per process and in all never fall when
    the limit rises. It is also what queues best: one queue, no idle thread beside a waiting request.
    """
    memory = inputs.memory_mb or ASSUMED_MEMORY_MB
    most = max(1, min(memory // MEMORY_PER_PROCESS_MB, inputs.cpus))
    wanted = inputs.threads or THREADS_PER_PROCESS
    return next((count for count in range(most, 1, -1) if min(_rooms(inputs, count), default=wanted) >= wanted), 1)


def _threads(inputs: Inputs, processes: int) -> int:
    room = min(_rooms(inputs, processes), default=THREADS_PER_PROCESS)
    if inputs.threads:
        # A person's number holds against the database, never against what the dyno can start at all.
        started = _rooms(inputs._replace(limits=()), processes)
        return max(1, min([inputs.threads, *started]))
    return max(1, min(room, THREADS_PER_PROCESS))


def _binding(inputs: Inputs, processes: int) -> Limit | None:
    """The limit that leaves the fewest threads, and of equals the lowest."""

    def tightness(limit: Limit) -> tuple[int, int]:
        room = _room(limit, inputs, processes)
        return (1_000_000 if room is None else room, limit.connections)

    return min(inputs.limits, key=tightness, default=None)


def count(number: int, noun: str) -> str:
    """`1 thread`, `2 threads`, `2 processes`."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {noun if number == 1 else plural}"


def _sentence(budget: Budget, binding: Limit | None) -> str:
    """The one line of the boot log and of `headwaiter plan`."""
    size = f"{count(budget.processes, 'process')} x {count(budget.threads, 'thread')}"
    if binding is None:
        return f"{size}: {budget.limit_source}."
    parts = [f"{count(budget.dynos, 'web dyno')} x "] if not binding.per_dyno else []
    parts.append(size)
    if binding.per_thread > 1:
        parts.append(f" x {count(binding.per_thread, 'connection')}")
    if binding.per_process:
        parts.append(f" with a pool of {binding.per_process} in each process")
    total = binding.connections - (budget.spare or 0)
    return f"{''.join(parts)} + {budget.reserve} in reserve = {total} of {binding.connections} connections."


def _reasons(budget: Budget, binding: Limit | None) -> Iterator[str]:
    """One sentence for each number."""
    inputs = budget.inputs
    if binding:
        yield f"Limit {binding.connections}: {binding.source}."
        yield _reason_for_reserve(binding, budget, inputs)
        yield f"{count(inputs.dynos, 'web dyno')}: {inputs.dynos_source}."
    yield f"{count(budget.processes, 'process')}: {_reason_for_processes(budget)}."
    yield f"{count(budget.threads, 'thread')} in each: {_reason_for_threads(budget, binding)}."


def _reason_for_reserve(binding: Limit, budget: Budget, inputs: Inputs) -> str:
    use = "for release phase, one-off dynos, psql and workers"
    if binding.per_dyno:
        return "Reserve 0: the pooler serves this dyno alone."
    if inputs.reserve is not None:
        return f"Reserve {budget.reserve} {use}: HEADWAITER_DB_RESERVE."
    if budget.reserve == binding.others + 1 and binding.others > 1:
        return f"Reserve {budget.reserve} {use}: they hold {binding.others} now, and one more."
    return f"Reserve {budget.reserve} {use}: the larger of 2 and a tenth, or more while they hold more."


def _reason_for_processes(budget: Budget) -> str:
    inputs = budget.inputs
    if inputs.processes:
        return "WEB_CONCURRENCY"
    memory = inputs.memory_mb or ASSUMED_MEMORY_MB
    carries = max(1, min(memory // MEMORY_PER_PROCESS_MB, inputs.cpus))
    known = "" if inputs.memory_mb else ", assumed"
    if budget.processes < carries:
        return f"the connections fill one process before the next; memory and CPUs would carry {carries}"
    return f"{memory} MB of memory{known}, {MEMORY_PER_PROCESS_MB} MB each, and {count(inputs.cpus, 'CPU')}"


def _reason_for_threads(budget: Budget, binding: Limit | None) -> str:
    inputs = budget.inputs
    if inputs.threads and budget.threads == inputs.threads:
        return "HEADWAITER_THREADS"
    if inputs.threads:
        return f"the dyno may run {inputs.tasks} processes and threads in all"
    if budget.threads == THREADS_PER_PROCESS:
        return "more threads in one process would not answer more requests"
    if binding and _room(binding, inputs, budget.processes) == min(_rooms(inputs, budget.processes)):
        return f"this dyno may hold {count(_allowance(binding, inputs), 'connection')}"
    return f"the dyno may run {inputs.tasks} processes and threads in all"


def _warnings(budget: Budget) -> Iterator[str]:
    """What can't be kept, with the numbers and the fix."""
    inputs = budget.inputs
    for limit in inputs.limits:
        dynos, reserve = _sharing(limit, inputs), reserve_for(limit, inputs.reserve)
        total = dynos * limit.used(budget.processes, budget.threads)
        if total + reserve > limit.connections:
            yield (
                f"{count(dynos, 'web dyno')} of {count(budget.processes, 'process')} x "
                f"{count(budget.threads, 'thread')} can hold {total} connections; with {reserve} in reserve that is "
                f"{total + reserve}, over the limit of {limit.connections} ({limit.source}). {_fix(limit, budget)}"
            )
        if inputs.reserve is None and not limit.per_dyno and limit.others >= limit.connections // 2 > 0:
            yield (
                f"Clients that aren't web dynos hold {limit.others} of {limit.connections} connections, half or more; "
                f"{reserve} are in reserve for them. If they stay: heroku config:set "
                f"HEADWAITER_DB_RESERVE={limit.others + 1}"
            )
    if inputs.threads and budget.threads < inputs.threads:
        yield (
            f"HEADWAITER_THREADS is {inputs.threads}, but the dyno may run {inputs.tasks} processes and threads in "
            f"all: {budget.threads} in each process it is."
        )
    if inputs.memory_mb and inputs.processes and inputs.processes * MEMORY_PER_PROCESS_MB > 2 * inputs.memory_mb:
        fits = max(1, inputs.memory_mb // MEMORY_PER_PROCESS_MB)
        yield (
            f"WEB_CONCURRENCY is {inputs.processes}, and the dyno has {inputs.memory_mb} MB of memory: that is "
            f"{inputs.memory_mb // inputs.processes} MB for each process. heroku config:set WEB_CONCURRENCY={fits}"
        )


def _fix(limit: Limit, budget: Budget) -> str:
    """The exact command, the nearest cause first."""
    inputs = budget.inputs
    allowance = _allowance(limit, inputs)
    threads = max(0, allowance // budget.processes - limit.per_process) // max(1, limit.per_thread)
    if inputs.threads and threads >= 1:
        return f"heroku config:set HEADWAITER_THREADS={threads}"
    processes = allowance // max(1, limit.per_thread + limit.per_process)
    if inputs.processes and processes >= 1:
        return f"heroku config:set WEB_CONCURRENCY={processes}"
    if inputs.reserve is not None and inputs.reserve >= limit.connections - limit.used(1, 1):
        return "Lower HEADWAITER_DB_RESERVE."
    if limit.per_process:
        size = max(1, allowance - limit.per_thread)
        return f'Lower the pool\'s max_size (OPTIONS["pool"] in DATABASES) to {size}, or take a larger plan.'
    dynos = max(0, limit.connections - reserve_for(limit, inputs.reserve)) // max(1, limit.used(1, 1))
    if 1 <= dynos < inputs.dynos:
        return f"The limit carries {count(dynos, 'web dyno')} (heroku ps:scale web={dynos}); for more, a larger plan."
    return "Take a larger plan, or put a pooler in between (heroku pg:connection-pooling:attach)."
