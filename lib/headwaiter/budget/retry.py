"""Waiting for a database connection that is refused for want of slots, instead of failing the request.

Old and new dynos overlap for half a minute on every deploy, and no arithmetic at boot can prevent that both together
ask for more than the plan allows. A refused connect tries again, with jitter, until the time is up; then the site gets
the very exception that the driver raised. Every other error passes at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from headwaiter import log

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
LOG_EVERY_SECONDS = 60.0

# PostgreSQL: src/backend/utils/init/postinit.c and storage/lmgr/proc.c, versions 9.6 to 18. libpq gives no SQLSTATE
# (53300) for a connection that failed, so the text is all there is; psycopg 3 and psycopg2 pass it on unchanged.
_TEXTS = (
    "too many connections for role",
    "too many connections for database",
    "remaining connection slots are reserved",  # for ... superuser | the SUPERUSER attribute | "rds_reserved"
    "sorry, too many clients already",
    "no more connections allowed",  # PgBouncer: max_client_conn
    "client connections exceeded",  # PgBouncer: max_db_client_connections, max_user_client_connections
)
_MYSQL_CODES = frozenset({1040, 1203})  # ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS
_MYSQL_USER_LIMIT = 1226  # ER_USER_LIMIT_REACHED: of connections at a time, but also of queries or connects an hour


def is_refusal(error: BaseException) -> bool:
    """Whether a driver's error says that the server has no connection left, and one may come free."""
    code = error.args[0] if error.args else None
    text = " ".join(str(part) for part in error.args)
    if isinstance(code, int):
        return code in _MYSQL_CODES or (code == _MYSQL_USER_LIMIT and "max_user_connections" in text)
    return any(known in text for known in _TEXTS)


@dataclass
class _Tally:
    waits: int = 0
    gave_up: int = 0
    seconds: float = 0.0
    longest: float = 0.0


class RefusalRetry:
    """Connects for the threads of this process; made before the fork, used after it."""

    def __init__(
        self,
        seconds: float,
        advise: Callable[[], str],
        on_refusal: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        log_every_seconds: float = LOG_EVERY_SECONDS,
    ) -> None:
        self.seconds = seconds
        self._advise = advise
        self._on_refusal = on_refusal
        self._clock = clock
        self._sleep = sleep
        self._log_every = log_every_seconds
        self._lock = threading.Lock()
        self._tally = _Tally()
        self._window: threading.Timer | None = None
        self._inside = threading.local()

    def connect(self, open_connection: Callable[[], T], seen: Callable[[T], None] = lambda _: None) -> T:
        """`open_connection()`, again and again while the server has no slot. `seen` gets a connection waited for.

        Raises whatever `open_connection` raises: at once, or after the waiting time when it was a refusal.
        """
        if getattr(self._inside, "waiting", False):  # a backend that calls its parent's, which tries again as well
            return open_connection()
        self._inside.waiting = True
        try:
            return self._connect(open_connection, seen)
        finally:
            self._inside.waiting = False

    def _connect(self, open_connection: Callable[[], T], seen: Callable[[T], None]) -> T:
        pause, started = FIRST_PAUSE, 0.0
        while True:
            try:
                connection = open_connection()
            except Exception as error:
                if not is_refusal(error):
                    raise
                if not started:
                    self._on_refusal()
                started = started or self._clock()
                left = started + self.seconds - self._clock()
                if left <= 0:
                    self._note(self._clock() - started, gave_up=True)
                    raise
            else:
                if started:
                    seen(connection)
                    self._note(self._clock() - started, gave_up=False)
                return connection
            self._sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311  # spreads threads, hides nothing
            pause = min(pause * 2, LONGEST_PAUSE)

    def _note(self, seconds: float, *, gave_up: bool) -> None:
        """Count one wait; the first is logged at once, then there is a line a minute while there are any."""
        with self._lock:
            self._tally.waits += 1
            self._tally.gave_up += gave_up
            self._tally.seconds += seconds
            self._tally.longest = max(self._tally.longest, seconds)
            if self._window is None:
                self._report()

    def _report(self) -> None:
        tally, self._tally = self._tally, _Tally()
        log.line(
            "db-wait",
            waits=tally.waits,
            gave_up=tally.gave_up,
            seconds=tally.seconds,
            longest=tally.longest,
            msg=f"The database had no connection left. {self._advise()}",
        )
        self._window = threading.Timer(self._log_every, self._minute_is_over)
        self._window.daemon = True
        self._window.start()

    def _minute_is_over(self) -> None:
        with self._lock:
            self._window = None
            if self._tally.waits:
                self._report()


def retrying(method: Callable[..., Any], retry: RefusalRetry, seen: Callable[[Any, Any], None]) -> Callable[..., Any]:
    """`get_new_connection` of a Django database backend, that tries again. `seen(backend, connection)` after a wait."""

    def get_new_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        return retry.connect(lambda: method(self, *args, **kwargs), lambda connection: seen(self, connection))

    get_new_connection.__wrapped__ = method  # type: ignore[attr-defined]
    return get_new_connection
