"""The budget and the waiting on a real MariaDB (Debian's mariadb-server, driver PyMySQL); skipped where it isn't."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boot
import pytest
from shop import APPLICATION, SHOP, plan

SERVER = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
BASES = [Path("/usr"), Path(__file__).parents[2] / ".tools/debian/usr"]
BASE = next((base for base in BASES if (base / "sbin/mariadbd").exists()), BASES[0])
SYSTEM_TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
DRIVER = importlib.util.find_spec("pymysql")
pytestmark = pytest.mark.skipif(not SERVER or not DRIVER, reason="needs MariaDB: make test-all")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A MariaDB on 127.0.0.1 with max_connections=30; `shop` may hold 10, `open` has no limit of its own."""
    with tempfile.TemporaryDirectory(prefix="maria-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
        probe.close()
        user = "nobody" if os.getuid() == 0 else ""
        if user:
            shutil.chown(folder, user)
        common = ["--no-defaults", f"--datadir={folder}/data", f"--basedir={BASE}"]
        common += [f"--user={user}"] if user else []
        Path(folder, "data").mkdir()
        if user:
            shutil.chown(f"{folder}/data", user)
        # What mariadb-install-db does, which another package may lack a part of.
        tables = "".join((BASE / "share/mysql" / name).read_text() for name in SYSTEM_TABLES)
        subprocess.run(
            [SERVER, *common, "--bootstrap"],
            input=f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n{tables}",
            text=True,
            check=True,
            capture_output=True,
            cwd=folder,
        )
        first = Path(folder, "first.sql")
        first.write_text(
            "CREATE DATABASE shop;\n"
            "CREATE USER 'shop'@'%' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 10;\n"
            "CREATE USER 'open'@'%' IDENTIFIED BY 'secret';\n"
            "CREATE USER 'small'@'%' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 2;\n"
            "GRANT ALL ON shop.* TO 'shop'@'%', 'open'@'%', 'small'@'%';\n"
        )
        first.chmod(0o644)
        process = subprocess.Popen(
            [SERVER, *common, f"--port={number}", "--bind-address=127.0.0.1", f"--socket={folder}/s",
             "--skip-name-resolve", "--max-connections=30", f"--init-file={first}", f"--log-error={folder}/log",
             f"--pid-file={folder}/pid"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + boot.PATIENCE
            while not _answers(number):
                assert process.poll() is None and time.monotonic() < deadline, Path(folder, "log").read_text()
                time.sleep(0.05)
            yield number
        finally:
            process.kill()
            process.wait()


def connect(port: int, user: str) -> Any:
    import pymysql

    return pymysql.connect(host="127.0.0.1", port=port, user=user, password="secret", database="shop")


def attempts(connection: Any) -> int:
    """How many clients have tried to connect so far, refused ones included."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
        return int(cursor.fetchone()[1])


def _answers(port: int) -> bool:
    import pymysql

    try:
        connect(port, "small").close()
    except pymysql.err.MySQLError:
        return False
    return True


def environment(port: int, user: str, tmp_path: Path, **more: str) -> dict[str, str]:
    """The shop on MariaDB: PyMySQL stands in for mysqlclient, as its documentation has it."""
    assert DRIVER and DRIVER.origin
    (tmp_path / "sitecustomize.py").write_text("import pymysql\npymysql.install_as_MySQLdb()\n")
    database = {"ENGINE": "django.db.backends.mysql", "HOST": "127.0.0.1", "PORT": str(port), "NAME": "shop"}
    databases = {"default": {**database, "USER": user, "PASSWORD": "secret", "CONN_MAX_AGE": 600}}
    path = [str(boot.LIB), str(tmp_path), str(Path(DRIVER.origin).parents[1])]
    return {"SHOP_DATABASES": json.dumps(databases), "PYTHONPATH": os.pathsep.join(path), **more}


def test_limits_of_the_account_and_of_the_server(port: int, tmp_path: Path) -> None:
    """max_user_connections where the account has one, else max_connections."""
    found = plan(environment(port, "shop", tmp_path, HEADWAITER_WEB_DYNOS="2"))
    assert (found["limit"], found["limit_source"]) == (10, "the limit of the role")
    assert (found["processes"], found["threads"]) == (1, 4)
    assert found["databases"][0]["vendor"] == "mysql"
    found = plan(environment(port, "open", tmp_path, HEADWAITER_WEB_DYNOS="4"))
    assert (found["limit"], found["limit_source"]) == (30, "max_connections of the server")
    assert found["threads"] == 6


def test_server_that_says_nothing_is_counted_as_the_smallest_plan(tmp_path: Path) -> None:
    """ClearDB's and JawsDB's smallest allow 10."""
    found = plan(environment(1, "shop", tmp_path))
    assert (found["limit"], found["databases"][0]["answer"]) == (10, "nothing listens there")


def test_refused_connect_waits(port: int, tmp_path: Path) -> None:
    """1226: the account's connections are all taken, and one comes free."""
    env = environment(port, "small", tmp_path, HEADWAITER_THREADS="1", WEB_CONCURRENCY="1")
    with boot.boot(SHOP, APPLICATION, env=env) as site, ThreadPoolExecutor(1) as clients, ExitStack() as taken:
        watch = taken.enter_context(connect(port, "open"))
        for _ in range(2):
            taken.enter_context(connect(port, "small"))
        assert plan(env)["databases"][0]["answer"] == "it has no connection left"
        before = attempts(watch)
        asking = clients.submit(site.get, "/version")
        boot.eventually(lambda: attempts(watch) > before)
        taken.close()
        assert asking.result().text.startswith("10.")
        site.wait_for("at=db-wait")
