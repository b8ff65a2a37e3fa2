"""What flows ask and are answered, and what they tell people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import Event
from rps.domain.question import Question, subject_of

if TYPE_CHECKING:
    from rps.domain.state import CorrelationState


class QuestionAsked(Event):
    """A flow cannot go on before it knows something: its change (`sequence`,
    `change_id`) or message waits. `system`: which one is asked, "" for an action.
    `question` is `{step, kind, member, asked}` (`rps.domain.question`).
    """

    TOPIC = "question.asked"

    question_id: str
    member: str
    sequence: int
    change_id: str
    message_id: str
    system: str
    question: dict[str, Any]

    def apply(self, aggregate: CorrelationState) -> None:
        subject = subject_of(self.sequence, self.message_id)
        key = Question.of(self.question).key
        aggregate.questions[self.question_id] = (subject, key)


class QuestionAnswered(Event):
    """`answer`: `{value}`, `{missing}`, `{values}`, `{error}`, or `{withdrawn}` where
    nobody waited for it any more. `answers`: all that the change or message was
    answered so far, by the key of the question. `seconds`: how long it took.
    """

    TOPIC = "question.answered"

    question_id: str
    member: str
    sequence: int
    change_id: str
    message_id: str
    answer: dict[str, Any]
    answers: dict[str, dict[str, Any]]
    seconds: float

    def apply(self, aggregate: CorrelationState) -> None:
        subject, _ = aggregate.questions.pop(self.question_id, ("", ""))
        if subject:
            aggregate.answers[subject] = self.answers


class FlowNotified(Event):
    """A `notify` step has something to tell, once its change was accepted or its
    message delivered."""

    TOPIC = "flow.notified"

    process_event: str
    member: str
    step: str
    text: str
    change_id: str
    message_id: str
