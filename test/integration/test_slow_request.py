"""What the line of a slow request says of async views, which Django runs in an event loop of another thread."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
import pythons
from boot import boot

pytestmark = [pytest.mark.server, pytest.mark.slow]

SITE = """
import asyncio, os, time
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="a" * 50, MIDDLEWARE=[__name__ + ".outer"])
def wait():
    while not os.path.exists("go"):
        time.sleep(0.02)
async def pause():
    while not os.path.exists("go"):
        await asyncio.sleep(0.02)
def outer(get_response):
    async def middleware(request):
        return await get_response(request)
    return middleware
outer.async_capable, outer.sync_capable = True, False
def plain(request):
    wait()
    return HttpResponse()
async def awaits(request):
    await pause()
    return HttpResponse()
async def blocks(request):
    wait()
    return HttpResponse()
async def calls(request):
    await sync_to_async(wait)()
    return HttpResponse()
async def elsewhere(request):
    await sync_to_async(wait, thread_sensitive=False)()
    return HttpResponse()
async def gathers(request):
    await asyncio.gather(pause(), pause())
    return HttpResponse()
urlpatterns = [path(view.__name__, view) for view in (plain, awaits, blocks, calls, elsewhere, gathers)]
application = get_wsgi_application()
"""
IN_ORDER = {  # the site's own calls, innermost first
    "plain": "wait plain middleware",
    "awaits": "pause awaits middleware",
    "blocks": "wait blocks middleware",
    "calls": "wait calls middleware",
    "elsewhere": "elsewhere middleware",
    "gathers": "gathers middleware",
}


@pytest.mark.parametrize("version", pythons.parameters())
def test_the_stack_has_the_lines_of_an_async_view(tmp_path: Path, version: str) -> None:
    """Whether it awaits, computes, or waits for a thread, and of an async middleware around it."""
    (tmp_path / "mysite.py").write_text(SITE)
    options = ["--threads=6", "--slow-request-seconds=0.5", "mysite:application"]
    with boot(tmp_path, *options, python=pythons.python(version)) as server:
        clients = [threading.Thread(target=server.get, args=(f"/{name}",)) for name in IN_ORDER]
        for client in clients:
            client.start()
        server.wait_for("at=slow-request ", len(IN_ORDER))
        (tmp_path / "go").touch()
        for client in clients:
            client.join()
        lines = {name: server.lines(f" path=/{name} ")[0] for name in IN_ORDER}
    found = {name: " ".join(re.findall(r"mysite\.py:\d+ (\w+)", line)) for name, line in lines.items()}
    assert found == IN_ORDER
