"""/ is a page with a template, /query the same out of the database, /slow waits, /work computes, /big has 2 MB."""

from __future__ import annotations

import time
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from bench_site.models import Dish

MENU = [{"name": f"Dish {number}", "price": Decimal(number) / 4} for number in range(40)]


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "menu.html", {"dishes": MENU, "title": "Menu"})


def query(request: HttpRequest) -> HttpResponse:
    return render(request, "menu.html", {"dishes": Dish.objects.all()[:20], "title": "Menu"})


def slow(request: HttpRequest) -> HttpResponse:
    time.sleep(int(request.GET.get("ms", 50)) / 1000)
    return HttpResponse("done\n")


def work(request: HttpRequest) -> HttpResponse:
    until = time.thread_time() + int(request.GET.get("ms", 50)) / 1000
    while time.thread_time() < until:
        pass
    return HttpResponse("done\n")


def big(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"0123456789abcdef" * 131072)


def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{len(request.body)}\n")


urlpatterns = [
    path("", page),
    path("query", query),
    path("slow", slow),
    path("work", work),
    path("big", big),
    path("upload", upload),
]
