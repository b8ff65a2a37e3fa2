"""Reads the records of which webhooks said that they changed, and takes them in as a
poll would."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from rps.application.captured import Poster
from rps.application.connections import ConnectorUnknown
from rps.application.polled import change_of
from rps.application.removed_files import RemovedFiles
from rps.connectors.signature import SecretUnusable
from rps.domain.delivery import POLL, Missing, Shown, Snapshot
from rps.domain.remote_system import RemoteSystemDisabled
from rps.log.append import ChangeIdReused
from rps.projections.hint_questions import HintQuestions
from rps.workers.doubt import Doubt

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.delivery import Connector
    from rps.domain.remote_system import RemoteSystem
    from rps.domain.uses import Uses
    from rps.projections.questions import Row
    from rps.workers.poller import Poller

log = logging.getLogger("rps.hints")

THREADS = 4
LEASE_SECONDS = 120.0
"""More than reading a record with its comments and files takes."""
BEFORE = timedelta(hours=1)
"""How long before a hook a comment may be dated that it tells of."""
LONGEST_SECONDS = 300.0
ATTEMPTS_MAX = 12
DOUBT_SECONDS = 1.0
"""After a reading of a record that was written to meanwhile."""
READ_STATES = ("active", "paused")


class Hints:
    """`connect` makes the connector of a system; `due` is told when one was read."""

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
        clock: Callable[[], datetime],
        due: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._connect = connect
        self._clock = clock
        self._due = due
        self._questions = HintQuestions(application.datastore)
        self._removed = RemovedFiles(application)
        self._threads = ThreadPoolExecutor(THREADS, "hints")
        self._lock = Lock()
        self._under_way = 0
        self._broken: BaseException | None = None

    def close(self) -> None:
        """Let what was begun come to its end."""
        self._threads.shutdown(cancel_futures=True)

    def work(self) -> int:
        """Begin to read what is due; answers how many records."""
        if self._broken is not None:
            raise self._broken
        with self._lock:
            room = THREADS - self._under_way
        systems = {
            (system.domain, system.name): system
            for system in self._application.configuration.current.systems()
            if system.state in READ_STATES
        }
        if room <= 0 or not systems:
            return 0
        hints = self._questions.take(list(systems), room, LEASE_SECONDS)
        for hint in hints:
            with self._lock:
                self._under_way += 1
            system = systems[(hint["domain"], hint["system"])]
            self._threads.submit(self._run, system, hint)
        return len(hints)

    def _run(self, system: RemoteSystem, hint: Row) -> None:
        try:
            self._read(system, hint)
        except BaseException as error:  # noqa: BLE001 - `work` raises it
            self._broken = error
        finally:
            with self._lock:
                self._under_way -= 1
            self._due()

    def _read(self, system: RemoteSystem, hint: Row) -> None:
        table = (system.domain, system.name, hint["record_table"])
        doubt = Doubt(self._application, table)
        came = self._shown(system, hint)
        match came:
            case Shown() if doubt.about([came]):
                self._questions.soon(hint, DOUBT_SECONDS)
            case Shown():
                self._take_in(system, hint["record_table"], came)
                self._questions.done(hint)
            case Missing(detail):
                log.info("hint.missing %s: %s", _named(hint), detail)
                if came.is_deleted:
                    self._take_in(system, hint["record_table"], _deleted(hint))
                self._questions.done(hint)
            case _ if hint["attempts"] + 1 >= ATTEMPTS_MAX:
                detail = getattr(came, "detail", came)
                log.warning("hint.given_up %s: %s", _named(hint), detail)
                self._questions.done(hint)
            case _:
                seconds = min(2.0 ** (hint["attempts"] + 1), LONGEST_SECONDS)
                pause = getattr(came, "retry_after", None) or 0.0
                self._questions.later(hint, max(seconds, pause))

    def _shown(self, system: RemoteSystem, hint: Row) -> Any:
        """As `RestConnector.show`; a text where the system cannot be asked. What is
        missing is taken for deleted only where it was shared, and the system is known
        by something else that it answers: a wrong URL misses everything."""
        try:
            connector = self._connect(system)
        except (ConnectorUnknown, SecretUnusable) as unusable:
            return str(unusable)
        show = getattr(connector, "show", None)
        if show is None:
            return Missing("its connector does not read records that hooks tell of")
        table, record_id = hint["record_table"], hint["record_id"]
        came = show(table, record_id, (hint["asked_at"] - BEFORE).isoformat())
        if isinstance(came, Missing) and came.is_deleted:
            if not self._is_linked(system, table, record_id):
                return Missing(f"{came.detail}; it was not shared")
            fine, said = connector.check()
            return came if fine else f"{came.detail}, and {said}"
        if isinstance(came, Shown):
            uses = self._uses(system, table)
            return self._removed.beside(system, table, came, uses, connector)
        return came

    def _uses(self, system: RemoteSystem, table: str) -> Uses:
        configuration = self._application.configuration.current
        return configuration.uses(system.domain, system.name, table)

    def _is_linked(self, system: RemoteSystem, table: str, record_id: str) -> bool:
        key = (system.domain, system.name, table)
        routes = self._application.configuration.current.routes.get(key, ())
        asked = [(r.definition_id, r.member.name, record_id) for r in routes]
        return bool(list(self._application.lookup.linked(system.domain, asked)))

    def _take_in(self, system: RemoteSystem, table: str, shown: Shown) -> None:
        uses = self._uses(system, table)
        change = change_of(system.name, table, shown, uses, dict)
        if change is None:
            return
        poster = Poster(system.domain, "", source=POLL)
        try:
            self._application.intake.capture(poster, [change], self._clock())
        except (ChangeIdReused, RemoteSystemDisabled):
            return  # it was taken before; or nobody wants it any more


class Asking:
    """The poller, and what hooks tell of in between: one worker asks systems."""

    def __init__(self, poller: Poller, hints: Hints) -> None:
        self._poller = poller
        self._hints = hints
        self.idle_seconds = poller.idle_seconds
        self.gather_seconds = poller.gather_seconds

    def beat(self) -> None:
        self._poller.beat()

    def work(self) -> int:
        return self._poller.work() + self._hints.work()

    def close(self) -> None:
        self._hints.close()
        self._poller.close()


def _deleted(hint: Row) -> Shown:
    at = hint["asked_at"].isoformat()
    return Shown(Snapshot(hint["record_id"], None, {}, deleted=True, updated_at=at))


def _named(hint: Row) -> str:
    return "/".join(hint[name] for name in ("system", "record_table", "record_id"))
