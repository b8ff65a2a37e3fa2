"""Groups of the same mistake: shown with cause and remedy, tried again or skipped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rps.application.lane_commands import LaneBusy, NotFound, NotOpen
from rps.domain.causes import explained
from rps.domain.correlation import MessageUnknown
from rps.domain.fingerprint import INBOUND, Fault
from rps.domain.treatment import RETRY, Treatment
from rps.log.append import LeaseLost, VersionTaken
from rps.projections.problem_questions import ProblemQuestions
from rps.projections.system_questions import SystemQuestions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.operations import Operations
    from rps.projections.questions import Row

EXAMPLES, EXAMPLES_MAX = 3, 20
PAGE = 200
ABREAST = 8
"""Entries told at a time; what they append shares commits."""
_FAULT = [each.name for each in fields(Fault)]


class Problems:
    """What fails, for people."""

    def __init__(self, application: RemoteProcessSync) -> None:
        self._application = application
        self._questions = ProblemQuestions(application.datastore)
        self._systems = SystemQuestions(application.datastore)

    def groups(self, domain: str, filters: Mapping[str, Any], limit: int) -> list[Row]:
        """The latest first, with cause, remedy, examples and breaker."""
        rows = self._questions.groups(domain, filters, limit, EXAMPLES)
        breakers = self._systems.breakers(domain) if rows else {}
        return [_shown(row, breakers) for row in rows]

    def group(self, domain: str, fingerprint: str) -> Row:
        """As above, with more examples. NotFound."""
        row = self._questions.group(domain, fingerprint, EXAMPLES_MAX)
        if row is None:
            raise NotFound(f"no problem {fingerprint} in {domain}")
        return _shown(row, self._systems.breakers(domain))

    def plan(
        self,
        treatment_id: UUID,
        domain: str,
        fingerprint: str,
        action: str,
        reason: str,
        actor: str,
        now: datetime,
    ) -> Treatment:
        """Plan to retry or skip all entries that a group has now; does nothing yet.
        NotFound."""
        group = self.group(domain, fingerprint)
        treatment = Treatment.planned(
            *(treatment_id, domain, fingerprint, group["queue"], action),
            *(group["entries"], group["position"], reason, actor, now),
        )
        self._application.save(treatment)
        return treatment

    def start(
        self, domain: str, treatment_id: UUID, actor: str, now: datetime
    ) -> Treatment:
        """Let the sweeper carry it out. NotFound, TreatmentEnded."""
        self.treatment(domain, treatment_id)
        return self._application.change(
            Treatment, treatment_id, lambda each: each.begin(actor, now)
        )

    def cancel(
        self, domain: str, treatment_id: UUID, reason: str, actor: str, now: datetime
    ) -> Treatment:
        """Tell no more entries. NotFound, TreatmentEnded."""
        self.treatment(domain, treatment_id)
        return self._application.change(
            Treatment, treatment_id, lambda each: each.cancel(reason, actor, now)
        )

    def treatment(self, domain: str, treatment_id: UUID) -> Treatment:
        found = self._application.find(Treatment, treatment_id)
        if found is None or found.domain != domain:
            raise NotFound(f"no treatment {treatment_id}")
        return found

    def latest(self, domain: str, most: int) -> list[Treatment]:
        found = [
            self._application.find(Treatment, key)
            for key in self._questions.latest(most)
        ]
        return [each for each in found if each is not None and each.domain == domain]

    def progress(self, treatment: Treatment) -> Row:
        """How many entries were told, were settled before, and are left."""
        if treatment.state in ("completed", "planned"):
            told = {"done": treatment.done, "settled": treatment.settled}
        else:
            known = self._questions.progress(treatment.id)
            told = {"done": known["done"], "settled": known["settled"]}
        left = 0
        if treatment.state in ("planned", "started"):
            left = self._questions.left(treatment.fingerprint, treatment.until)
        return {**told, "left": left}


class Treatments:
    """Carries out what was started, page by page, where others may help."""

    def __init__(self, application: RemoteProcessSync, operations: Operations) -> None:
        self._application = application
        self._operations = operations
        self._questions = ProblemQuestions(application.datastore)

    def work(self, clock: Callable[[], datetime]) -> int:
        """A page of each treatment under way; answers how many entries were told."""
        return sum(self._carry_out(key, clock) for key in self._questions.started())

    def _carry_out(self, key: UUID, clock: Callable[[], datetime]) -> int:
        treatment = self._application.find(Treatment, key)
        if treatment is None or treatment.state != "started":
            return 0
        progress = self._questions.progress(key)
        page = self._questions.entries(
            treatment.fingerprint, progress["after"], treatment.until, PAGE
        )
        if not page:
            return self._round_over(treatment, progress, clock())
        results = self._told(treatment, page, clock)
        for result in results:
            progress[result] += 1
        progress["after"] = page[-1]["position"]
        self._questions.keep_progress(key, progress)
        return results.count("done")

    def _round_over(self, treatment: Treatment, progress: Row, now: datetime) -> int:
        """Those that were busy are tried once more, in the next round."""
        if progress["busy"]:
            again = {**progress, "after": 0, "busy": 0}
            self._questions.keep_progress(treatment.id, again)
            return 0
        done, settled = progress["done"], progress["settled"]
        self._application.change(
            Treatment, treatment.id, lambda each: each.complete(done, settled, now)
        )
        return 0

    def _told(
        self, treatment: Treatment, page: Sequence[Row], clock: Callable[[], datetime]
    ) -> list[str]:
        standing = self._questions.standing(treatment.queue, page)
        tell = partial(self._tell, treatment, clock)
        told = [each["entry"] for each in page if each["entry"] in standing]
        with ThreadPoolExecutor(ABREAST, "treatment") as threads:
            return list(threads.map(tell, told))

    def _tell(
        self, treatment: Treatment, clock: Callable[[], datetime], entry: str
    ) -> str:
        about = (treatment.reason, treatment.actor, clock())
        tried_again = treatment.action == RETRY
        try:
            if treatment.queue == INBOUND:
                correlation, _, sequence = entry.partition(":")
                tell = self._operations.skip_change
                if tried_again:
                    tell = self._operations.retry_change
                tell(treatment.domain, UUID(correlation), int(sequence), *about)
            elif tried_again:
                self._operations.retry_message(treatment.domain, UUID(entry), *about)
            else:
                self._operations.skip_message(treatment.domain, UUID(entry), *about)
        except (LaneBusy, LeaseLost, VersionTaken):
            return "busy"
        except (NotOpen, NotFound, MessageUnknown):
            return "settled"
        return "done"


def _shown(row: Row, breakers: Mapping[str, Row]) -> Row:
    fault = Fault(**{name: row[name] for name in _FAULT})
    told = asdict(explained(fault))
    examples = [_example(row["queue"], each) for each in row["examples"]]
    breaker = breakers.get(fault.system)
    return {**row, **told, "examples": examples, "breaker": breaker}


def _example(queue: str, row: Row) -> Row:
    entry = row.pop("entry")
    if queue == INBOUND:
        named: dict[str, Any] = {"sequence": int(entry.partition(":")[2])}
    else:
        named = {"message_id": entry}
    return {"correlation_id": row.pop("correlation_id"), **named, **row}
