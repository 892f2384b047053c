"""A stand-in of Heroku's router: takes https and http, and passes requests on over http with Heroku's headers.

The headers are those of https://devcenter.heroku.com/articles/http-routing#heroku-headers.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


class Ports(NamedTuple):
    """Where the router listens: what the client believes to be 80 and 443."""

    http: int
    https: int


class _Router(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, dyno_port: int, scheme: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.dyno_port, self.scheme = dyno_port, scheme


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Router

    def do_GET(self) -> None:
        self._pass_on()

    do_HEAD = do_POST = do_GET  # noqa: N815  # the base class looks for these names

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        dyno = http.client.HTTPConnection("127.0.0.1", self.server.dyno_port, timeout=60)
        dyno.request(self.command, self.path, body or None, self._headers())
        answer = dyno.getresponse()
        content = answer.read()
        dyno.close()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if self.command != "HEAD" else b"")

    def _headers(self) -> dict[str, str]:
        sent = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        before = [sent.pop(name) for name in list(sent) if name.lower() == "x-forwarded-for"]
        return {
            **sent,
            "X-Forwarded-For": ", ".join([*before, self.client_address[0]]),
            "X-Forwarded-Proto": self.server.scheme,
            "X-Forwarded-Port": "443" if self.server.scheme == "https" else "80",
            "X-Request-Start": str(int(time.time() * 1000)),
            "X-Request-Id": str(uuid.uuid4()),
            "Via": "1.1 heroku-router",
        }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nothing: the dyno's log is what matters."""


@contextlib.contextmanager
def router(dyno_port: int, folder: Path) -> Iterator[Ports]:
    """Both listeners in front of a dyno; the certificate, nobody's, is made in `folder` by openssl."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    plain, secure = _Router(dyno_port, "http"), _Router(dyno_port, "https")
    # The handshake in the connection's own thread: Chromium opens connections that it may never use.
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    threads = [threading.Thread(target=each.serve_forever, daemon=True) for each in (plain, secure)]
    for thread in threads:
        thread.start()
    try:
        yield Ports(plain.server_address[1], secure.server_address[1])
    finally:
        for each, thread in zip((plain, secure), threads, strict=True):
            each.shutdown()
            thread.join()
            each.server_close()
