"""The listening sockets: bound when the site is loaded, listening when the first worker can answer."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import socket
import stat
import sys
from pathlib import Path

from headwaiter.settings import Settings

# IP_MINTTL and IPV6_MINHOPCOUNT (RFC 5082), which Python's socket module doesn't name: ip(7), ipv6(7).
_MINIMUM_TTL = ((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))
_NOBODY = 255  # hosts send with 64 or 128


class ListenError(Exception):
    """An address can't be had; `str()` says why and what to do."""

    def __init__(self, message: str) -> None:
        from headwaiter.redact import for_people  # here, as no boot that works needs it

        super().__init__(for_people(message))


def bind(settings: Settings) -> list[socket.socket]:
    """Return a bound socket for each address of `settings.listen`; raises ListenError."""
    found = []
    for address in settings.listen:
        found += _bind_path(address, settings) if isinstance(address, str) else _bind_host(address, settings)
    return found


def describe(listener: socket.socket) -> dict[str, object]:
    """Return where `listener` listens as fields of a log line."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return {"unix": name}
    return {"host": "*" if name[0] in ("::", "0.0.0.0") else name[0], "port": name[1]}  # noqa: S104  # only shown


def refuse_handshakes(listener: socket.socket) -> bool:
    """Have the kernel drop every new connection attempt to `listener`; what is in its queue can then be emptied.

    Otherwise a connection that enters between the last accept() and close() is reset. The client repeats its attempt
    after a second and finds the port closed or, better, our successor. Needs no privilege. Linux and TCP only; False
    where it can't be.
    """
    return _set_minimum_ttl(listener, _NOBODY)


def refuses_handshakes(listener: socket.socket) -> bool:
    """Tell whether some process has called refuse_handshakes() on `listener`, which they all share."""
    level, option = _MINIMUM_TTL[0]
    try:
        return _has_minimum_ttl(listener) and listener.getsockopt(level, option) == _NOBODY
    except OSError:  # a kernel without the option
        return False


def admit(connection: socket.socket) -> None:
    """Undo refuse_handshakes() for an accepted `connection`, which inherits it if its handshake was under way then."""
    _set_minimum_ttl(connection, 0)


def _bind_host(address: tuple[str, int], settings: Settings) -> list[socket.socket]:
    host, port = address
    try:
        if host != "*":
            return [_bind_one(family, place) for family, place in _resolve(host, port, settings)]
        if settings.ipv6:
            try:
                return [_bind_one(socket.AF_INET6, ("::", port), both=settings.ipv4)]
            except OSError as error:
                if not settings.ipv4 or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        return [_bind_one(socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104  # what a web server is for
    except UnicodeError:
        raise ListenError(f"{host}: isn't the name of a host. Give a host name or address of this machine.") from None
    except OSError as error:
        raise ListenError(_explain(error, f"{host}:{port}", port)) from error


def _resolve(host: str, port: int, settings: Settings) -> list[tuple[int, tuple[str, int]]]:
    families = {socket.AF_INET: settings.ipv4, socket.AF_INET6: settings.ipv6}
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = [(entry[0], entry[4][:2]) for entry in found if families.get(entry[0])]
    return list(dict.fromkeys(places))  # type: ignore[arg-type]  # an internet address begins with (host, port)


def _bind_one(family: int, place: tuple[str, int], *, both: bool = False) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        one.bind(place)
    except OSError:
        one.close()
        raise
    return one


def _bind_path(path: str, settings: Settings) -> list[socket.socket]:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        one.bind(path)
        os.chmod(path, settings.unix_socket_perms)  # noqa: PTH101  # a path as the user wrote it, not a Path
        atexit.register(_remove_own, Path(path).absolute(), Path(path).stat(), os.getpid())
    except OSError as error:
        one.close()
        raise ListenError(_explain(error, path, None)) from error
    return [one]


def _remove_own(path: Path, bound: os.stat_result, pid: int) -> None:
    """Remove the file of our socket when the process that bound it ends, unless another server put its own there."""
    with contextlib.suppress(OSError):
        if os.getpid() == pid and os.path.samestat(path.stat(), bound):
            path.unlink()


def _remove_stale(path: str) -> None:
    """Remove the socket that an ended server left behind; one that still answers stays, and bind() will refuse."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116  # as above
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108  # as above


def _has_minimum_ttl(one: socket.socket) -> bool:
    return sys.platform == "linux" and one.family in (socket.AF_INET, socket.AF_INET6)


def _set_minimum_ttl(one: socket.socket, ttl: int) -> bool:
    if not _has_minimum_ttl(one):
        return False
    # A dual-stack socket needs both.
    options = _MINIMUM_TTL if one.family == socket.AF_INET6 else _MINIMUM_TTL[:1]
    try:
        for level, option in options:
            one.setsockopt(level, option, ttl)
    except OSError:
        return False
    return True


def _explain(error: OSError, place: str, port: int | None) -> str:
    if isinstance(error, socket.gaierror):
        return f"{place}: no such address ({error.strerror}). Give a host name or address of this machine, or none."
    fixes = {
        errno.EADDRINUSE: "Another process listens there. Stop it, or choose another --port.",
        errno.EADDRNOTAVAIL: "This machine doesn't have that address. Leave the host out to listen on every one.",
        errno.ENOENT: "The directory isn't there. Make it, or choose another --unix-socket.",
    }
    denied = f"Ports under 1024 belong to root: choose --port={8000 + (port or 0) % 1000} or so."
    fixes[errno.EACCES] = fixes[errno.EPERM] = denied if port else "Choose a path that this user may write."
    return (
        f"Can't listen on {place}: {error.strerror or error}. {fixes.get(error.errno or 0, 'Choose another address.')}"
    )
