"""`make run`: builds a Django repository as Heroku would, boots it, prints its address; Ctrl-C ends it.

With --check it ends by itself after the first answered request, with status 0 when that wasn't a server error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

sys.path.append(str(Path(__file__).resolve().parents[1] / "test/support"))
import heroku

ROOT_OF_DYNO = Path("/app")
SAMPLE = heroku.BUILDPACK / "test/fixtures/sample_site"
SLOW_CLIENTS = heroku.BUILDPACK / "test/support/slow_clients.py"
NEXT = """\
       Ctrl-C ends it. Things to try in another terminal:

       {one_off} headwaiter plan     # how many processes and threads, and why
       {one_off} headwaiter check    # settings that would hurt on Heroku
       python3 {slow_clients} --kind=upload --count=500 --port={port}
                                     # 500 slow uploads; the site still answers
       kill -- -{dyno}               # SIGTERM to the whole dyno, as on a deploy
"""


def config_var(entry: str) -> tuple[str, str]:
    """The name and value of --env."""
    name, equals, value = entry.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{entry!r} isn't NAME=VALUE, as in DEBUG=off")
    return name, value


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="run_site.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--app", type=Path, default=SAMPLE, help="the repository (default: the sample site)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--env", action="append", type=config_var, default=[], metavar="NAME=VALUE", help="a config var"
    )
    parser.add_argument("--path", default="/", help="what --check asks for")
    parser.add_argument("--python", help="the Python to build with")
    parser.add_argument(
        "--heroku-python", type=Path, metavar="CHECKOUT", help="the real heroku/python, which makes /app: root only"
    )
    parser.add_argument("--web", help="the web command, instead of the released one")
    parser.add_argument(
        "--default-web", action="store_true", help="the buildpack's web command, whatever the Procfile says"
    )
    parser.add_argument("--cache", type=Path, default=heroku.BUILDPACK / ".run/cache", help="for the build caches")
    parser.add_argument("--no-release", action="store_true", help="leave the Procfile's release process out")
    parser.add_argument("--check", action="store_true", help="end after the first answered request")
    return parser.parse_args(argv)


def config_vars(options: argparse.Namespace) -> dict[str, str]:
    """app.json's, then DATABASE_URL of this shell, then --env."""
    own = {"DATABASE_URL": os.environ["DATABASE_URL"]} if os.environ.get("DATABASE_URL") else {}
    return {**heroku.app_setup(options.app), **own, **dict(options.env)}


def run_release(slug: heroku.Slug) -> int:
    """The release process, as Heroku runs it before the web dynos start."""
    command = slug.process_types["release"]
    print(f"-----> Release: {command}", flush=True)
    return heroku.start_dyno(slug, command, name="release.1").wait()


def serve(slug: heroku.Slug, work: Path, options: argparse.Namespace) -> int:
    """Boot the web process and stay until Ctrl-C, or with --check until it has answered."""
    one_off = work / "run"
    heroku.write_one_off(slug, one_off)
    command = options.web or slug.process_types["web"]
    if options.default_web:
        types = slug.release["default_process_types"]
        assert isinstance(types, dict)
        command = types["web"]
    port = options.port or heroku.free_port()
    address = f"http://127.0.0.1:{port}{options.path}"
    print(f"-----> Web: {command}", flush=True)
    dyno = heroku.start_dyno(slug, command, port=port)
    try:
        status = heroku.answer(address, dyno)
        if status is None:
            print(f" !     Error: no answer from {address}; the log above says why.", flush=True)
            return 1
        print(f"-----> {address} answers with {status}", flush=True)
        if status >= 500:
            print(" !     A server error; the log above says why.", flush=True)
        if options.check:
            return 0 if status < 500 else 1
        print(NEXT.format(one_off=one_off, slow_clients=SLOW_CLIENTS, port=port, dyno=dyno.pid), flush=True)
        return dyno.wait()
    except KeyboardInterrupt:
        print("\n-----> Stopping", flush=True)
        return 0
    finally:
        heroku.stop_dyno(dyno)


def on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Set what Ctrl-C and SIGTERM do."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Begin to stop, once: after Ctrl-C, make sends SIGTERM too, which mustn't cut the clean-up short."""
    on_signals(signal.SIG_IGN)
    raise KeyboardInterrupt


def main(argv: list[str]) -> int:
    """Build, release, serve."""
    options = arguments(argv)
    on_signals(interrupt)
    if not options.app.is_dir():
        print(f"Error: {options.app} isn't a directory. APP names the repository of a Django site.")
        return 1
    if options.heroku_python and ROOT_OF_DYNO.exists():
        print(f"Error: {ROOT_OF_DYNO} is here already. The real heroku/python builds there; delete it.")
        return 1
    cache_dir = options.cache / options.app.resolve().name
    work = Path(tempfile.mkdtemp(prefix="headwaiter-run-"))
    root = ROOT_OF_DYNO if options.heroku_python else work / "app"
    try:
        slug = heroku.build(
            options.app,
            root,
            cache_dir=cache_dir,
            config_vars=config_vars(options),
            python=options.python,
            heroku_python=options.heroku_python,
            say=lambda line: print(line, flush=True),
        )
        if "release" in slug.process_types and not options.no_release and run_release(slug):
            print(" !     Error: the release process failed. Heroku would keep the old release.")
            return 1
        return serve(slug, work, options)
    except heroku.BuildFailedError as error:
        print(f" !     Push rejected: {Path(error.program).name} ended with status {error.status}.")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        on_signals(signal.SIG_IGN)
        for folder in (work, root):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
