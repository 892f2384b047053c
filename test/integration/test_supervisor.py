"""Processes: loaded once, bound when ready, replaced when they die, ended in order. Real processes and signals."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import postgres
import psycopg
import pytest
from boot import LIB, Server, boot, eventually, run, starting
from headwaiter.server import exchange
from resizing import RESIZE
from shop import APPLICATION, SHOP

pytestmark = pytest.mark.server

APP = """
import os, signal, threading, time
with open("imports", "a") as imports:
    imports.write(f"{os.getpid()}\\n")
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/exit":
        os._exit(3)
    if path == "/slow":
        open("slow", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
    body = {
        "/pid": str(os.getpid()), "/parent": str(os.getppid()), "/address": environ["REMOTE_ADDR"],
        "/files": str(__import__("resource").getrlimit(7)), "/mask": str(signal.pthread_sigmask(0, [])),
        "/interval": str(__import__("sys").getswitchinterval()),
        "/multi": str(environ["wsgi.multiprocess"]), "/port": environ["SERVER_PORT"],
    }.get(path, "ok").encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def imports(directory: Path) -> list[int]:
    return [int(line) for line in (directory / "imports").read_text().split()]


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def test_the_site_is_imported_once_and_served_by_every_process(app: Path) -> None:
    """The workers share what was loaded before they were forked."""
    with boot(app, "--processes=3", "--threads=2", "app:application") as server:
        assert len(server.children()) == 3
        assert imports(app) == [server.pid]
        assert {int(server.get("/parent").text) for _ in range(5)} == {server.pid}
        assert server.get("/multi").text == "True"
        assert len(server.lines("at=boot")) == 1
        assert "processes=3 threads=2" in server.lines("at=ready")[0]
        assert server.stop() == 0


def test_without_preload_each_process_imports_the_site_itself(app: Path) -> None:
    """For sites that must not be forked."""
    with boot(app, "--processes=2", "--no-preload", "app:application") as server:
        assert sorted(imports(app)[1:]) == sorted(server.children())
        assert server.get().text == "ok"
        assert server.stop() == 0


def test_a_dead_worker_is_replaced_and_logged_with_its_signal(app: Path) -> None:
    """The request that killed it is lost, the next is answered."""
    with boot(app, "--processes=1", "app:application") as server:
        first = server.children()
        with pytest.raises(OSError):
            server.get("/die")
        server.wait_for(r"at=worker-exit worker=1 worker_pid=\d+ signal=SIGKILL")
        assert server.get("/pid").text != str(first[0])
        with pytest.raises(OSError):
            server.get("/exit")
        server.wait_for(r"at=worker-exit worker=1 worker_pid=\d+ status=3")
        assert server.get().text == "ok"
        assert server.stop() == 0


def test_clients_wait_while_the_only_worker_is_replaced(app: Path) -> None:
    """The parent keeps the socket: nobody is refused."""
    with boot(app, "--processes=1", "app:application") as server:
        os.kill(server.children()[0], signal.SIGKILL)
        assert server.get().text == "ok"


NO_PROCESS = """
import errno, os
from headwaiter.server import supervisor
from headwaiter.server.exchange import Exchange
def fork(real=supervisor.fork):
    if os.path.exists("full"):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return real()
def claim(exchange, real=Exchange.claim):
    slot = real(exchange)
    assert slot, "no slot is left"
    return slot
supervisor.fork, Exchange.claim = fork, claim
supervisor.RETRY_SECONDS = 0.05
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit() and /proc")
@pytest.mark.parametrize("lack", ["processes", "open files"])
def test_a_worker_that_cannot_be_started_is_started_later(app: Path, lack: str) -> None:
    """The others serve meanwhile, and each try gives back what it took."""
    (app / "app.py").write_text(NO_PROCESS + APP)
    with boot(app, "--processes=2", "app:application") as server:
        usual = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        files = open_files(server.pid)
        if lack == "processes":
            (app / "full").touch()
        else:
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (5, usual[1]))
        os.kill(server.children()[0], signal.SIGKILL)
        why = "Resource temporarily unavailable" if lack == "processes" else "Too many open files"
        server.wait_for(rf'at=warning worker=1 error="{why}" msg=".*again in 0.05 s', 2 * exchange.FEWEST_SLOTS)
        eventually(lambda: open_files(server.pid) == files - 1)  # the dead worker's line
        assert server.get().text == "ok"
        (app / "full").unlink(missing_ok=True)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, usual)
        eventually(lambda: len(server.children()) == 2)
        eventually(lambda: open_files(server.pid) == files)
        assert server.stop() == 0


def test_without_any_worker_it_gives_up_in_the_end(app: Path) -> None:
    """So that the platform starts a new dyno."""
    (app / "app.py").write_text(NO_PROCESS + APP)
    with boot(app, "--processes=1", "app:application") as server:
        (app / "full").touch()
        os.kill(server.children()[0], signal.SIGKILL)
        assert server.wait() == 70
        assert len(server.lines("trying again in")) == 5
        assert "at=boot-failed" in server.log


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_worker_that_keeps_dying_ends_the_server_with_the_cause(app: Path) -> None:
    """Trying for ever would hide it; the platform restarts a dyno that ends, with a pause."""
    (app / "app.py").write_text(APP + "\nif os.path.exists('bad'): os._exit(9)\n")
    with boot(app, "--processes=2", "--no-preload", "app:application") as server:
        (app / "bad").touch()
        for pid in server.children():
            os.kill(pid, signal.SIGKILL)
        assert server.wait() == 9, server.log
        assert "at=boot-failed" in server.log
        assert "giving up" in server.log


def test_a_replacement_that_cannot_load_tells_why(app: Path) -> None:
    """The worker's own message is in the log, and the status says that the site is to blame."""
    with boot(app, "--processes=1", "--no-preload", "app:application") as server:
        (app / "app.py").write_text("import not_there\n")
        os.kill(server.children()[0], signal.SIGKILL)
        assert server.wait() == 78
        assert "imports not_there, which isn't installed" in server.log


def test_a_replacement_knows_the_budget(app: Path) -> None:
    """It still names `headwaiter plan` when the database has no connection left."""
    url = postgres.server().role("replaced", 2)
    env = {
        "DATABASE_URL": url,
        "HEADWAITER_DB_CONNECTIONS": "2",
        "HEADWAITER_DB_RESERVE": "0",
        "HEADWAITER_DB_WAIT": "9",
    }
    with boot(SHOP, APPLICATION, "--processes=1", env=env) as server:
        os.kill(server.children()[0], signal.SIGKILL)
        server.wait_for("at=worker-exit")
        with psycopg.connect(url), psycopg.connect(url):
            threading.Thread(target=ask_in_vain, args=(server, "/query?seconds=0.02")).start()
            assert "`headwaiter plan`" in server.wait_for(r"at=db-wait .*")[0][0]


@pytest.mark.parametrize("how", ["parent", "everybody", "many"])
def test_sigterm_ends_in_order_after_what_runs(app: Path, how: str) -> None:
    """Heroku signals every process, perhaps several times; Docker only the first."""
    with boot(app, "--processes=2", "app:application") as server:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(server.get("/slow").text))
        asking.start()
        eventually((app / "slow").exists)
        for _ in range(5 if how == "many" else 1):
            for pid in [server.pid, *(server.children() if how != "parent" else [])]:
                os.kill(pid, signal.SIGTERM)
        eventually(lambda: refused(server.port), "a refused connection")
        (app / "go").touch()
        asking.join()
        assert server.wait() == 0
        assert answers == ["ok"]
        assert "Traceback" not in server.log


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_a_worker_that_does_not_end_is_killed_after_the_deadline(app: Path) -> None:
    """A stopped process hears no SIGTERM; the parent says what it did."""
    with boot(app, "--processes=2", "--drain-seconds=0", "app:application") as server:
        os.kill(server.children()[0], signal.SIGSTOP)
        assert server.stop() == 0
        assert "Didn't end within 0 seconds of draining: killed." in server.log


