"""Random messages through random flows, traced from the log alone: each step comes to
what it came to then, and each write is the one that was sent."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from shared_record import SharedRecord, definition

from rps.domain import events
from rps.domain.flow import MappingRefused
from rps.domain.judgements import judgements, same
from rps.domain.logged import find
from rps.domain.trace import deliveries_shown, judgement_at, judgement_shown
from rps.domain.writing import written

if TYPE_CHECKING:
    from rps.domain.question import Question

SEEDS = 200
STEPS = 30
LOOK_UP = {"table": "users", "by": "id", "value": "{title}", "take": "mail"}
INBOUND: list[Any] = [
    {"name": "hot", "when": "title=urgent", "set": {"state": "hot"}},
    {"name": "joined", "set": {"state": "{title}/{tags}"}},
    {"name": "needs", "require": "title!=bad^ORtitleISEMPTY"},
    {"name": "not this", "skip_when": "state=cold"},
    {"name": "who", "lookup": LOOK_UP, "into": "title", "missing": "keep"},
    {"name": "sort", "call": "sorts", "when": "titleCHANGES", "into": "state"},
    {"name": "tell", "when": "state=hot", "notify": "{title}!"},
]
OUTBOUND: list[Any] = [
    {"name": "memo", "set": {"memo": "{title} ({state})"}},
    {"name": "marked", "set": {"title": "[A] {title}"}},
    {"name": "must", "require": "title!=refused"},
    {"name": "not now", "skip_when": "state=cold"},
    {"name": "firm", "create_if_missing": LOOK_UP, "into": "firm"},
    {"name": "say", "notify": "{title}"},
]
TITLES = ["urgent", "calm", "bad", "refused", "", "disk"]
STATES = ["open", "cold", "hot", "done"]


class Life(SharedRecord):
    """One shared record, its flows drawn by chance, and what happens to it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(f"flows {seed}")
        flows = {"inbound": self._some(INBOUND), "outbound": self._some(OUTBOUND)}
        said = {key: steps for key, steps in flows.items() if steps}
        super().__init__(definition(a={"flows": said} if said else {}))
        self.log: list[Any] = []
        self.stopped = False

    def _some(self, steps: list[Any]) -> list[Any]:
        chosen = [step for step in steps if self.chance.random() < 0.5]
        # what nobody shares is written behind the map only
        own = [at for at, step in enumerate(chosen) if step["name"] in ("memo", "firm")]
        latest = min(own, default=len(chosen))
        chosen.insert(self.chance.randrange(latest + 1), "map")
        return chosen if len(chosen) > 1 else []

    def given(self, fact: Any, **fields: Any) -> Any:
        before = self.record.version
        super().given(fact, **fields)
        made: Any = fact(
            originator_id=self.record.id,
            originator_version=before + 1,
            timestamp=self.now,
            domain="top",
            **fields,
        )
        self.log.append(made)
        return self

    def when(self, say: Any) -> Any:
        super().when(say)
        self.log += self.followed
        return self

    # --- what happens ---------------------------------------------------------------

    def live(self) -> None:
        for _ in range(STEPS):
            if self.chance.random() < 0.5 and not self.stopped:
                self._change()
            else:
                self._send()

    def _change(self) -> None:
        member = self.chance.choice("abc")
        if any(p.failed or p.attempt for p in self.record.waiting(member)):
            return
        fields: dict[str, Any] = {}
        if self.chance.random() < 0.6:
            fields["title"] = self.chance.choice(TITLES)
        if self.chance.random() < 0.5:
            fields["state"] = self.chance.choice(STATES)
        if self.chance.random() < 0.3:
            fields["tags"] = [self.chance.choice("uvw")]
        self.sequence = len(self.log)  # it is captured at the next position
        self.shows(member, self.record.version + 1, **fields)
        self.log.insert(len(self.log) - len(self.followed), self.captured)
        while self.record.questions:
            self._answer(self.sequence, "")
            captured, sequence = self.captured, self.sequence
            self.when(
                lambda record, c=captured, s=sequence: record.judge(
                    c, s, self.definition, 1, self.now
                )
            )
        self.stopped = isinstance(self.followed[-1], events.ChangeFailed)
        if self.stopped:
            about = (self.sequence, self.captured.change_id, "no", "ann", self.now)
            self.when(lambda record: record.skip_change(*about))
            self.stopped = False

    def _answer(self, sequence: int, message_id: str) -> None:
        ((question_id, (_, key)),) = self.record.questions.items()
        wants = "call" in key
        answers: list[Any] = [{"values": {"result": "hot"}}, {"error": "it raised"}]
        if not wants:
            answers = [{"value": "ann"}, {"missing": True}, {"error": "answered 400"}]
        answer = self.chance.choice([answers[0], *answers])
        about = {"member": "a", "sequence": sequence, "change_id": "c"}
        self.when(
            lambda record: record.answer_question(
                question_id, {**about, "message_id": message_id}, answer, 0.1, self.now
            )
        )

    def _send(self) -> None:
        """The oldest message to somebody is sent, parked, passed over or asks."""
        member = self.chance.choice("abc")
        waiting = self.record.waiting(member)
        if not waiting:
            return
        pending = waiting[0]
        link = self.record.links.get(member)
        known = (link.record_id, link.revision) if link else (None, None)
        outgoing = _outgoing(pending, self.record, self._context(pending.message_id))
        about = {"message_id": pending.message_id, "member": member}
        try:
            write, course = written(
                outgoing, self.definition.members[member], self.definition, *known
            )
        except MappingRefused as refused:
            self.given(
                events.MessageParked, **about, detail=str(refused), step=refused.step
            )
            self.when(
                lambda r: r.skip_message(pending.message_id, "no", "ann", self.now)
            )
            return
        if course.asks is not None:
            self._ask(pending.message_id, member, course.asks)
        elif course.skipped:
            args = (pending.message_id, course.skipped, self.definition, 1, self.now)
            self.when(lambda record: record.pass_over_message(*args))
        else:
            self.given(
                events.MessageTransmitted,
                **about,
                attempt=1,
                delivery_id=write.delivery_id,
                operation=write.operation,
                record_id=write.record_id,
                if_match=write.if_match,
                fields=dict(write.fields),
                entry_ids=[],
                request_sha256="",
                status=200,
                response="",
                seconds=0.1,
            )
            self._acknowledge(pending, member, write)

    def _ask(self, message_id: str, member: str, question: Question) -> None:
        self.given(
            events.QuestionAsked,
            question_id=question.id_for(str(self.record.id), message_id),
            member=member,
            sequence=0,
            change_id="",
            message_id=message_id,
            system=member,
            question=question.to_document(),
        )
        self._answer(0, message_id)

    def _acknowledge(self, pending: Any, member: str, write: Any) -> None:
        if write.record_id is None:
            self.given(
                events.CorrelationLinked,
                definition=str(UUID(int=7)),
                member=member,
                system=member,
                table="record",
                record_id=f"{member}-1",
                record_revision=None,
            )
        self.given(
            events.MessageAcknowledged,
            message_id=pending.message_id,
            member=member,
            record_id=f"{member}-1",
            record_revision=str(self.record.version),
            stored={},
            agreed=dict(pending.versions),
            settled_by="answer",
        )

    def _context(self, message_id: str) -> dict[str, Any]:
        for event in reversed(self.log):
            if getattr(event, "message_id", "") == message_id and isinstance(
                event, events.MessageRevised
            ):
                return dict(event.context or {})
            for made in getattr(event, "messages", ()):
                if made["message_id"] == message_id:
                    return dict(made.get("context", {}))
        raise LookupError(message_id)


