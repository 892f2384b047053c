"""What the buildpack adds to a build: bin/detect on 6,000 files, bin/compile without and with a cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import record

sys.path.insert(0, str(common.ROOT / "test" / "support"))

SAMPLE = common.ROOT / "test" / "fixtures" / "sample_site"


def detect(repetitions: int) -> dict[str, Any]:
    """Milliseconds of bin/detect on the tree of test/support/big_tree.py: median and slowest."""
    import big_tree

    with tempfile.TemporaryDirectory(prefix="bench-tree-") as folder:
        site = big_tree.make(Path(folder, "site"), files=6000)
        files = sum(1 for path in site.rglob("*") if path.is_file())
        command = [str(common.ROOT / "bin" / "detect"), str(site)]
        record.note_command("bin/detect", ["bin/detect", "BUILD_DIR"])
        taken = []
        for _ in range(repetitions):
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=common.environment())
            taken.append((time.perf_counter() - started) * 1000)
    return {"files": files, "milliseconds": round(common.median(taken), 1), "slowest": round(max(taken), 1)}


def _timed(run: Callable[..., None], taken: dict[str, float]) -> Callable[..., None]:
    def timed(command: list[str | Path], *rest: Any) -> None:
        started = time.perf_counter()
        run(command, *rest)
        taken[Path(command[0]).name] = time.perf_counter() - started

    return timed


def compile_seconds(cache: Path) -> float:
    """Seconds of bin/compile for the sample site, after a stand-in for heroku/python has built it."""
    import heroku

    taken: dict[str, float] = {}
    original = heroku.run
    heroku.run = _timed(original, taken)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-slug-") as folder:
            heroku.build(SAMPLE, Path(folder, "slug"), cache_dir=cache)
    finally:
        heroku.run = original
    return taken["compile"]


def builds(repetitions: int) -> dict[str, Any]:
    """Medians without a cache (waitress is downloaded) and with one."""
    cold, warm = [], []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory(prefix="bench-cache-") as cache:
            cold.append(compile_seconds(Path(cache)))
            warm.append(compile_seconds(Path(cache)))
    record.note_command("bin/compile", ["bin/compile", "BUILD_DIR", "CACHE_DIR", "ENV_DIR"])
    return {"cold": round(common.median(cold), 2), "warm": round(common.median(warm), 2)}


def run(quick: bool) -> dict[str, Any]:
    figures = {"detect": detect(5 if quick else 20), "compile_seconds": builds(1 if quick else 5)}
    common.log(f"  {figures}")
    return figures
