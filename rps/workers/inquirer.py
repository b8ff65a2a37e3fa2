"""The inquirer: finds out what flows ask, from systems and from actions, and records
the answers; the change or message that waited goes on.

The same record is asked for once for all who want to know of it, by whoever holds its
lease, and is known for some minutes.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from rps.application.connections import ConnectorUnknown
from rps.application.looking_up import NotNow, found_or_made, taken
from rps.connectors.signature import SecretUnusable
from rps.domain.correlation import Correlation
from rps.domain.delivery import Missing, Refused, Snapshot
from rps.domain.question import Question
from rps.domain.retry import next_attempt
from rps.projections.inquiry_questions import InquiryQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.domain.delivery import Connector
    from rps.domain.question import Answer
    from rps.domain.remote_system import RemoteSystem
    from rps.projections.questions import Row

log = logging.getLogger("rps.inquirer")

THREADS = 8
OF_ONE_SYSTEM = 4
"""Questions asked of one system, and actions called, at once: a slow one leaves room
for the others."""
LEASE_SECONDS = 8.0
FRESH_SECONDS = 300.0
"""How long a record that was found is taken for what it is."""

Key = tuple[str, str]


class Inquirer:
    """`connect` makes the connector of a system, `call` carries out an action; `chance`
    is uniform in [0, 1); `due` is told when something was answered."""

    idle_seconds = 1.0
    gather_seconds = 0.0

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
        call: Callable[[Mapping[str, Any]], Answer],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        due: Callable[[], None] = lambda: None,
    ) -> None:
        self._application = application
        self._connect = connect
        self._call = call
        self._clock = clock
        self._chance = chance
        self._due = due
        self._questions = InquiryQuestions(application.datastore)
        host = f"{socket.gethostname()}:{os.getpid()}"
        self.holder = f"inquirer@{host}:{uuid4().hex[:8]}"
        self._threads = ThreadPoolExecutor(THREADS, "inquirer")
        self._lock = Lock()
        self._under_way: dict[str, Key] = {}
        self._broken: BaseException | None = None

    def beat(self) -> None:
        """Keep what is asked now."""
        self._questions.beat(self.holder, LEASE_SECONDS)

    def close(self) -> None:
        """Let what was begun come to its end."""
        self._threads.shutdown(cancel_futures=True)

    def work(self) -> int:
        """Begin to ask what nobody asks yet; answers how many questions that is."""
        if self._broken is not None:
            raise self._broken
        active = self._application.configuration.refresh().active_systems()
        with self._lock:
            busy = Counter(self._under_way.values())
            under_way = set(self._under_way)
        room = THREADS - len(under_way)
        if room <= 0:
            return 0
        begun = 0
        open_to = [key for key in active if busy[key] < OF_ONE_SYSTEM]
        for row in self._questions.wanted(open_to, 4 * THREADS):
            inquiry, key = row["inquiry"], (row["domain"], row["system"])
            if begun == room:
                break
            if inquiry in under_way or busy[key] == OF_ONE_SYSTEM:
                continue
            taken = self._questions.take(inquiry, self.holder, LEASE_SECONDS)
            if taken is None:
                continue
            busy[key] += 1
            begun += 1
            with self._lock:
                self._under_way[inquiry] = key
            self._threads.submit(self._run, inquiry, active.get(key), taken)
        return begun

    def _run(self, inquiry: str, system: RemoteSystem | None, taken: Row) -> None:
        try:
            self._ask(inquiry, system, taken)
        except BaseException as error:  # noqa: BLE001 - `work` raises it
            self._broken = error
        finally:
            with self._lock:
                del self._under_way[inquiry]
            self._due()

    def _ask(self, inquiry: str, system: RemoteSystem | None, taken: Row) -> None:
        """Answer all who want to know; whoever comes meanwhile is next."""
        found = orjson.loads(taken["found"]) if taken["found"] else None
        attempts, due_at, detail = 0, self._clock(), ""
        for row in self._questions.asked(inquiry):
            question = Question.of(orjson.loads(row["question"]))
            began = monotonic()
            answer: Answer | NotNow
            if question.kind == "call":
                answer = self._called(row, question)
            else:
                answer, found = self._looked_up(system, inquiry, question, found)
            if isinstance(answer, NotNow):
                attempts = taken["attempts"] + 1
                retry_at = next_attempt(
                    attempts, due_at, self._chance(), answer.retry_after
                )
                detail = answer.detail
                if retry_at is not None:
                    due_at = retry_at
                    break
                answer = {"error": f"asked {attempts} times: {detail}"}
            self._answer(row, question, answer, monotonic() - began)
        self._questions.leave(inquiry, self.holder, attempts, due_at, detail)

    def _answer(
        self, row: Row, question: Question, answer: Answer, seconds: float
    ) -> None:
        about = {
            name: row[name]
            for name in ("member", "sequence", "change_id", "message_id")
        }
        log.info(
            "question.answered step=%s kind=%s correlation=%s answer=%s seconds=%.3f",
            *(question.step, question.kind, row["correlation_id"]),
            *(",".join(answer), seconds),
        )
        self._application.change(
            Correlation,
            row["correlation_id"],
            lambda each: each.answer_question(
                str(row["question_id"]), about, answer, seconds, self._clock()
            ),
        )

    # --- where answers come from ----------------------------------------------------

    def _called(self, row: Row, question: Question) -> Answer:
        correlation = self._application.find(Correlation, row["correlation_id"])
        key = str(row["question_id"])
        if correlation is None or key not in correlation.questions:
            return {}  # nobody waits for it any more
        return self._call(question.asked)

    def _looked_up(
        self,
        system: RemoteSystem | None,
        inquiry: str,
        question: Question,
        found: Any,
    ) -> tuple[Answer | NotNow, Any]:
        """The answer, and the record that it is from."""
        if system is None:
            return {"error": f"{question.member or 'nobody'} is no system here"}, found
        if found is None:
            try:
                connector = self._connect(system)
            except (ConnectorUnknown, SecretUnusable) as unusable:
                return NotNow(f"{system.name} cannot be asked: {unusable}"), None
            came = found_or_made(connector, inquiry, question)
            if not isinstance(came, Snapshot):
                return _none(came, system.name), None
            found = {"record_id": came.record_id, "fields": dict(came.fields)}
            self._questions.found(inquiry, self.holder, found, FRESH_SECONDS)
        return taken(question, found, system.name), found


def _none(came: Missing | Refused | NotNow, system: str) -> Answer | NotNow:
    match came:
        case Missing():
            return {"missing": True}
        case Refused(detail):
            return {"error": f"{system}: {detail}"}
        case NotNow():
            return came