def _outgoing(pending: Any, record: Any, context: dict[str, Any]) -> Any:
    more = f"-{pending.generation}" if pending.generation else ""
    return SimpleNamespace(
        correlation_id=record.id,
        process_event="shared",
        table="record",
        operation=pending.operation,
        fields=pending.fields,
        versions=pending.versions,
        entries=[],
        origin=pending.origin,
        hop=pending.hop,
        changed_by="",
        changed_at="",
        attachments=(),
        context=context,
        answers=record.answers.get(pending.message_id, {}),
        delivery_id=f"{pending.message_id}{more}",
    )


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    made = []
    for seed in range(SEEDS):
        life = Life(seed)
        life.live()
        made.append(life)
    return made


def test_every_judgement_with_flows_comes_out_as_recorded(lives: list[Life]) -> None:
    count = asked = 0
    for life in lives:
        stream = list(enumerate(life.log, 1))
        for each in judgements(stream):
            again = each.again(life.definition, 1)
            assert same(again, each.events), (each.events, again)
            count += 1
        asked += sum(isinstance(e, events.QuestionAnswered) for e in life.log)
    assert count > 8 * SEEDS
    assert asked > SEEDS


def test_every_step_and_write_is_shown_as_it_was(lives: list[Life]) -> None:
    shown = steps = 0
    kinds: set[str] = set()
    for life in lives:

        def stream(life: Life = life) -> Any:
            return list(enumerate(life.log, 1))

        for sent in life.log:
            if not isinstance(sent, events.MessageTransmitted):
                continue
            found = find(stream, sent.message_id)
            assert found is not None
            told = deliveries_shown(found, stream, lambda _, one=life: one.definition)
            attempts = [attempt for each in told for attempt in each["attempts"]]
            assert all(attempt["as_sent"] for attempt in attempts)
            shown += len(attempts)
            for each in told:
                assert each["error"] is None or not each["attempts"]
                steps += len(each["steps"])
                kinds |= {step["kind"] for step in each["steps"]}
    assert shown > 5 * SEEDS
    assert kinds >= {"map", "set", "require", "skip_when", "notify"}
    assert kinds >= {"create_if_missing"}


def test_a_judgement_is_shown_with_the_steps_of_its_flow(lives: list[Life]) -> None:
    kinds: set[str] = set()
    failed = 0
    for life in lives[:60]:

        def stream(life: Life = life) -> Any:
            return list(enumerate(life.log, 1))

        for event in life.log:
            if isinstance(event, events.ChangeAccepted | events.ChangeFailed):
                judgement = judgement_at(stream, event.sequence)
                assert judgement is not None
                told = judgement_shown(judgement, life.definition, 1)
                assert told["as_recorded"]
                kinds |= {step["kind"] for step in told["steps"]}
                if isinstance(event, events.ChangeFailed) and event.step:
                    failed += 1
                    assert told["error"]["step"] == event.step
                    assert told["error"]["place"].startswith("/members/a/flows/inb")
    assert kinds >= {"map", "set", "require", "lookup", "call", "notify"}
    assert failed
