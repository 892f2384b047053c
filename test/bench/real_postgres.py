"""The tests' own PostgreSQL servers (test/support/postgres.py) and formation, under names that don't clash here."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import common


def _load(name: str, alias: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(alias, common.ROOT / "test" / "support" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    spec.loader.exec_module(module)
    return module


server = _load("postgres", "support_postgres").server
_bench_postgres = sys.modules.pop("postgres", None)
sys.modules["postgres"] = sys.modules["support_postgres"]  # what formation.py imports
formation = _load("formation", "formation")
del sys.modules["postgres"]
if _bench_postgres:
    sys.modules["postgres"] = _bench_postgres

SHOP = common.ROOT / "test" / "fixtures" / "shop"
APPLICATION = "shop.wsgi:application"
