"""How many of gunicorn's invalid requests are refused: python test/support/gunicorn_suite.py FOLDER PYTHON

FOLDER is tests/requests of gunicorn's repository, PYTHON an interpreter that has gunicorn. Both servers run with their
defaults and an application that reads the body and answers 200. Refused: an answer of 400 or more, or none at all.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from worker import workers

HERE = Path(__file__).parent
FAILED = re.compile(rb"HTTP/1\.[01] [45]")


def decode(text: bytes) -> bytes:
    """Return the request in a .http file: line ends of the file count for nothing, escapes stand for bytes."""
    text = text.replace(b"\n", b"").replace(b"\\r\\n", b"\r\n").replace(b"\\0", b"\0")
    text = text.replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text)


def refused(port: int, data: bytes) -> bool:
    """Send `data` and the end of file; tell whether the server refuses it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        except OSError:
            pass
    return not answer or bool(FAILED.search(answer))


def count(port: int, inputs: dict[str, bytes]) -> set[str]:
    """Return the names of those that are refused."""
    return {name for name, data in inputs.items() if refused(port, data)}


def of_gunicorn(python: str, inputs: dict[str, bytes]) -> set[str]:
    """Ask gunicorn with its defaults."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = "def application(environ, start_response):\n    environ['wsgi.input'].read()\n"
    code += "    start_response('200 OK', [('Content-Length', '5')])\n    return [b'hello']\n"
    command = [python, "-c", f"import sys, types; m = types.ModuleType('app'); exec({code!r}, m.__dict__)\n"
               "sys.modules['app'] = m\nfrom gunicorn.app.wsgiapp import run\nrun()",
               f"--bind=127.0.0.1:{port}", "app:application"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        return count(port, inputs)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(folder: str, python: str) -> int:
    """Print both counts and what only one of them refuses."""
    for kind in ("invalid", "valid"):
        inputs = {path.stem: decode(path.read_bytes()) for path in sorted(Path(folder, kind).glob("*.http"))}
        with workers() as server:
            ours = count(server.port, inputs)
        theirs = of_gunicorn(python, inputs)
        print(f"{kind}: of {len(inputs)}, headwaiter refuses {len(ours)}, gunicorn {len(theirs)}")
        print("  only headwaiter:", *sorted(ours - theirs))
        print("  only gunicorn:", *sorted(theirs - ours))
        print("  neither:", *sorted(set(inputs) - ours - theirs))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
