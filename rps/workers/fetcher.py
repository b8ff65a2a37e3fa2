"""The fetcher: pulls the files that systems offered, and lets the messages go that wait
for them.

Its table is what makes any number of them work side by side: a file is written by
whoever has its lease. What came before a cut stays, and is gone on with.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, assert_never

from rps.application.blobs import CHUNK_BYTES, BlobContradicted, BlobTaken
from rps.application.connections import ConnectorUnknown
from rps.connectors.signature import SecretUnusable
from rps.domain.attachments import said_size
from rps.domain.correlation import Correlation
from rps.domain.delivery import (
    CutOff,
    Gone,
    Incoming,
    Missing,
    NeedsCredentials,
    Refused,
    Unavailable,
)
from rps.domain.problem import shown
from rps.domain.retry import next_attempt
from rps.projections.attachment_questions import AttachmentQuestions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from rps.application import RemoteProcessSync
    from rps.application.blobs import Writing
    from rps.domain.delivery import Connector, Fetched
    from rps.domain.remote_system import RemoteSystem

log = logging.getLogger("rps.fetcher")

THREADS = 4
OF_ONE_SYSTEM = 2
"""Files pulled from one system at once: a slow one leaves room for the others."""
MESSAGES_MAX = 200
MISSING_ATTEMPTS = 5
"""A system that does not have what it offered may get it yet; about seven minutes."""
AGAIN_SECONDS = 1.0
NOT_THERE = "it is not there"

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be pulled from the system that offered it."""

    size: int
    domain: str
    sha256: str
    system: str
    name: str
    attempts: int

    @property
    def source(self) -> Key:
        return (self.domain, self.system)

    def __str__(self) -> str:
        return f"the file {shown(self.name)} ({said_size(self.size)}) of {self.system}"


