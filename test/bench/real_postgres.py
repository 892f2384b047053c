"""The tests' own PostgreSQL servers and formation of dynos (test/support), for the benchmark."""

from __future__ import annotations

import sys

import common

sys.path.append(str(common.ROOT / "test" / "support"))

import formation
import postgres

__all__ = ["APPLICATION", "SHOP", "formation", "server"]

server = postgres.server
SHOP = common.ROOT / "test" / "fixtures" / "shop"
APPLICATION = "shop.wsgi:application"