def test_a_second_sigint_leaves_at_once(app: Path) -> None:
    """Two times Ctrl-C means now, whatever runs."""
    with boot(app, "--processes=2", "app:application") as server:
        workers = server.children()
        asking = threading.Thread(target=ask_in_vain, args=(server,))
        asking.start()
        eventually((app / "slow").exists)
        server.signal(signal.SIGINT)
        server.wait_for("at=drain ")
        assert server.stop(signal.SIGINT) == 130
        eventually(lambda: not any(map(alive, workers)))
        asking.join()


def ask_in_vain(server: Server, path: str = "/slow") -> None:
    with contextlib.suppress(OSError):
        server.get(path)


def test_a_lone_hang_up_drains(app: Path) -> None:
    """The terminal has gone."""
    with boot(app, "app:application") as server:
        assert server.stop(signal.SIGHUP) == 0


def test_workers_drain_when_the_parent_has_been_killed(app: Path) -> None:
    """Nobody is left to watch them, and the port must become free."""
    with boot(app, "--processes=2", "app:application") as server:
        workers = server.children()
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not any(map(alive, workers)), "the workers' end")
        assert "The parent process has gone: draining." in server.log
        assert refused(server.port)


HANGS_IN_C = """
import ctypes
lock, libc = ctypes.create_string_buffer(128), ctypes.CDLL(None)
print("importing", flush=True)
while True:
    libc.pthread_mutex_lock(lock)
"""


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_while_the_site_is_imported_ends_it_at_once(app: Path, number: int, preload: str) -> None:
    """Nobody has been served yet. No handler of Python's would run while the import waits in C, for a database."""
    (app / "app.py").write_text(HANGS_IN_C)
    with starting(app, preload, "app:application") as server:
        server.wait_for("importing")
        assert server.stop(number, everybody=True) == -number