class Fetcher:
    """`connect` makes the connector of a system, `chance` is uniform in [0, 1); `due`
    is told when a file has come, or may be tried again."""

    idle_seconds = 1.0
    gather_seconds = 0.0

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        due: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._connect = connect
        self._clock = clock
        self._chance = chance
        self._due = due
        self._questions = AttachmentQuestions(application.datastore)
        self._threads = ThreadPoolExecutor(THREADS, "fetcher")
        self._lock = Lock()
        self._under_way: dict[Key, Key] = {}
        self._broken: BaseException | None = None
        self._closing = False

    def close(self) -> None:
        """Let what is in flight be cut; what has come of it stays."""
        self._closing = True
        self._threads.shutdown(cancel_futures=True)

    def work(self) -> int:
        """Release what has its files, begin to pull what is missing; answers how much
        that was."""
        if self._broken is not None:
            raise self._broken
        return self._release() + self._begin()

    # --- messages -------------------------------------------------------------------

    def _release(self) -> int:
        done = 0
        for row in self._questions.releasable(MESSAGES_MAX):
            self._say(row, lambda c, key: c.release_message(key, self._clock()))
            done += 1
        for row in self._questions.contradicted(MESSAGES_MAX):
            self._contradict(row)
            done += 1
        return done

    def _say(
        self, row: dict[str, Any], say: Callable[[Correlation, str], None]
    ) -> None:
        key: UUID = row["message_id"]
        self._application.change(
            Correlation, row["correlation_id"], lambda each: say(each, str(key))
        )

    def _contradict(self, row: dict[str, Any]) -> None:
        detail = (
            f"the file {shown(row['name'])} has {row['here']} bytes, and"
            f" {row['system']} offered it with {row['size']}: let it be offered again"
        )
        self._say(row, lambda c, key: c.park_message(key, detail, self._clock()))

    def _park(self, wanted: Wanted, detail: str) -> None:
        """All that wait for this file wait for a person."""
        log.warning("attachment.given_up sha256=%s %s", wanted.sha256, detail)
        waiting = self._questions.waiting_for(
            wanted.domain, wanted.sha256, wanted.system, wanted.size
        )
        for row in waiting:
            self._say(row, lambda c, key: c.park_message(key, detail, self._clock()))

    # --- files ----------------------------------------------------------------------

    def _begin(self) -> int:
        active = self._application.configuration.refresh().active_systems()
        begun = 0
        with self._lock:
            busy = Counter(self._under_way.values())
            room = THREADS - len(self._under_way)
            open_to = [key for key in active if busy[key] < OF_ONE_SYSTEM]
            under_way = set(self._under_way)
        if room <= 0 or not open_to:
            return 0
        for row in self._questions.wanted(open_to, 4 * THREADS):
            wanted = Wanted(**row)
            key = (wanted.domain, wanted.sha256)
            if begun == room or busy[wanted.source] == OF_ONE_SYSTEM:
                continue
            if key not in under_way:
                under_way.add(key)
                busy[wanted.source] += 1
                begun += 1
                with self._lock:
                    self._under_way[key] = wanted.source
                self._threads.submit(self._run, wanted, active[wanted.source])
        return begun

    def _run(self, wanted: Wanted, system: RemoteSystem) -> None:
        try:
            self._pull(wanted, system)
        except BaseException as error:  # noqa: BLE001 - `work` raises it
            self._broken = error
        finally:
            with self._lock:
                del self._under_way[(wanted.domain, wanted.sha256)]
            self._due()

    def _pull(self, wanted: Wanted, system: RemoteSystem) -> None:
        writing = self._application.blobs.begin(
            wanted.domain, wanted.sha256, wanted.size
        )
        if writing is None:
            return  # somebody else has it, or is at it
        began = writing.stored
        try:
            why = self._taken(writing, self._asked(system, wanted, began), wanted)
            if writing.finish():
                log.info(
                    "attachment.fetched sha256=%s system=%s bytes=%d from=%d",
                    *(wanted.sha256, wanted.system, wanted.size, began),
                )
            else:
                self._cut(wanted, writing, began, why or "it ended too early")
        except BlobTaken:
            log.warning("attachment.taken_over sha256=%s", wanted.sha256)
        except BlobContradicted as error:
            writing.discard()
            self._contradicted(wanted, str(error), resumed=began > 0)

    def _asked(self, system: RemoteSystem, wanted: Wanted, offset: int) -> Fetched:
        try:
            return self._connect(system).fetch(wanted.sha256, offset)
        except (ConnectorUnknown, SecretUnusable) as unusable:
            return Unavailable(f"{wanted.system} cannot be asked: {unusable}")

    def _taken(self, writing: Writing, came: Fetched, wanted: Wanted) -> str:
        """Write what comes; answers why there is no more of it. Raises
        BlobContradicted, BlobTaken."""
        match came:
            case Incoming():
                try:
                    if came.size not in (None, wanted.size):
                        raise BlobContradicted(f"it has {came.size} bytes there by now")
                    return self._written(writing, came)
                finally:
                    came.pieces.close()
            case Missing(detail):
                return f"{NOT_THERE}: {detail}"
            case (
                Unavailable(detail)
                | NeedsCredentials(detail)
                | Gone(detail)
                | Refused(detail)
            ):
                return detail
            case _:
                assert_never(came)

    def _written(self, writing: Writing, came: Incoming) -> str:
        known = writing.stored - came.start
        try:
            for piece in came.pieces:
                fresh = piece[known:]
                known = max(known - len(piece), 0)
                if fresh:
                    writing.take(fresh)
                if self._closing:
                    return "the fetcher was stopped"
        except CutOff as cut:
            return str(cut)
        return ""

    def _cut(self, wanted: Wanted, writing: Writing, began: int, why: str) -> None:
        """Go on later: soon where some of it came, else by the schedule."""
        now = self._clock()
        due_at: datetime | None = now + timedelta(seconds=AGAIN_SECONDS)
        attempts = 0
        if writing.stored - began < CHUNK_BYTES:
            attempts = wanted.attempts + 1
            due_at = next_attempt(attempts, now, self._chance())
            if why.startswith(NOT_THERE) and attempts >= MISSING_ATTEMPTS:
                due_at = None
        log.info(
            "attachment.cut sha256=%s system=%s stored=%d of=%d attempt=%d: %s",
            *(wanted.sha256, wanted.system, writing.stored, wanted.size),
            *(attempts, why),
        )
        if due_at is None:
            writing.fail(0, now, why)
            self._park(wanted, f"tried {attempts} times to get {wanted}: {why}")
        else:
            writing.fail(attempts, due_at, why)

    def _contradicted(self, wanted: Wanted, why: str, *, resumed: bool) -> None:
        """What came is not what was offered. Of what came in two parts one may be of
        another file: once more from the start."""
        log.warning("attachment.contradicted sha256=%s %s", wanted.sha256, why)
        if not resumed:
            self._park(
                wanted,
                f"{wanted} is not what was offered (SHA-256 {wanted.sha256}): {why};"
                " nothing of it was kept",
            )
