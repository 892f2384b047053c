"""Where to listen: --listen, --host, --port, --unix-socket and PORT, which exclude each other as in waitress-serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwaiter.command_line import Given

Address = tuple[str, int] | str  # (host, port), or the path of a Unix socket; host "*" means every interface
# Options of Waitress that say where to listen; they are settled together.
OPTIONS = frozenset({"host", "port", "listen", "unix_socket", "unix_socket_perms", "ipv4", "ipv6"})
DEFAULT_PORT = 8080  # waitress-serve's


class AddressError(ValueError):
    """Nobody can listen there; `str()` is one sentence."""


def settle(
    given: Mapping[str, Given], values: Mapping[str, Any], environ: Mapping[str, str], *, serving: bool
) -> tuple[Address, ...]:
    """Return the addresses; `serving` insists on a port. `values` are parsed, `given` says where they come from.

    Raises AddressError.
    """
    _refuse_several(given, values)
    if "unix_socket" in values:
        return (values["unix_socket"],)
    if "port" in values:
        port = values["port"]
    elif serving and not {"port", "listen"} & given.keys():
        port = _port_of_the_dyno(environ)
    else:
        port = _port(environ.get("PORT", "").strip())
    port = DEFAULT_PORT if port is None else port
    if "listen" not in values:
        return ((values.get("host", "*"), port),)
    return tuple(_address(place, port) for place in values["listen"])


def _refuse_several(given: Mapping[str, Given], values: Mapping[str, Any]) -> None:
    places = [name for name in ("listen", "unix_socket") if name in values]
    both = places + [name for name in ("host", "port") if name in values] * bool(places)
    if len(both) > 1:
        raise AddressError(f"{' and '.join(given[name].where for name in both)}: exclude each other; keep one.")


def _port(text: str) -> int | None:
    """Return the port that `text` is, or None; int() itself refuses numbers of thousands of digits."""
    return int(text) if text.isdecimal() and len(text) < 10 and int(text) <= 65_535 else None


def _port_of_the_dyno(environ: Mapping[str, str]) -> int | None:
    """Return PORT; None where it's missing, but on a web dyno the router would find no other port."""
    text = environ.get("PORT", "").strip()
    port = _port(text)
    if text and port is None:
        raise AddressError(
            f"PORT={text}: isn't a port; unset it (Heroku sets it itself) or write a number up to 65535."
        )
    if port is None and environ.get("DYNO", "").startswith(("web.", "web-")):
        raise AddressError(
            "PORT: isn't set, and this is a web dyno, where Heroku sets it. Something unsets it before headwaiter "
            "starts (a .profile or a script in the Procfile); correct that, or give --port."
        )
    return port


def _address(place: str, fallback: int) -> Address:
    host, colon, text = place.rpartition(":")
    if not colon or "]" in text:
        host, text = place, str(fallback)
    port = _port(text)
    if port is None:
        raise AddressError(f"--listen={place}: {text!r} isn't a port; write for example --listen=127.0.0.1:8080.")
    return (host.strip("[]") or "*", port)
