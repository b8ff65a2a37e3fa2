"""The circuit breakers of failing systems, shared by all deliverers through a table.

Open: nothing is sent. When the time is up, one lane's head is sent as a probe; it
closes the breaker or opens it for twice as long. Neither waiting nor a failed probe
uses up an attempt.
"""

from __future__ import annotations

from collections import defaultdict
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import tuple_row

from rps.application import CLOSE_BREAKER
from rps.domain.delivery import Gone, NeedsCredentials, Unavailable, Uncertain
from rps.domain.remote_system import RemoteSystem
from rps.domain.retry import FailureWindow, open_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from rps.application import RemoteProcessSync

PROBE_SECONDS = 40.0

STANDING = """
SELECT domain, system, open_until > clock_timestamp(),
       probe_until IS NOT NULL AND probe_until > clock_timestamp()
FROM breakers
"""
PROBE = """
UPDATE breakers SET probe_until = clock_timestamp() + %b * interval '1 second'
WHERE domain = %b AND system = %b AND open_until <= clock_timestamp()
  AND (probe_until IS NULL OR probe_until <= clock_timestamp())
RETURNING trips
"""
END_PROBE = "UPDATE breakers SET probe_until = NULL WHERE domain = %b AND system = %b"
TRIP = """
INSERT INTO breakers AS b (domain, system, trips, open_until, reason)
VALUES (%b, %b, 1, clock_timestamp() + %b * interval '1 second', %b)
ON CONFLICT (domain, system) DO NOTHING
RETURNING trips
"""
TRIP_AGAIN = """
UPDATE breakers
SET trips = trips + 1, probe_until = NULL, reason = %b,
    open_until = clock_timestamp() + %b * interval '1 second'
WHERE domain = %b AND system = %b AND trips = %b
"""
TRIPS = "SELECT trips FROM breakers WHERE domain = %b AND system = %b"
THROTTLE = """
INSERT INTO breakers AS b (domain, system, trips, open_until, reason)
VALUES (%b, %b, 0, clock_timestamp() + %b * interval '1 second', %b)
ON CONFLICT (domain, system) DO UPDATE
SET open_until = greatest(b.open_until, EXCLUDED.open_until), probe_until = NULL
"""

Key = tuple[str, str]


class Standing(NamedTuple):
    """Systems to leave alone, and systems whose time for a probe has come."""

    closed_off: set[Key]
    to_probe: set[Key]

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> Standing:
        """What the rows of STANDING say."""
        found = cls(set(), set())
        for domain, system, is_open, is_probed in rows:
            waits = is_open or is_probed
            (found.closed_off if waits else found.to_probe).add((domain, system))
        return found


class Breakers:
    """Keys are (domain, system name). `first_seconds`: how long it opens at first."""

    def __init__(
        self,
        application: RemoteProcessSync,
        clock: Callable[[], datetime],
        first_seconds: float,
    ) -> None:
        self._application = application
        self._clock = clock
        self._first_seconds = first_seconds
        self._windows: defaultdict[Key, FailureWindow] = defaultdict(FailureWindow)
        self._counting = Lock()

    def take_probe(self, key: Key) -> bool:
        """Whether this worker is the one to probe."""
        return bool(self._ask(PROBE, PROBE_SECONDS, *key))

    def end_probe(self, key: Key) -> None:
        """There was nothing to probe with."""
        self._ask(END_PROBE, *key)

    def answered(self, key: Key, *, probe: bool) -> None:
        """The system answered, whatever it said."""
        self._is_time(key, failed=False)
        if probe:
            self.close(key)

    def failed(self, key: Key, reason: str, *, probe: bool) -> bool:
        """A request failed; True when the breaker is open now."""
        if probe:
            self._trip_again(key, reason)
            return True
        if not self._is_time(key, failed=True):
            return False
        self.trip(key, reason)
        return True

    def told(self, key: Key, outcome: object, *, probe: bool) -> bool:
        """Note what came of a request; whether to stop asking for now."""
        match outcome:
            case Unavailable(detail, retry_after) if retry_after is not None:
                self.failed(key, detail, probe=probe)
                self.throttle(key, retry_after, detail)
            case Unavailable(detail) | Uncertain(detail):
                return self.failed(key, detail, probe=probe)
            case NeedsCredentials(detail):
                if probe:
                    self.failed(key, detail, probe=True)
                else:
                    self.trip(key, f"needs credentials: {detail}")
            case Gone(detail):
                reason = f"it answered 410: {detail}"
                now = self._clock()
                self._tell(key, lambda system: system.disable(reason, "rps", now))
            case _:
                self.answered(key, probe=probe)
                return False
        return True

    def _is_time(self, key: Key, *, failed: bool) -> bool:
        """Count a request; whether to stop asking the system."""
        with self._counting:
            return self._windows[key].note(failed=failed, now=self._clock())

    def trip(self, key: Key, reason: str) -> None:
        self._windows.pop(key, None)
        if self._ask(TRIP, *key, self._first_seconds, reason):
            self._tell(key, lambda system: system.trip(reason, self._clock()))

    def throttle(self, key: Key, seconds: float, reason: str) -> None:
        """The system asked for a pause: all of its lanes wait, it is not in error."""
        self._ask(THROTTLE, *key, seconds, reason)

    def close(self, key: Key) -> None:
        self._windows.pop(key, None)
        if self._ask(CLOSE_BREAKER, *key):
            self._tell(key, lambda system: system.recover(self._clock()))

    def _trip_again(self, key: Key, reason: str) -> None:
        rows = self._ask(TRIPS, *key)
        if rows:
            trips = rows[0][0]
            seconds = open_seconds(trips + 1, self._first_seconds)
            self._ask(TRIP_AGAIN, reason, seconds, *key, trips)

    def _tell(self, key: Key, say: Callable[[RemoteSystem], None]) -> None:
        self._application.change(RemoteSystem, RemoteSystem.id_of(*key), say)

    def _ask(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self._application.datastore.get_connection() as conn:
            cursor = conn.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(sql, params, prepare=True)
            return cursor.fetchall() if cursor.description else []
