"""Which findings the site's settings silence, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .registry import LEVELS, Finding
from .site import Site


def reasons(site: Site) -> dict[str, str]:
    """Silenced id -> reason: Django's own list, which has none, and HEADWAITER_SILENCED."""
    told = site.get("HEADWAITER_SILENCED", {})
    given = {str(name): str(reason or "") for name, reason in told.items()} if isinstance(told, Mapping) else {}
    return dict.fromkeys(site.get("SILENCED_SYSTEM_CHECKS", []), "") | given


def silence(
    ours: Iterable[Finding], theirs: Iterable[Finding], reasons: Mapping[str, str]
) -> tuple[list[Finding], list[tuple[Finding, str]]]:
    """Part the findings into those to show, the worst and ours first, and the silenced ones.

    A finding of ours is silenced by its id or by one of Django's that say the same; shown, it stands for those.
    """
    shown: list[Finding] = []
    silenced: list[tuple[Finding, str]] = []
    for finding in ours:
        name = next((name for name in (finding.id, *finding.also) if name in reasons), None)
        shown += [finding] if name is None else []
        silenced += [(finding, reasons[name])] if name is not None else []
    covered = {also for finding in shown for also in finding.also}
    for finding in theirs:
        if finding.id in reasons:
            silenced.append((finding, reasons[finding.id]))
        elif finding.id not in covered:
            shown.append(finding)
    shown.sort(key=lambda each: (-LEVELS[each.level], not each.id.startswith("headwaiter."), each.id))
    return shown, silenced
