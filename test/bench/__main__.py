"""Measure headwaiter beside its alternatives, on this machine, in one run: python test/bench [--quick] [--only NAME].

Each part's figures are written as soon as they are there: a run can be cut short and go on with --only. Everything
happens on the loopback; every server is gone when its part ends.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import common
import record

BUSY = 2.5  # load average: our own parts leave less than that behind on two CPUs
PARTS = {  # in this order; NAME: module
    "slow_clients": "slow",
    "hostile": "hostile",
    "sigterm": "sigterm",
    "restarts": "restarts",
    "replacement": "replacement",
    "throughput": "throughput",
    "queueing": "queueing",
    "kept": "kept",
    "memory": "memory",
    "startup": "startup",
    "build": "build",
    "threads_curve": "threads_curve",
    "dynos": "dynos",
    "scaling": "scaling",
    "looking": "looking",
}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python test/bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a few minutes: to see that it works, not for figures to show"
    )
    parser.add_argument(
        "--only", action="append", choices=[*PARTS, "docs"], metavar="NAME", help=f"one of {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--out", type=Path, help="folder for results.json and charts (docs/bench; --quick: build/bench)"
    )
    return parser.parse_args(argv)


def write_docs(folder: Path) -> None:
    """Charts beside the results, benchmarks.md one folder higher: docs/benchmarks.md; and README's comparison."""
    import charts
    import comparison
    import tables

    results = record.load(folder)
    if results:
        charts.draw(results, folder)
        tables.write(results, folder.parent / "benchmarks.md")
    if folder == common.ROOT / "docs/bench":
        comparison.write(results, common.ROOT / "README.md")


def run_as_user(argv: list[str], folder: Path) -> int:
    """Run all of it without root's privileges, as on a dyno; what it writes comes back from where a user may write."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, "docs", folder.name)
        copy.mkdir(parents=True)
        if folder.is_dir():
            shutil.copytree(folder, copy, dirs_exist_ok=True)
        for path in (Path(temporary), *Path(temporary).rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        as_user = common.ROOT / "scripts/as_user.sh"
        command = [str(as_user), sys.executable, str(Path(__file__).resolve()), *argv, "--out", str(copy)]
        status = subprocess.run(command, check=False).returncode
        shutil.copytree(copy.parent, folder.parent, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return status


def main(argv: list[str]) -> int:
    options = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception: every server's `with` block ends it
    folder = (options.out or common.ROOT / ("build/bench" if options.quick else "docs/bench")).resolve()
    if os.getuid() == 0:
        return run_as_user(argv, folder)
    failed = []
    for name, module in PARTS.items():
        if options.only and name not in options.only:
            continue
        common.log(f"-----> {name}")
        if os.getloadavg()[0] > BUSY:
            common.log(f" !     Something else is running here (load {os.getloadavg()[0]:.1f}): ratios will be noisy.")
        started = time.perf_counter()
        try:
            figures = importlib.import_module(module).run(options.quick)
        except Exception:  # a part that can't run must not cost the others
            traceback.print_exc()
            failed.append(name)
            continue
        record.save(folder, name, figures, time.perf_counter() - started, quick=options.quick)
    write_docs(folder)
    if failed:
        common.log(f" !     No figures from: {', '.join(failed)}. Repeat them with --only.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
