"""`python -m headwaiter`: the command from a checkout, with no slug around it."""

from __future__ import annotations

import sys

from headwaiter.cli import main

sys.exit(main())
