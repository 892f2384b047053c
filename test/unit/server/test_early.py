"""A slow import is reported, and a site that uses SIGALRM itself isn't disturbed."""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from headwaiter.server import early


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(early, "REPORT_SECONDS", 0.05)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_the_module_that_takes_long_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The innermost one, with the line that it has reached."""
    (tmp_path / "slow_outer.py").write_text("import slow_inner\n")
    (tmp_path / "slow_inner.py").write_text("import time\ndef wait():\n    time.sleep(0.3)\nwait()\n")
    with early.reporting():
        importlib.import_module("slow_outer")
    said = capfd.readouterr().out
    assert "headwaiter at=importing seconds=0 " in said
    assert "in slow_inner (line 4)." in said
    time.sleep(0.1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert capfd.readouterr().out == ""


def test_a_site_that_uses_the_alarm_keeps_it() -> None:
    """Its handler and its timer go on after the import."""
    rung = []
    with early.reporting():
        signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
    until = time.monotonic() + 60
    while not rung and time.monotonic() < until:
        time.sleep(0.01)
    assert rung == [1]
