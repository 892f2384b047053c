"""What only headwaiter can know about a Django site on Heroku: the rules of `headwaiter check`, grouped by topic.

A rule is one small function of a `Site` (site.py) that yields what it saw; registry.py keeps them; facts.py finds the
facts out, so that no rule touches a database, a process or the network. Never imported while serving: Django may be
imported here.
"""

from __future__ import annotations

from . import database, logs, platform, security, state, static
from .registry import RULES, Finding, Rule, Skipped, examine

__all__ = ["RULES", "TOPICS", "Finding", "Rule", "Skipped", "examine"]

# In the order of the documentation; each module registers its rules when it is imported.
TOPICS = {
    module.__name__.rpartition(".")[2]: (module.__doc__ or "").partition("\n")[0]
    for module in (security, database, static, state, logs, platform)
}
