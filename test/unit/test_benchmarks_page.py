"""The published benchmarks: the page says what the results say, and neither names the machine they come from."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "bench" / "results.json"
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|work|tmp|Users|private)\b")

pytestmark = pytest.mark.skipif(not RESULTS.exists(), reason="needs figures: make bench")


def _bench(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "test" / "bench" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_results_give(tmp_path: Path) -> None:
    """docs/benchmarks.md is written by `make bench`, not by hand."""
    _bench("tables").write(json.loads(RESULTS.read_text()), tmp_path / "benchmarks.md")
    assert (tmp_path / "benchmarks.md").read_text() == (ROOT / "docs" / "benchmarks.md").read_text()


def test_readmes_comparison_is_what_the_results_give(tmp_path: Path) -> None:
    """Its table, too, is written by `make bench`."""
    readme = (ROOT / "README.md").read_text()
    (tmp_path / "README.md").write_text(re.sub(r"(?m)^\| Failed requests in .*$", "", readme))
    _bench("comparison").write(json.loads(RESULTS.read_text()), tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == readme
    assert "| Failed requests in restarts under load | 0 in" in readme


@pytest.mark.parametrize("path", ["bench/results.json", "benchmarks.md"])
def test_no_name_or_path_of_the_machine(path: str) -> None:
    """Others can run the same commands."""
    text = (ROOT / "docs" / path).read_text()
    assert MACHINE_PATH.findall(text) == []
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)


def test_no_chart_bears_a_date_or_is_large() -> None:
    """The same figures give the same bytes, and README loads quickly."""
    charts = sorted((ROOT / "docs" / "bench").glob("*.svg"))
    assert charts
    for chart in charts:
        assert "<dc:date>" not in chart.read_text(), chart.name
        assert chart.stat().st_size < 100_000, chart.name
