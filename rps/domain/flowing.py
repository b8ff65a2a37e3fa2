"""What a change's flow asks and tells, and what a member makes of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import courses, events
from rps.domain.hearing import Hearing
from rps.domain.question import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.plan import Case
    from rps.domain.question import Question


class Flowing(Hearing):
    """Judges by flows whose answers have been recorded."""

    def _ask(self, case: Case, question: Question) -> None:
        asked = case.definition.members.get(question.member)
        subject = subject_of(case.sequence)
        self.domain = self.domain or case.captured.domain
        self.happened(
            events.QuestionAsked,
            case.now,
            question_id=question.id_for(str(self.id), subject),
            member=case.member.name,
            sequence=case.sequence,
            change_id=case.captured.change_id,
            message_id="",
            system=asked.system if asked else "",
            question=question.to_document(),
        )

    def _notify(self, case: Case, notices: list[dict[str, str]]) -> None:
        for notice in notices:
            self.happened(
                events.FlowNotified,
                case.now,
                process_event=case.definition.process_event,
                member=case.member.name,
                change_id=case.captured.change_id,
                message_id="",
                **notice,
            )

    def _normaliser(self, case: Case) -> Callable[[str, Any], Any]:
        member, definition = case.member, case.definition

        def normalised(name: str, value: Any) -> Any:
            return courses.normalised(self, member, definition, name, value)

        return normalised
