"""The poller: asks systems that do not call what changed, and takes it in as if they
had posted it.

A table is read by whoever has its lease. Its cursor is saved after the commit of what
it tells of: who dies in between reads that again, and the same change, by its id, is
taken once.
"""

from __future__ import annotations

import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from rps.application.blobs import BlobContradicted, BlobTaken
from rps.application.captured import Poster
from rps.application.connections import ConnectorUnknown
from rps.application.polled import change_of
from rps.application.remote_parts import RemoteFiles
from rps.application.removed_files import RemovedFiles
from rps.connectors.signature import SecretUnusable
from rps.domain.attachments import NOT_READ, is_refused
from rps.domain.canonical import instant
from rps.domain.delivery import (
    FROM,
    POLL,
    Changes,
    CutOff,
    Incoming,
    Missing,
    Refused,
    Unavailable,
)
from rps.domain.remote_system import RemoteSystemDisabled
from rps.log.append import ChangeIdReused
from rps.projections.poll_questions import PollQuestions
from rps.workers.breaker import Breakers
from rps.workers.doubt import Doubt, without_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.delivery import ChangesRead, Connector, Fetched, Shown
    from rps.domain.remote_system import RemoteSystem
    from rps.domain.uses import Uses
    from rps.projections.poll_questions import Table

log = logging.getLogger("rps.poller")

THREADS = 4
LEASE_SECONDS = 20.0
POLL_SECONDS = 15
"""Between two looks at a table, where the system's settings say nothing else."""
LONGEST_SECONDS = 300.0
TAKEN_AT_ONCE = 200
FORGET_SECONDS = 3600.0
"""Between two looks for parts of writes that nobody will try again."""
POLLED_STATES = ("active", "paused")


class NotRead(Exception):
    """A file could not be read to its end."""

    def __init__(self, came: Unavailable) -> None:
        super().__init__(came.detail)
        self.came = came


class Poller:
    """`connect` makes the connector of a system; `due` is told when a table was read.
    `breaker_seconds`: how long the breaker of a failing system opens at first."""

    idle_seconds = 1.0
    gather_seconds = 0.0

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
        clock: Callable[[], datetime],
        *,
        breaker_seconds: float = 30.0,
        due: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._connect = connect
        self._clock = clock
        self._due = due
        self._breakers = Breakers(application, clock, breaker_seconds)
        self._questions = PollQuestions(application.datastore)
        self.removed = RemovedFiles(application)
        host = f"{socket.gethostname()}:{os.getpid()}"
        self.holder = f"poller@{host}:{uuid4().hex[:8]}"
        self._threads = ThreadPoolExecutor(THREADS, "poller")
        self._lock = Lock()
        self._under_way: set[Table] = set()
        self._broken: BaseException | None = None
        self._closing = False
        self._forget_at = clock()

    def beat(self) -> None:
        """Keep what is read now."""
        if self._under_way:
            self._questions.beat(self.holder, LEASE_SECONDS)

    def close(self) -> None:
        """Let a page that was begun come to its end."""
        self._closing = True
        self._threads.shutdown(cancel_futures=True)

    def work(self) -> int:
        """Begin to read the tables that are due; answers how many."""
        if self._broken is not None:
            raise self._broken
        if (now := self._clock()) >= self._forget_at:
            self._forget_at = now + timedelta(seconds=FORGET_SECONDS)
            self._questions.forget_parts()
        with self._lock:
            under_way = set(self._under_way)
        room = THREADS - len(under_way)
        tables = self._tables() if room > 0 else {}
        if not tables:
            return 0
        begun = 0
        for row in self._questions.due(list(tables), 4 * THREADS):
            table = (row["domain"], row["system"], row["record_table"])
            if begun == room or table in under_way:
                continue
            probe = row["to_probe"]
            if probe and not self._breakers.take_probe(table[:2]):
                continue
            taken = self._questions.take(table, self.holder, LEASE_SECONDS)
            if taken is None:
                continue
            begun += 1
            with self._lock:
                self._under_way.add(table)
            look = _Look(self, tables[table], table, taken["attempts"], probe=probe)
            cursor = orjson.loads(taken["cursor"]) if taken["cursor"] else None
            cursor = cursor or _first(tables[table])
            self._threads.submit(self._run, look, cursor)
        return begun

    def _tables(self) -> dict[Table, RemoteSystem]:
        """Those that definitions capture from, of systems that can be asked."""
        configuration = self._application.configuration.refresh()
        found = {}
        for domain, name, table in configuration.routes:
            system = configuration.system(domain, name)
            if (
                system is not None
                and system.state in POLLED_STATES
                and _seconds(system)
                and configuration.uses(domain, name, table).is_asked
                and self._polls(system)
            ):
                found[(domain, name, table)] = system
        return found

    def _polls(self, system: RemoteSystem) -> bool:
        try:
            return self._connect(system).capabilities.polls
        except (ConnectorUnknown, SecretUnusable):
            return False

    def _run(self, look: _Look, cursor: Mapping[str, Any] | None) -> None:
        try:
            look.read(cursor)
        except BaseException as error:  # noqa: BLE001 - `work` raises it
            self._broken = error
        finally:
            with self._lock:
                self._under_way.discard(look.table)
            self._due()

    # --- what a look needs ----------------------------------------------------------

    @property
    def application(self) -> RemoteProcessSync:
        return self._application

    @property
    def questions(self) -> PollQuestions:
        return self._questions

    @property
    def breakers(self) -> Breakers:
        return self._breakers

    @property
    def is_closing(self) -> bool:
        return self._closing

    def now(self) -> datetime:
        return self._clock()

    def connector(self, system: RemoteSystem) -> Connector:
        return self._connect(system)


