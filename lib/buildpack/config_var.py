"""Reads Heroku's directory of config vars: a file for each, whose content is data."""

from __future__ import annotations

from pathlib import Path


def read(env_dir: str, name: str) -> str:
    """The value; "" where it isn't set, or without a directory. Bytes that are no text show as such."""
    try:
        return Path(env_dir, name).read_text(encoding="utf-8", errors="backslashreplace").strip() if env_dir else ""
    except OSError:
        return ""
