from __future__ import annotations

import traceback
from urllib.parse import urlsplit

import pytest
from headwaiter.redact import redact

URL = "postgres://u123:p4ssw0rd-of-ours@db.example.com:5432/d456"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (URL, f"ValueError: can't read {URL!r}"),
        (URL, "password p4ssw0rd-of-ours refused"),
        ("postgres://u:p%40ssw%2Frd@h/d", "tried 'p@ssw/rd'"),
        ("postgres://u:pa/ss0word@h/d", "Port could not be cast to integer value as 'pa/ss0word'"),
        ("postgres://u:pa/ss0word@h/d", "Port could not be cast to integer value as 'ss0word'"),
        ("just-the-password", "No support for 'just-the-password'"),
        ("postgres://u:p4ssw0rd\nx@h/d", "repr 'postgres://u:p4ssw0rd\\nx@h/d'"),
        ("postgres://[::1", "Invalid IPv6 URL: postgres://[::1"),
    ],
)
def test_nothing_of_the_value_stays(value: str, text: str) -> None:
    """As it is, as repr() shows it, unquoted, and the parts that urllib quotes."""
    clean = redact(text, {"DATABASE_URL": value})
    assert "[DATABASE_URL]" in clean
    for secret in ("p4ssw0rd", "p@ssw", "ss0word", "just-the-password", value):
        assert secret not in clean


def test_traceback_of_the_standard_library_is_clean() -> None:
    """urlsplit().port quotes what stands between colon and slash, which is a piece of the password."""
    value = "postgres://user:se/cret-thing@host/db"
    try:
        urlsplit(value).port  # noqa: B018  # for its exception
    except ValueError:
        text = traceback.format_exc() + f"\nvalue={value!r}"
    assert "cret-thing" not in redact(text, {"DATABASE_URL": value})


def test_other_variables_stay() -> None:
    """Ordinary words aren't blotted out, nor URLs without a password."""
    environ = {"PATH": "/usr/bin", "STATIC_URL": "https://cdn.example.com/static/", "LANG": "en_US.UTF-8"}
    text = "ImportError in /usr/bin: https://cdn.example.com/static/ en_US.UTF-8"
    assert redact(text, environ) == text


def test_host_and_user_stay_readable() -> None:
    """They help to fix it, and are no secret."""
    text = 'could not translate host name "db.example.com" for user "u123"'
    assert redact(text, {"DATABASE_URL": URL}) == text


@pytest.mark.parametrize("value", ["", " ", "x", "postgres://", "\x00\x01", "postgres://" + "a" * 10_000])
def test_any_value_is_survived(value: str) -> None:
    """Hostile values never raise."""
    redact("a text", {"DATABASE_URL": value})