class _Look:
    """One table, read from its cursor to where it ends now."""

    def __init__(
        self,
        poller: Poller,
        system: RemoteSystem,
        table: Table,
        attempts: int,
        *,
        probe: bool,
    ) -> None:
        self.table = table
        self._poller = poller
        self._system = system
        self._attempts = attempts
        self._probe = probe
        self._connector: Connector

    def read(self, cursor: Mapping[str, Any] | None) -> None:
        """Page by page; each is committed before the cursor moves on."""
        try:
            self._connector = self._poller.connector(self._system)
        except (ConnectorUnknown, SecretUnusable) as unusable:
            self._fail(Refused(str(unusable)))
            return
        while True:
            doubt = self._doubt()
            came = self._connector.changes_since(self.table[2], cursor)
            if not isinstance(came, Changes):
                self._fail(came)
                return
            try:
                told = self._take_in(came, doubt)
            except NotRead as error:
                self._fail(error.came)
                return
            except RemoteSystemDisabled:
                return
            cursor = came.cursor
            self._poller.breakers.told(self.table[:2], came, probe=self._probe)
            self._probe = False
            if not self._poller.questions.save(
                self.table, self._poller.holder, cursor, told, LEASE_SECONDS
            ):
                log.warning("poll.taken_over table=%s", "/".join(self.table))
                return
            if not came.has_more or self._poller.is_closing:
                break
        seconds = 0.0 if came.has_more else _seconds(self._system)
        self._leave(seconds, 0, "")

    def _fail(self, came: ChangesRead) -> None:
        if isinstance(came, Changes):
            return
        attempts = self._attempts + 1
        seconds = min(_seconds(self._system) * 2 ** min(attempts - 1, 8), 300.0)
        log.warning(
            "poll.failed system=%s table=%s attempt=%d outcome=%s: %s",
            *(*self.table[1:], attempts, type(came).__name__, came.detail),
        )
        self._poller.breakers.told(self.table[:2], came, probe=self._probe)
        self._leave(min(seconds, LONGEST_SECONDS), attempts, came.detail)

    def _leave(self, seconds: float, attempts: int, detail: str) -> None:
        poller = self._poller
        poller.questions.leave(self.table, poller.holder, seconds, attempts, detail)

    # --- taking in ------------------------------------------------------------------

    def _doubt(self) -> Doubt | None:
        """Of systems whose records can be read one by one."""
        if not hasattr(self._connector, "show"):
            return None
        return Doubt(self._poller.application, self.table)

    def _take_in(self, came: Changes, doubt: Doubt | None) -> int:
        """How many of what was shown were news. What is doubtful is read again; also
        what was first written to when all that was shown had been taken in."""
        doubtful = doubt.about(came.records) if doubt else set()
        news = self._taken_in(
            without_fields(each) if each.record.record_id in doubtful else each
            for each in came.records
        )
        if doubt:
            doubt.note(doubtful | doubt.about(came.records))
        return news

    def _taken_in(self, records: Iterable[Shown]) -> int:
        application = self._poller.application
        domain, name, table = self.table
        uses = application.configuration.current.uses(*self.table)
        changes = [
            change
            for each in records
            if (
                change := change_of(
                    *(name, table, self._whole(each, uses), uses, self._hasher(uses))
                )
            )
        ]
        poster = Poster(domain, "", source=POLL)
        news = 0
        for at in range(0, len(changes), TAKEN_AT_ONCE):
            part = changes[at : at + TAKEN_AT_ONCE]
            receipts = self._captured(poster, part)
            news += sum(each == "captured" for each in receipts)
        if changes:
            log.info(
                "poll.read system=%s table=%s shown=%d news=%d",
                *(name, table, len(changes), news),
            )
        return news

    def _captured(self, poster: Poster, changes: list[dict[str, Any]]) -> list[str]:
        """What became of each. One whose id was used before was taken then: an entry
        that is shown again, whatever else its record says by now."""
        left = list(changes)
        while left:
            try:
                receipts = self._poller.application.intake.capture(
                    poster, left, self._poller.now()
                )
            except ChangeIdReused as reused:
                del left[reused.index or 0]
            else:
                return [receipt.status for receipt in receipts]
        return []

    # --- files ----------------------------------------------------------------------

    def _whole(self, shown: Shown, uses: Uses) -> Shown:
        """With the files that are gone. Raises NotRead."""
        whole = self._poller.removed.beside(
            self._system, self.table[2], shown, uses, self._connector
        )
        if isinstance(whole, Unavailable):
            raise NotRead(whole)
        return whole

    def _hasher(
        self, uses: Uses
    ) -> Callable[[Mapping[str, Any]], dict[str, Any] | None]:
        return lambda offer: self._hashed(uses, offer)

    def _hashed(self, uses: Uses, offer: Mapping[str, Any]) -> dict[str, Any] | None:
        """With its SHA-256: found out by taking the file in, where it may pass. None:
        it is not there any more. Raises NotRead."""
        told = dict(offer)
        if "sha256" in told or told.get("deleted"):
            return told
        domain, name, _ = self.table
        files = RemoteFiles(self._poller.application.datastore, domain, name)
        sha256 = files.sha256_of(told["id"])
        if sha256 is None and is_refused(uses.files, told):
            return {**told, "sha256": NOT_READ}
        if sha256 is None:
            sha256 = self._fetched(told)
            if sha256 is None:
                return None
            files.note(told["id"], "", sha256, told["size"])
        return {**told, "sha256": sha256}

    def _fetched(self, offer: Mapping[str, Any]) -> str | None:
        opens: Callable[[str], Fetched] | None
        opens = getattr(self._connector, "open_file", None)
        if opens is None:
            return None
        came = opens(offer["id"])
        match came:
            case Incoming():
                return self._received(offer, came)
            case Missing():
                return None
            case Unavailable():
                raise NotRead(came)
            case _:
                raise NotRead(Unavailable(f"the file {offer['id']}: {came.detail}"))

    def _received(self, offer: Mapping[str, Any], came: Incoming) -> str:
        domain, name, _ = self.table
        source = f"{name}\n{offer['id']}"
        try:
            blobs = self._poller.application.blobs
            return blobs.receive(domain, source, offer["size"], came.pieces)
        except (CutOff, BlobTaken, BlobContradicted) as error:
            detail = f"the file {offer['name']} was not read to its end: {error}"
            raise NotRead(Unavailable(detail)) from error
        finally:
            came.pieces.close()


def _first(system: RemoteSystem) -> Mapping[str, Any] | None:
    """Where a table is read from that was not read before; None: from now on."""
    since = system.settings.get("poll_from")
    return {FROM: instant(since).isoformat()} if since else None


def _seconds(system: RemoteSystem) -> float:
    """Between two looks; 0: it is not polled, as it calls by itself."""
    return float(system.settings.get("poll_seconds", POLL_SECONDS))
