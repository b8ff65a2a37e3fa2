"""What flows ask while they are tried: systems are read, nothing is made there, and
actions are called only where whoever tries wants that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rps.application.actions import call
from rps.application.looking_up import NotNow, found, taken
from rps.domain.delivery import Missing, Refused, Snapshot
from rps.domain.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.delivery import Connector
    from rps.domain.events import QuestionAsked
    from rps.domain.question import Answer, Answers

MADE = "(the id of the record that is made then)"


class Asks(Protocol):
    """A connector by domain and system; None, and why there is none."""

    def __call__(self, domain: str, name: str) -> tuple[Connector | None, str]: ...


class DryAnswers:
    """Of one dry run. What is left unanswered stays a question."""

    def __init__(
        self,
        connector: Asks,
        domain: str,
        system_of: Callable[[str], str],
        *,
        call_actions: bool,
    ) -> None:
        self._connector = connector
        self._domain = domain
        self._system_of = system_of
        self._call_actions = call_actions

    def given(self, asked: QuestionAsked) -> Answers:
        return self.to(Question.of(asked.question))

    def to(self, question: Question) -> Answers:
        """The answer by the question's key; empty where nobody is to answer."""
        if question.kind == "call" and not self._call_actions:
            return {}
        if question.kind == "call":
            return {question.key: call(question.asked)}
        return {question.key: self._looked_up(question)}

    def _looked_up(self, question: Question) -> Answer:
        name = self._system_of(question.member)
        connector, why = self._connector(self._domain, name)
        if connector is None:
            return {"error": why}
        came = found(connector, question)
        match came:
            case Snapshot():
                record = {"record_id": came.record_id, "fields": came.fields}
                return taken(question, record, name)
            case Missing() if question.kind == "create_if_missing":
                return {"value": MADE}
            case Missing():
                return {"missing": True}
            case NotNow(detail) | Refused(detail):
                return {"error": f"{name}: {detail}"}
