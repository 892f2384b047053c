"""Draws docs/plan.svg: what `headwaiter plan` prints on a terminal, for a real PostgreSQL role with 20 connections."""

from __future__ import annotations

import html
import os
import pty
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import common
import psycopg
import real_postgres

COLUMNS = 100
STYLES = {"1": "font-weight:bold", "1;33": "font-weight:bold;fill:#d7a000"}


def plan_on_a_terminal() -> str:
    """The output with its colours, while three dynos and a person with psql are connected."""
    server = real_postgres.server()
    url = server.role("u8r2kq1", 20)
    env = common.environment(
        {"DATABASE_URL": url, "PYTHONPATH": str(common.ROOT / "lib"), "DYNO_RAM": "512", "DYNO": "run.4711",
         "COLUMNS": str(COLUMNS), "TERM": "xterm"}
    )  # fmt: skip
    with ExitStack() as stack:
        for name, number in {"web.1": 6, "web.2": 5, "web.3": 6, "psql": 1}.items():
            for _ in range(number):
                stack.enter_context(psycopg.connect(url, application_name=name))
        reading, writing = pty.openpty()
        command = [common.PYTHON, "-m", "headwaiter", "plan", real_postgres.APPLICATION]
        process = subprocess.Popen(command, cwd=real_postgres.SHOP, env=env, stdout=writing, stderr=writing)
        os.close(writing)
        output = b""
        while block := _read(reading):
            output += block
        process.wait()
    return output.decode().replace("\r\n", "\n").rstrip()


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # Linux says EIO at the end of a terminal
        return b""


def draw(text: str, path: Path) -> None:
    """Lines of a terminal as an SVG that reads in light and dark."""
    lines = ["$ heroku run headwaiter plan", *text.split("\n")]
    height = 19 * len(lines) + 24
    rows = []
    for number, line in enumerate(lines):
        spans, style = [], ""
        for code, words in re.findall(r"(?:\x1b\[([0-9;]*)m)?([^\x1b]*)", line):
            style = STYLES.get(code, "") if code else style
            if words:
                spans.append(f'<tspan style="{style}">{html.escape(words)}</tspan>')
        rows.append(f'<text x="16" y="{19 * number + 30}" xml:space="preserve">{"".join(spans)}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" width="860" role="img" '
        'aria-label="Output of headwaiter plan">\n'
        "<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#e6e6e6}</style>\n"
        f'<rect width="860" height="{height}" rx="8" fill="#1e1e24"/>\n' + "\n".join(rows) + "\n</svg>\n"
    )


if __name__ == "__main__":
    draw(plan_on_a_terminal(), common.ROOT / "docs" / "plan.svg")
