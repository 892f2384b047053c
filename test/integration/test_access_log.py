"""What a worker says: a line for each request if wanted, slow requests with their stack, queues, metrics."""

from __future__ import annotations

import re
import time

import pytest
from worker import connect, read_answer, workers

pytestmark = pytest.mark.server


def field(line: str, name: str) -> str:
    found = re.search(rf' {name}=("(?:[^"\\]|\\.)*"|\S+)', line)
    assert found, f"no {name} in {line}"
    return found[1]


def test_off_by_default() -> None:
    """Heroku's router writes an access log already."""
    with workers() as server:
        server.get("/")
        server.stop()
        assert "at=request" not in server.log


def test_one_line_for_each_answer() -> None:
    """Whatever made it: the app, a file, an error of the app, a request that can't be read."""
    with workers(settings={"access_log": True}) as server:
        for count, path in enumerate(("/page?1234", "/file?5000", "/stream?70000", "/boom"), 1):
            server.get(path, {"X-Request-ID": "abc-1"})
            server.wait_for("at=request", count)  # it comes a moment after the answer
        client = connect(server.port)
        client.sendall(b"GET\r\n\r\n")
        assert read_answer(client)[0] == 400
        server.stop()
        lines = server.lines("at=request")
        by_path = {field(line, "path"): line for line in lines}  # another thread may write the next line first
        assert len(lines) == len(by_path) == 5
        assert {
            path: [field(line, name) for name in ("method", "status", "remote")] for path, line in by_path.items()
        } == {
            "/page": ["GET", "200", "127.0.0.1"],
            "/file": ["GET", "200", "127.0.0.1"],
            "/stream": ["GET", "200", "127.0.0.1"],
            "/boom": ["GET", "500", "127.0.0.1"],
            "-": ["-", "400", "127.0.0.1"],
        }
        assert [field(by_path[path], "bytes") for path in ("/page", "/file", "/stream")] == ["1234", "5000", "70000"]
        assert field(by_path["/page"], "request_id") == "abc-1"
        assert float(field(by_path["/page"], "duration_ms")) >= 0


def test_nobody_forges_a_line_or_a_field() -> None:
    """Spaces, quotes and control characters stay inside one value; queries, which hold secrets, stay out."""
    with workers(settings={"access_log": True}) as server:
        client = connect(server.port)
        client.sendall(b'GET /a"b\\c=?token=secret HTTP/1.1\r\nHost: x\r\nX-Request-Id: 1 status=999 "\xff\t2\r\n\r\n')
        assert read_answer(client)[0] == 200
        server.stop()
        (line,) = server.lines("at=request")
        assert "secret" not in line
        assert field(line, "status") == "200"
        assert field(line, "path") == r'"/a\"b\\c="'
        assert field(line, "request_id") == r'"1 status=999 \"ÿ\t2"'


def test_queue_time_comes_from_the_router_where_there_is_one() -> None:
    """X-Request-Start counts behind a router only; anybody else could make it up."""
    for trusted in (True, False):
        with workers(settings={"access_log": True, "trust_proxy": trusted}) as server:
            server.get("/", {"X-Request-Start": str(int(time.time() * 1000) - 2500)})
            server.stop()
            (line,) = server.lines("at=request")
            assert (float(field(line, "queue_ms")) >= 2500) == trusted


def test_the_time_of_an_upload_is_its_clients() -> None:
    """What counts is how long the whole request waited for a thread."""
    with workers(settings={"access_log": True, "trust_proxy": True}) as server:
        start = b"X-Request-Start: %d\r\n" % (int(time.time() * 1000) - 600_000)
        client = connect(server.port)
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\n" + start + b"Content-Length: 2\r\n\r\nup")
        assert read_answer(client)[2] == b"2"
        server.stop()
        (line,) = server.lines("at=request")
        assert float(field(line, "queue_ms")) < 600_000


def test_a_slow_request_shows_its_stack_once() -> None:
    """What would become an H12: where it hangs, while it hangs."""
    with workers(settings={"slow_request_seconds": 0.5}) as server:
        assert server.get("/sleep?3000").text == "slept"
        (line,) = server.lines("at=slow-request")
        assert field(line, "path") == "/sleep"
        assert re.search(r"site_app\.py:\d+ sleep", field(line, "stack"))


def test_queues_make_one_line_not_one_for_each_request() -> None:
    """Plain Waitress warns for every request that waits."""
    with workers(threads=1) as server:
        clients = [connect(server.port) for _ in range(30)]
        for client in clients:
            client.sendall(b"GET /sleep?50 HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert read_answer(client)[0] == 200
        server.wait_for(r"at=queue waited=\d+ deepest=\d+ threads=1")
        server.stop()
        assert len(server.lines("at=queue")) == 1
        assert "Task queue depth" not in server.log


@pytest.mark.parametrize("leave", ["in the middle of an answer", "in the middle of a request"])
def test_clients_that_leave_make_no_noise(leave: str) -> None:
    """People close their browsers all day."""
    with workers() as server:
        client = connect(server.port, receive_buffer=4096)
        path = b"/stream?3000000" if "answer" in leave else b"/"
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + (b"\r\n" if "answer" in leave else b""))
        time.sleep(0.2)
        client.close()
        assert server.get("/").status == 200
        server.stop()
        assert "Traceback" not in server.log
        assert "at=warning" not in server.log