def test_a_child_that_the_import_forks_and_ends_is_its_own(app: Path) -> None:
    """SIGTERM to it doesn't end the server, and it means to the child what it always does."""
    forks = """
child = os.fork()
if child == 0:
    time.sleep(600)
os.kill(child, signal.SIGTERM)
print("ended by", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
time.sleep(0.2)
"""
    (app / "app.py").write_text(APP + forks)
    with boot(app, "--processes=1", "app:application") as server:
        assert "ended by -15" in server.log
        assert server.stop() == 0


def test_a_replacement_that_hangs_in_its_import_does_not_hold_up_the_end(app: Path) -> None:
    """Nor does one that waits for its turn to serve."""
    with boot(app, "--processes=2", "--no-preload", "app:application") as server:
        (app / "app.py").write_text(HANGS_IN_C)
        os.kill(server.children()[0], signal.SIGKILL)
        server.wait_for("importing")
        assert server.stop() == 0
        assert "of draining: killed" not in server.log


def test_it_runs_as_process_one_and_collects_orphans(app: Path, container: tuple[str, ...]) -> None:
    """In a container nothing else would, and signals without a handler would be ignored."""
    (app / "app.py").write_text(APP + "import subprocess\nsubprocess.run(['sh', '-c', 'sleep 0.1 & echo orphan=$!'])\n")
    with boot(app, "--processes=2", "app:application", wrapper=container) as server:
        first = server.children()[0]
        assert server.get("/parent").text == "1"
        eventually(lambda: "zombie" not in zombies(first))
        os.kill(first, signal.SIGTERM)
        assert server.wait() == 0
        assert "at=drained" in server.log


def zombies(pid: int) -> str:
    found = subprocess.run(["ps", "--ppid", str(pid), "-o", "stat="], check=False, capture_output=True, text=True)
    return "zombie" if "Z" in found.stdout else ""


