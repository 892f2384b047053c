"""The command: `headwaiter [options] module:attribute` serves, `headwaiter plan` and `headwaiter check` tell."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headwaiter import log
from headwaiter.server import early, signals

if TYPE_CHECKING:
    from headwaiter.budget.arithmetic import Budget
    from headwaiter.budget.decide import Plan
    from headwaiter.budget.live import LiveBudget
    from headwaiter.project import Project
    from headwaiter.server.signals import Arrivals
    from headwaiter.server.supervisor import Application
    from headwaiter.settings import Settings

    Loaded = tuple[Plan, Callable[[], Application]]

USAGE = 64  # sysexits.h
CANNOT_LOAD = 78  # sysexits.h: a mistake in the configuration
CLOSED_PIPE = 141  # what a shell makes of SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, without the program's name; return its exit status."""
    log.reserve_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _print_only(arguments)
        if status is not None:
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        # `| head` has seen enough. Python flushes once more at its end, so there has to be somebody to take it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return CLOSED_PIPE
    return serve(arguments)


def _print_only(arguments: Sequence[str]) -> int | None:
    """Run what only prints something; return its exit status, None where the site is to be served."""
    if arguments[:1] == ["plan"]:
        from headwaiter.budget import command as plan_command

        return plan_command.main(arguments[1:])
    if arguments[:1] == ["check"]:
        from headwaiter.checks import command as check_command

        return check_command.main(arguments[1:])
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if {"--help", "-h"} & set(options) or "--version" in options:
        from headwaiter import usage

        print(usage.version_text() if "--version" in options else usage.help_text())
        return 0
    return None


def serve(argv: Sequence[str]) -> int:
    """Serve the site until drained; return the exit status, in the main process and in its workers."""
    started = time.monotonic()
    gc.disable()  # importing only makes objects that stay
    early.prepare()
    signals.restore_in_children()
    from headwaiter import project, settings
    from headwaiter.server import listen

    try:
        return _serve(argv, started)
    except (settings.SettingsError, listen.ListenError) as error:
        return _fail(USAGE, str(error))
    except project.ProjectError as error:
        return _fail(CANNOT_LOAD, str(error), error.details)


def _serve(argv: Sequence[str], started: float) -> int:
    """Load the site, decide everything, and be the main process."""
    from headwaiter import project, settings
    from headwaiter.server import listen, supervisor

    site = project.find()
    chosen = settings.load(argv, os.environ, site.as_settings())
    if not chosen.application:
        raise settings.SettingsError(
            ["MODULE:ATTRIBUTE: no application was named. Try: headwaiter mysite.wsgi:application."]
        )
    project.enter(chosen.chdir, chosen.settings_module)
    arrivals = signals.Arrivals()
    decision, load = (_load_once if chosen.preload else _load_in_workers)(chosen, site, arrivals)
    budget = decision.budget
    return supervisor.Supervisor(
        chosen,
        listen.bind(chosen),
        arrivals,
        processes=budget.processes,
        threads=budget.threads,
        load=load,
        announce=lambda: _tell(chosen, budget),
        started=started,
        live=_follow(chosen, site, decision),
    ).run()


def _load_once(chosen: Settings, site: Project, arrivals: Arrivals) -> Loaded:
    """Import the site here, for all workers. A signal that comes after that begins a drain."""
    from headwaiter.server import site_threads

    application = _import(chosen)
    arrivals.collect()
    decision = _decide(chosen, site)
    _prepare_fork(chosen, decision.budget)
    site_threads.report()
    return decision, lambda: application


def _load_in_workers(chosen: Settings, site: Project, arrivals: Arrivals) -> Loaded:
    """Have each worker import the site, which shares nothing then, and this process keep clear of it."""
    decision = _decide_in_child(chosen, site)
    arrivals.collect()

    def load() -> Application:
        application = _import(chosen)
        _prepare_fork(chosen, decision.budget)
        return application

    return decision, load


def _decide_in_child(chosen: Settings, site: Project) -> Plan:
    """Return the decision, which takes the site's own settings. Ends this process if the site can't be imported."""
    from headwaiter.project import ProjectError

    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _import(chosen)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(_decide(chosen, site), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        pickled = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status > 0:
        sys.exit(status)  # it has said why
    if not pickled:
        raise ProjectError(f"{chosen.application}: the process that imported it was ended by signal {-status}.")
    decision: Plan = pickle.loads(pickled)  # noqa: S301  # our own child's
    return decision


def _import(chosen: Settings) -> Application:
    from headwaiter import console, project

    with early.reporting():
        application = project.load_application(chosen.application or "")
    console.show_errors()
    return application


def _decide(chosen: Settings, site: Project) -> Plan:
    from headwaiter.budget import decide

    return decide.decide(chosen, site.facts)


def _follow(chosen: Settings, site: Project, decision: Plan) -> LiveBudget | None:
    """Return what changes the budget while this dyno runs; None where it stays as it was at boot."""
    if decision.survey is None or decision.dyno.process_type != "web":
        return None
    from headwaiter.budget import live

    if live.why_fixed(chosen, decision.survey, os.environ):
        return None
    return live.LiveBudget(
        decision.budget, decision.survey, chosen, site.facts, decision.dyno, os.environ, now=time.monotonic()
    )


def _prepare_fork(chosen: Settings, budget: Budget) -> None:
    """Close what the import has opened, and keep the imported site out of the collector's way: the memory is shared."""
    from headwaiter.budget import database

    database.install(chosen, budget)
    database.prepare_fork()
    if early.has_open_sockets():
        gc.collect()  # connections of threads that have ended are garbage, and open
    gc.freeze()


def _tell(chosen: Settings, budget: Budget) -> None:
    """Log every decision in one line, then what a person should know, each in a sentence."""
    from headwaiter import settings, usage

    proxy = chosen.waitress.get("trusted_proxy", settings.ROUTER_TRUST["trusted_proxy"] if chosen.trust_proxy else None)
    log.line(
        "boot",
        app=chosen.application,
        settings=os.environ.get("DJANGO_SETTINGS_MODULE"),
        **usage.versions(),
        processes=budget.processes,
        threads=budget.threads,
        preload=chosen.preload,
        trusted_proxy=proxy if proxy else "none",
        drain_seconds=chosen.drain_seconds,
        min_rate=chosen.min_rate,
        queue_seconds=chosen.queue_seconds,
        max_requests=chosen.max_requests or None,
        max_memory_mb=chosen.max_memory_mb or None,
        access_log=chosen.access_log,
        msg=budget.sentence or None,
    )
    for sentence in (*budget.warnings, *chosen.advice):
        log.line("warning", msg=sentence)


def _fail(status: int, message: str, details: str = "") -> int:
    if details:
        from headwaiter.redact import redact

        print(redact(details, os.environ) + "\n", file=sys.stderr)
    print(f"headwaiter: {message}", file=sys.stderr, flush=True)
    return status
