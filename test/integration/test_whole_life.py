"""The life of a Django site from boot to drain, on every Python that this machine has and on a Waitress unlike ours."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest
import pythons
from boot import Server, boot, children, eventually, run, starting

pytestmark = pytest.mark.server

SITE = """
import os, time
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="a" * 50)
def hello(request):
    return HttpResponse("hello")
def slow(request):
    open(f"slow-{request.GET['n']}", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
    return HttpResponse("slow")
urlpatterns = [path("", hello), path("slow", slow)]
application = get_wsgi_application()
"""
ORPHANS = "import subprocess; subprocess.run(['sh', '-c', 'for i in 1 2 3; do sleep 1 & done'])"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "mysite.py").write_text(SITE)
    return tmp_path


def requests_under_way(server: Server, site: Path, count: int) -> list[threading.Thread]:
    """Send `count` requests that don't end before the file `go` is there; as many as there are threads have begun."""
    clients = [threading.Thread(target=ask_slowly, args=(server, site, n)) for n in range(count)]
    for begun, client in zip((1, 2, 2), clients, strict=False):
        client.start()
        eventually(lambda begun=begun: len(list(site.glob("slow-*"))) == begun, "requests on both threads")
    return clients


def ask_slowly(server: Server, site: Path, n: int) -> None:
    with contextlib.suppress(OSError):
        if server.get(f"/slow?n={n}").text == "slow":
            (site / f"answered-{n}").touch()


def both_answer(server: Server) -> bool:
    """Ask once more; whether each of the two workers has answered since a worker died."""
    assert server.get("/").text == "hello"
    log = server.log.rpartition("at=worker-exit ")[2]
    return all(re.search(rf"at=request worker={number} ", log) for number in (1, 2))


def live(server: Server, site: Path) -> None:
    """From the first request to the last: two processes with one thread each."""
    assert server.get("/").text == "hello"
    server.wait_for("at=request .*path=/ ")
    first = server.children()
    os.kill(first[0], signal.SIGKILL)
    server.wait_for("at=worker-exit .*signal=SIGKILL")
    eventually(lambda: both_answer(server), "the replacement")
    clients = requests_under_way(server, site, 3)
    server.signal()
    server.wait_for("at=drain .*reason=SIGTERM", 2)
    (site / "go").touch()
    assert server.wait() == 0
    for client in clients:
        client.join()
    assert len(list(site.glob("answered-*"))) == 3, server.log
    assert len(server.lines("path=/slow ")) == 3
    assert len(server.lines("at=drained ")) == 2
    assert not server.lines("at=warning")
    assert "Traceback" not in server.log


@pytest.mark.parametrize("version", pythons.parameters())
def test_every_python(site: Path, version: str) -> None:
    """Boot, a request, a killed worker, the access log, a drain with requests running and waiting; a broken site."""
    python = pythons.python(version)
    with boot(site, "--processes=2", "--threads=1", "--access-log", "mysite:application", python=python) as server:
        assert f"python={version}." in server.lines("at=boot")[0]
        live(server, site)
    (site / "mysite.py").write_text("import missing_package\n")
    broken = run(site, "mysite:application", python=python)
    assert broken.returncode == 78
    assert broken.stderr.splitlines()[-1].startswith(
        "headwaiter: mysite imports missing_package, which isn't installed"
    )


LACKS = r"at=warning .*waitress=\S+ missing=(\S+)"


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("waitress.channel.HTTPChannel.send_continue", "HTTPChannel.send_continue()"),
        ("waitress.task.ErrorTask.execute", "ErrorTask.execute()"),
    ],
)
def test_a_waitress_without_a_part(site: Path, lost: str, named: str) -> None:
    """One warning a worker names the part; the site is served all the same, dead workers replaced, the end is clean."""
    module = lost.rsplit(".", 2)[0]
    (site / "sitecustomize.py").write_text(f"import {module}\ndel {lost}\n")
    env = {"PYTHONPATH": f"{Path(__file__).parents[2] / 'lib'}:{site}"}
    with boot(site, "--processes=2", "mysite:application", env=env) as server:
        assert server.wait_for(LACKS, 2)[1][1] == named
        assert server.get("/").text == "hello"
        os.kill(server.children()[0], signal.SIGKILL)
        server.wait_for(LACKS, 3)
        assert {server.get("/").text for _ in range(5)} == {"hello"}
        assert server.stop() == 0
        assert "Traceback" not in server.log


def test_a_waitress_without_a_part_ends_with_its_main_process(site: Path) -> None:
    """So that the port becomes free."""
    (site / "sitecustomize.py").write_text("import waitress.task\ndel waitress.task.ErrorTask.execute\n")
    env = {"PYTHONPATH": f"{Path(__file__).parents[2] / 'lib'}:{site}"}
    with boot(site, "--processes=2", "mysite:application", env=env) as server:
        assert server.get("/").text == "hello"
        server.signal(signal.SIGKILL)
        eventually(lambda: not listens(server.port))


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_process_one_drains(site: Path, container: tuple[str, ...]) -> None:
    """Several SIGTERMs, to every process: all that was begun is answered, exit 0."""
    with boot(site, "--processes=2", "--threads=1", "mysite:application", wrapper=container) as server:
        (one,) = server.children()
        everybody = [one, *children(one)]
        assert len(everybody) == 3
        clients = requests_under_way(server, site, 3)
        for pid in everybody * 3:
            os.kill(pid, signal.SIGTERM)
        server.wait_for("at=drain .*reason=SIGTERM", 2)
        for pid in everybody:
            os.kill(pid, signal.SIGTERM)
        (site / "go").touch()
        assert server.wait() == 0
        for client in clients:
            client.join()
        assert len(list(site.glob("answered-*"))) == 3, server.log
        assert "Traceback" not in server.log


def test_process_one_leaves_at_once_on_the_second_sigint(site: Path, container: tuple[str, ...]) -> None:
    """Two times Ctrl-C in `docker run -it`, whatever runs."""
    with boot(site, "--processes=2", "--threads=1", "mysite:application", wrapper=container) as server:
        (one,) = server.children()
        clients = requests_under_way(server, site, 2)
        for _ in range(2):
            os.kill(one, signal.SIGINT)
            server.wait_for("at=drain ", 2)
        assert server.wait() == 130
        for client in clients:
            client.join()
        assert not list(site.glob("answered-*"))


def test_process_one_hears_sigterm_while_it_loads(site: Path, container: tuple[str, ...]) -> None:
    """The kernel gives process 1 no signal that it has no handler for; here the import waits in C, for a database."""
    (site / "mysite.py").write_text(
        "import ctypes\nlibc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(128)\n"
        "print('loading', flush=True)\nwhile True:\n    libc.pthread_mutex_lock(lock)\n"
    )
    with starting(site, "mysite:application", wrapper=container) as server:
        server.wait_for("loading")
        os.kill(server.children()[0], signal.SIGTERM)
        assert server.wait() == signal.SIGTERM


def test_process_one_collects_orphans(site: Path, container: tuple[str, ...]) -> None:
    """Nobody else would: each would stay a zombie for as long as the container lives."""
    (site / "mysite.py").write_text(SITE.replace("def hello(request):\n", f"def hello(request):\n    {ORPHANS}\n"))
    with boot(site, "--processes=2", "mysite:application", wrapper=container) as server:
        (one,) = server.children()
        assert len(children(one)) == 2
        assert server.get("/").text == "hello"
        eventually(lambda: len(children(one)) == 5, "orphans")
        eventually(lambda: len(children(one)) == 2, "their end")
        os.kill(one, signal.SIGTERM)
        assert server.wait() == 0