def test_both_families_are_heard_and_ipv4_clients_have_ipv4_addresses(app: Path) -> None:
    """One dual-stack socket: REMOTE_ADDR mustn't become ::ffff:127.0.0.1."""
    with boot(app, "--listen=*:0", "app:application") as server:
        assert server.get("/address").text == "127.0.0.1"
        assert server.get("/port").text == str(server.port)
        if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
            with socket.create_connection(("::1", server.port)) as client:
                client.sendall(b"GET /address HTTP/1.0\r\n\r\n")
                assert client.makefile().read().endswith("::1")


def test_several_addresses_and_unix_sockets(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--listen adds up; a socket file left behind is taken over, its permissions are the ones asked for."""
    monkeypatch.chdir(app)  # the path of a socket may have 108 bytes (unix(7)), and that of a TMPDIR more
    path = Path("x.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with boot(app, f"--unix-socket={path}", "--unix-socket-perms=660", "app:application") as server:
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.makefile().read().endswith("ok")
        assert "already" in run(app, f"--unix-socket={path}", "app:application").stderr
        assert server.stop() == 0
    with boot(app, "--listen=127.0.0.1:0", "--listen=127.0.0.1:0", "app:application") as server:
        assert server.get().text == "ok"


def test_a_port_in_use_is_one_clear_message(app: Path) -> None:
    """And nothing is left running."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = run(app, f"--listen=127.0.0.1:{port}", "app:application")
    assert found.returncode == 64
    assert found.stderr == (
        f"headwaiter: Can't listen on 127.0.0.1:{port}: Address already in use. "
        "Another process listens there. Stop it, or choose another --port.\n"
    )


def test_threads_of_the_site_are_named_with_what_that_means(app: Path) -> None:
    """They run in the main process alone, but for those that their library starts again after a fork."""
    start = "threading.Thread(target=time.sleep, args=(600,), daemon=True, name={!r}).start()\n"
    names = ("APScheduler", "metrics", "sentry-sdk.BackgroundWorker", "OtelBatchSpanRecordProcessor")
    (app / "app.py").write_text(APP + "".join(map(start.format, names)))
    with boot(app, "app:application") as server:
        (warning,) = server.lines("at=warning")
        assert "threads=APScheduler,metrics msg=" in warning
        assert "HEADWAITER_PRELOAD=0" in warning
        (fine,) = server.lines("at=threads")
        assert "threads=OtelBatchSpanRecordProcessor,sentry-sdk.BackgroundWorker " in fine
        assert "OpenTelemetry and Sentry start theirs again" in fine
    with boot(app, "--no-preload", "app:application") as server:
        assert "threads=APS" not in server.log


def test_a_thread_of_the_site_does_not_hold_up_the_end(app: Path) -> None:
    """Python waits for non-daemon threads; a dyno has 30 seconds."""
    (app / "app.py").write_text(
        APP.replace('"/multi"', '"/thread": str(threading.Thread(target=time.sleep, args=(600,)).start()), "/multi"')
    )
    with boot(app, "--processes=1", "app:application") as server:
        server.get("/thread")
        assert server.stop() == 0


def test_signals_are_not_blocked_in_the_workers_and_files_are_plenty(app: Path) -> None:
    """A subprocess would inherit the mask and never hear SIGTERM."""
    with boot(app, "--processes=2", "app:application") as server:
        assert server.get("/mask").text in ("set()", "[]")
        soft, hard = eval(server.get("/files").text)
        assert soft == hard or soft > 20_000
        os.kill(server.children()[0], signal.SIGKILL)
        server.wait_for("at=worker-exit")
        eventually(lambda: len(server.children()) == 2)
        assert {server.get("/mask").text for _ in range(20)} <= {"set()", "[]"}


def test_short_requests_may_run_to_their_end(app: Path) -> None:
    """Python's own interval would interrupt them."""
    with boot(app, "app:application") as server:
        assert float(server.get("/interval").text) == 0.02


def test_workers_over_their_request_count_are_replaced_one_at_a_time(app: Path) -> None:
    """The successor is loaded before the old one leaves, so that no request fails and none waits long."""
    with boot(app, "--processes=2", "--max-requests=5", "app:application") as server:
        before = server.children()
        while set(before) & set(server.children()):  # one may be replaced several times before the other
            assert server.get().status == 200
            threading.Event().wait(0.05)
        server.wait_for("Retired in order", 2)
        eventually(lambda: len(server.children()) == 2)
        assert "boot-failed" not in server.log
        assert server.stop() == 0


def test_a_retiring_worker_keeps_nobody_waiting(app: Path) -> None:
    """Its successor serves before it stops to accept, however long its last request takes."""
    with boot(app, "--processes=1", "--threads=1", "--max-requests=1", "app:application") as server:
        assert server.get().status == 200
        slow = threading.Thread(target=ask_in_vain, args=(server,))
        slow.start()
        eventually((app / "slow").exists)
        server.wait_for("at=drain .*reason=max-requests")
        assert server.get(timeout=10).status == 200
        assert slow.is_alive()
        (app / "go").touch()
        slow.join()
        server.wait_for("Retired in order")


@pytest.mark.parametrize("how", ["killed", "by itself"])
def test_workers_that_have_served_are_always_replaced(app: Path, how: str) -> None:
    """However often they die; a view that crashes must not take the site away for minutes. The log says how often."""
    with boot(app, "--processes=2", "--threads=1", "app:application") as server:
        for number in range(1, 9):
            if how == "killed":
                os.kill(int(server.get("/pid").text), signal.SIGKILL)
            else:
                ask_in_vain(server, "/exit")
            server.wait_for("at=worker-exit", number)
        assert server.get("/pid").status == 200
        assert "giving up" not in server.log
        assert "It is the 8. death in 60 s." in server.log
        assert server.stop() == 0


def test_a_place_is_filled_at_once_whatever_the_import_costs(app: Path) -> None:
    """A fork of the main process; the site isn't imported again."""
    with boot(app, "--processes=1", "app:application") as server:
        (app / "app.py").write_text("import not_there")
        os.kill(server.children()[0], signal.SIGKILL)
        assert server.get().text == "ok"
        assert imports(app) == [server.pid]


def test_the_number_of_processes_changes_while_they_run(app: Path) -> None:
    """Surplus workers drain and end, also with a request; missing ones are forked; each knows whether it's alone."""
    (app / "app.py").write_text(RESIZE + APP)
    with boot(app, "--processes=1", "--threads=1", "app:application") as server:
        assert server.get("/multi").text == "False"
        (app / "processes").write_text("3")
        eventually(lambda: len(server.children()) == 3)
        eventually(lambda: server.get("/multi").text == "True")
        answers: list[str] = []
        slow = [threading.Thread(target=lambda: answers.append(server.get("/slow").text)) for _ in range(3)]
        for one in slow:
            one.start()
        eventually((app / "slow").exists)
        (app / "processes").write_text("1")
        server.wait_for("at=drain worker=[23] reason=surplus", 2)
        (app / "go").touch()
        for one in slow:
            one.join()
        assert answers == ["ok"] * 3
        eventually(lambda: len(server.children()) == 1)
        eventually(lambda: server.get("/multi").text == "False")
        server.wait_for("Retired in order", 2)
        assert server.stop() == 0


IMPORT_QUERIES = """
from concurrent.futures import ThreadPoolExecutor
def query(_):
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
with ThreadPoolExecutor(2) as pool:
    list(pool.map(query, range(4)))
import threading
other = threading.Thread(target=query, args=(1,))
other.start()
other.join()
"""


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_connections_of_helper_threads_at_import_are_closed(tmp_path: Path, preload: str) -> None:
    """Nobody would ever use or close them again."""
    (tmp_path / "early_queries.py").write_text("from shop.wsgi import application\n" + IMPORT_QUERIES)
    url = postgres.server().role("early_queries", 20)
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'early_queries'"
    env = {"DATABASE_URL": url, "PYTHONPATH": f"{LIB}:{tmp_path}:{SHOP}"}
    with boot(SHOP, "--processes=2", preload, "early_queries:application", env=env) as server:
        assert postgres.server().execute(count) == [(0,)]
        assert server.get("/query?seconds=0").status == 200
