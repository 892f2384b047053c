"""A stand-in for the parts of Heroku's Platform API and buildpack registry that `heroku buildpacks` and `config` use.

It keeps one app's state as the platform does and records every request, so that a test can say what the real CLI sent.
Shapes: https://devcenter.heroku.com/articles/platform-api-reference (buildpack installation, config vars, release).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REGISTRY = {
    "heroku/python": "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz",
    "heroku/nodejs": "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/nodejs.tgz",
}


@dataclass(frozen=True)
class Request:
    """One request as the client sent it; `body` is the decoded JSON, None without one."""

    method: str
    path: str
    body: Any


@dataclass
class PlatformApi:
    """Serves one app on a free loopback port for the length of a `with` block; `url` is its address."""

    app: str = "example"
    buildpacks: list[str] = field(default_factory=list)
    config_vars: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    release: int = 1

    def __enter__(self) -> PlatformApi:
        api = self

        class Handler(_Handler):
            platform = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def writes(self) -> list[Request]:
        """The requests that change something, oldest first."""
        return [request for request in self.requests if request.method != "GET"]

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and JSON body for one request; 404 for what the stand-in does not know."""
        path = unquote(request.path)
        if path.startswith("/buildpacks/"):
            return self._registry(path.removeprefix("/buildpacks/"))
        routes: dict[tuple[str, str], Callable[[], tuple[int, Any]]] = {
            ("GET", ""): lambda: (200, {"name": self.app, "generation": {"name": "cedar"}}),
            ("GET", "/buildpack-installations"): lambda: (200, self._installations()),
            ("PUT", "/buildpack-installations"): lambda: self._install(request.body),
            ("GET", "/config-vars"): lambda: (200, self.config_vars),
            ("PATCH", "/config-vars"): lambda: (200, self._configure(request.body)),
            ("GET", "/releases"): lambda: (200, [{"version": self.release}]),
        }
        route = routes.get((request.method, path.removeprefix(f"/apps/{self.app}")))
        if route is None:
            return 404, {"id": "not_found", "message": f"The stand-in has no {request.method} {path}."}
        return route()

    def _registry(self, name: str) -> tuple[int, Any]:
        if name in REGISTRY:
            return 200, {"name": name, "blob_url": REGISTRY[name]}
        return 404, {"id": "not_found", "message": f"Couldn't find the buildpack {name}."}

    def _install(self, body: Any) -> tuple[int, Any]:
        """A registry buildpack may be named or given by its archive's URL, and is kept as a URN."""
        asked = [update.get("buildpack") for update in body["updates"]]
        if not all(asked):
            return 422, {"id": "invalid_params", "message": "A buildpack has neither a name nor a URL."}
        urns = {known: f"urn:buildpack:{name}" for name, url in REGISTRY.items() for known in (name, url)}
        self.buildpacks = [urns.get(buildpack, buildpack) for buildpack in asked]
        return 200, self._installations()

    def _installations(self) -> list[dict[str, Any]]:
        return [
            {"ordinal": ordinal, "buildpack": {"url": url, "name": url.removeprefix("urn:buildpack:")}}
            for ordinal, url in enumerate(self.buildpacks)
        ]

    def _configure(self, body: dict[str, str | None]) -> dict[str, str]:
        kept = {**self.config_vars, **body}
        self.config_vars = {name: value for name, value in kept.items() if value is not None}
        self.release += 1
        return self.config_vars


class _Handler(BaseHTTPRequestHandler):
    platform: PlatformApi

    def _respond(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, urlsplit(self.path).path, json.loads(raw) if raw else None)
        self.platform.requests.append(request)
        status, body = self.platform.answer(request)
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = _respond  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's parameter
        """Stay silent: the tests read `requests`."""
