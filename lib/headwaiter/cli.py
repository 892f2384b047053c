"""The command: `headwaiter [options] module:attribute` serves, `headwaiter plan` and `headwaiter check` tell."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from headwaiter import log
from headwaiter.keeper import WORKER_VARIABLE

if TYPE_CHECKING:
    from headwaiter.budget import Budget
    from headwaiter.settings import Settings

USAGE, SOFTWARE, CONFIG = 64, 70, 78


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, without the program's name; return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["plan"]:
        from headwaiter import plan

        return plan.main(arguments[1:])
    if arguments[:1] == ["check"]:
        from headwaiter import check

        return check.main(arguments[1:])
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if {"--help", "-h"} & set(options) or "--version" in options:
        from headwaiter import usage

        print(usage.version_text() if "--version" in options else usage.help_text())
        return 0
    return serve(arguments)


def serve(argv: Sequence[str]) -> int:
    """Serve the site until drained. In the parent this never returns: it becomes the keeper of the workers."""
    started, directory = time.monotonic(), str(Path.cwd())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    place = os.environ.pop(WORKER_VARIABLE, None)
    gc.disable()  # importing only makes objects that stay; the workers turn it on
    from headwaiter import listen, project, settings

    try:
        return _serve(argv, place, directory, started)
    except settings.SettingsError as error:
        return _fail(USAGE, str(error))
    except project.ProjectError as error:
        return _fail(CONFIG, str(error), error.details)
    except listen.ListenError as error:
        return _fail(USAGE, str(error))


def _serve(argv: Sequence[str], place: str | None, directory: str, started: float) -> int:
    from headwaiter import console, database, project, settings, supervisor

    site = project.find()
    chosen = settings.load(argv, os.environ, site)
    if not chosen.application:
        raise settings.SettingsError(
            ["MODULE:ATTRIBUTE: no application was named. Try: headwaiter mysite.wsgi:application."]
        )
    _raise_open_files_limit()
    project.enter(chosen)
    application = project.load_application(chosen.application, call=chosen.call)
    console.show_errors()
    if place is not None:
        database.install(chosen)
        database.prepare_fork()
        return supervisor.run_again(place, chosen, application)

    from headwaiter import plan

    budget = plan.decide(chosen, site)
    database.install(chosen, budget)
    database.prepare_fork()
    return supervisor.run(
        chosen,
        application,
        processes=budget.processes,
        threads=budget.threads,
        directory=directory,
        started=started,
        announce=lambda: _tell(chosen, budget),
    )


def _tell(chosen: Settings, budget: Budget) -> None:
    """Log every decision in one line, then what a person should know, each in a sentence."""
    from headwaiter import usage

    proxy = chosen.waitress.get("trusted_proxy")
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


def _raise_open_files_limit() -> None:
    """Allow as many open files as the system lets us: each client is one, and the usual limit of 1,024 is soon met."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _leave(number: int, _frame: object) -> NoReturn:
    """End while the site is still being imported: nobody has been served yet."""
    os._exit(0 if number == signal.SIGTERM else 128 + number)


def _fail(status: int, message: str, details: str = "") -> int:
    from headwaiter.redact import redact

    if details:
        print(redact(details, os.environ) + "\n", file=sys.stderr)
    print(f"headwaiter: {redact(message, os.environ)}", file=sys.stderr, flush=True)
    return status
