"""Asking, waiting and naming on every Python and Django that can be had here: 4.2 to 6.x, psycopg 3."""

from __future__ import annotations

import threading
from collections import Counter

import boot
import postgres
import psycopg
import pytest
import pythons
from shop import APPLICATION, SHOP


@pytest.mark.parametrize("version", pythons.parameters())
def test_connect_waits_and_names_itself(version: str) -> None:
    """A role whose connections are all taken at first: 6 requests, 6 answers, from connections named web.1."""
    server = postgres.server()
    url = server.role(f"on_{version.replace('.', '')}", 2)
    env = {"DATABASE_URL": url, "DYNO": "web.1", "HEADWAITER_DB_CONNECTIONS": "2", "HEADWAITER_DB_RESERVE": "0"}
    others = [psycopg.connect(url) for _ in range(2)]
    with boot.boot(SHOP, APPLICATION, "--processes=1", env=env, python=pythons.python(version)) as site:
        statuses: Counter[tuple[int, str]] = Counter()

        def ask() -> None:
            answer = site.get("/query?seconds=0.02")
            statuses[answer.status, answer.text[:20]] += 1

        clients = [threading.Thread(target=ask) for _ in range(6)]
        for client in clients:
            client.start()
        site.wait_for("at=ready")
        release = threading.Timer(1.0, lambda: [each.close() for each in others])
        release.start()
        for thread in [*clients, release]:
            thread.join(boot.PATIENCE)
        assert statuses == Counter({(200, "web.1"): 6})
        assert "1 process x 2 threads + 0 in reserve = 2 of 2 connections" in site.log
        assert "at=db-wait" in site.log
