"""The command: `headwaiter [options] module:attribute` serves, `headwaiter plan` and `headwaiter check` tell."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headwaiter import log
from headwaiter.server import early
from headwaiter.server.keeper import CANNOT_LOAD, WORKER_VARIABLE

if TYPE_CHECKING:
    from headwaiter.budget.arithmetic import Budget
    from headwaiter.settings import Settings

USAGE = 64  # sysexits.h
CLOSED_PIPE = 141  # what a shell makes of SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, without the program's name; return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _told(arguments)
        if status is not None:
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        # `| head` has seen enough. Python flushes once more at its end, so there has to be somebody to take it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return CLOSED_PIPE
    return serve(arguments)


def _told(arguments: Sequence[str]) -> int | None:
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
    """Serve the site until drained. In the parent this never returns: it becomes the keeper of the workers."""
    started, directory = time.monotonic(), str(Path.cwd())
    place = os.environ.pop(WORKER_VARIABLE, None)
    gc.disable()  # importing only makes objects that stay; the workers turn it on
    with early.leaving_at_once():
        from headwaiter import project, settings
        from headwaiter.server import listen

        try:
            go = _load(argv, place, directory, started)
        except (settings.SettingsError, listen.ListenError) as error:
            return _fail(USAGE, str(error))
        except project.ProjectError as error:
            return _fail(CANNOT_LOAD, str(error), error.details)
    return go()


def _load(argv: Sequence[str], place: str | None, directory: str, started: float) -> Callable[[], int]:
    """Load the site and decide everything; return what is left to do, and forks."""
    from headwaiter import console, project, settings
    from headwaiter.budget import database
    from headwaiter.server import listen, supervisor

    site = project.find()
    chosen = settings.load(argv, os.environ, site.as_settings())
    if not chosen.application:
        raise settings.SettingsError(
            ["MODULE:ATTRIBUTE: no application was named. Try: headwaiter mysite.wsgi:application."]
        )
    project.enter(chosen.chdir, chosen.settings_module)
    application = project.load_application(chosen.application)
    console.show_errors()
    if place is not None:
        again = supervisor.Place.parse(place)
        database.install(chosen, again.budget())
        database.prepare_fork()
        control = supervisor.join(again)
        return lambda: supervisor.run_again(control, again, chosen, application)

    from headwaiter.budget import decide

    budget = decide.decide(chosen, site.facts)
    database.install(chosen, budget)
    database.prepare_fork()
    sockets = listen.bind(chosen)
    return lambda: supervisor.run(
        chosen,
        application,
        sockets,
        budget,
        directory=directory,
        started=started,
        announce=lambda: _tell(chosen, budget),
    )


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
