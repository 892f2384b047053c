"""Log lines: one line, one write, nothing that a client sends gets out of its quotes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from boot import environment
from headwaiter import log
from hypothesis import given
from hypothesis import strategies as st

VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s"=]+)'


@given(st.text())
def test_any_value_stays_one_value(text: str) -> None:
    """Neither quotes nor newlines nor control characters forge a second field or line."""
    escaped = log.escape(text)
    assert re.fullmatch(VALUE, escaped)
    assert escaped.isprintable()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain/path.html", "plain/path.html"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "hi"\\', '"say \\"hi\\"\\\\"'),
        ("a\nat=fake", '"a\\nat=fake"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("\u2028", '"\\u2028"'),
        (True, "true"),
        (1.5, "1.5"),
        (2.0, "2"),
        (0.0004, "0"),
        (100.0, "100"),
    ],
)
def test_values_look_as_logfmt_readers_expect(value: object, expected: str) -> None:
    """Bare where possible, quoted where needed."""
    assert log.escape(value) == expected


def test_a_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes share the output: two writes would mix with another's."""
    writes: list[bytes] = []
    monkeypatch.delenv("DYNO", raising=False)
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(data))
    log.line("drain", open=3, nothing=None, msg="Good bye")
    assert writes == [b'headwaiter at=drain open=3 msg="Good bye"\n']


def test_the_context_is_on_every_line() -> None:
    """A worker's lines carry its number."""
    log.context(worker=2)
    try:
        assert log.format_line("ready") == "headwaiter at=ready worker=2"
    finally:
        log.context(worker=None)
    assert log.format_line("ready") == "headwaiter at=ready"


def test_a_one_off_dyno_hears_warnings_only(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Its terminal belongs to the person's own command."""
    monkeypatch.setenv("DYNO", "run.1234")
    log.line("boot")
    log.line("warning", msg="look")
    assert capfd.readouterr().out == "headwaiter at=warning msg=look\n"


def test_a_line_longer_than_heroku_takes_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    """Logplex would break it in two, and the second half would belong to nothing."""
    log.line("warning", msg="x" * 20_000)
    out = capfd.readouterr().out
    assert len(out) == log.LONGEST_LINE + 1
    assert out.endswith("...\n")


def test_a_closed_output_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log must not take the site down."""

    def fail(fd: int, data: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", fail)
    log.line("warning")


def test_a_full_pipe_drops_lines_and_says_how_many() -> None:
    """Nobody reads it: no line waits, and the pipe stays as the site's own prints expect it, waiting."""
    reader, writer = os.pipe()
    script = """
import os, sys
from headwaiter import log
for number in range(2000):
    log.line("warning", number=number, msg="x" * 300)
os.write(2, b"wrote all of them\\n")
assert os.get_blocking(1)
sys.stdin.readline()
log.line("ready")
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE, env=environment()
    ) as process:
        os.close(writer)
        assert process.stdin
        assert process.stderr
        assert process.stderr.readline() == b"wrote all of them\n"
        lines = os.read(reader, 1_000_000).decode().splitlines()
        assert all(
            re.fullmatch(rf"headwaiter at=warning number={number} msg=x+", line) for number, line in enumerate(lines)
        )
        process.stdin.close()
        rest = b""
        while piece := os.read(reader, 65536):
            rest += piece
        os.close(reader)
        assert process.wait(60) == 0
    dropped = 2000 - len(lines)
    assert 0 < dropped < 2000
    assert rest.decode() == (
        f'headwaiter at=warning dropped={dropped} msg="The log could not be written: lines were dropped."\n'
        "headwaiter at=ready\n"
    )
